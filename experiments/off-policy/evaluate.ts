import {
  type Check,
  check,
  defaultLimits,
  type Limits,
  type Spread,
  startSpread,
  type Verdict,
  verdictOf,
} from './diagnostics.ts';
import { type Estimator, estimateOf, estimatorsFor, influenceOf, onPolicy, type Terms, termsOf } from './estimators.ts';
import {
  type Confidence,
  clusteredError,
  type Interval,
  normalInterval,
  percentileInterval,
  resample,
} from './intervals.ts';
import { problemOfRow, RefusedLog, type Row, weightOf } from './row.ts';
import { createSums, type Sums, total } from './sums.ts';

export type RewardDirection = 'higher-is-better' | 'lower-is-better';

export interface Options {
  /** Which rewards are good. Default: high ones. */
  readonly reward?: RewardDirection;
  /** Of the intervals. Default: 0.95. */
  readonly confidence?: Confidence;
  /** Of the bootstrap. Default: 1,000. */
  readonly replicates?: number;
  /** Of the bootstrap. Default: 1. */
  readonly seed?: bigint;
  readonly limits?: Limits;
}

/** A number, and how sure it is. Both intervals count people, not rows, as independent. */
export interface Measured {
  readonly value: number;
  readonly standardError: number;
  readonly normal: Interval;
  readonly bootstrap: Interval;
}

/** What the evaluated policy would have earned for each decision, in the unit of the reward. */
export interface Estimate extends Measured {
  readonly name: string;
  /** How much better that is than what was logged: above 0 is better, whichever rewards are good. */
  readonly gain: Measured;
}

export interface Report {
  readonly reward: RewardDirection;
  readonly confidence: Confidence;
  /** Whether the estimates may be believed. They are given in any case, for whoever wants to know why not. */
  readonly verdict: Verdict;
  readonly checks: readonly Check[];
  readonly spread: Spread;
  /** What the log's own policy earned. */
  readonly logged: Measured;
  readonly estimates: readonly Estimate[];
}

/** Evaluates a log that is in memory, with all estimators that it allows for. Throws RefusedLog. */
export function evaluate(rows: readonly Row[], options: Options = {}): Report {
  const hasModel = rows[0]?.q !== undefined;
  const evaluation = startEvaluation(estimatorsFor(rows.length, hasModel), options);
  for (const row of rows) evaluation.add(row);
  return evaluation.report();
}

/**
 * Takes the rows of a log one by one, in any order, and keeps sums for each person. A row that is wrong throws
 * RefusedLog with its number. Reports of the same rows in another order differ by less than 1e-12, relative to what was
 * summed.
 */
export function startEvaluation(estimators: readonly Estimator[], options: Options = {}) {
  const all = [onPolicy, ...estimators];
  const hasModel = estimators.some(({ usesModel }) => usesModel);
  const people = new Map<string, Sums>();
  const spread = startSpread();
  let rows = 0;
  let refused: RefusedLog | undefined;

  return {
    add(row: Row): void {
      rows++;
      const wrong = problemOfRow(row) ?? problemOfModel(row, hasModel);
      if (wrong) refused ??= new RefusedLog(`row ${rows}: ${wrong.field} ${wrong.problem}`);
      if (refused) throw refused;
      spread.add(row);
      const sums = people.get(row.user) ?? createSums(firstTerm + termsLength * all.length);
      people.set(row.user, sums);
      sums.add(0, 1);
      sums.add(1, weightOf(row));
      for (const [i, estimator] of all.entries()) {
        const { prediction, correction, scale } = termsOf(estimator, row);
        const column = firstTerm + termsLength * i;
        sums.add(column, prediction);
        sums.add(column + 1, correction);
        sums.add(column + 2, scale);
      }
    },

    report(): Report {
      if (refused) throw refused;
      if (rows === 0) throw new RefusedLog('the log is empty');
      // by id, so that the bootstrap draws the same people whatever the order of the rows
      const ids = [...people.keys()].sort();
      return summarise(
        ids.map((id) => people.get(id)?.read() ?? new Float64Array()),
        all,
        spread.spread,
        options,
      );
    },
  };
}

function problemOfModel({ q }: Row, hasModel: boolean) {
  if (hasModel === (q !== undefined)) return undefined;
  return { field: 'q', problem: hasModel ? 'is absent, but other rows have it' : 'is there, but other rows have none' };
}

/** Columns of a person's sums: rows, weight, then three for each estimator. */
const firstTerm = 2;
const termsLength = 3;

const rowsOf = (sums: Float64Array): number => sums[0] ?? 0;

function termsAt(sums: Float64Array, estimator: number): Terms {
  const column = firstTerm + termsLength * estimator;
  return { prediction: sums[column] ?? 0, correction: sums[column + 1] ?? 0, scale: sums[column + 2] ?? 0 };
}

const anything: Interval = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

function summarise(
  people: readonly Float64Array[],
  estimators: readonly Estimator[],
  spreadOf: (weightsOfPeople: readonly number[]) => Spread,
  { reward = 'higher-is-better', confidence = 0.95, replicates = 1000, seed = 1n, limits = defaultLimits }: Options,
): Report {
  const sums = total(people);
  const valuesOf = (some: Float64Array) => estimators.map((_, i) => estimateOf(rowsOf(some), termsAt(some, i)));
  const values = valuesOf(sums);
  const influences = people.map((person) =>
    estimators.map((_, i) => influenceOf(rowsOf(person), termsAt(person, i), rowsOf(sums), termsAt(sums, i))),
  );
  const resampled = Array.from(resample(people, replicates, seed), valuesOf);

  /** `of` picks a number out of the values of all estimators; it is linear, so it goes for their influences too. */
  const measure = (of: (values: readonly number[]) => number): Measured => {
    const value = of(values);
    const standardError = clusteredError(influences.map(of));
    if (!Number.isFinite(value) || Number.isNaN(standardError))
      throw new RefusedLog('numbers are too large to be summed');
    return {
      value,
      standardError,
      normal: normalInterval(value, standardError, confidence),
      // drawing one person again and again would look like certainty
      bootstrap: people.length < 2 ? anything : percentileInterval(Float64Array.from(resampled, of), confidence),
    };
  };
  const sign = reward === 'higher-is-better' ? 1 : -1;
  const [, ...evaluated] = estimators;
  const spread = spreadOf(people.map((person) => person[1] ?? 0));
  const checks = check(spread, limits);
  return {
    reward,
    confidence,
    verdict: verdictOf(checks),
    checks,
    spread,
    logged: measure(([logged = 0]) => logged),
    estimates: evaluated.map(({ name }, i) => ({
      name,
      ...measure((all) => all[i + 1] ?? 0),
      gain: measure((all) => sign * ((all[i + 1] ?? 0) - (all[0] ?? 0))),
    })),
  };
}
