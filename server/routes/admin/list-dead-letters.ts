import { create } from '@bufbuild/protobuf';
import type { DeadLetterStore, Place, StoredLetter } from '../../../features/dead-letter-store.ts';
import { toTimestamp } from '../../../features/time.ts';
import {
  type DeadLetter,
  DeadLetterSchema,
  type ListDeadLettersRequest,
  type ListDeadLettersResponse,
  ListDeadLettersResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { namesOfDeadLetterReason } from '../../../gen/proto/oo/contract.ts';
import type { DeadLetterReason } from '../../../gen/proto/oo/events/v1/dead_letter_pb.ts';
import { invalidArgument } from '../../../platform/errors.ts';
import { readFilter } from './letter-filter.ts';

export interface ListDeadLettersDeps {
  readonly deadLetterStore: Pick<DeadLetterStore, 'list'>;
}

const pageSizeDefault = 50;

/**
 * Lists dead letters, the last seen first. A page ends early where its letters are large. A letter that is seen again
 * while somebody turns pages moves to the front; no letter is on two pages.
 */
export function createListDeadLetters({ deadLetterStore }: ListDeadLettersDeps) {
  return async ({ filter, page }: ListDeadLettersRequest): Promise<ListDeadLettersResponse> => {
    const { letters, isLast } = await deadLetterStore.list(readFilter(filter), {
      limit: page?.pageSize || pageSizeDefault,
      after: readPageToken(page?.pageToken ?? ''),
    });
    const last = letters.at(-1);
    return create(ListDeadLettersResponseSchema, {
      deadLetters: letters.map(toDeadLetter),
      nextPageToken: isLast || !last ? '' : writePageToken(last),
    });
  };
}

/** The place of the last letter of a page, in a form that nobody is to read. */
export function writePageToken({ lastSeenAtMs, id }: Place): string {
  return Buffer.from(`${lastSeenAtMs}/${id}`).toString('base64url');
}

/** The reverse. Empty: the first page. Throws `invalid_argument` for what was never given out. */
export function readPageToken(token: string): Place | undefined {
  if (token === '') return undefined;
  const text = Buffer.from(token, 'base64url').toString('latin1');
  const [, ms, id] = /^(\d{1,15})\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text) ?? [];
  const place = ms !== undefined && id !== undefined ? { lastSeenAtMs: Number(ms), id } : undefined;
  if (place && writePageToken(place) === token) return place;
  throw invalidArgument([{ field: 'page.page_token', description: 'is not the next_page_token of an answer' }]);
}

const reasons = new Map<string, DeadLetterReason>(
  Object.entries(namesOfDeadLetterReason).map(([number, name]) => [name, Number(number) as DeadLetterReason]),
);

function toDeadLetter(letter: StoredLetter): DeadLetter {
  return create(DeadLetterSchema, {
    id: letter.id,
    subject: letter.subject,
    streamSequence: BigInt(letter.streamSequence),
    deliveries: letter.deliveries,
    reason: reasons.get(letter.reason) ?? 0,
    error: letter.error,
    data: letter.data,
    headers: { ...letter.headers },
    firstSeenAt: toTimestamp(letter.firstSeenAtMs),
    lastSeenAt: toTimestamp(letter.lastSeenAtMs),
    ...(letter.replayedAtMs === null ? {} : { replayedAt: toTimestamp(letter.replayedAtMs) }),
    eventId: letter.eventId ?? '',
  });
}
