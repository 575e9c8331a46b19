import { profileFeatures } from '../gen/proto/oo/contract.ts';
import type { ProfileFeatureName } from './definitions.ts';
import type { Profile } from './profile.ts';
import type { LocalTime } from './time.ts';

/** What is known of a candidate at the moment of the request. */
export interface CandidateFeatures {
  readonly isOverdue: boolean;
  readonly taskAgeDays: number;
  /** 1 (lowest) to 4 (highest). */
  readonly priority: number;
}

/** Whole numbers in units of 2^-12: sums of their products are exact in a double, in any order. */
export type Vector = readonly number[];

export const unit = 2 ** -12;

/** Changes with the names of the entries and with how any of them is encoded: what was learnt of others says nothing. */
export const vectorVersion = '1';

/** What vectors are of that were logged before versions were. */
export const firstVectorVersion = '1';

/** The entries of a vector, in order. */
export const vectorNames = [
  'hour_sin',
  'hour_cos',
  'is_overdue',
  'task_age_norm',
  'priority_norm',
  'dow_sin',
  'dow_cos',
  'completion_rate_30d',
  'dismiss_rate_30d',
  'mean_dwell_ms_30d',
  'preferred_hour',
  'tip_volume_30d',
] as const;

/** One entry as a model reads it: whole numbers of -4096 to 4096, in units of 2^-12, encoded in one certain way. */
export interface VectorInput {
  readonly name: string;
  readonly type: 'fixed12';
  readonly encoding: string;
}

export const vectorInputs: readonly VectorInput[] = vectorNames.map((name) => ({
  name,
  type: 'fixed12',
  encoding: vectorVersion,
}));

const ofCandidate: readonly string[] = ['is_overdue', 'task_age_norm', 'priority_norm'];

/** Whether an entry says something of the candidate itself. The others say it of the person and the moment. */
export const isOfCandidate = (name: string): boolean => ofCandidate.includes(name);

const maxDwellMs = 600_000;
const fullVolume = 100;

/** How a known profile feature enters the vector; all entries are in 0..1. */
const profileEncodings: Readonly<Record<ProfileFeatureName, (value: number, moment: LocalTime) => number>> = {
  completion_rate_30d: (value) => value,
  dismiss_rate_30d: (value) => value,
  mean_dwell_ms_30d: (value) => clip(value / maxDwellMs),
  preferred_hour: (value, { hourOfDay }) => (Math.cos((2 * Math.PI * (value - hourOfDay)) / 24) + 1) / 2,
  tip_volume_30d: (value) => clip(Math.log1p(value) / Math.log1p(fullVolume)),
};

/**
 * Encodes candidates for one person and moment, one vector each, entries as in `vectorNames`. A profile feature that is
 * not known takes its null fallback from the contract.
 */
export function encodeVectors(candidates: readonly CandidateFeatures[], profile: Profile, moment: LocalTime): Vector[] {
  const hour = (2 * Math.PI * moment.hourOfDay) / 24;
  const weekday = (2 * Math.PI * moment.dayOfWeek) / 7;
  const time = [Math.sin(hour), Math.cos(hour)].map(toUnits);
  const week = [Math.sin(weekday), Math.cos(weekday)].map(toUnits);
  const person = profile.map(({ name, value }) =>
    toUnits(value === undefined ? nullFallback(name) : profileEncodings[name](value, moment)),
  );
  return candidates.map(({ isOverdue, taskAgeDays, priority }) => {
    const task = [isOverdue ? 1 : 0, clip(taskAgeDays / 30), (priority - 1) / 3].map(toUnits);
    return [...time, ...task, ...week, ...person];
  });
}

function nullFallback(name: ProfileFeatureName): number {
  return profileFeatures.find((feature) => feature.name === name)?.nullFallback ?? 0;
}

function toUnits(value: number): number {
  const units = Math.round(value / unit);
  return units === 0 ? 0 : units; // never -0, which the wire cannot carry
}

function clip(value: number): number {
  return Math.min(1, Math.max(0, value));
}
