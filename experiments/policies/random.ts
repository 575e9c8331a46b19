import type { Policy } from './policy.ts';

/** Every candidate with the same probability: the yardstick for all others, and what decides when they cannot. */
export const random: Policy = {
  name: 'random',
  version: '1',
  learning: undefined,
  leastPropensity: (candidates) => 1 / candidates,
  choose: (_model, vectors) => ({
    scores: vectors.map(() => 0),
    propensities: vectors.map(() => 1 / vectors.length),
  }),
};
