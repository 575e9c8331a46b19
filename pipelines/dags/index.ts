import type { Delta } from '../../features/tables.ts';
import type { Envelope } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Dag } from '../dag.ts';
import { backfill } from './backfill.ts';
import { retention } from './retention.ts';

export interface DagsDeps {
  /** All that an event adds to the tables: the function with which the consumers add it. */
  readonly deltas: (event: Envelope) => readonly Delta[];
  /** Months of events to keep beside the current one. Undefined: all. */
  readonly keepMonths: number | undefined;
}

/** Every DAG there is. What they are made of changes none of their names. */
export function createDags({ deltas, keepMonths }: DagsDeps): readonly Dag[] {
  return [backfill(deltas), retention(keepMonths)];
}
