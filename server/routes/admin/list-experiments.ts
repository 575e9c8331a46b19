import { create } from '@bufbuild/protobuf';
import type { ExperimentStore } from '../../../experiments/experiment-store.ts';
import {
  type ListExperimentsRequest,
  type ListExperimentsResponse,
  ListExperimentsResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { toExperimentSet } from './experiment-set.ts';
import { numberedPage } from './numbered-page.ts';

export interface ListExperimentsDeps {
  readonly experimentStore: Pick<ExperimentStore, 'list' | 'readNewest'>;
}

const pageSizeDefault = 50;
const pages = numberedPage('set');

/** The set in force, and a page of all there were. A set that is put while somebody turns pages is on none of the rest. */
export function createListExperiments({ experimentStore }: ListExperimentsDeps) {
  return async ({ page }: ListExperimentsRequest): Promise<ListExperimentsResponse> => {
    const before = pages.read(page?.pageToken ?? '');
    const [current, { sets, isLast }] = await Promise.all([
      experimentStore.readNewest(0),
      experimentStore.list({ limit: page?.pageSize || pageSizeDefault, before }),
    ]);
    const last = sets.at(-1);
    return create(ListExperimentsResponseSchema, {
      ...(current && { current: toExperimentSet(current) }),
      sets: sets.map(toExperimentSet),
      nextPageToken: isLast || !last ? '' : pages.write(last.id),
    });
  };
}
