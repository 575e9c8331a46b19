import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Database } from '../platform/database.ts';
import { readEnvelope } from './envelope.ts';

/** An event that was stored, as one of the version that this build works with. */
export interface PastEvent<Event = Envelope> {
  readonly userId: string;
  /** Whether a decision had seen it: see features/snapshot.ts. */
  readonly transactionId: bigint;
  readonly event: Event;
}

/** One with when it was stored. */
export interface KeptEvent<Event = Envelope> extends PastEvent<Event> {
  /** By the database's clock, the start of its transaction: see pipelines/training/as-of.ts. */
  readonly storedAtMs: number;
}

const pageSize = 2_000;

/**
 * Reads all stored events of some people, in the order of the person and the event's id, a page at a time: memory stays
 * flat however much there is. On a client in a transaction of its own all pages see the same.
 */
export function readHistory(database: Pick<Database, 'query'>, userIds: readonly string[]): AsyncGenerator<KeptEvent> {
  return readHistoryBy(readEnvelope, database, userIds);
}

/** The same, for a build that reads stored envelopes by other versions. */
export async function* readHistoryBy<Event>(
  read: (schemaVersion: string, bytes: Uint8Array) => Event,
  database: Pick<Database, 'query'>,
  userIds: readonly string[],
): AsyncGenerator<KeptEvent<Event>> {
  let after = { user_id: '', event_id: '00000000-0000-0000-0000-000000000000' };
  for (;;) {
    const { rows } = await database.query<Row>({
      name: 'read-history',
      text: `
        SELECT user_id, event_id, transaction_id::text, received_at, schema_version, envelope FROM events
        WHERE user_id = ANY ($1::text[]) AND (user_id, event_id) > ($2, $3::uuid)
        ORDER BY user_id, event_id LIMIT ${pageSize}`,
      values: [userIds, after.user_id, after.event_id],
    });
    for (const { user_id, transaction_id, received_at, schema_version, envelope } of rows) {
      yield {
        userId: user_id,
        transactionId: BigInt(transaction_id),
        storedAtMs: received_at.getTime(),
        event: read(schema_version, envelope),
      };
    }
    const last = rows.at(-1);
    if (rows.length < pageSize || !last) return;
    after = last;
  }
}

interface Row {
  readonly user_id: string;
  readonly event_id: string;
  readonly transaction_id: string;
  readonly received_at: Date;
  readonly schema_version: string;
  readonly envelope: Buffer;
}
