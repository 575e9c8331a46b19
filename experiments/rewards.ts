import type { ReactionName } from '../gen/proto/oo/contract.ts';

/** Changes with the table below. Stored beside every reward, so that old rewards keep their meaning. */
export const rewardVersion = '1';

const minute = 60_000;

/**
 * How much a tip that was done is worth, in thousandths, by the time it took: too fast was hardly done, a quick one was
 * the right tip at the right time. A time that equals `underMs` belongs to the next row.
 */
const doneRewards = [
  { underMs: 15_000, milli: -300 },
  { underMs: 2 * minute, milli: 1000 },
  { underMs: 10 * minute, milli: 600 },
  { underMs: Number.POSITIVE_INFINITY, milli: 300 },
] as const;

/** Where the time was not measured: the mean person takes between 15 s and 2 min. */
const doneUnmeasured = 1000;

/** The reward of a reaction in thousandths, -1000 to 1000: whole numbers, so that sums are exact in any order. */
export function rewardMilli(reaction: ReactionName, dwellMs: number | undefined): number {
  switch (reaction) {
    case 'dismiss':
      return -1000;
    case 'snooze':
      return 100;
    case 'helpful':
      return 500;
    case 'not_helpful':
      return -500;
    case 'done':
      if (dwellMs === undefined) return doneUnmeasured;
      return doneRewards.find(({ underMs }) => dwellMs < underMs)?.milli ?? doneUnmeasured;
  }
}
