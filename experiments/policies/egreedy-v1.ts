import { createEpsilonGreedy } from './epsilon-greedy.ts';

/** Ridge regression on the moment and the task, nothing of the person; one decision in ten is drawn at random. */
export const egreedyV1 = createEpsilonGreedy({ name: 'egreedy-v1', code: 1, entries: 7 });
