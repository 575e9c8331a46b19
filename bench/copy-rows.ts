import { once } from 'node:events';
import pg from 'pg';
import type { StoredEvent } from '../features/event-store.ts';
import type { Database } from '../platform/database.ts';

/** Rows of `events` in the form COPY reads, encoded ahead: the yardstick is what Postgres alone can take. */
export function encodeRows(events: readonly StoredEvent[]): Buffer {
  const rows = events.map(({ eventId, type, userId, occurredAtMs, schemaVersion, producer, envelope }) => {
    const occurredAt = new Date(occurredAtMs).toISOString();
    // None of these values holds a tab, a newline or a backslash, but for the one that stands for bytes.
    return [
      eventId,
      type,
      userId,
      occurredAt,
      schemaVersion,
      producer,
      `\\\\x${Buffer.from(envelope).toString('hex')}`,
    ].join('\t');
  });
  return Buffer.from(`${rows.join('\n')}\n`);
}

/** Stores rows in one COPY, which is one transaction. */
export async function copyRows(database: Database, table: string, rows: readonly Buffer[]): Promise<void> {
  const client = await database.connect();
  try {
    const columns = 'event_id, type, user_id, occurred_at, schema_version, producer, envelope';
    await once(client.query(new Copy(`COPY ${table} (${columns}) FROM STDIN`, rows)), 'end');
  } finally {
    client.release();
  }
}

interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** The client library speaks COPY but leaves it to its users to say what is copied. */
class Copy extends pg.Query {
  readonly #rows: readonly Buffer[];

  constructor(text: string, rows: readonly Buffer[]) {
    super(text);
    this.#rows = rows;
  }

  handleCopyInResponse(connection: CopyConnection): void {
    for (const chunk of this.#rows) connection.sendCopyFromChunk(chunk);
    connection.endCopyFrom();
  }
}
