import { create } from '@bufbuild/protobuf';
import type { StoredSet } from '../../../experiments/experiment-store.ts';
import { toTimestamp } from '../../../features/time.ts';
import { type ExperimentSet, ExperimentSetSchema } from '../../../gen/proto/oo/admin/v1/admin_pb.ts';

/** A set as operators see it. Without a time: it is not stored. */
export function toExperimentSet({
  definitions,
  atMs,
  ...set
}: Omit<StoredSet, 'atMs'> & { readonly atMs?: number }): ExperimentSet {
  return create(ExperimentSetSchema, {
    ...set,
    definitionsJson: JSON.stringify(definitions),
    ...(atMs !== undefined && { at: toTimestamp(atMs) }),
  });
}
