import { uniform } from '../draw.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Quantiles of the standard normal distribution for two-sided intervals. */
const normalQuantiles = { 0.9: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489004 } as const;

export type Confidence = keyof typeof normalQuantiles;

/**
 * The standard error of an estimate from the influence of every person: people are independent of each other, the rows
 * of one are not. Liang, Zeger, Biometrika 1986, with the factor G / (G - 1) for G people. Infinite for one person.
 */
export function clusteredError(influences: readonly number[]): number {
  const people = influences.length;
  if (people < 2) return Number.POSITIVE_INFINITY;
  const squares = influences.reduce((sum, influence) => sum + influence * influence, 0);
  return Math.sqrt((squares * people) / (people - 1));
}

export function normalInterval(value: number, error: number, confidence: Confidence): Interval {
  const halfWidth = normalQuantiles[confidence] * error;
  return { low: value - halfWidth, high: value + halfWidth };
}

/**
 * Sums over people drawn with replacement, as many as there are, all rows of a person together: the cluster bootstrap
 * (Davison, Hinkley, Bootstrap Methods, 1997, 3.8). Draw i of replicate b is number b G + i of the seed, so the same
 * people in the same order give the same replicates on every machine.
 */
export function* resample(people: readonly Float64Array[], replicates: number, seed: bigint): Generator<Float64Array> {
  const columns = people[0]?.length ?? 0;
  for (let replicate = 0; replicate < replicates; replicate++) {
    const sums = new Float64Array(columns);
    for (let i = 0; i < people.length; i++) {
      const drawn = people[Math.floor(uniform(seed, replicate * people.length + i) * people.length)];
      for (let column = 0; column < columns; column++) sums[column] = (sums[column] ?? 0) + (drawn?.[column] ?? 0);
    }
    yield sums;
  }
}

/** The middle of what the replicates say: Efron's percentile interval (Efron, Tibshirani 1993, 13.3). */
export function percentileInterval(replicates: Float64Array, confidence: Confidence): Interval {
  const sorted = replicates.toSorted();
  return { low: quantile(sorted, (1 - confidence) / 2), high: quantile(sorted, (1 + confidence) / 2) };
}

/** Linear between the two nearest, type 7 of Hyndman, Fan 1996, as numpy does. */
function quantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}
