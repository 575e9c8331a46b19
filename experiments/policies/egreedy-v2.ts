import { createEpsilonGreedy } from './epsilon-greedy.ts';

/** As egreedy-v1, and with what is known of the person. Up to version 1 it learnt nothing. */
export const egreedyV2 = createEpsilonGreedy({ name: 'egreedy-v2', code: 2, entries: 12 });
