import type { ReactionName } from '../gen/proto/oo/contract.ts';

/** What became of a tip: a reaction, or none in time. */
export type OutcomeName = ReactionName | 'ignored';

/** What each outcome is worth, in thousandths, -1000 to 1000: whole numbers, so that sums are exact in any order. */
export interface RewardTable {
  /** Stored beside every reward, so that old rewards keep their meaning. */
  readonly version: string;
  readonly outcomes: Readonly<Record<Exclude<OutcomeName, 'done'>, number>>;
  readonly done: {
    /** By the time from showing to done, in milliseconds. A time that equals `underMs` belongs to the next row. */
    readonly byDwell: readonly { readonly underMs: number; readonly milli: number }[];
    /** Where the time was not measured. */
    readonly unmeasured: number;
  };
}

const minute = 60_000;

/**
 * Too fast was hardly done, a quick one was the right tip at the right time; the mean person takes between 15 s and 2
 * min. To be ignored says little: the person may not have looked.
 */
export const rewards: RewardTable = {
  version: '2',
  outcomes: { dismiss: -1000, snooze: 100, helpful: 500, not_helpful: -500, ignored: 0 },
  done: {
    byDwell: [
      { underMs: 15_000, milli: -300 },
      { underMs: 2 * minute, milli: 1000 },
      { underMs: 10 * minute, milli: 600 },
      { underMs: Number.POSITIVE_INFINITY, milli: 300 },
    ],
    unmeasured: 1000,
  },
};

/** Whether a word is an outcome that this build knows: a row may come from a newer one. */
export function isOutcomeName(word: string): word is OutcomeName {
  return word === 'done' || Object.hasOwn(rewards.outcomes, word);
}

/** The reward of an outcome in thousandths. */
export function rewardMilli(outcome: OutcomeName, dwellMs: number | undefined, table: RewardTable = rewards): number {
  if (outcome !== 'done') return table.outcomes[outcome];
  const { byDwell, unmeasured } = table.done;
  if (dwellMs === undefined) return unmeasured;
  return byDwell.find(({ underMs }) => dwellMs < underMs)?.milli ?? unmeasured;
}
