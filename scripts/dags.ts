import { z } from 'zod';
import { deltas } from '../consumers/deltas.ts';
import { judgePolicies } from '../consumers/judge-policies.ts';
import type { Dag } from '../pipelines/dag.ts';
import { createDags } from '../pipelines/dags/index.ts';
import { readPolicies } from '../pipelines/deciders.ts';
import { integer, readConfig } from '../platform/config.ts';
import { unchanging } from '../platform/follow.ts';

const schema = z.object({
  EVENTS_KEEP_MONTHS: integer(2, 1_200).optional(),
  MODEL_OWNER: z.string().min(1).max(128).default('nobody said'),
});

/** Every DAG, as the environment asks for it. */
export function readDags(env: NodeJS.ProcessEnv): readonly Dag[] {
  const { EVENTS_KEEP_MONTHS: keepMonths, MODEL_OWNER: owner } = readConfig(schema, env);
  return createDags({
    ...{ deltas, keepMonths, owner },
    judge: async (database, nowMs) =>
      judgePolicies({ database, policies: unchanging(await readPolicies(database)) }, nowMs),
  });
}
