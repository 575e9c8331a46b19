import type { Database } from '../platform/database.ts';
import { mergeCalls } from '../platform/merge-calls.ts';
import { type Buckets, type BucketTable, bucketColumns, bucketTables, unpack } from './buckets.ts';
import { rowAsJson, rowOfJson, wireOf } from './columns.ts';
import { firstDayRead, type ProfileBuckets } from './definitions.ts';
import { isErased } from './erasure-store.ts';

/** What is stored about a person at one instant of the database. */
export interface Person {
  readonly buckets: ProfileBuckets;
  /** `pg_current_snapshot()` of the read: it says exactly which events `buckets` had seen. */
  readonly snapshot: string;
  /** The decision asked for beside the person, if it is stored. */
  readonly decision: { readonly envelope: Uint8Array | undefined } | undefined;
  /** Nothing about them may be stored any more. */
  readonly isErased: boolean;
  /** What their rewards add up to, packed as `packedStatistics` does. Null: there were none. */
  readonly statistics: string | null;
  /** The newest row of policy_population. Empty: there is none. */
  readonly populationId: string;
}

export interface PersonStore {
  /**
   * Reads what profile features need of a person at `nowMs`, and one decision by its id if that is given, whoever it is
   * about. A decision whose month was dropped has no envelope.
   */
  read(userId: string, decisionId: string | undefined, nowMs: number): Promise<Person>;
}

export interface PersonStoreOptions {
  /** Which sums of rewards are read. */
  readonly statisticsVersion: string;
}

interface Asked {
  readonly userId: string;
  readonly decisionId: string | undefined;
  readonly nowMs: number;
}

/**
 * Reads of one turn of the event loop are merged into one query, with at most two queries in flight: under load that
 * halves the cost of a read, and an idle server answers at once.
 */
export function createPersonStore(database: Database, { statisticsVersion }: PersonStoreOptions): PersonStore {
  const read = mergeCalls({
    maxBatch: 64,
    maxInFlight: 2,
    work: (batch: readonly Asked[]) => readBatch(database, statisticsVersion, batch),
  });
  return { read: (userId, decisionId, nowMs) => read({ userId, decisionId, nowMs }) };
}

interface Row {
  readonly daily: string | null;
  readonly hourly: string | null;
  readonly decided: boolean;
  readonly envelope: string | null;
  readonly snapshot: string;
  readonly erased: boolean;
  readonly statistics: string | null;
  readonly population_id: string | null;
}

async function readBatch(database: Database, version: string, batch: readonly Asked[]): Promise<readonly Person[]> {
  const { rows } = await database.query<Row>({
    name: 'read-people',
    text: readPeople,
    values: [
      batch.map(({ userId }) => userId),
      batch.map(({ decisionId }) => decisionId),
      Math.min(...batch.map(({ nowMs }) => firstDayRead(nowMs))),
      version,
    ],
  });
  return rows.map(({ daily, hourly, decided, envelope, snapshot, erased, statistics, population_id }) => ({
    buckets: { user_daily: unpack('user_daily', daily), user_hourly: unpack('user_hourly', hourly) },
    snapshot,
    decision: decided ? { envelope: envelope === null ? undefined : Buffer.from(envelope, 'base64') } : undefined,
    isErased: erased,
    statistics,
    populationId: population_id ?? '',
  }));
}

/** SQL: sums of rewards as one text. */
export const packedStatistics =
  "concat_ws(';', count, reward, reward_squared, array_to_string(xy, ','), array_to_string(xx, ','))";

const readPeople = `
  SELECT
    (${packedBuckets('user_daily')}) AS daily,
    (${packedBuckets('user_hourly')}) AS hourly,
    decided.decision_id IS NOT NULL AS decided,
    (SELECT encode(envelope, 'base64') FROM events
      WHERE events.user_id = decided.user_id AND events.event_id = decided.decision_id) AS envelope,
    pg_current_snapshot()::text AS snapshot,
    ${isErased('asked.user_id')} AS erased,
    (SELECT ${packedStatistics} FROM policy_stats
      WHERE policy_stats.user_id = asked.user_id AND policy_stats.version = $4) AS statistics,
    (SELECT id FROM policy_population WHERE version = $4 ORDER BY measured_at DESC LIMIT 1) AS population_id
  FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS asked(user_id, decision_id, position)
  LEFT JOIN tip_scores AS decided ON decided.decision_id = asked.decision_id
  ORDER BY position`;

/** A person's buckets as one text, in the form that `unpack` reads. All columns are gathered in one scan, in one order. */
function packedBuckets(table: 'user_daily' | 'user_hourly'): string {
  const columns = bucketColumns(table).map(
    (column) => `string_agg(coalesce(${wireOf(column).write(column.name)}::text, ''), ',')`,
  );
  return `SELECT concat_ws(';', ${columns.join(', ')}) FROM ${table} WHERE user_id = asked.user_id AND day >= date '1970-01-01' + $3::int4`;
}

/** All buckets of one person, however old. */
export async function readBuckets(database: Pick<Database, 'query'>, userId: string): Promise<Buckets> {
  const selects = bucketTables.map(
    (table) => `(SELECT json_agg(${rowAsJson(table)}) FROM ${table} WHERE user_id = $1) AS ${table}`,
  );
  const { rows } = await database.query<Record<BucketTable, readonly (readonly unknown[])[] | null>>({
    name: 'read-buckets',
    text: `SELECT ${selects.join(', ')}`,
    values: [userId],
  });
  const bucketsOf = (table: BucketTable) =>
    (rows[0]?.[table] ?? []).map((values) => {
      const { user_id: _, ...bucket } = rowOfJson(table, values);
      return bucket;
    });
  return Object.fromEntries(bucketTables.map((table) => [table, bucketsOf(table)])) as unknown as Buckets;
}
