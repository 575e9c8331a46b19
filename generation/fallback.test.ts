import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assembleContext, type ProfileValue } from '../features/context.ts';
import { toTimestamp } from '../features/time.ts';
import { PromptContextSchema, type SignalSchema } from '../gen/proto/oo/serving/v1/context_pb.ts';
import { findFacts } from './facts.ts';
import { fallbackTips } from './fallback.ts';
import { gist } from './output.ts';
import { loadPrompts } from './prompts/registry.ts';
import { inspectTemplate } from './prompts/template.ts';

const { fallback } = await loadPrompts();
const now = Date.UTC(2026, 10, 24, 14, 0);
const inMinutes = (minutes: number) => toTimestamp(now + minutes * 60_000);
type SignalInit = MessageInitShape<typeof SignalSchema>;

const task = (id: string, value: Record<string, unknown> = {}): SignalInit => ({
  id,
  detail: { case: 'task', value: { title: id, ...value } },
});
const event = (id: string, startsIn: number): SignalInit => ({
  id,
  detail: { case: 'event', value: { title: id, startsAt: inMinutes(startsIn), durationMinutes: 30 } },
});
const health = (value: Record<string, unknown>): SignalInit => ({ id: 'health', detail: { case: 'health', value } });

function contextOf(
  signals: readonly SignalInit[],
  more: Omit<MessageInitShape<typeof PromptContextSchema>, 'signals' | '$typeName'> = {},
  profile: readonly ProfileValue[] = [],
) {
  return assembleContext(create(PromptContextSchema, { ...more, signals: [...signals] }), profile, now);
}

const busy = [
  task('pay rent', { isOverdue: true, dueAt: inMinutes(-1000) }),
  task('call home', { isOverdue: true, ageDays: 1 }),
  task('send form', { dueAt: inMinutes(170) }),
  task('plan trip', { priority: 4 }),
  task('fix bike', { ageDays: 40.4 }),
  ...['a', 'b', 'c', 'd'].map((id) => task(`task ${id}`)),
  ...[60, 120, 180, 240].map((minutes) => event(`meeting in ${minutes}`, minutes)),
  health({ sleepMinutes: 310, steps: 1200 }),
];
const atTwo: readonly ProfileValue[] = [{ name: 'preferred_hour', value: 14, status: 'present' }];

describe('facts', () => {
  it('are what holds now, each about another task, with the signals that say so', () => {
    const texts = Object.fromEntries(
      Object.entries(findFacts(contextOf(busy, {}, atTwo))).map(([k, v]) => [k, v?.text]),
    );
    expect(texts).toEqual({
      overdueTask: 'pay rent',
      overdueCount: '2',
      dueTask: 'send form',
      dueWhen: 'in 3 hours',
      importantTask: 'plan trip',
      oldTask: 'fix bike',
      oldTaskDays: '40',
      nextTask: 'call home',
      taskCount: '9',
      nextEvent: 'meeting in 60',
      nextEventTime: '15:00',
      eventCount: '4',
      shortNight: '5 h 10 min',
      fewSteps: '1200',
      bestHour: '14:00',
      afternoon: 'afternoon',
    });
  });

  it.each([
    ['a long night', [health({ sleepMinutes: 480 })], 14],
    ['a night that was not measured', [health({ sleepMinutes: 0 })], 14],
    ['few steps in the morning', [health({ steps: 10 })], 8],
    ['a meeting that has begun', [event('m', -10)], 14],
    ['a meeting far away', [event('m', 500)], 14],
  ])('do not hold for %s', (_, signals, hourOfDay) => {
    const { morning, afternoon, ...rest } = findFacts(contextOf(signals, { hourOfDay }));
    expect(rest).toEqual({});
  });

  it('are short however long a title is', () => {
    const title = 'x'.repeat(500);
    const facts = findFacts(contextOf([task('a', { title, isOverdue: true }), task('b', { title, priority: 4 })]));
    expect(facts.overdueTask?.text).toHaveLength(80);
    expect(facts.importantTask?.text).toHaveLength(80);
  });

  it('count overdue tasks only where all of them are known', () => {
    const overdue = (count: number) =>
      Array.from({ length: count }, (_, at) => task(`t${at}`, { title: 'x', isOverdue: true }));
    expect(findFacts(contextOf([...overdue(20), task('u')])).overdueCount?.text).toBe('20');
    expect(findFacts(contextOf(overdue(200)))).not.toHaveProperty('overdueCount');
  });
});

describe('fallbackTips', () => {
  it('are about the person where something is known, and cite it', () => {
    const tips = fallbackTips(fallback, contextOf(busy, {}, atTwo), 4);
    expect(tips.map(({ content, signalIds }) => [content, signalIds])).toEqual([
      ['“meeting in 60” starts at 15:00. Take two minutes now to get ready for it.', ['meeting in 60']],
      ['“pay rent” is overdue. Give it ten minutes now, and stop there if you like.', ['pay rent']],
      ['“send form” is due in 3 hours. Do its first small step now.', ['send form']],
      ['You slept 5 h 10 min. Choose the one thing that matters today and let the rest wait.', ['health']],
    ]);
  });

  it('leave what the person saw lately to the last, the newest of it to the very last', () => {
    const all = fallbackTips(fallback, contextOf([]), 10).map(({ content }) => content);
    const [first = '', second = '', ...others] = all;
    const recentTips = [{ content: first.toUpperCase() }, { content: second }];
    const contents = (n: number) => fallbackTips(fallback, contextOf([], { recentTips }), n).map((tip) => tip.content);
    expect(contents(2)).toEqual(others.slice(0, 2));
    expect(contents(40).slice(-2)).toEqual([second, first]);
  });

  it('take a tip with another number in it for the same, and one about another task for another', () => {
    const steps = (steps: number, content: string) =>
      fallbackTips(fallback, contextOf([health({ steps })], { recentTips: [{ content }] }), 1)[0]?.content;
    const [few] = fallbackTips(fallback, contextOf([health({ steps: 1200 })]), 1);
    expect(steps(1300, 'Drink water')).toMatch(/^1300 steps/);
    expect(steps(1300, few?.content ?? '')).not.toMatch(/steps so far/);
    const overdue = (id: string, content: string) =>
      fallbackTips(fallback, contextOf([task(id, { isOverdue: true })], { recentTips: [{ content }] }), 1)[0]?.content;
    const other = overdue('pay rent', 'Drink water') ?? '';
    expect(overdue('call home', other)).toMatch(/^“call home” is overdue/);
    expect(overdue('pay rent', other)).not.toMatch(/is overdue/);
  });

  it('know of what was seen also where it is too much for a prompt', () => {
    const [first] = fallbackTips(fallback, contextOf([]), 1);
    const long = Array.from({ length: 30 }, (_, at) => ({ content: `${at} ${'x'.repeat(270)}` }));
    const context = contextOf([], { recentTips: [...long, { content: first?.content ?? '' }] });
    expect(context.recentTips.map(({ content }) => content)).not.toContain(first?.content);
    expect(fallbackTips(fallback, context, 10)).not.toContainEqual(first);
  });

  it('show a title as it is: no tags, no HTML, one line', () => {
    const title = `{{nextTask}} &<b>"it's"</b>\n\u0000 {{{n}}}`;
    const [tip] = fallbackTips(fallback, contextOf([task('t', { title, isOverdue: true })]), 1);
    expect(tip?.content).toContain(`“{{nextTask}} &<b>"it's"</b> {{{n}}}” is overdue`);
  });

  it('cite no more signals than an event can hold', () => {
    const overdue = Array.from({ length: 40 }, (_, at) => task(`t${at}`, { title: 'x', isOverdue: true }));
    const cited = fallbackTips(fallback, contextOf(overdue), 10).map(({ signalIds }) => signalIds.length);
    expect(Math.max(...cited)).toBe(32);
  });

  it('use every template sooner or later', () => {
    const contexts = [
      contextOf(busy, {}, atTwo),
      contextOf([health({ steps: 9000 })], { hourOfDay: 8 }),
      ...[14, 20, 2].map((hourOfDay) => contextOf([], { hourOfDay })),
    ];
    const facts = new Set(contexts.flatMap((context) => Object.keys(findFacts(context))));
    const unused = fallback.templates.filter(({ text }) => !inspectTemplate(text).tags.every((tag) => facts.has(tag)));
    expect(unused).toEqual([]);
  });

  it('are always n, all different, of the agreed length, and about signals that exist', () => {
    const title = fc.string({ unit: 'binary', minLength: 1, maxLength: 500 });
    const signal = fc.oneof(
      fc
        .record({ title, isOverdue: fc.boolean(), priority: fc.integer({ min: 1, max: 4 }) })
        .map((each) => task('', each)),
      fc.integer({ min: -60, max: 2000 }).map((minutes) => event('x', minutes)),
      fc.record({ steps: fc.nat(500_000), sleepMinutes: fc.nat(2880) }).map(health),
    );
    const signals = fc
      .array(signal, { maxLength: 60, size: 'max' })
      .map((all) => all.map((each, at) => ({ ...each, id: `s${at}` })));
    const recent = fc.shuffledSubarray(fallback.templates.map((_, at) => at));
    fc.assert(
      fc.property(signals, recent, fc.nat(23), fc.integer({ min: 1, max: 10 }), (signals, recent, hourOfDay, n) => {
        const before = fallbackTips(fallback, contextOf(signals, { hourOfDay }), 40);
        const recentTips = before.filter((_, at) => recent.includes(at)).map(({ content }) => ({ content }));
        const context = contextOf(signals, { recentTips, hourOfDay });
        const tips = fallbackTips(fallback, context, n);
        expect(tips).toHaveLength(n);
        expect(new Set(tips.map(({ content }) => gist(content))).size).toBe(n);
        const ids = new Set(signals.map(({ id }) => id));
        for (const { content, signalIds } of tips) {
          expect(content.length).toBeGreaterThanOrEqual(3);
          expect([...content].length).toBeLessThanOrEqual(280);
          expect(content).not.toMatch(/\n|\{\{\w+\}\} (is|starts)/);
          expect(signalIds.length).toBeLessThanOrEqual(32);
          expect(signalIds.every((id) => ids.has(id))).toBe(true);
        }
        expect(fallbackTips(fallback, context, n)).toEqual(tips);
        // Nothing that was seen, as long as there is something that was not.
        const seen = new Set(recentTips.map(({ content }) => content));
        const again = tips.filter(({ content }) => seen.has(content)).length;
        expect(again).toBe(Math.max(0, n - (before.length - seen.size)));
      }),
      { numRuns: 100 },
    );
  });
});
