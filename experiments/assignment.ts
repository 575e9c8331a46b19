import { fnv1a32, fnv1a32Twice } from '../platform/fnv1a.ts';
import type { Arm, Bandit, Experiment, ExperimentSet, Holdout, Namespace } from './experiment.ts';

/**
 * Which people are in which arm of which experiment: computed from their id, never stored, so the same on every replica
 * and in every replay, for as long as the definition stays.
 *
 * The hash, the ranges and the order of checks are GrowthBook's, so that each of its SDKs finds the same arm given the
 * same seed, weights, coverage, namespace and forced variations (https://docs.growthbook.io/lib/build-your-own). What is
 * drawn more than once is drawn with a salt for each time, else one draw decides another: in Unleash one hash said who was
 * in a rollout and which variant they got, so that a rollout of 10 % left 100 of the 1,000 buckets of the variants
 * (unleash-node-sdk#533).
 *
 * - A holdout: `holdout:` and its key, with hash 2.
 * - A namespace: `__` and its key.
 * - The arm: the experiment's seed. No two experiments that can run at once have the same.
 * - Coverage has no salt, and needs none. It takes the front part of each arm's own range, so it leaves the same share
 *   of every arm; who is in tells nothing of the arm, and whoever is in stays in their arm while coverage grows.
 */
export type Assignment =
  | {
      readonly kind: 'assigned';
      readonly experiment: Experiment;
      readonly arm: Arm;
      /** The probability of this arm for whoever is in the experiment: of those drawn, not of those meant. */
      readonly propensity: number;
      /** The person's number in [0, 1), which falls into the arm's range. */
      readonly bucket: number;
    }
  /** In a bandit, and not among those who keep an arm: each request draws one. */
  | { readonly kind: 'enrolled'; readonly experiment: Experiment; readonly bandit: Bandit; readonly bucket: number }
  /** By hand: there was no draw, so no propensity. To be left out of every comparison. */
  | { readonly kind: 'forced'; readonly experiment: Experiment; readonly arm: Arm }
  | { readonly kind: 'none'; readonly experiment: Experiment; readonly reason: NoArm };

/** Why a person is in no arm: the first of these that holds. */
export type NoArm =
  /** It is not running, has not started or has ended. */
  | 'not-active'
  | 'holdout'
  /** The person's number in the namespace belongs to other experiments, or to none. */
  | 'namespace'
  | 'unknown-hash-version'
  /** Within an arm's part of [0, 1), but not within its coverage. */
  | 'not-enrolled'
  /** Behind the last arm, as weights sum to a little less than 1. */
  | 'outside-weights';

/** What becomes of a person in every experiment, in the order of the set. Pure; `userId` is not empty. */
export function assign({ experiments, holdouts }: ExperimentSet, userId: string, nowMs: number): readonly Assignment[] {
  return experiments.map((experiment) => assignOne(experiment, holdouts, userId, nowMs));
}

/** What becomes of a person in one experiment, given the holdouts of its set. */
export function assignOne(
  experiment: Experiment,
  holdouts: readonly Holdout[],
  userId: string,
  nowMs: number,
): Assignment {
  const { arms, bandit, forced, namespace, seed, hashVersion } = experiment;
  const none = (reason: NoArm) => ({ kind: 'none', experiment, reason }) as const;

  const forcedArm = arms.find(({ key }) => key === forced[userId]);
  if (forcedArm) return { kind: 'forced', experiment, arm: forcedArm };
  if (!isActive(experiment, nowMs)) return none('not-active');
  const holdout = holdouts.find(({ key }) => key === experiment.holdout);
  if (holdout && isHeldOut(holdout, userId)) return none('holdout');
  if (namespace && !isInNamespace(namespace, userId)) return none('namespace');

  const bucket = hash(seed, userId, hashVersion);
  if (bucket === undefined) return none('unknown-hash-version');
  const ranges = rangesOf(experiment);
  const index = ranges.findIndex((range) => isIn(range, bucket));
  const [arm, range] = [arms[index], ranges[index]];
  if (!arm || !range) return none(bucket < totalWeight(arms) ? 'not-enrolled' : 'outside-weights');
  if (!bandit)
    return { kind: 'assigned', experiment, arm, propensity: propensityOf(range, ranges, hashVersion), bucket };
  const kept = keptRangesOf(experiment);
  const own = kept[index];
  if (!own || !isIn(own, bucket)) return { kind: 'enrolled', experiment, bandit, bucket };
  return { kind: 'assigned', experiment, arm, propensity: propensityOf(own, kept, hashVersion), bucket };
}

function isActive({ status, startMs, endMs }: Experiment, nowMs: number): boolean {
  return status === 'running' && (startMs === undefined || startMs <= nowMs) && (endMs === undefined || nowMs < endMs);
}

function isHeldOut({ key, share }: Holdout, userId: string): boolean {
  return isIn({ start: 0, end: share }, hash(`holdout:${key}`, userId, 2));
}

function isInNamespace({ key, from, to, hashVersion }: Namespace, userId: string): boolean {
  return isIn({ start: from, end: to }, hash(`__${key}`, userId, hashVersion));
}

/** The numbers from `start` up to, but not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The range of each arm: they stand side by side by weight, and coverage cuts off the end of each. Weights are not made
 * to sum to 1. GrowthBook's `getBucketRanges`, operation by operation, since sums of fractions depend on them; what it
 * forgives (wrong weights and coverage) is refused before it comes here.
 */
export function rangesOf({ arms, coverage }: Pick<Experiment, 'arms' | 'coverage'>): readonly Range[] {
  let cumulated = 0;
  return arms.map(({ weight }) => {
    const start = cumulated;
    cumulated += weight;
    return { start, end: start + coverage * weight };
  });
}

/** The part of each arm's range whose people keep the arm: all of it, unless a bandit draws. */
export function keptRangesOf({
  arms,
  bandit,
  coverage,
}: Pick<Experiment, 'arms' | 'bandit' | 'coverage'>): readonly Range[] {
  return rangesOf({ arms, coverage: bandit?.fixed ?? coverage });
}

function totalWeight(arms: readonly Arm[]): number {
  return arms.reduce((sum, { weight }) => sum + weight, 0);
}

function isIn({ start, end }: Range, bucket: number | undefined): boolean {
  return bucket !== undefined && start <= bucket && bucket < end;
}

/**
 * A hash has 10,000 values, or 1,000, so a range gets a whole number of them, which may be a little more or less than its
 * weight says. This is what the hash does, not what was meant.
 */
function propensityOf(range: Range, ranges: readonly Range[], hashVersion: number): number {
  const all = ranges.reduce((sum, each) => sum + bucketsOf(each, hashVersion), 0);
  return bucketsOf(range, hashVersion) / all;
}

/** How many of the hash's values fall into a range. */
export function bucketsOf({ start, end }: Range, hashVersion: number): number {
  const count = bucketCounts.get(hashVersion) ?? 0;
  return Math.max(0, firstBucket(end, count) - firstBucket(start, count));
}

/** The first of `count` buckets whose number is `limit` or more. The product may be rounded past a whole number. */
function firstBucket(limit: number, count: number): number {
  const near = Math.round(limit * count);
  const first = near / count >= limit ? near : near + 1;
  return Math.min(first, count);
}

const bucketCounts: ReadonlyMap<number, number> = new Map([
  [1, 1_000],
  [2, 10_000],
]);

/**
 * GrowthBook's hash of a person: a number in [0, 1) with 3 digits in version 1, with 4 in version 2. Undefined: there is
 * no such version. Version 1 is here for experiments begun with it: it hardly tells similar seeds apart, so that 53 % of
 * the first half of `exp-1` are in the second half of `exp-2`.
 *
 * GrowthBook's own SDK for JavaScript hashes UTF-16 units where most others, and this one, hash the bytes of UTF-8: they
 * agree on ASCII.
 */
export function hash(seed: string, value: string, version: number): number | undefined {
  const count = bucketCounts.get(version);
  if (count === undefined) return undefined;
  const sum = version === 1 ? fnv1a32(value + seed) : fnv1a32Twice(seed + value);
  return (sum % count) / count;
}
