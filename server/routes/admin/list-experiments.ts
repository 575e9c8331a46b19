import { create } from '@bufbuild/protobuf';
import type { ExperimentStore } from '../../../experiments/experiment-store.ts';
import {
  type ListExperimentsRequest,
  type ListExperimentsResponse,
  ListExperimentsResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { invalidArgument } from '../../../platform/errors.ts';
import { toExperimentSet } from './experiment-set.ts';

export interface ListExperimentsDeps {
  readonly experimentStore: Pick<ExperimentStore, 'list' | 'readNewest'>;
}

const pageSizeDefault = 50;

/** The set in force, and a page of all there were. A set that is put while somebody turns pages is on none of the rest. */
export function createListExperiments({ experimentStore }: ListExperimentsDeps) {
  return async ({ page }: ListExperimentsRequest): Promise<ListExperimentsResponse> => {
    const before = readPageToken(page?.pageToken ?? '');
    const [current, { sets, isLast }] = await Promise.all([
      experimentStore.readNewest(0),
      experimentStore.list({ limit: page?.pageSize || pageSizeDefault, before }),
    ]);
    const last = sets.at(-1);
    return create(ListExperimentsResponseSchema, {
      ...(current && { current: toExperimentSet(current) }),
      sets: sets.map(toExperimentSet),
      nextPageToken: isLast || !last ? '' : writePageToken(last.id),
    });
  };
}

/** The last set of a page, in a form that nobody is to read. */
const writePageToken = (id: number): string => Buffer.from(`set/${id}`).toString('base64url');

/** The reverse. Empty: the first page. Throws `invalid_argument` for what was never given out. */
function readPageToken(token: string): number | undefined {
  if (token === '') return undefined;
  const [, digits] = /^set\/(\d{1,15})$/.exec(Buffer.from(token, 'base64url').toString('latin1')) ?? [];
  if (digits !== undefined && writePageToken(Number(digits)) === token) return Number(digits);
  throw invalidArgument([{ field: 'page.page_token', description: 'is not the next_page_token of an answer' }]);
}
