// What people did with their tips, by what chose or wrote them: the numbers of an operator's table.
import { type Moments, momentsOf } from './analysis/counters.ts';
import { analyse, type Interval } from './analysis/difference.ts';

export const rewardDimensions = ['day', 'policy', 'model', 'prompt_version', 'kind', 'experiment_arm'] as const;
export type RewardDimension = (typeof rewardDimensions)[number];

/** Tips, each once: of several reactions to a tip one counts, its outcome. */
export interface TipCounts {
  readonly served: number;
  readonly done: number;
  readonly dismissed: number;
  readonly snoozed: number;
  readonly helpful: number;
  readonly notHelpful: number;
}

/**
 * Sums of one value of a dimension over people, for the mean reward of the tips with a reaction: n such tips, r their
 * rewards in thousandths, two letters a product. Only people who reacted: the others say nothing of that mean.
 */
export interface RewardSums extends TipCounts {
  /** Empty: the tips without one. */
  readonly key: string;
  readonly people: bigint;
  readonly n: bigint;
  readonly r: bigint;
  readonly rr: bigint;
  readonly rn: bigint;
  readonly nn: bigint;
}

export interface RewardRow extends TipCounts {
  readonly key: string;
  /** Tips with a reaction as a share of those served, 0 to 1. */
  readonly reactionRate: number;
  /** Of the tips with a reaction, -1 to 1. Undefined: there are none. */
  readonly meanReward: number | undefined;
  /** Where that mean lies, 95 %, with people as what varies. Undefined: too few people, or all the same. */
  readonly interval: Interval | undefined;
}

/**
 * With fewer people who reacted there is no interval. Simulated people, whose tastes and numbers of tips are far apart: of
 * five it takes up more than half of all that rewards can be; of ten it is right in 92 of 100 cases, of fifty in 94.
 */
const peopleMin = 10n;

const noMoments = momentsOf({ total: 0, count: 0, totalBefore: 0, countBefore: 0 });

/** A person's tips are alike, so the interval is by person: the one that an arm of an experiment has. */
export function rewardRow({ people, n, r, rr, rn, nn, ...counts }: RewardSums): RewardRow {
  const moments: Moments = { ...noMoments, users: people, s: r, n, ss: rr, sn: rn, nn };
  const [found] = analyse(new Map([[counts.key, moments]]), counts.key).arms;
  return {
    ...counts,
    reactionRate: counts.served === 0 ? 0 : Number(n) / counts.served,
    meanReward: found?.mean === undefined ? undefined : found.mean / 1000,
    interval:
      found?.interval && people >= peopleMin
        ? { lower: found.interval.lower / 1000, upper: found.interval.upper / 1000 }
        : undefined,
  };
}
