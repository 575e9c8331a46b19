import { z } from 'zod';
import { deltas } from '../consumers/deltas.ts';
import type { Dag } from '../pipelines/dag.ts';
import { createDags } from '../pipelines/dags/index.ts';
import { integer, readConfig } from '../platform/config.ts';

const schema = z.object({ EVENTS_KEEP_MONTHS: integer(2, 1_200).optional() });

/** Every DAG, as the environment asks for it. */
export function readDags(env: NodeJS.ProcessEnv): readonly Dag[] {
  return createDags({ deltas, keepMonths: readConfig(schema, env).EVENTS_KEEP_MONTHS });
}
