import type { Vector } from '../features/vector.ts';
import { type Draws, pick, policyDraws, seedOf, uniform } from './draw.ts';
import { emptyModel, fitModel, type Model, type Refusal, type Statistics } from './linear-model.ts';
import type { Outcome, Policy } from './policies/policy.ts';
import { random } from './policies/random.ts';
import { nothingLearnt } from './statistics.ts';

export interface Decision extends Outcome {
  readonly policy: Policy;
  /** The version of what the policy started to learn from, or asked. Empty: it learns nothing and asks nobody. */
  readonly modelVersion: string;
  /** What it has learnt: a weight for each entry of the vectors, 0 for one it does not read. Empty: it estimates nothing. */
  readonly weights: readonly number[];
  readonly seed: bigint;
  readonly draw: number;
  /** Index of the candidate that was chosen. */
  readonly chosen: number;
  /** Why `random` decided in the place of the policy that was asked. Undefined: that one decided. */
  readonly failure: Failure | undefined;
}

/** Statistics that are not served, a policy that gave no proper distribution, or one whose predictor gave no answer. */
export type Failure = Refusal | { readonly kind: 'improper' | 'no_prediction' };

/** All that was learnt, at one instant. */
export interface Learnt {
  readonly person: Statistics;
  readonly population: Statistics;
  /** What the policy's predictor says of the vectors. Undefined: it has none, or there was no answer. */
  readonly predictions?: readonly number[] | undefined;
}

/**
 * Chooses one of the candidates. Pure: the same policy, vectors, request id and statistics give the same decision, bit for
 * bit, on every replica and in every replay.
 */
export function decide(policy: Policy, vectors: readonly Vector[], requestId: string, learnt: Learnt): Decision {
  const evaluation = evaluate(policy, vectors, learnt, policyDraws(requestId, policy));
  const seed = seedOf(requestId);
  const draw = uniform(seed, 0);
  return { ...evaluation, seed, draw, chosen: pick(evaluation.propensities, draw) };
}

type Evaluation = Omit<Decision, 'seed' | 'draw' | 'chosen'>;

function evaluate(policy: Policy, vectors: readonly Vector[], learnt: Learnt, draws: Draws): Evaluation {
  const model = modelFor(policy, learnt);
  if (model.kind !== 'model') return fallBack(vectors, draws, model);
  const outcome = policy.choose(model, vectors, draws);
  if (!isProper(outcome, vectors.length, policy.leastPropensity(vectors.length)))
    return fallBack(vectors, draws, { kind: 'improper' });
  const weights = model.mean.length === 0 ? [] : learnt.person.xy.map((_, i) => model.mean[i] ?? 0);
  const modelVersion = policy.predictor?.version ?? policy.learning?.prior.version ?? '';
  return { ...outcome, policy, modelVersion, weights, failure: undefined };
}

function modelFor({ learning, predictor }: Policy, { person, population, predictions }: Learnt): Model | Failure {
  if (predictor) return predictions ? { ...emptyModel, predictions } : { kind: 'no_prediction' };
  if (!learning) return emptyModel;
  return fitModel(person, learning.isOfEverybody ? nothingLearnt : population, learning.prior, learning);
}

/** A policy that fails must not decide about people: `random` does, and says so. */
function fallBack(vectors: readonly Vector[], draws: Draws, failure: Failure): Evaluation {
  return { ...random.choose(emptyModel, vectors, draws), policy: random, modelVersion: '', weights: [], failure };
}

function isProper({ scores, propensities }: Outcome, length: number, least: number): boolean {
  const total = propensities.reduce((sum, value) => sum + value, 0);
  return (
    scores.length === length &&
    scores.every(Number.isFinite) &&
    propensities.length === length &&
    propensities.every((value) => value >= least && value <= 1) &&
    Math.abs(total - 1) <= 1e-12
  );
}
