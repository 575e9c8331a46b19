import { chiSquareTail } from './distributions.ts';

/**
 * A time over which the weights of all arms stayed the same. An ordinary experiment has one. A bandit's weights move
 * with what it has learnt, so its traffic is never compared with the last ones: give every stretch between two changes.
 */
export interface Epoch {
  readonly arms: readonly {
    /** Share of what was assigned, up to a common factor; 0 or more. */
    readonly weight: number;
    /** People newly assigned in this epoch, or decisions where each was drawn anew: units that fell independently. */
    readonly observed: number;
  }[];
}

export interface SampleRatio {
  readonly observed: number;
  readonly chiSquare: number;
  readonly df: number;
  /** A rough guide where fewer than about five were expected in an arm. */
  readonly pValue: number;
  /** Something keeps people out of an arm or brings them in: no comparison of these arms can be trusted. */
  readonly alarm: boolean;
}

export const alarmBelow = 0.001;

/**
 * Whether the arms got the share that they should have, by Pearson's chi-square, added up over the epochs. Arms without
 * weight are no degree of freedom; whoever is in one must have come by mistake. Nobody: p is 1.
 */
export function sampleRatio(epochs: readonly Epoch[]): SampleRatio {
  const parts = epochs.map(fit);
  const sum = (pick: (part: Fit) => number) => parts.reduce((total, part) => total + pick(part), 0);
  const [chiSquare, df] = [sum((part) => part.chiSquare), sum((part) => part.df)];
  const pValue = chiSquare === Number.POSITIVE_INFINITY ? 0 : df === 0 ? 1 : chiSquareTail(chiSquare, df);
  return {
    observed: sum((part) => part.observed),
    chiSquare,
    df,
    pValue,
    alarm: pValue < alarmBelow,
  };
}

type Fit = Pick<SampleRatio, 'observed' | 'chiSquare' | 'df'>;

function fit({ arms }: Epoch): Fit {
  const bad = arms.find(({ weight, observed }) => !(Number.isFinite(weight) && weight >= 0 && observed >= 0));
  if (bad) throw new RangeError(`an arm has weight ${bad.weight} and observed ${bad.observed}`);
  const observed = arms.reduce((total, arm) => total + arm.observed, 0);
  const weights = arms.reduce((total, arm) => total + arm.weight, 0);
  const misplaced = arms.some((arm) => arm.weight === 0 && arm.observed > 0);
  if (observed === 0) return { observed, chiSquare: 0, df: 0 };
  if (misplaced) return { observed, chiSquare: Number.POSITIVE_INFINITY, df: 0 };
  const terms = arms
    .filter(({ weight }) => weight > 0)
    .map((arm) => ({ observed: arm.observed, expected: (observed * arm.weight) / weights }));
  return {
    observed,
    chiSquare: terms.reduce((total, term) => total + (term.observed - term.expected) ** 2 / term.expected, 0),
    df: terms.length - 1,
  };
}
