import { leastOf, withFloor } from './exploration.ts';
import { floor, learning, settle, type Values, versionOf } from './hyperparameters.ts';
import { estimates, type Policy } from './policy.ts';
import { priorOf } from './prior.ts';

export const squareCbHyperparameters = { ...learning, gamma: { standard: 100, min: 0, max: 1e6 }, floor } as const;

/**
 * Inverse gap weighting: a candidate that falls behind the best estimate by a gap gets 1 / (n + g gap), and the best share
 * the rest. Foster, Rakhlin: Beyond UCB, ICML 2020, algorithm 1. As in Vowpal Wabbit, g grows with the root of what was
 * learnt: gamma sqrt(1 + rewards of the person), so that with nothing of the person the population's opinion counts a
 * little, and a difference that stays is believed more and more.
 */
export function createSquareCb(given: Partial<Values<typeof squareCbHyperparameters>> = {}): Policy {
  const values = settle(squareCbHyperparameters, given);
  return {
    name: 'square-cb',
    version: versionOf(1, values),
    learning: { ...values, prior: priorOf(12) },
    leastPropensity: (candidates) => leastOf(values.floor, candidates),
    choose(model, vectors) {
      const scores = estimates(model, vectors);
      const weights = inverseGaps(scores, values.gamma * Math.sqrt(1 + model.count));
      return { scores, propensities: withFloor(weights, values.floor) };
    },
  };
}

function inverseGaps(scores: readonly number[], gamma: number): number[] {
  const best = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let rest = 1;
  let winners = 0;
  const weights = scores.map((score) => {
    const weight = 1 / (scores.length + gamma * (best - score));
    if (score === best) winners++;
    else rest -= weight;
    return weight;
  });
  return weights.map((weight, i) => (scores[i] === best ? rest / winners : weight));
}

export const squareCb = createSquareCb();
