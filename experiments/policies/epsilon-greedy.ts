import { epsilonGreedy } from './exploration.ts';
import { learning, settle, type Values, versionOf } from './hyperparameters.ts';
import { estimates, type Policy } from './policy.ts';
import { priorOf } from './prior.ts';

export const epsilonGreedyHyperparameters = { ...learning, epsilon: { standard: 0.1, min: 0, max: 1 } } as const;

interface Kind {
  readonly name: string;
  /** Changes with what the policy does. */
  readonly code: number;
  /** How many entries of a vector it reads. */
  readonly entries: number;
}

/** The best estimate wins, but a part of the decisions is drawn at random. */
export function createEpsilonGreedy(
  { name, code, entries }: Kind,
  given: Partial<Values<typeof epsilonGreedyHyperparameters>> = {},
): Policy {
  const values = settle(epsilonGreedyHyperparameters, given);
  return {
    name,
    version: versionOf(code, values),
    learning: { ...values, prior: priorOf(entries) },
    leastPropensity: (candidates) => values.epsilon / candidates,
    choose(model, vectors) {
      const scores = estimates(model, vectors);
      return { scores, propensities: epsilonGreedy(scores, values.epsilon) };
    },
  };
}
