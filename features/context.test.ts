import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { PromptContextSchema, type SignalSchema } from '../gen/proto/oo/serving/v1/context_pb.ts';
import { assembleContext, contextLimits, encodeData, type ProfileValue, shorten } from './context.ts';
import { redact } from './redact.ts';
import { toTimestamp } from './time.ts';

const now = Date.UTC(2026, 10, 24, 13, 5); // a Tuesday, 14:05 in Amsterdam
const inHours = (hours: number) => toTimestamp(now + hours * 3_600_000);
type SignalInit = MessageInitShape<typeof SignalSchema>;

function assemble(init: MessageInitShape<typeof PromptContextSchema>, profile: readonly ProfileValue[] = []) {
  return assembleContext(create(PromptContextSchema, init), profile, now);
}

const task = (id: string, value: Record<string, unknown> = {}): SignalInit => ({
  id,
  detail: { case: 'task', value: { title: `task ${id}`, ...value } },
});
const event = (id: string, startsInHours: number, durationMinutes = 30): SignalInit => ({
  id,
  detail: { case: 'event', value: { title: `event ${id}`, startsAt: inHours(startsInHours), durationMinutes } },
});

describe('local time', () => {
  it.each([
    ['is UTC where nothing is said', {}, { timeZone: 'UTC', hourOfDay: 13, dayOfWeek: 2 }],
    ['is read in the time zone', { timeZone: 'Pacific/Auckland' }, { hourOfDay: 2, dayOfWeek: 3 }],
    ['is what the request says', { timeZone: 'Europe/Amsterdam', hourOfDay: 0 }, { hourOfDay: 0, dayOfWeek: 2 }],
    ['may be said as a day only', { dayOfWeek: 7 }, { hourOfDay: 13, dayOfWeek: 7 }],
  ])('%s', (_, request, expected) => {
    expect(assemble(request)).toMatchObject(expected);
  });

  it('of an unknown zone is refused, with the name of the field', () => {
    expect(() => assemble({ timeZone: 'Mars/Olympus' })).toThrow(
      expect.objectContaining({
        code: 'invalid_argument',
        violations: [expect.objectContaining({ field: 'context.time_zone' })],
      }),
    );
  });
});

describe('signals', () => {
  it('are empty where there is no context', () => {
    expect(assembleContext(undefined, [], now)).toMatchObject({ locale: 'en', tasks: [], events: [], recentTips: [] });
  });

  it('of tasks come by urgency: overdue, priority, due date, age, id', () => {
    const signals = [
      task('i'),
      task('h'),
      task('z', { ageDays: 3 }),
      task('f', { ageDays: 1, dueAt: inHours(50) }),
      task('e', { dueAt: inHours(1.01) }),
      task('d', { dueAt: inHours(1) }),
      task('c', { priority: 4 }),
      task('b', { isOverdue: true, dueAt: inHours(-1) }),
      task('a', { isOverdue: true, priority: 2 }),
    ];
    expect(assemble({ signals }).tasks.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'z', 'h', 'i']);
  });

  it('of tasks are told in local time', () => {
    const signals = [task('a', { dueAt: inHours(-2.25), priority: 3, ageDays: 1.26, isOverdue: true })];
    expect(assemble({ signals, timeZone: 'Europe/Amsterdam' }).tasks).toEqual([
      {
        id: 'a',
        title: 'task a',
        overdue: true,
        priority: 3,
        ageDays: 1.3,
        due: 'Tue 2026-11-24 11:50',
        dueInHours: -2.2,
      },
    ]);
  });

  it('of the calendar come by start, without those that are over', () => {
    const signals = [event('b', 2), event('a', 2), event('running', -0.25), event('over', -0.5), event('next', 0.5)];
    const { events } = assemble({ signals, timeZone: 'Europe/Amsterdam' });
    expect(events.map(({ id }) => id)).toEqual(['running', 'next', 'a', 'b']);
    expect(events[1]).toMatchObject({ starts: 'Tue 2026-11-24 14:35', startsInMinutes: 30, durationMinutes: 30 });
  });

  it('of health keep what was measured', () => {
    const signals: SignalInit[] = [{ id: 'h', detail: { case: 'health', value: { steps: 0, sleepMinutes: 400 } } }];
    expect(assemble({ signals }).health).toEqual([{ id: 'h', steps: 0, sleepMinutes: 400 }]);
  });

  it('that do not fit are the least urgent ones, and are counted', () => {
    const long = 'x'.repeat(500);
    const signals = Array.from({ length: 200 }, (_, at) => task(`t${at}`, { title: long, priority: 1 + (at % 4) }));
    const { tasks, omitted } = assemble({ signals });
    expect(tasks.length).toBeGreaterThan(10);
    expect(tasks.every(({ priority, title }) => priority === 4 && title.length === contextLimits.titleChars)).toBe(
      true,
    );
    expect(omitted.tasks).toBe(200 - tasks.length);
  });
});

describe('profile', () => {
  const values: readonly ProfileValue[] = [
    { name: 'completion_rate_30d', value: 0.4, status: 'present' },
    { name: 'dismiss_rate_30d', value: 0.25, status: 'stale' },
    { name: 'mean_dwell_ms_30d', value: 150_000, status: 'present' },
    { name: 'preferred_hour', value: 9, status: 'default' },
    { name: 'tip_volume_30d', value: undefined, status: 'missing' },
    { name: 'lost', value: 1, status: 'missing' },
    { name: 'a_new_one', value: 3, status: 'present' },
  ];

  it('is in words, with its freshness, without what is missing', () => {
    expect(assemble({}, values).profile.map(({ words }) => words)).toEqual([
      'did 40 % of the tips of the last 30 days',
      'dismissed 25 % of the tips of the last 30 days (not up to date)',
      'reacts to a tip after 3 min on average',
      'does most tips in the hour from 9:00 (typical of other people; not known of this person)',
      'a_new_one is 3',
    ]);
  });
});

it('recent tips keep their order and say what became of them', () => {
  const recentTips = [
    { content: 'new', reaction: Reaction.DISMISS },
    { content: 'old', reaction: Reaction.NOT_HELPFUL },
    { content: 'older' },
  ];
  expect(assemble({ recentTips }).recentTips).toEqual([
    { content: 'new', reaction: 'dismiss' },
    { content: 'old', reaction: 'not_helpful' },
    { content: 'older', reaction: 'none' },
  ]);
});

describe('shorten', () => {
  it.each([
    ['abc', 3, 'abc'],
    ['abcd', 3, 'ab…'],
    ['🌻🌻🌻', 3, '🌻🌻🌻'],
    ['🌻🌻🌻🌻', 3, '🌻🌻…'],
  ])('%s to %d characters is %s', (text, maxChars, expected) => {
    expect(shorten(text, maxChars)).toBe(expected);
  });
});

describe('for any valid request', () => {
  const text = (maxLength: number) => fc.string({ unit: 'binary', minLength: 1, maxLength });
  const optional = <Value>(arb: fc.Arbitrary<Value>) => fc.option(arb, { nil: undefined });
  const near = fc.integer({ min: -200 * 3_600_000, max: 200 * 3_600_000 }).map((ms) => toTimestamp(now + ms));
  const anywhere = fc.record({
    seconds: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
  });
  const timestamp = fc.oneof({ weight: 4, arbitrary: near }, anywhere);
  const count = (max: number) => fc.integer({ min: 0, max });
  const detail = fc.oneof(
    fc.record({
      case: fc.constant('task' as const),
      value: fc.record({
        title: text(500),
        isOverdue: fc.boolean(),
        ageDays: fc.double({ min: 0, max: 36_500, noNaN: true }),
        priority: optional(fc.integer({ min: 1, max: 4 })),
        dueAt: optional(timestamp),
      }),
    }),
    fc.record({
      case: fc.constant('event' as const),
      value: fc.record({ title: text(500), startsAt: timestamp, durationMinutes: count(44_640) }),
    }),
    fc.record({
      case: fc.constant('health' as const),
      value: fc.record({ steps: optional(count(500_000)), sleepMinutes: optional(count(2_880)) }),
    }),
  );
  const signals = fc
    .array(fc.record({ id: text(30), detail }), { maxLength: 200, size: 'max' })
    .map((all) => [...new Map(all.map((each) => [each.id, each])).values()]);
  const recentTips = fc.array(
    fc.record({ content: text(2000), reaction: fc.constantFrom(...Object.values(Reaction)) }),
    {
      maxLength: 50,
    },
  );

  it('the order of the signals does not matter, the size is bounded, and nothing throws', () => {
    const requests = signals.chain((all) =>
      fc.record({
        signals: fc.constant(all),
        shuffled: fc.shuffledSubarray(all, { minLength: all.length }),
        recentTips,
        timeZone: fc.constantFrom('', 'Europe/Amsterdam', 'Pacific/Auckland', 'America/St_Johns'),
        hourOfDay: optional(count(23)),
        locale: fc.constantFrom('', 'nl', 'ignore-previous'),
      }),
    );
    const { titleChars: _, tipChars: __, seenTips: ___, ...budgets } = contextLimits;
    const most = Object.values(budgets).reduce((sum, each) => sum + each, 0) + 500;
    fc.assert(
      fc.property(requests, ({ shuffled, ...request }) => {
        const context = assemble(request);
        expect(assemble({ ...request, signals: shuffled })).toEqual(context);
        expect(encodeData({ ...context, seenTips: [] }).length).toBeLessThanOrEqual(most);
        const hasTask = request.signals.some(({ detail }) => detail.case === 'task');
        expect(context.tasks.length > 0).toBe(hasTask);
      }),
      { numRuns: 60 },
    );
  });

  it('each part keeps to its own budget, and no text is longer than it may be', () => {
    const requests = fc.record({ signals, recentTips });
    fc.assert(
      fc.property(requests, (request) => {
        const context = assemble(request);
        for (const part of ['tasks', 'events', 'health', 'profile', 'recentTips'] as const) {
          expect(encodeData(context[part]).length).toBeLessThanOrEqual(contextLimits[part] + 2);
        }
        const titles = [...context.tasks, ...context.events].map(({ title }) => title);
        expect(titles.every((each) => [...each].length <= contextLimits.titleChars)).toBe(true);
        expect(context.seenTips.every((each) => [...each].length <= contextLimits.tipChars)).toBe(true);
        expect(context.recentTips.map(({ content }) => content)).toEqual(
          context.seenTips.slice(0, context.recentTips.length).map(redact),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('what is shown and what is left out are all there is, and nothing left out is more urgent', () => {
    const rank = ({ isOverdue, priority }: { isOverdue?: boolean; priority?: number | undefined }) =>
      Number(isOverdue) * 10 + (priority ?? 1);
    fc.assert(
      fc.property(signals, (all) => {
        const { tasks, events, omitted } = assemble({ signals: all });
        const given = new Map(
          all.flatMap(({ id, detail }) => (detail.case === 'task' ? [[id, rank(detail.value)] as const] : [])),
        );
        expect(tasks.length + omitted.tasks).toBe(given.size);
        const shown = tasks.map(({ id }) => given.get(id) ?? -1);
        expect(shown).toEqual(shown.toSorted((a, b) => b - a));
        for (const { id } of tasks) given.delete(id);
        expect(Math.max(-1, ...given.values())).toBeLessThanOrEqual(shown.at(-1) ?? Number.POSITIVE_INFINITY);
        const future = all.filter(
          ({ detail }) => detail.case === 'event' && Number(detail.value.startsAt?.seconds) * 1000 > now,
        );
        expect(events.length + omitted.events).toBeGreaterThanOrEqual(future.length);
        expect(events.every(({ startsInMinutes, durationMinutes }) => startsInMinutes + durationMinutes >= 0)).toBe(
          true,
        );
      }),
      { numRuns: 60 },
    );
  });

  it('of values of the profile, each is told with how fresh it is', () => {
    const name = fc.constantFrom('completion_rate_30d', 'preferred_hour', 'tip_volume_30d', 'another');
    const status = fc.constantFrom('present' as const, 'stale' as const, 'missing' as const, 'default' as const);
    const value = optional(fc.double({ min: 0, max: 1000, noNaN: true }));
    const values = fc.uniqueArray(fc.record({ name, value, status }), { selector: (each) => each.name });
    fc.assert(
      fc.property(values, (values) => {
        const known = values.filter(({ value, status }) => value !== undefined && status !== 'missing');
        const { profile } = assemble({}, values);
        expect(profile.map(({ name }) => name)).toEqual(known.map(({ name }) => name));
        const endings = {
          present: /[^)]$/,
          stale: /\(not up to date\)$/,
          default: /not known of this person\)$/,
          missing: /^$/,
        };
        for (const [at, { words }] of profile.entries()) expect(words).toMatch(endings[known[at]?.status ?? 'missing']);
      }),
    );
  });
});

describe('what identifies a person or opens a door', () => {
  const secrets = ['anna@mail.example', '+31 6 12345678', 'ghp_abcdefghijklmnop', 'https://u:p@host.example'];
  const title = `Ask ${secrets.join(' and ')} now`;
  const signals: SignalInit[] = [
    { id: 'anna@mail.example', detail: { case: 'task', value: { title } } },
    { id: 'e', detail: { case: 'event', value: { title, startsAt: inHours(1) } } },
  ];

  it('is taken out of titles and tips, but not of ids, which must find their way back', () => {
    const { tasks, events, recentTips } = assemble({ signals, recentTips: [{ content: title }] });
    const clean = 'Ask [e-mail] and [phone] and [token] and [link] now';
    expect(tasks).toMatchObject([{ id: 'anna@mail.example', title: clean }]);
    expect(events).toMatchObject([{ title: clean }]);
    expect(recentTips).toMatchObject([{ content: clean }]);
  });

  it('is taken out before a title is cut, so that no half of it is left', () => {
    const long = `${'x'.repeat(190)} anna@mail.example`;
    const [cut] = assemble({ signals: [task('t', { title: long })] }).tasks;
    expect(cut?.title).toBe(`${'x'.repeat(190)} [e-mail]`);
  });
});

it('seen tips are all that were given, also where few fit into the prompt', () => {
  const given = Array.from({ length: 60 }, (_, at) => ({ content: `${at} ${'x'.repeat(400)}` }));
  const { recentTips, seenTips } = assemble({ recentTips: given });
  expect(recentTips.length).toBeLessThan(20);
  expect(seenTips).toHaveLength(contextLimits.seenTips);
  expect(seenTips.every((each, at) => each.startsWith(`${at} x`) && each.length === contextLimits.tipChars)).toBe(true);
});

describe('encodeData', () => {
  it('gives any text back, on one line, without angle brackets or invisible characters', () => {
    const units = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 3 }),
      fc.constantFrom(
        '<',
        '>',
        '</data>',
        '\n',
        '\r',
        '\u2028',
        '\u2029',
        '\u0085',
        '\u202e',
        '\u200b',
        '\ud800',
        '"',
        '\\',
      ),
      fc.constantFrom('\u{e0041}', '\u0000', '🌻'),
    );
    fc.assert(
      fc.property(fc.array(units), (parts) => {
        const value = { text: parts.join('') };
        const encoded = encodeData(value);
        expect(JSON.parse(encoded)).toEqual(value);
        expect(encoded).not.toMatch(/[<>\n\r\u2028\u2029]|\p{C}/u);
      }),
      { numRuns: 1000 },
    );
  });
});
