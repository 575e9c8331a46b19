// Every feature there is. Serving, training, rebuilds and tests read this and nothing else.
import type { personFeatures, profileFeatures } from '../gen/proto/oo/contract.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import type { BucketOf, Buckets, BucketTable } from './buckets.ts';
import type { Feature, FeatureGroup, FeatureOf, Reading } from './definitions/feature.ts';
import { habits } from './definitions/habits.ts';
import { health } from './definitions/health.ts';
import { integrations } from './definitions/integrations.ts';
import { outcomes } from './definitions/outcomes.ts';
import { tasks } from './definitions/tasks.ts';
import { tips } from './definitions/tips.ts';
import type { Population } from './population.ts';

/** A feature of the contract's `ProfileFeatures`. */
export type ProfileFeatureName = (typeof profileFeatures)[number]['name'];

/** A feature of the contract's `PersonFeatures`. */
export type PersonFeatureName = (typeof personFeatures)[number]['name'];

export type FeatureName = ProfileFeatureName | PersonFeatureName;

export const featureGroups: readonly FeatureGroup[] = [tips, habits, outcomes, tasks, health, integrations];

export const definitions: Readonly<Record<FeatureName, Feature>> = {
  ...tips.features,
  ...habits.features,
  ...outcomes.features,
  ...tasks.features,
  ...health.features,
  ...integrations.features,
};

/** The tables that profile features, on which policies decide, are read from. */
export const profileTables = ['user_daily', 'user_hourly'] as const;

/** A person's buckets as far as profile features need them. */
export type ProfileBuckets = Pick<Buckets, (typeof profileTables)[number]>;

/** Reads a feature at an instant out of a person's buckets. Undefined: nothing is known. */
export function readFeature(
  name: FeatureName,
  buckets: Partial<Buckets>,
  nowMs: number,
  population?: Population,
): Reading | undefined {
  const { table, days, read } = definitions[name] as FeatureOf<BucketTable>;
  const rows: readonly BucketOf<BucketTable>[] = buckets[table] ?? [];
  return read(days === undefined ? rows : within(rows, days, nowMs), nowMs, population);
}

/** The rows of the current UTC day and of the days before it that belong to the window. */
function within<Row extends object>(rows: readonly Row[], days: number, nowMs: number): readonly Row[] {
  const today = utcDay(nowMs);
  return rows.filter((row) => 'day' in row && Number(row.day) > today - days && Number(row.day) <= today);
}

const longestWindow = Math.max(...Object.values(definitions).map(({ days }) => days ?? 0));

/** The first UTC day that any feature can still need at an instant. */
export function firstDayRead(nowMs: number): number {
  return utcDay(nowMs - (longestWindow - 1) * dayMs);
}
