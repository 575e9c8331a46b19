import { propensityFloor, type Row, weightOf } from './row.ts';
import { createSums } from './sums.ts';

/** How the weights of a log are spread. */
export interface Spread {
  readonly rows: number;
  readonly people: number;
  /** (sum w)^2 / sum w^2 over rows, in rows. Kish, Survey Sampling, 1965. */
  readonly effectiveRows: number;
  /** The same over people, with the sum of each one's weights. */
  readonly effectivePeople: number;
  readonly maxWeight: number;
  /** Of the sum of all weights, that of the heaviest row. */
  readonly maxWeightShare: number;
  /** Expected to be 1 where propensities are right and every target candidate can be logged. */
  readonly meanWeight: number;
  /** Of the evaluated policy's probability, what the log has a propensity below the floor for. */
  readonly unsupportedShare: number;
}

export interface Limits {
  readonly effectiveRowsMin: number;
  readonly effectivePeopleMin: number;
  readonly maxWeightShareMax: number;
  readonly meanWeightMin: number;
  readonly meanWeightMax: number;
  readonly unsupportedShareMax: number;
}

export const defaultLimits: Limits = {
  /** A standard error of a twentieth of the rewards' standard deviation. */
  effectiveRowsMin: 400,
  /** With fewer, clustered intervals are too short. Cameron, Gelbach, Miller, Rev. Econ. Stat. 2008. */
  effectivePeopleMin: 30,
  /**
   * One decision more or less must not change the answer. The 400 above would let one have a twentieth of all weight.
   */
  maxWeightShareMax: 0.02,
  meanWeightMin: 0.9,
  meanWeightMax: 1.1,
  unsupportedShareMax: 0.01,
};

/** One question to a log. Any of them alone forbids to believe the estimates. */
export interface Check {
  readonly name: 'effective sample size' | 'effective people' | 'heaviest decision' | 'mean weight' | 'missing support';
  readonly value: number;
  /** Undefined: there is none on this side. */
  readonly min?: number;
  readonly max?: number;
  readonly passes: boolean;
  /** The numbers and the limits, and what they mean where it does not pass. */
  readonly says: string;
}

export type Verdict =
  | { readonly kind: 'sufficient evidence' }
  | { readonly kind: 'insufficient evidence'; readonly vetoes: readonly Check[] };

/** Takes rows as they come; keeps sums only. The sums of weights by person come from whoever keeps them. */
export function startSpread() {
  const sums = createSums(3);
  let rows = 0;
  let maxWeight = 0;
  return {
    add(row: Row) {
      const w = weightOf(row);
      rows++;
      maxWeight = Math.max(maxWeight, w);
      sums.add(0, w);
      sums.add(1, w * w);
      // on average, w of the rows with a low propensity is the target's probability of such candidates; 0 is never seen
      sums.add(2, row.unsupported ?? (row.propensity < propensityFloor ? w : 0));
    },
    spread(weightsOfPeople: readonly number[]): Spread {
      const [weight = 0, squares = 0, unsupported = 0] = sums.read();
      const squaresOfPeople = weightsOfPeople.reduce((sum, w) => sum + w * w, 0);
      return {
        rows,
        people: weightsOfPeople.length,
        effectiveRows: squares === 0 ? 0 : weight ** 2 / squares,
        effectivePeople: squaresOfPeople === 0 ? 0 : weight ** 2 / squaresOfPeople,
        maxWeight,
        maxWeightShare: weight === 0 ? 1 : maxWeight / weight,
        meanWeight: weight / rows,
        unsupportedShare: unsupported / rows,
      };
    },
  };
}

export function check(spread: Spread, limits: Limits): readonly Check[] {
  const { rows, people, effectiveRows, effectivePeople, maxWeight, maxWeightShare, meanWeight, unsupportedShare } =
    spread;
  const { effectiveRowsMin, effectivePeopleMin, maxWeightShareMax, meanWeightMin, meanWeightMax, unsupportedShareMax } =
    limits;
  return [
    judge('effective sample size', effectiveRows, { min: effectiveRowsMin }, [
      `${rows} decisions are worth ${short(effectiveRows)}, at least ${effectiveRowsMin} are needed`,
      'the policy seldom does what was logged',
    ]),
    judge('effective people', effectivePeople, { min: effectivePeopleMin }, [
      `${people} people are worth ${short(effectivePeople)}, at least ${effectivePeopleMin} are needed`,
      'too few carry the weight to tell chance from effect',
    ]),
    judge('heaviest decision', maxWeightShare, { max: maxWeightShareMax }, [
      `it weighs ${short(maxWeight)}, ${percent(maxWeightShare)} of all weight, at most ${percent(maxWeightShareMax)} is allowed`,
      'the estimate hangs on one decision',
    ]),
    judge('mean weight', meanWeight, { min: meanWeightMin, max: meanWeightMax }, [
      `${meanWeight.toFixed(3)}, must be from ${meanWeightMin} to ${meanWeightMax} and near 1`,
      'propensities are wrong, or candidates that the policy wants were never shown',
    ]),
    judge('missing support', unsupportedShare, { max: unsupportedShareMax }, [
      `${percent(unsupportedShare)} of the policy's choices were shown with less than ${propensityFloor}, at most ${percent(unsupportedShareMax)} may be`,
      'nothing is known of what they would have earned',
    ]),
  ];
}

type Says = readonly [numbers: string, whereItFails: string];

function judge(
  name: Check['name'],
  value: number,
  limits: { readonly min?: number; readonly max?: number },
  [numbers, whereItFails]: Says,
): Check {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = limits;
  const passes = value >= min && value <= max; // NaN passes nothing
  return { name, value, ...limits, passes, says: passes ? numbers : `${numbers}: ${whereItFails}` };
}

export function verdictOf(checks: readonly Check[]): Verdict {
  const vetoes = checks.filter(({ passes }) => !passes);
  return vetoes.length === 0 ? { kind: 'sufficient evidence' } : { kind: 'insufficient evidence', vetoes };
}

/** Rounded down, so that what fails a limit never looks as if it reached it. */
const short = (value: number): string => String(Math.floor(value * 10) / 10);
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
