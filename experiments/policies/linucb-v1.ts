import { unit } from '../../features/vector.ts';
import { solveLower } from '../linear-model.ts';
import { epsilonGreedy } from './exploration.ts';
import { learning, settle, type Values, versionOf } from './hyperparameters.ts';
import { estimates, type Policy } from './policy.ts';
import { priorOf } from './prior.ts';

export const linUcbHyperparameters = {
  ...learning,
  alpha: { standard: 0.25, min: 0, max: 100 },
  epsilon: { standard: 0.05, min: 0, max: 1 },
} as const;

const entries = 5;

/**
 * The candidate wins that could be best: the one with the highest x'w + alpha sqrt(x' P^-1 x), with one model for all
 * candidates. Li, Chu, Langford, Schapire: A Contextual-Bandit Approach to Personalized News Article Recommendation, WWW
 * 2010, algorithm 1. By itself it always chooses the winner, and its log could tell nothing of the others; so, unlike
 * there, `epsilon` is shared by all. The scores are estimates, without what doubt adds to them.
 */
export function createLinUcb(given: Partial<Values<typeof linUcbHyperparameters>> = {}): Policy {
  const values = settle(linUcbHyperparameters, given);
  return {
    name: 'linucb-v1',
    version: versionOf(1, values),
    learning: { ...values, prior: priorOf(entries) },
    leastPropensity: (candidates) => values.epsilon / candidates,
    choose(model, vectors) {
      const scores = estimates(model, vectors);
      const whitened = new Float64Array(model.mean.length);
      const bounds = vectors.map((vector, candidate) => {
        for (let i = 0; i < whitened.length; i++) whitened[i] = (vector[i] ?? 0) * unit;
        solveLower(model.factor, whitened);
        let squares = 0;
        for (const value of whitened) squares += value * value;
        return (scores[candidate] ?? 0) + values.alpha * Math.sqrt(squares);
      });
      return { scores, propensities: epsilonGreedy(bounds, values.epsilon) };
    },
  };
}

export const linUcb = createLinUcb();
