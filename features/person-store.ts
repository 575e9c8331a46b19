import type { Database } from '../platform/database.ts';
import { type Buckets, bucketColumns, type DailyBucket, type HourlyBucket, unpack } from './buckets.ts';
import { firstDayRead } from './definitions.ts';
import { type ColumnType, columnsOf, type TableName } from './tables.ts';

/** What is stored about a person at one instant of the database. */
export interface Person {
  readonly buckets: Buckets;
  /** `pg_current_snapshot()` of the read: it says exactly which events `buckets` had seen. */
  readonly snapshot: string;
  /** The envelope of the event asked for beside the person, if it is stored. */
  readonly event: Uint8Array | undefined;
}

export interface PersonStore {
  /** Reads a person's buckets as far back as any feature needs at `nowMs`, and one event by its id if that is given. */
  read(userId: string, eventId: string | undefined, nowMs: number): Promise<Person>;
}

interface Asked {
  readonly userId: string;
  readonly eventId: string | undefined;
  readonly nowMs: number;
  resolve(person: Person): void;
  reject(error: unknown): void;
}

const maxInFlight = 2;
const maxBatch = 64;

/**
 * Reads of one turn of the event loop are merged into one query, with at most two queries in flight: under load that
 * halves the cost of a read, and an idle server answers at once.
 */
export function createPersonStore(database: Database): PersonStore {
  const waiting: Asked[] = [];
  let inFlight = 0;
  let isScheduled = false;

  function schedule() {
    if (isScheduled || inFlight >= maxInFlight || waiting.length === 0) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      void run(waiting.splice(0, maxBatch));
      schedule();
    });
  }

  async function run(batch: readonly Asked[]) {
    if (batch.length === 0) return;
    inFlight++;
    try {
      const people = await readBatch(database, batch);
      for (const [i, asked] of batch.entries()) {
        const person = people[i];
        if (person) asked.resolve(person);
        else asked.reject(new Error('the read returned fewer people than were asked for'));
      }
    } catch (error) {
      for (const asked of batch) asked.reject(error);
    } finally {
      inFlight--;
      schedule();
    }
  }

  return {
    read(userId, eventId, nowMs) {
      return new Promise((resolve, reject) => {
        waiting.push({ userId, eventId, nowMs, resolve, reject });
        schedule();
      });
    },
  };
}

interface Row {
  readonly daily: string | null;
  readonly hourly: string | null;
  readonly event: string | null;
  readonly snapshot: string;
}

async function readBatch(database: Database, batch: readonly Asked[]): Promise<readonly Person[]> {
  const { rows } = await database.query<Row>({
    name: 'read-people',
    text: readPeople,
    values: [
      batch.map(({ userId }) => userId),
      batch.map(({ eventId }) => eventId),
      Math.min(...batch.map(({ nowMs }) => firstDayRead(nowMs))),
    ],
  });
  return rows.map(({ daily, hourly, event, snapshot }) => ({
    buckets: {
      daily: unpack<DailyBucket>('user_daily', daily),
      hourly: unpack<HourlyBucket>('user_hourly', hourly),
    },
    snapshot,
    event: event === null ? undefined : Buffer.from(event, 'base64'),
  }));
}

const readPeople = `
  SELECT
    (${packedBuckets('user_daily')}) AS daily,
    (${packedBuckets('user_hourly')}) AS hourly,
    (SELECT encode(envelope, 'base64') FROM events WHERE event_id = asked.event_id) AS event,
    pg_current_snapshot()::text AS snapshot
  FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS asked(user_id, event_id, position)
  ORDER BY position`;

/** A person's buckets as one text, in the form that `unpack` reads. */
function packedBuckets(table: 'user_daily' | 'user_hourly'): string {
  const values = bucketColumns[table].map((name) => `coalesce(${toNumber(name, columnType(table, name))}::text, '')`);
  return `SELECT string_agg(${values.join(" || ',' || ")}, ';') FROM ${table} WHERE user_id = asked.user_id AND day >= date '1970-01-01' + $3::int4`;
}

function columnType(table: TableName, name: string): ColumnType | undefined {
  return columnsOf(table).find((column) => column.name === name)?.type;
}

function toNumber(name: string, type: ColumnType | undefined): string {
  if (type === 'day') return `(${name} - date '1970-01-01')`;
  if (type === 'timestamp') return `(extract(epoch FROM ${name}) * 1000)::int8`;
  return name;
}
