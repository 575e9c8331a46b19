// What a person was shown and what they did about it, by day.
import { namesOfReaction, type ReactionName } from '../../gen/proto/oo/contract.ts';
import { utcDay } from '../../platform/clock.ts';
import type { BucketOf } from '../buckets.ts';
import { smoothedRate, type TipCounts } from '../population.ts';
import type { DeltaOf } from '../tables.ts';
import { type FeatureGroup, type FeatureOf, laterOf, newest, type Occurrence, type Reading, sum } from './feature.ts';

type Day = BucketOf<'user_daily'>;

const reactionColumn = {
  done: 'done',
  dismiss: 'dismissed',
  snooze: 'snoozed',
  helpful: 'helpful',
  not_helpful: 'not_helpful',
} as const satisfies Record<ReactionName, keyof Day>;

export const tips = {
  entity: 'user_id',
  contributes: {
    tipServed: (event) => [daily(event, { served: 1, last_served_at: event.atMs })],
    tipFeedback(event, { reaction, dwellMs }) {
      const name = namesOfReaction[reaction];
      if (name === undefined) return []; // refused by the contract's rules; counts for nothing
      const dwell = dwellMs === undefined ? {} : { dwell_ms: Number(dwellMs), dwell_count: 1 };
      return [daily(event, { [reactionColumn[name]]: 1, ...dwell, last_reaction_at: event.atMs })];
    },
  },
  features: {
    completion_rate_30d: overDays(30, (days) => rate(days, 'done')),
    dismiss_rate_30d: overDays(30, (days) => rate(days, 'dismissed')),
    mean_dwell_ms_30d: overDays(30, (days) => {
      const count = sum(days, 'dwell_count');
      return count === 0
        ? undefined
        : { value: sum(days, 'dwell_ms') / count, asOfMs: newest(days, 'last_reaction_at') };
    }),
    tip_volume_30d: overDays(30, (days) => {
      const volume = sum(days, 'served');
      return volume === 0 ? undefined : { value: volume, asOfMs: newest(days, 'last_served_at') };
    }),

    tips_served_1d: count('served', 1),
    tips_served_7d: count('served', 7),
    tips_served_30d: count('served', 30),
    tips_done_1d: count('done', 1),
    tips_done_7d: count('done', 7),
    tips_done_30d: count('done', 30),
    tips_dismissed_1d: count('dismissed', 1),
    tips_dismissed_7d: count('dismissed', 7),
    tips_dismissed_30d: count('dismissed', 30),
    tips_snoozed_1d: count('snoozed', 1),
    tips_snoozed_7d: count('snoozed', 7),
    tips_snoozed_30d: count('snoozed', 30),

    done_rate_1d: smoothed('done', 1),
    done_rate_7d: smoothed('done', 7),
    done_rate_30d: smoothed('done', 30),
    dismissed_rate_1d: smoothed('dismissed', 1),
    dismissed_rate_7d: smoothed('dismissed', 7),
    dismissed_rate_30d: smoothed('dismissed', 30),
    snoozed_rate_1d: smoothed('snoozed', 1),
    snoozed_rate_7d: smoothed('snoozed', 7),
    snoozed_rate_30d: smoothed('snoozed', 30),

    seconds_since_served: overDays(30, (days, nowMs) => secondsSince(newest(days, 'last_served_at'), nowMs)),
    seconds_since_reaction: overDays(30, (days, nowMs) => secondsSince(newest(days, 'last_reaction_at'), nowMs)),
    done_streak_days: overDays(30, (days, nowMs) =>
      days.length === 0 ? undefined : { value: streak(days, nowMs), asOfMs: newestOf(days) },
    ),
  },
} as const satisfies FeatureGroup;

function daily({ userId, atMs }: Occurrence, sums: Omit<Day, 'day'>): DeltaOf<'user_daily'> {
  return { table: 'user_daily', row: { user_id: userId, day: utcDay(atMs), ...sums } };
}

function overDays(days: number, read: FeatureOf<'user_daily'>['read']): FeatureOf<'user_daily'> {
  return { table: 'user_daily', days, read };
}

function count(column: 'served' | 'done' | 'dismissed' | 'snoozed', days: number): FeatureOf<'user_daily'> {
  return overDays(days, (rows) =>
    rows.length === 0 ? undefined : { value: sum(rows, column), asOfMs: newestOf(rows) },
  );
}

/**
 * Tips with one reaction as a share of the tips shown. Tips nobody reacted to count, so the person who ignores all has
 * rate 0.
 */
function rate(days: readonly Day[], reaction: 'done' | 'dismissed'): Reading | undefined {
  const shown = tipsShown(days);
  return shown === 0 ? undefined : { value: sum(days, reaction) / shown, asOfMs: newestOf(days) };
}

/** The same, drawn towards the population's; of a person nobody has shown a tip to, it is the population's. */
function smoothed(reaction: Exclude<keyof TipCounts, 'served'>, days: number): FeatureOf<'user_daily'> {
  return overDays(days, (rows, _, population) => {
    const shown = tipsShown(rows);
    const prior = population && { count: population.all[reaction], shown: population.all.served };
    const value = smoothedRate(sum(rows, reaction), shown, prior);
    return value === undefined ? undefined : { value, asOfMs: shown === 0 ? undefined : newestOf(rows) };
  });
}

/** Where fewer tips were reported as shown than were reacted to, the reactions are the denominator. */
function tipsShown(days: readonly Day[]): number {
  return Math.max(sum(days, 'served'), sum(days, 'done') + sum(days, 'dismissed') + sum(days, 'snoozed'));
}

function newestOf(days: readonly Day[]): number | undefined {
  return laterOf(newest(days, 'last_reaction_at'), newest(days, 'last_served_at'));
}

/** An event from a clock that runs ahead of ours was now. */
function secondsSince(atMs: number | undefined, nowMs: number): Reading | undefined {
  return atMs === undefined ? undefined : { value: Math.max(0, Math.floor((nowMs - atMs) / 1000)), asOfMs: atMs };
}

/** Today may still come: a streak that ended yesterday goes on. */
function streak(days: readonly Day[], nowMs: number): number {
  const done = new Set(days.filter((day) => (day.done ?? 0) > 0).map(({ day }) => day));
  const today = utcDay(nowMs);
  const end = done.has(today) ? today : today - 1;
  let length = 0;
  while (done.has(end - length)) length++;
  return length;
}
