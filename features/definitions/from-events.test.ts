// Each feature as the events tell it: what happened, and what is then known at an instant.

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { namesOfTipKind, namesOfTipSource } from '../../gen/proto/oo/contract.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs } from '../../platform/clock.ts';
import { newId } from '../../platform/ids.ts';
import { fold } from '../buckets.ts';
import { definitions, type FeatureName, readFeature } from '../definitions.ts';
import { personDeltas } from '../deltas.ts';
import type { Population } from '../population.ts';
import { toTimestamp } from '../time.ts';

const nowMs = Date.UTC(2026, 10, 23, 12); // a Monday
const hour = 3_600_000;
const decisionId = '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d';

type Payload = NonNullable<Exclude<MessageInitShape<typeof EnvelopeSchema>, { $typeName: string }>['payload']>;

/** What happened so long ago. */
const event = (agoMs: number, payload: Payload, eventId = newId(nowMs)): Envelope =>
  create(EnvelopeSchema, { eventId, userId: 'u', occurredAt: toTimestamp(nowMs - agoMs), payload });
const shown = (agoMs: number, tipId = 't', more = {}) => event(agoMs, { case: 'tipServed', value: { tipId, ...more } });
const reacted = (agoMs: number, reaction: Reaction, tipId = 't', more = {}) =>
  event(agoMs, { case: 'tipFeedback', value: { tipId, reaction, ...more } });
const ignored = (agoMs: number, tipId = 't', more = {}) =>
  event(agoMs, { case: 'tipIgnored', value: { tipId, waitedMs: 1n, ...more } });
const synced = (agoMs: number, provider: string, openTasks: number, overdueTasks: number, eventId?: string) =>
  event(agoMs, { case: 'taskSynced', value: { provider, openTasks, overdueTasks } }, eventId);
const measured = (agoMs: number, sample: object, eventId?: string) =>
  event(agoMs, { case: 'healthSampled', value: { provider: 'health', ...sample } }, eventId);
const connected = (agoMs: number, provider: string) =>
  event(agoMs, { case: 'integrationConnected', value: { provider } });
const expired = (agoMs: number, provider: string) =>
  event(agoMs, { case: 'integrationTokenExpired', value: { provider } });
const scored = (agoMs: number, tipId: string, more = {}) =>
  event(agoMs, { case: 'tipScored', value: { tipId, candidates: [{ tipId, ...more }] } }, decisionId);

const { DONE, DISMISS, SNOOZE, HELPFUL, NOT_HELPFUL } = Reaction;

const at = (index: number, count: number, length: number) =>
  Array.from({ length }, (_, i) => (i === index ? count : 0));

const population: Population = {
  measuredAtMs: nowMs,
  all: { served: 100, done: 40, dismissed: 20, snoozed: 10 },
  byKind: { advice: { served: 10, done: 5, dismissed: 0, snoozed: 0 } },
  bySource: { llm: { served: 10, done: 1, dismissed: 0, snoozed: 0 } },
};

type Case = readonly [
  name: FeatureName,
  what: string,
  events: readonly Envelope[],
  value: number | readonly number[] | undefined,
  agoMs?: number,
];

const cases: readonly Case[] = [
  ['tips_served_1d', 'nothing', [], undefined],
  ['tips_served_1d', 'today alone', [shown(hour), shown(12 * hour), shown(13 * hour)], 2, hour],
  ['tips_served_7d', 'today and the six days before', [shown(hour), shown(6 * dayMs), shown(7 * dayMs)], 2, hour],
  ['tips_served_30d', 'at the edge of the window', [shown(29 * dayMs), shown(30 * dayMs)], 1, 29 * dayMs],
  ['tips_done_7d', 'known, and none of them done', [shown(hour), reacted(hour, DISMISS)], 0, hour],
  ['tips_done_7d', 'the same tip done twice counts twice', [reacted(2 * hour, DONE), reacted(hour, DONE)], 2, hour],
  ['tips_dismissed_1d', 'sent away', [shown(hour), reacted(hour, DISMISS), reacted(hour, DONE)], 1, hour],
  ['tips_snoozed_30d', 'put off', [reacted(3 * dayMs, SNOOZE)], 1, 3 * dayMs],
  ['tips_snoozed_30d', 'an event from the future is not of today', [reacted(-2 * dayMs, SNOOZE)], undefined],

  ['tips_ignored_1d', 'shown today', [shown(10 * hour), ignored(hour)], 1, hour],
  ['tips_ignored_1d', 'shown before today', [shown(30 * hour), ignored(6 * hour)], undefined],
  [
    'tips_ignored_7d',
    'of two decisions on one tip',
    [shown(hour, 't', { decisionId }), shown(hour), ignored(hour)],
    1,
    hour,
  ],
  ['tips_ignored_30d', 'a reaction came, late', [shown(3 * dayMs), ignored(2 * dayMs), reacted(hour, DONE)], 0, hour],
  [
    'tips_ignored_30d',
    'even one that only puts it off',
    [shown(3 * dayMs), ignored(2 * dayMs), reacted(hour, SNOOZE)],
    0,
    hour,
  ],

  ['tips_ignored_1d', 'shown again today', [shown(30 * hour), shown(hour), ignored(6 * hour)], undefined],
  [
    'tips_ignored_1d',
    'shown today, said to be so out of order',
    [shown(hour), shown(10 * hour), ignored(5 * hour)],
    1,
    5 * hour,
  ],

  ['done_rate_7d', 'nothing known of the person', [], 0.4],
  ['done_rate_7d', 'few tips: near the population', [shown(hour), reacted(hour, DONE)], (1 + 10 * 0.4) / 11, hour],
  ['done_rate_7d', 'ignored tips are not done', [shown(hour), shown(hour)], (10 * 0.4) / 12, hour],
  ['done_rate_7d', 'older than the window', [shown(8 * dayMs), reacted(8 * dayMs, DONE)], 0.4],
  ['dismissed_rate_30d', 'sent away', [shown(hour), reacted(hour, DISMISS)], (1 + 10 * 0.2) / 11, hour],
  ['snoozed_rate_1d', 'reacted, and shown by nobody', [reacted(hour, SNOOZE)], (1 + 10 * 0.1) / 11, hour],

  ['done_by_hour_30d', 'nothing done', [reacted(hour, DISMISS)], undefined],
  ['done_by_hour_30d', 'in their own time', [reacted(hour, DONE, 't', { hourOfDay: 23 })], at(23, 1, 24), hour],
  [
    'done_by_hour_30d',
    'in UTC where they do not say',
    [reacted(hour, DONE), reacted(25 * hour, DONE)],
    at(11, 2, 24),
    hour,
  ],
  ['done_by_weekday_30d', 'in their own week', [reacted(hour, DONE, 't', { dayOfWeek: 7 })], at(6, 1, 7), hour],
  [
    'done_by_weekday_30d',
    'by UTC where they do not say',
    [reacted(hour, DONE), reacted(7 * dayMs, DONE)],
    at(0, 2, 7),
    hour,
  ],

  ['seconds_since_served', 'to the second', [shown(2 * hour), shown(hour + 999)], 3_600, hour + 999],
  ['seconds_since_served', 'as long as is looked back', [shown(29 * dayMs)], (29 * dayMs) / 1000, 29 * dayMs],
  ['seconds_since_reaction', 'as long as is looked back', [reacted(29 * dayMs, DONE)], (29 * dayMs) / 1000, 29 * dayMs],
  ['seconds_since_served', 'by a clock ahead of ours', [shown(-hour)], 0, -hour],
  ['seconds_since_reaction', 'any reaction', [shown(hour), reacted(2 * hour, HELPFUL)], 7_200, 2 * hour],
  ['seconds_since_reaction', 'none yet', [shown(hour)], undefined],

  ['done_streak_days', 'today and the two days before', [0, 1, 2, 4].map((days) => reacted(days * dayMs, DONE)), 3, 0],
  [
    'done_streak_days',
    'up to yesterday: today may still come',
    [1, 2].map((days) => reacted(days * dayMs, DONE)),
    2,
    dayMs,
  ],
  ['done_streak_days', 'broken yesterday', [2, 3].map((days) => reacted(days * dayMs, DONE)), 0, 2 * dayMs],
  [
    'done_streak_days',
    'as long as is looked back',
    Array.from({ length: 40 }, (_, days) => reacted(days * dayMs, DONE)),
    30,
    0,
  ],

  [
    'advice_done_rate_30d',
    'the kind is known from the showing',
    [shown(hour, 'a', { kind: TipKind.ADVICE }), reacted(hour, DONE, 'a')],
    6 / 11,
    hour,
  ],
  [
    'advice_done_rate_30d',
    'from the decision',
    [scored(2 * hour, 'a', { kind: TipKind.ADVICE }), reacted(hour, DONE, 'a', { decisionId })],
    6 / 11,
    hour,
  ],
  [
    'advice_done_rate_30d',
    'the reaction before the showing',
    [reacted(hour, DONE, 'a'), shown(2 * hour, 'a', { kind: TipKind.ADVICE })],
    6 / 11,
    hour,
  ],
  [
    'advice_done_rate_30d',
    'of another kind',
    [shown(hour, 'a', { kind: TipKind.TASK }), reacted(hour, DONE, 'a')],
    0.5,
  ],
  ['reminder_done_rate_30d', 'neither the person nor the population', [shown(hour, 'a')], undefined],
  [
    'llm_done_rate_30d',
    'helpful is not done',
    [shown(hour, 'a', { source: TipSource.LLM }), reacted(hour, HELPFUL, 'a')],
    1 / 11,
    hour,
  ],
  [
    'llm_done_rate_30d',
    'done after helpful is',
    [shown(hour, 'a', { source: TipSource.LLM }), reacted(hour, HELPFUL, 'a'), reacted(0, DONE, 'a')],
    2 / 11,
    0,
  ],
  [
    'llm_done_rate_30d',
    'the first that ends the matter stays',
    [shown(3, 'a', { source: TipSource.LLM }), reacted(2, DISMISS, 'a'), reacted(1, DONE, 'a')],
    1 / 11,
    2,
  ],
  [
    'llm_done_rate_30d',
    'put off first, and then done',
    [shown(3, 'a', { source: TipSource.LLM }), reacted(2, SNOOZE, 'a'), reacted(1, DONE, 'a')],
    2 / 11,
    1,
  ],
  [
    'llm_done_rate_30d',
    'whichever of them comes first',
    [reacted(1, DONE, 'a'), reacted(2, NOT_HELPFUL, 'a'), shown(3, 'a', { source: TipSource.LLM })],
    2 / 11,
    1,
  ],

  ['open_tasks', 'never synced', [], undefined],
  [
    'open_tasks',
    'over all lists, the newest of each',
    [synced(2 * hour, 'a', 9, 9), synced(hour, 'a', 4, 1), synced(3 * hour, 'b', 2, 2)],
    6,
    hour,
  ],
  ['open_tasks', 'whatever the order', [synced(hour, 'a', 4, 1), synced(2 * hour, 'a', 9, 9)], 4, hour],
  [
    'open_tasks',
    'at one instant the greater id',
    [
      synced(hour, 'a', 4, 1, '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1e'),
      synced(hour, 'a', 9, 9, '0190A5D2-7b1c-7cc0-8a5e-2f1f6a5b3c1d'),
    ],
    4,
    hour,
  ],
  ['overdue_tasks', 'of them overdue', [synced(hour, 'a', 4, 1), synced(hour, 'b', 2, 2)], 3, hour],
  [
    'seconds_since_tasks_synced',
    'the newest of any list',
    [synced(3 * hour, 'a', 4, 1), synced(hour, 'b', 2, 2)],
    3_600,
    hour,
  ],

  [
    'steps_today',
    'the newest sample',
    [measured(2 * hour, { steps: 9_000 }), measured(hour, { steps: 100 })],
    100,
    hour,
  ],
  ['steps_today', 'yesterday is not today', [measured(dayMs, { steps: 100 })], undefined],
  [
    'steps_today',
    'a later sample without it takes nothing away',
    [measured(2 * hour, { steps: 100 }), measured(hour, { sleepMinutes: 1 })],
    100,
    2 * hour,
  ],
  [
    'sleep_minutes',
    'the newest of two providers',
    [measured(hour, { sleepMinutes: 400 }), measured(2 * hour, { sleepMinutes: 1, provider: 'b' })],
    400,
    hour,
  ],
  ['sleep_minutes', 'yesterday is not last night', [measured(dayMs, { sleepMinutes: 400 })], undefined],
  ['active_minutes_today', 'yesterday is not today', [measured(dayMs, { activeMinutes: 30 })], undefined],
  ['active_minutes_today', 'a zero is a measurement', [measured(hour, { activeMinutes: 0 })], 0, hour],
  [
    'resting_heart_rate_bpm',
    'of the last week',
    [measured(6 * dayMs, { restingHeartRateBpm: 60 }), measured(8 * dayMs, { restingHeartRateBpm: 50 })],
    60,
    6 * dayMs,
  ],
  [
    'steps_mean_7d',
    'today left out, days without a sample too',
    [
      measured(0, { steps: 1 }),
      measured(dayMs, { steps: 1_000 }),
      measured(7 * dayMs, { steps: 3_000 }),
      measured(8 * dayMs, { steps: 9 }),
    ],
    2_000,
    dayMs,
  ],
  [
    'steps_mean_7d',
    'a day that two providers measured is one day',
    [
      measured(26 * hour, { steps: 5_000 }),
      measured(25 * hour, { steps: 1_000, provider: 'b' }),
      measured(2 * dayMs, { steps: 3_000 }),
    ],
    2_000,
    25 * hour,
  ],

  ['integrations_connected', 'as each was left', [connected(3, 'a'), expired(2, 'a'), connected(1, 'b')], 1, 1],
  ['integrations_connected', 'connected anew', [expired(2, 'a'), connected(1, 'a')], 1, 1],
  ['integrations_expired', 'to be connected again', [connected(3, 'a'), expired(2, 'a'), expired(1, 'b')], 2, 1],
];

describe('what the events tell', () => {
  const named = cases.map(([name, what, events, value, agoMs]) => ({ name, what, events, value, agoMs }));
  it.each(named)('$name: $what', ({ name, events, value, agoMs }) => {
    for (const order of [events, events.toReversed()]) {
      const reading = readFeature(name, fold(order.flatMap(personDeltas)), nowMs, population);
      if (typeof value === 'number') expect(reading?.value).toBeCloseTo(value, 12);
      else expect(reading?.value).toEqual(value);
      expect(reading?.asOfMs).toBe(agoMs === undefined ? undefined : nowMs - agoMs);
    }
  });
});

const times = (count: number, event: Envelope) =>
  Array.from({ length: count }, () => create(EnvelopeSchema, { ...event, eventId: newId(nowMs) }));

/** As many tips of each reaction as is said, and `open` that got none. */
const lived = (agoMs: number, { open = 0, done = 0, dismissed = 0, snoozed = 0 }) => [
  ...times(open + done + dismissed + snoozed, shown(agoMs)),
  ...times(done, reacted(agoMs, DONE)),
  ...times(dismissed, reacted(agoMs, DISMISS)),
  ...times(snoozed, reacted(agoMs, SNOOZE)),
];

const known = (name: string, events: readonly Envelope[]) =>
  readFeature(name as FeatureName, fold(events.flatMap(personDeltas)), nowMs, population)?.value;

describe('of each family of features, every one counts its own', () => {
  const history = [
    ...lived(hour, { done: 1, dismissed: 2, snoozed: 4, open: 8 }),
    ...lived(6 * dayMs, { done: 16, dismissed: 32, snoozed: 64 }),
    ...lived(29 * dayMs, { done: 128, dismissed: 256, snoozed: 512 }),
  ];
  const within = { '1d': [1, 2, 4, 15], '7d': [17, 34, 68, 127], '30d': [145, 290, 580, 1_023] } as const;

  it.each(Object.entries(within))('tips over %s, and their rates', (window, [done, dismissed, snoozed, served]) => {
    const counts = { done, dismissed, snoozed, served };
    for (const [name, count] of Object.entries(counts)) expect(known(`tips_${name}_${window}`, history)).toBe(count);
    for (const name of ['done', 'dismissed', 'snoozed'] as const) {
      const rate = (counts[name] + (10 * population.all[name]) / 100) / (served + 10);
      expect(known(`${name}_rate_${window}`, history)).toBeCloseTo(rate, 12);
    }
  });

  it('ignored tips, by when they were shown', () => {
    const silence = [hour, 6 * dayMs, 29 * dayMs, 30 * dayMs, -dayMs].flatMap((agoMs, i) =>
      Array.from({ length: 2 ** i }, (_, n) => [shown(agoMs, `${i}-${n}`), ignored(agoMs - hour, `${i}-${n}`)]).flat(),
    );
    expect(['1d', '7d', '30d'].map((window) => known(`tips_ignored_${window}`, silence))).toEqual([1, 3, 7]);
  });

  it.each([
    ...Object.entries(namesOfTipKind).map(([kind, name]) => ({ name, more: { kind: Number(kind) } })),
    ...Object.entries(namesOfTipSource).map(([source, name]) => ({ name, more: { source: Number(source) } })),
  ])('tips of $name', ({ name, more }) => {
    const events = [shown(29 * dayMs, 'a', more), reacted(28 * dayMs, DONE, 'a'), shown(29 * dayMs, 'b', more)];
    const own = `${name}_done_rate_30d`;
    const prior = population.byKind[name] ?? population.bySource[name];
    expect(known(own, events)).toBeCloseTo(prior ? (1 + (10 * prior.done) / prior.served) / 12 : 1 / 2, 12);
    const others = Object.keys(definitions).filter((each) => each.endsWith('_done_rate_30d') && each !== own);
    expect(others.map((each) => known(each, events))).toEqual(others.map((each) => known(each, [])));
  });
});
