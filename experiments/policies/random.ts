import type { Policy } from './policy.ts';

/** Every candidate with the same probability: the yardstick for all others, and what decides when they cannot. */
export const random: Policy = {
  name: 'random',
  version: '1',
  modelVersion: '',
  weights: [],
  probabilities: (scores) => scores.map(() => 1 / scores.length),
};
