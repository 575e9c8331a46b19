import { create } from '@bufbuild/protobuf';
import {
  type ListRolloutsRequest,
  type ListRolloutsResponse,
  ListRolloutsResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import type { RolloutStore } from '../../../registry/rollout-store.ts';
import { numberedPage } from './numbered-page.ts';
import { toRollout } from './rollout-messages.ts';

export interface ListRolloutsDeps {
  readonly rolloutStore: Pick<RolloutStore, 'list'>;
}

const pageSizeDefault = 50;
const pages = numberedPage('rollout');

/** A page of all steps, newest first. A step that is taken while somebody turns pages is on none of the rest. */
export function createListRollouts({ rolloutStore }: ListRolloutsDeps) {
  return async ({ policy, page }: ListRolloutsRequest): Promise<ListRolloutsResponse> => {
    const { steps, isLast } = await rolloutStore.list({
      limit: page?.pageSize || pageSizeDefault,
      before: pages.read(page?.pageToken ?? ''),
      policy: policy === '' ? undefined : policy,
    });
    const last = steps.at(-1);
    return create(ListRolloutsResponseSchema, {
      rollouts: steps.map(toRollout),
      nextPageToken: isLast || !last ? '' : pages.write(last.number),
    });
  };
}
