import type { Dag } from '../dag.ts';
import { backfill, type Deltas } from './backfill.ts';
import { type JudgePolicies, promote } from './promote.ts';
import { retention } from './retention.ts';
import { trainDag } from './train.ts';

export interface DagsDeps {
  /** All that an event adds to the tables: the function with which the consumers add it. */
  readonly deltas: Deltas;
  /** As the consumers do. */
  readonly judge: JudgePolicies;
  /** Months of events to keep beside the current one. Undefined: all. */
  readonly keepMonths: number | undefined;
  /** Who answers for models. */
  readonly owner: string;
}

/** Every DAG there is. What they are made of changes none of their names. */
export function createDags({ deltas, judge, keepMonths, owner }: DagsDeps): readonly Dag[] {
  return [
    backfill(deltas),
    trainDag(deltas, { id: 'train', kind: 'linear', model: 'reward', owner }),
    trainDag(deltas, { id: 'train-logistic', kind: 'logistic', model: 'reward-logistic', owner }),
    promote(judge),
    retention(keepMonths),
  ];
}
