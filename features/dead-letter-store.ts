import type { Database } from '../platform/database.ts';
import { erasedAmong } from './erasure-store.ts';

/** An event that could not be stored. */
export interface DeadLetter {
  readonly id: string;
  /** The stream, and the sequence in it, that it was first read from. */
  readonly stream: string;
  readonly streamSequence: number;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Its original bytes. */
  readonly data: Uint8Array;
  /** Null: the bytes tell of none. */
  readonly eventId: string | null;
  readonly userId: string | null;
  /** A name of the contract's `DeadLetterReason`, maybe of a newer build. */
  readonly reason: string;
  readonly error: string;
  readonly deliveries: number;
}

/** One message of the stream `deadletters`, or what that stream did not take. */
export interface SeenLetter extends DeadLetter {
  readonly seenAtMs: number;
  /** Its place in that stream. Null: it has none. */
  readonly sequence: number | null;
}

/** What all messages about one letter add up to. */
export interface StoredLetter extends DeadLetter {
  readonly firstSeenAtMs: number;
  readonly lastSeenAtMs: number;
  /** Null: never. */
  readonly replayedAtMs: number | null;
}

/** Which letters. What is undefined does not narrow them down. */
export interface LetterFilter {
  readonly reasons?: readonly string[] | undefined;
  readonly subject?: string | undefined;
  /** Last seen at this instant or later. */
  readonly seenFromMs?: number | undefined;
  /** Last seen before this instant. */
  readonly seenBeforeMs?: number | undefined;
  /** Also those that were replayed since they were last seen. */
  readonly includeReplayed: boolean;
}

/** A letter's place in the list. */
export type Place = Pick<StoredLetter, 'lastSeenAtMs' | 'id'>;

export interface DeadLetterStore {
  /**
   * Adds messages, all or nothing; the same message again adds nothing, in any order. Those of erased people are left
   * out: returns their sequences, as far as they have one. Errors are those of the database.
   */
  store(letters: readonly SeenLetter[]): Promise<readonly number[]>;
  /** A page of letters after a place, the last seen first: at most `limit`, and no more than a response may hold. */
  list(
    filter: LetterFilter,
    page: { readonly limit: number; readonly after: Place | undefined },
  ): Promise<{ readonly letters: readonly StoredLetter[]; readonly isLast: boolean }>;
  /** How many match, and the ids of at most `limit`: those first whose last replay is the longest ago, or none. */
  find(filter: LetterFilter, limit: number): Promise<{ readonly matched: number; readonly ids: readonly string[] }>;
  /** Those of these ids that are there, in any order. */
  read(ids: readonly string[]): Promise<readonly StoredLetter[]>;
  /** Remembers when letters were replayed. */
  markReplayed(replays: readonly { readonly id: string; readonly atMs: number }[]): Promise<void>;
}

export function createDeadLetterStore(database: Pick<Database, 'query'>): DeadLetterStore {
  return {
    async store(letters) {
      const { rows } = await database.query<{ erased: readonly string[] }>({
        name: 'store-dead-letters',
        text: storeLetters,
        values: columns.map(({ of }) => letters.map(of)),
      });
      return rows[0]?.erased.map(Number) ?? [];
    },

    async list(filter, { limit, after }) {
      const { rows } = await database.query<LetterRow & { found: number }>({
        name: 'list-dead-letters',
        text: listLetters,
        values: [...filterValues(filter), after?.lastSeenAtMs, after?.id, limit],
      });
      return { letters: rows.map(toLetter), isLast: rows.length === (rows[0]?.found ?? 0) };
    },

    async find(filter, limit) {
      const { rows } = await database.query<{ matched: number; ids: string[] }>({
        name: 'find-dead-letters',
        text: findLetters,
        values: [...filterValues(filter), limit],
      });
      return rows[0] ?? { matched: 0, ids: [] };
    },

    async read(ids) {
      const { rows } = await database.query<LetterRow>({
        name: 'read-dead-letters',
        text: `SELECT ${letterColumns} FROM dead_letters WHERE id = ANY ($1::uuid[])`,
        values: [ids],
      });
      return rows.map(toLetter);
    },

    async markReplayed(replays) {
      await database.query({
        name: 'mark-dead-letters',
        text: `
          UPDATE dead_letters AS d SET replayed_at = greatest(d.replayed_at, ${instant('r.at')})
          FROM (
            SELECT id, at FROM dead_letters AS l JOIN unnest($1::uuid[], $2::int8[]) AS a(id, at) USING (id)
            ORDER BY id FOR UPDATE OF l
          ) AS r
          WHERE d.id = r.id`,
        values: [replays.map(({ id }) => id), replays.map(({ atMs }) => atMs)],
      });
    },
  };
}

const instant = (ms: string): string => `to_timestamp(${ms} / 1000.0)`;

/** What a message travels to Postgres as: one array for each column. */
const columns: readonly {
  readonly name: string;
  readonly type: string;
  readonly of: (letter: SeenLetter) => unknown;
}[] = [
  { name: 'id', type: 'uuid', of: ({ id }) => id },
  { name: 'stream', type: 'text', of: ({ stream }) => stream },
  { name: 'stream_sequence', type: 'int8', of: ({ streamSequence }) => streamSequence },
  { name: 'subject', type: 'text', of: ({ subject }) => subject },
  { name: 'headers', type: 'jsonb', of: ({ headers }) => JSON.stringify(headers) },
  { name: 'data', type: 'text', of: ({ data }) => `\\x${Buffer.from(data).toString('hex')}` },
  { name: 'event_id', type: 'uuid', of: ({ eventId }) => eventId },
  { name: 'user_id', type: 'text', of: ({ userId }) => userId },
  { name: 'reason', type: 'text', of: ({ reason }) => reason },
  { name: 'error', type: 'text', of: ({ error }) => error },
  { name: 'deliveries', type: 'int4', of: ({ deliveries }) => deliveries },
  { name: 'seen_at', type: 'int8', of: ({ seenAtMs }) => seenAtMs },
  { name: 'sequence', type: 'int8', of: ({ sequence }) => sequence },
];

const first = (column: string): string => `(array_agg(${column} ORDER BY seen_at, sequence))[1]`;
const last = (column: string): string => `(array_agg(${column} ORDER BY seen_at DESC, sequence DESC))[1]`;
const ofNewest = (column: string): string =>
  `${column} = CASE WHEN excluded.last_seen_at >= d.last_seen_at THEN excluded.${column} ELSE d.${column} END`;

/** Rows go in in the order of their ids, so that two batches wait for each other instead of dying in a deadlock. */
const storeLetters = `
  WITH seen AS (
    SELECT * FROM unnest(${columns.map(({ type }, i) => `$${i + 1}::${type}[]`).join(', ')})
      AS s(${columns.map(({ name }) => name).join(', ')})
  ), erased AS (
    ${erasedAmong(`$${columns.findIndex(({ name }) => name === 'user_id') + 1}::text[]`)}
  ), stored AS (
    INSERT INTO dead_letters AS d (id, stream, stream_sequence, subject, headers, data, event_id, user_id,
      reason, error, deliveries, first_seen_at, last_seen_at, sequences)
    SELECT id, ${first('stream')}, ${first('stream_sequence')}, ${first('subject')}, ${first('headers')},
      ${first('data')}::bytea, ${last('event_id')}, ${last('user_id')}, ${last('reason')}, ${last('error')},
      ${last('deliveries')}, ${instant('min(seen_at)')}, ${instant('max(seen_at)')},
      coalesce(array_agg(DISTINCT sequence ORDER BY sequence) FILTER (WHERE sequence IS NOT NULL), '{}')
    FROM seen WHERE user_id IS NULL OR user_id NOT IN (SELECT user_id FROM erased)
    GROUP BY id ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
      headers = CASE WHEN excluded.first_seen_at < d.first_seen_at THEN excluded.headers ELSE d.headers END,
      ${['event_id', 'user_id', 'reason', 'error', 'deliveries'].map(ofNewest).join(', ')},
      first_seen_at = least(d.first_seen_at, excluded.first_seen_at),
      last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at),
      sequences = ARRAY(SELECT DISTINCT unnest(d.sequences || excluded.sequences) AS sequence ORDER BY sequence)
  )
  SELECT ARRAY(SELECT sequence::text FROM seen JOIN erased USING (user_id) WHERE sequence IS NOT NULL) AS erased`;

/** The values of `matches`. */
function filterValues({ reasons, subject, seenFromMs, seenBeforeMs, includeReplayed }: LetterFilter): unknown[] {
  return [reasons, subject, seenFromMs, seenBeforeMs, includeReplayed];
}

const matches = `($1::text[] IS NULL OR reason = ANY ($1))
  AND ($2::text IS NULL OR subject = $2)
  AND ($3::int8 IS NULL OR last_seen_at >= ${instant('$3::int8')})
  AND ($4::int8 IS NULL OR last_seen_at < ${instant('$4::int8')})
  AND ($5::bool OR replayed_at IS NULL OR last_seen_at > replayed_at)`;

const findLetters = `
  WITH matching AS MATERIALIZED (SELECT id, replayed_at FROM dead_letters WHERE ${matches})
  SELECT (SELECT count(*) FROM matching)::float8 AS matched,
    ARRAY(SELECT id::text FROM matching ORDER BY replayed_at NULLS FIRST, id LIMIT $6) AS ids`;

const msOf = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`;

const letterColumns = `id, stream, stream_sequence::float8 AS "streamSequence", subject, headers, data,
  event_id AS "eventId", user_id AS "userId", reason, error, deliveries,
  ${msOf('first_seen_at')} AS "firstSeenAtMs", ${msOf('last_seen_at')} AS "lastSeenAtMs",
  ${msOf('replayed_at')} AS "replayedAtMs"`;

type LetterRow = Omit<StoredLetter, 'data'> & { readonly data: Buffer };

/** Half of what a response may be, since bytes grow by a third in JSON. */
const pageMaxBytes = 2 * 1024 * 1024;

/** One more than asked for tells whether there are more. */
const listLetters = `
  SELECT ${letterColumns}, found FROM (
    SELECT *, count(*) OVER ()::int AS found, row_number() OVER newest AS number,
      sum(octet_length(data) + octet_length(headers::text)) OVER newest AS bytes
    FROM (
      SELECT * FROM dead_letters
      WHERE ${matches} AND ($7::uuid IS NULL OR (last_seen_at, id) < (${instant('$6::int8')}, $7))
      ORDER BY last_seen_at DESC, id DESC LIMIT $8::int + 1
    ) AS page
    WINDOW newest AS (ORDER BY last_seen_at DESC, id DESC)
  ) AS counted
  WHERE number <= $8 AND (bytes <= ${pageMaxBytes} OR number = 1)
  ORDER BY number`;

/** Bytes of their own: what a driver gives may be a piece of something larger. */
function toLetter({ data, ...letter }: LetterRow): StoredLetter {
  return {
    id: letter.id,
    stream: letter.stream,
    streamSequence: letter.streamSequence,
    subject: letter.subject,
    headers: letter.headers,
    data: new Uint8Array(data),
    eventId: letter.eventId,
    userId: letter.userId,
    reason: letter.reason,
    error: letter.error,
    deliveries: letter.deliveries,
    firstSeenAtMs: letter.firstSeenAtMs,
    lastSeenAtMs: letter.lastSeenAtMs,
    replayedAtMs: letter.replayedAtMs,
  };
}
