import { createHash } from 'node:crypto';
import { type Database, inTransaction } from '../platform/database.ts';
import type { ArrayParameter } from '../platform/postgres-arrays.ts';
import { columnArray, rowAsJson, rowOfJson, wireOf } from './columns.ts';
import { userHash, waitForErasures } from './erasure-store.ts';
import type { Difference, Row } from './table-fold.ts';
import { type Column, columnsOf, type TableName } from './tables.ts';

/** What a rebuild is about. */
export interface RebuildScope {
  /** In the order in which they are declared. */
  readonly tables: readonly TableName[];
  /** Undefined: everybody. */
  readonly userId: string | undefined;
}

/** A rebuild and how far it has come, over all its runs. */
export interface Rebuild {
  readonly id: string;
  readonly startedAt: Date;
  /** The last person who is done, in the order of the database. Empty: nobody yet, or a rebuild of one person. */
  readonly doneUpTo: string;
  readonly people: number;
  readonly events: number;
  readonly rowsChanged: number;
  readonly isFinished: boolean;
}

export type Client = Pick<Database, 'query'>;

/**
 * Continues the unfinished rebuild of a scope, or begins one. `restart`: from the first person, whatever was done. The
 * columns of the tables are part of the scope: after a migration, what was begun before it is not continued.
 */
export async function beginRebuild(
  database: Database,
  scope: RebuildScope,
  { restart }: { readonly restart: boolean },
): Promise<Rebuild> {
  return inTransaction(database, async (client) => {
    await client.query('LOCK TABLE rebuilds IN SHARE ROW EXCLUSIVE MODE'); // of two that begin at once, one continues
    return first((await client.query<Rebuild>(begin(restart), [scopeText(scope.tables), scope.userId])).rows);
  });
}

const begin = (restart: boolean): string => `
    WITH described AS (
      SELECT $1 || CASE WHEN $2::text IS NULL THEN '' ELSE ' of ' || encode(${userHash('$2::text')}, 'hex') END AS scope
      FROM erasure_salt
    ), continued AS (
      ${restart ? beginAnew : unfinished}
    ), begun AS (
      INSERT INTO rebuilds (id, scope) SELECT gen_random_uuid(), scope FROM described
      WHERE NOT EXISTS (SELECT FROM continued)
      RETURNING *
    )
    SELECT ${rebuildColumns} FROM (SELECT * FROM continued UNION ALL SELECT * FROM begun) AS either
    ORDER BY started_at DESC LIMIT 1`;

const unfinished = 'SELECT rebuilds.* FROM rebuilds JOIN described USING (scope) WHERE finished_at IS NULL';

const beginAnew = `
  UPDATE rebuilds SET done_up_to = DEFAULT, people = 0, events = 0, rows_changed = 0, started_at = now()
  FROM described WHERE rebuilds.scope = described.scope AND finished_at IS NULL RETURNING rebuilds.*`;

/** The names, and a digest of what their columns are. */
function scopeText(tables: readonly TableName[]): string {
  const columns = JSON.stringify(tables.map(columnsOf));
  return `${tables.join(', ')} (${createHash('sha256').update(columns).digest('hex').slice(0, 8)})`;
}

const rebuildColumns = `id, started_at AS "startedAt", done_up_to AS "doneUpTo", people::float8, events::float8,
  rows_changed::float8 AS "rowsChanged", finished_at IS NOT NULL AS "isFinished"`;

/** The rebuild as its last chunk left it. Another run of the same rebuild waits for the end of the transaction. */
export async function lockRebuild(client: Client, id: string): Promise<Rebuild> {
  const { rows } = await client.query<Rebuild>(`SELECT ${rebuildColumns} FROM rebuilds WHERE id = $1 FOR UPDATE`, [id]);
  return first(rows);
}

/** Adds a chunk. Undefined `doneUpTo`: it was the last one; nobody's id is kept then. */
export async function advanceRebuild(
  client: Client,
  id: string,
  chunk: Pick<Rebuild, 'people' | 'events' | 'rowsChanged'> & { readonly doneUpTo: string | undefined },
): Promise<void> {
  await client.query(
    `UPDATE rebuilds SET done_up_to = coalesce($2, ''), people = people + $3, events = events + $4,
      rows_changed = rows_changed + $5, finished_at = CASE WHEN $2::text IS NULL THEN now() END
    WHERE id = $1`,
    [id, chunk.doneUpTo, chunk.people, chunk.events, chunk.rowsChanged],
  );
}

export interface SnapshotOptions {
  /** Nothing can be written. */
  readonly isReadOnly: boolean;
  /** Writers of these tables wait until the transaction ends; readers do not. */
  readonly lock?: readonly TableName[];
}

/**
 * Does work in one transaction in which all reads see the same instant. It writes only over what it has seen: if others
 * have changed a row since, the work is undone and `isConflict` says so of the error. While it lasts nobody is erased
 * and no month of events is dropped; what was before it, it sees.
 */
export async function inSnapshot<Result>(
  database: Database,
  { isReadOnly, lock = [] }: SnapshotOptions,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = await database.connect();
  const ignore = () => {}; // a connection that breaks fails the statement too
  client.on('error', ignore);
  try {
    // Locks come before the snapshot, which the first statement that reads takes.
    await client.query(
      [
        `BEGIN ISOLATION LEVEL REPEATABLE READ ${isReadOnly ? 'READ ONLY' : 'READ WRITE'}`,
        ...(isReadOnly ? [] : [waitForErasures]),
        'LOCK TABLE events IN ACCESS SHARE MODE',
        ...(lock.length === 0 ? [] : [`LOCK TABLE ${lock.join(', ')} IN SHARE ROW EXCLUSIVE MODE`]),
      ].join('; '),
    );
    const result = await work(client);
    await client.query('COMMIT');
    client.off('error', ignore);
    client.release();
    return result;
  } catch (error) {
    client.release(true); // whatever state it is in: a closed connection is rolled back
    throw error;
  }
}

/** Whether a transaction failed only because others wrote at the same time. */
export function isConflict(error: unknown): boolean {
  // Serialisation, deadlock, a row that has just come.
  return error instanceof Error && 'code' in error && ['40001', '40P01', '23505'].includes(String(error.code));
}

/** The next people after one, in the database's order: all who have events or rows in one of the tables. */
export async function nextPeople(
  client: Client,
  tables: readonly TableName[],
  after: string,
  limit: number,
): Promise<readonly string[]> {
  const sources = ['events', ...tables];
  const each = sources.map((table) => `(SELECT user_id FROM ${table}_people WHERE user_id IS NOT NULL LIMIT $2)`);
  const { rows } = await client.query<{ user_id: string }>(
    `WITH RECURSIVE ${sources.map(distinctPeople).join(', ')}
    SELECT user_id FROM (${each.join(' UNION ')}) AS people ORDER BY user_id LIMIT $2`,
    [after, limit],
  );
  return rows.map(({ user_id }) => user_id);
}

/** One look into the index for each person, however many rows each has. Goes no further than is asked for. */
const distinctPeople = (table: string): string => `
  ${table}_people(user_id) AS (
    (SELECT user_id FROM ${table} WHERE user_id > $1 ORDER BY user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT user_id FROM ${table} AS t WHERE t.user_id > p.user_id ORDER BY user_id LIMIT 1)
    FROM ${table}_people AS p WHERE p.user_id IS NOT NULL
  )`;

/** How many events there are, roughly: as of the last time that Postgres looked. */
export async function estimateEvents(database: Client): Promise<number> {
  const { rows } = await database.query<{ known: boolean; events: number }>(`
    SELECT coalesce(bool_and(reltuples >= 0), false) AS known, coalesce(sum(reltuples), 0)::float8 AS events
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'events'::regclass`);
  if (rows[0]?.known) return rows[0].events;
  const counted = await database.query<{ events: number }>('SELECT count(*)::float8 AS events FROM events');
  return counted.rows[0]?.events ?? 0;
}

/** All rows of some people. */
export async function readRows(client: Client, table: TableName, userIds: readonly string[]): Promise<readonly Row[]> {
  const { rows } = await client.query<{ row: readonly unknown[] }>(
    `SELECT ${rowAsJson(table)} AS row FROM ${table} WHERE user_id = ANY ($1::text[])`,
    [userIds],
  );
  return rows.map(({ row }) => rowOfJson(table, row));
}

/** Makes the rows what they must be, in the order of their keys, as all do who write them. */
export async function writeDifference(
  client: Client,
  { table, missing, differing, surplus }: Difference,
): Promise<void> {
  const columns = columnsOf(table);
  const keys = columns.filter(({ role }) => role === 'key');
  if (surplus.length > 0) {
    const isRow = keys.map((key) => `t.${key.name} = ${wireOf(key).read(`d.${key.name}`)}`).join(' AND ');
    await client.query(`DELETE FROM ${table} AS t USING ${unnested(keys)} WHERE ${isRow}`, arrays(keys, surplus));
  }
  const rows = [...missing, ...differing];
  if (rows.length > 0) await client.query(putRows(table, columns, keys), arrays(columns, rows));
}

function putRows(table: TableName, columns: readonly Column[], keys: readonly Column[]): string {
  const values = columns.map((column) => wireOf(column).read(`d.${column.name}`));
  const changes = columns.filter(({ role }) => role !== 'key').map(({ name }) => `${name} = excluded.${name}`);
  return `
    INSERT INTO ${table} (${namesOf(columns)}) SELECT ${values.join(', ')} FROM ${unnested(columns)} ORDER BY ${namesOf(keys)}
    ON CONFLICT (${namesOf(keys)}) DO UPDATE SET ${changes.join(', ')}`;
}

/** SQL: a table `d` of one parameter for each column. */
const unnested = (columns: readonly Column[]): string =>
  `unnest(${columns.map((column, i) => `$${i + 1}::${wireOf(column).type}[]`).join(', ')}) AS d(${namesOf(columns)})`;

const arrays = (columns: readonly Column[], rows: readonly Row[]): ArrayParameter[] =>
  columns.map((column) => columnArray(rows, column));

const namesOf = (columns: readonly Column[]): string => columns.map(({ name }) => name).join(', ');

function first(rows: readonly Rebuild[]): Rebuild {
  const [rebuild] = rows;
  if (!rebuild) throw new Error('the rebuild is not there: its row, or that of erasure_salt, was deleted');
  return rebuild;
}
