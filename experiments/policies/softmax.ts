import { leastOf, withFloor } from './exploration.ts';
import { floor, learning, settle, type Values, versionOf } from './hyperparameters.ts';
import { estimates, type Policy } from './policy.ts';
import { priorOf } from './prior.ts';

export const softmaxHyperparameters = {
  ...learning,
  temperature: { standard: 0.03, min: 0.001, max: 1000 },
  floor,
} as const;

/**
 * Probabilities proportional to exp(estimate / temperature). Sutton and Barto, Reinforcement Learning, 2nd edition, 2018,
 * 13.1. The exponential is V8's own, a port of fdlibm: the same on every machine as long as V8 keeps it.
 */
export function createSoftmax(given: Partial<Values<typeof softmaxHyperparameters>> = {}): Policy {
  const values = settle(softmaxHyperparameters, given);
  return {
    name: 'softmax',
    version: versionOf(1, values),
    learning: { ...values, prior: priorOf(12) },
    leastPropensity: (candidates) => leastOf(values.floor, candidates),
    choose(model, vectors) {
      const scores = estimates(model, vectors);
      return { scores, propensities: withFloor(softmaxOf(scores, values.temperature), values.floor) };
    },
  };
}

function softmaxOf(scores: readonly number[], temperature: number): number[] {
  const best = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let total = 0;
  const powers = scores.map((score) => {
    const power = Math.exp((score - best) / temperature); // at most 1: nothing overflows
    total += power;
    return power;
  });
  return powers.map((power) => power / total);
}

export const softmax = createSoftmax();
