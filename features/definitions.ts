import type { profileFeatures } from '../gen/proto/oo/contract.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import type { Buckets, DailyBucket } from './buckets.ts';

/** A feature of the contract, `ProfileFeatures`. */
export type FeatureName = (typeof profileFeatures)[number]['name'];

/** The value of a feature at an instant, and when the newest event behind it occurred. */
export interface Reading {
  readonly value: number;
  readonly asOfMs: number;
}

const windowDays = 30;

/**
 * How each profile feature is read out of a person's buckets at an instant. Undefined: nothing is known. Pure, and the
 * only definition there is: serving, training and tests share it.
 */
export const definitions: Readonly<Record<FeatureName, (buckets: Buckets, nowMs: number) => Reading | undefined>> = {
  completion_rate_30d: (buckets, nowMs) => rate(buckets, nowMs, 'done'),
  dismiss_rate_30d: (buckets, nowMs) => rate(buckets, nowMs, 'dismissed'),

  mean_dwell_ms_30d(buckets, nowMs) {
    const days = inWindow(buckets.daily, nowMs);
    const count = sum(days, 'dwell_count');
    return count === 0 ? undefined : { value: sum(days, 'dwell_ms') / count, asOfMs: newest(days, 'last_reaction_at') };
  },

  preferred_hour(buckets, nowMs) {
    const hours = inWindow(buckets.hourly, nowMs).filter(({ done = 0 }) => done > 0);
    if (hours.length === 0) return undefined;
    const doneByHour = new Array<number>(24).fill(0);
    for (const { hour, done = 0 } of hours) doneByHour[hour] = (doneByHour[hour] ?? 0) + done;
    return { value: doneByHour.indexOf(Math.max(...doneByHour)), asOfMs: newest(hours, 'last_done_at') };
  },

  tip_volume_30d(buckets, nowMs) {
    const days = inWindow(buckets.daily, nowMs);
    const volume = sum(days, 'served');
    return volume === 0 ? undefined : { value: volume, asOfMs: newest(days, 'last_served_at') };
  },
};

/**
 * Tips with one reaction as a share of the tips shown. Tips nobody reacted to count, so the person who ignores all has
 * rate 0. Where fewer tips were reported as shown than were reacted to, the reactions are the denominator.
 */
function rate(buckets: Buckets, nowMs: number, reaction: 'done' | 'dismissed'): Reading | undefined {
  const days = inWindow(buckets.daily, nowMs);
  const reacted = sum(days, 'done') + sum(days, 'dismissed') + sum(days, 'snoozed');
  const shown = Math.max(sum(days, 'served'), reacted);
  if (shown === 0) return undefined;
  const asOfMs = Math.max(newest(days, 'last_reaction_at'), newest(days, 'last_served_at'));
  return { value: sum(days, reaction) / shown, asOfMs };
}

/** The buckets of the current UTC day and the 29 before it. */
function inWindow<Bucket extends { readonly day: number }>(
  buckets: readonly Bucket[],
  nowMs: number,
): readonly Bucket[] {
  const today = utcDay(nowMs);
  return buckets.filter(({ day }) => day > today - windowDays && day <= today);
}

/** The first UTC day that any feature can still need at an instant. */
export function firstDayRead(nowMs: number): number {
  return utcDay(nowMs - (windowDays - 1) * dayMs);
}

function sum(days: readonly DailyBucket[], column: Exclude<keyof DailyBucket, 'day'>): number {
  return days.reduce((total, bucket) => total + (bucket[column] ?? 0), 0);
}

function newest<Column extends string>(
  buckets: readonly { readonly [C in Column]?: number }[],
  column: Column,
): number {
  return buckets.reduce((latest, bucket) => Math.max(latest, bucket[column] ?? 0), 0);
}
