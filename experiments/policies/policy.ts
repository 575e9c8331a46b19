import { unit, type Vector } from '../../features/vector.ts';

/** A way to choose among candidates. Pure: the same vectors always get the same probabilities. */
export interface Policy {
  readonly name: string;
  /** Changes with the code and with every hyperparameter. */
  readonly version: string;
  /** The version of what was learnt. Empty: nothing is learnt. */
  readonly modelVersion: string;
  /** One weight for each entry of a vector. Empty: the policy estimates nothing. */
  readonly weights: readonly number[];
  /** A probability for every candidate, never only a winner. They sum to 1 within 1e-12. `scores` has one per vector. */
  probabilities(scores: readonly number[]): readonly number[];
}

/** What each entry adds to a vector's score, in order. Empty: the policy estimates nothing. */
export function contributions(weights: readonly number[], vector: Vector): readonly number[] {
  return weights.map((weight, i) => weight * (vector[i] ?? 0) * unit);
}

/** A policy's estimate of the reward of one vector. Zero: it estimates nothing. */
export function estimate(weights: readonly number[], vector: Vector): number {
  return contributions(weights, vector).reduce((total, part) => total + part, 0);
}
