import type { Vector } from '../features/vector.ts';
import { pick, seedOf, uniform } from './draw.ts';
import { estimate, type Policy } from './policies/policy.ts';
import { random } from './policies/random.ts';

export interface Decision {
  readonly policy: Policy;
  /** One for each candidate, in order. */
  readonly scores: readonly number[];
  /** One for each candidate, in order. They sum to 1 within 1e-12. */
  readonly propensities: readonly number[];
  readonly seed: bigint;
  readonly draw: number;
  /** Index of the candidate that was chosen. */
  readonly chosen: number;
  /** Whether the policy failed and `random` decided in its place. */
  readonly fellBack: boolean;
}

/**
 * Chooses one of the candidates. Pure: the same policy, vectors and request id give the same decision, bit for bit, on
 * every replica and in every replay.
 */
export function decide(policy: Policy, vectors: readonly Vector[], requestId: string): Decision {
  const { scores, propensities, fellBack } = evaluate(policy, vectors);
  const seed = seedOf(requestId);
  const draw = uniform(seed, 0);
  return {
    policy: fellBack ? random : policy,
    scores,
    propensities,
    seed,
    draw,
    chosen: pick(propensities, draw),
    fellBack,
  };
}

/** A policy that yields no proper distribution must not decide about people: `random` does, and says so. */
function evaluate(policy: Policy, vectors: readonly Vector[]) {
  const scores = vectors.map((vector) => estimate(policy.weights, vector));
  if (scores.every(Number.isFinite)) {
    const propensities = policy.probabilities(scores);
    if (isDistribution(propensities, vectors.length)) return { scores, propensities, fellBack: false };
  }
  const zeros = vectors.map(() => 0);
  return { scores: zeros, propensities: random.probabilities(zeros), fellBack: true };
}

function isDistribution(values: readonly number[], length: number): boolean {
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.length === length && values.every((value) => value >= 0 && value <= 1) && Math.abs(total - 1) <= 1e-12;
}
