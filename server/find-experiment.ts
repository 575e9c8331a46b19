import { canaryExperiment } from '../experiments/canary.ts';
import { createExperimentStore } from '../experiments/experiment-store.ts';
import type { FindExperiment } from '../experiments/report-store.ts';
import type { Database } from '../platform/database.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';

/** Finds what was put in force as an experiment, and what was one as a canary: `canary:<policy>`, by the number of its step. */
export function findExperiment(database: Pick<Database, 'query'>): FindExperiment {
  const { readDefinition } = createExperimentStore(database);
  return async (key, version) => {
    const [, policy] = /^canary:(.+)$/.exec(key) ?? [];
    if (policy === undefined) return readDefinition(key, version);
    const steps = (await createRolloutStore(database).readSteps(0)) ?? [];
    const step = steps.findLast(
      (each) =>
        each.policy === policy && each.to === 'canary' && (version === undefined || String(each.number) === version),
    );
    return step && canaryExperiment({ ...step, step: step.number });
  };
}
