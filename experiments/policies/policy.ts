import { unit, type Vector } from '../../features/vector.ts';
import type { Draws } from '../draw.ts';
import type { Model, Precisions, Prior } from '../linear-model.ts';

/** What a policy makes of candidates, or of arms. One number for each of them, in order. */
export interface Outcome {
  /** Estimates of the reward. Zeros: the policy estimates nothing. */
  readonly scores: readonly number[];
  /** Probabilities: for every one, never only for a winner. They sum to 1 within 1e-12. */
  readonly propensities: readonly number[];
}

/** A way to choose among candidates. Pure: the same model, vectors and draws give the same outcome, bit for bit. */
export interface Policy {
  readonly name: string;
  /** Changes with the code, and names every hyperparameter. At most 64 characters. */
  readonly version: string;
  /** How it learns. Undefined: it learns nothing, and its model is empty. */
  readonly learning: Learning | undefined;
  /** Whom to ask, before it chooses, what each candidate is worth. Undefined: nobody, it knows by itself. */
  readonly predictor?: Predictor;
  /** What no propensity falls below, by the number of candidates. */
  leastPropensity(candidates: number): number;
  choose(model: Model, vectors: readonly Vector[], draws: Draws): Outcome;
}

export interface Learning extends Precisions {
  /** Its number of entries is the model's: the policy reads that many entries of a vector, the first ones. */
  readonly prior: Prior;
  /** The prior was made from everybody's rewards: what the population learnt is in it already, and not counted again. */
  readonly isOfEverybody?: boolean;
}

/** A registered model that is not linear. The same vectors give the same numbers, bit for bit, whoever else asks. */
export interface Predictor {
  /** As it is logged with each decision: the model's name and version. */
  readonly version: string;
  /** Makes it ready, once. Rejects where it is not what was registered. */
  load(): Promise<void>;
  /** The expected reward of each vector, in order, finite. Rejects where there is none in time. */
  predict(vectors: readonly Vector[]): Promise<readonly number[]>;
}

/** What each entry adds to a vector's score, in order. Empty: the policy estimates nothing. */
export function contributions(weights: readonly number[], vector: Vector): readonly number[] {
  return weights.map((weight, i) => weight * (vector[i] ?? 0) * unit);
}

/** A policy's estimate of the reward of one vector: the sum of its contributions, in order. */
export function estimate(weights: readonly number[], vector: Vector): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += (weights[i] ?? 0) * (vector[i] ?? 0) * unit;
  return total;
}

export function estimates({ mean, predictions }: Model, vectors: readonly Vector[]): number[] {
  return predictions ? [...predictions] : vectors.map((vector) => estimate(mean, vector));
}
