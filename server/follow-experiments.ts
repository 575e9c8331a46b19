import { type Choices, type ExperimentSet, noExperiments, parseExperiments } from '../experiments/experiment.ts';
import type { ExperimentStore } from '../experiments/experiment-store.ts';
import { type Followed, type FollowOptions, follow } from '../platform/follow.ts';

export interface FollowExperimentsDeps extends Pick<FollowOptions<ExperimentSet>, 'log' | 'everyMs'> {
  readonly store: Pick<ExperimentStore, 'readNewest'>;
  /** Of this build: a set may have been put by another one. */
  readonly choices: Choices;
}

/** The experiments in force. None until they were read. */
export function followExperiments({ store, choices, ...rest }: FollowExperimentsDeps): Followed<ExperimentSet> {
  return follow({
    what: 'experiments',
    initial: noExperiments,
    async readNewest(knownId) {
      const newest = await store.readNewest(knownId);
      return newest && { id: newest.id, read: () => parseExperiments(newest.definitions, choices) };
    },
    ...rest,
  });
}
