import { studentQuantile } from '../../experiments/analysis/distributions.ts';
import type { Interval } from '../../experiments/off-policy/intervals.ts';

/** A mean over seeds, with the interval of 95 % that Student's t gives to so many. */
export interface Estimate extends Interval {
  readonly mean: number;
}

/** Of one number for each seed. */
export function estimateOf(values: readonly number[]): Estimate {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const halfWidth =
    count < 2 ? Number.POSITIVE_INFINITY : studentQuantile(0.975, count - 1) * Math.sqrt(squares / (count - 1) / count);
  return { mean, low: mean - halfWidth, high: mean + halfWidth };
}

/** How much higher `a` is than `b`, in pairs: what a seed does to both leaves no trace in the difference. */
export function differenceOf(a: readonly number[], b: readonly number[]): Estimate {
  return estimateOf(a.map((value, i) => value - (b[i] ?? Number.NaN)));
}
