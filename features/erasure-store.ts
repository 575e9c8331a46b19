import { type Database, inTransaction } from '../platform/database.ts';
import { columnsOf, type TableName, tableNames } from './tables.ts';

/** What an erasure removed. */
export interface Erased {
  /** Hexadecimal. Says nothing about the person to whoever has no access to the salt. */
  readonly userHash: string;
  /** Rows, over all tables. */
  readonly rowsRemoved: number;
}

export interface ErasureStore {
  /** Those of these people who were erased. Errors are those of the database. */
  findErased(userIds: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * Removes a person from every table and has their events refused from now on, all or nothing. Doing it again removes
   * what is there again, and keeps the first time and reason.
   *
   * `removeLetters` is told where the person's dead letters stand in their stream, before the commit: if it fails nothing
   * is erased, so that the next try finds them too. It is told twice: of all there are before anybody waits, since it may
   * take its time, and of those that have come meanwhile while no event is stored. Errors are its own and those of the
   * database.
   */
  erase(
    userId: string,
    reason: string,
    removeLetters: (sequences: readonly number[]) => Promise<void>,
  ): Promise<Erased>;
}

const hasPerson = (table: TableName): boolean => columnsOf(table).some(({ name }) => name === 'user_id');

/** Every table with rows about people, each in a column `user_id`. */
export const personalTables: readonly string[] = [
  'dead_letters',
  'events',
  'policy_stats',
  'shadow_daily',
  'shadow_scores',
  ...tableNames.filter(hasPerson),
];

/** SQL: the hash under which a person stands in `erasures`. */
export const userHash = (userId: string): string =>
  `sha256((SELECT salt FROM erasure_salt) || convert_to(${userId}, 'UTF8'))`;

/** SQL: whether a person was erased. For reading: it does not wait for an erasure that is under way. */
export const isErased = (userId: string): string =>
  `EXISTS (SELECT FROM erasures WHERE user_hash = ${userHash(userId)})`;

/**
 * SQL: those of an array of people who were erased, for a statement that writes about people. Its lock makes the
 * statement end before an erasure begins, or see it.
 */
export const erasedAmong = (userIds: string): string => `
  SELECT asked.user_id FROM unnest(${userIds}) AS asked(user_id)
  JOIN erasures ON erasures.user_hash = ${userHash('asked.user_id')} FOR KEY SHARE OF erasures`;

/** The same for a transaction of several statements: the first one of it, whatever its isolation. */
export const waitForErasures = 'LOCK TABLE erasures IN ROW SHARE MODE';

/** Whoever waits longer for others to end lets them go on, and asks again later. */
const lockWaitMs = 3_000;

export function createErasureStore(database: Database): ErasureStore {
  return {
    async findErased(userIds) {
      const { rows } = await database.query<{ user_id: string }>(erasedAmong('$1::text[]'), [userIds]);
      return new Set(rows.map(({ user_id }) => user_id));
    },

    async erase(userId, reason, removeLetters) {
      const removed = await readPlaces(database, userId, '');
      await removeLetters(removed);
      return inTransaction(database, async (client) => {
        await client.query(`SET LOCAL lock_timeout = ${lockWaitMs}`);
        await client.query(waitForWriters);
        const isRemoved = new Set(removed);
        const places = await readPlaces(client, userId, 'FOR UPDATE');
        await removeLetters(places.filter((sequence) => !isRemoved.has(sequence)));
        let rowsRemoved = 0;
        for (const table of personalTables) {
          rowsRemoved += (await client.query(`DELETE FROM ${table} WHERE user_id = $1`, [userId])).rowCount ?? 0;
        }
        await client.query(moveCursors, [userId]);
        await client.query(unforce, [userId]);
        const { rows } = await client.query<{ user_hash: string }>(record, [userId, reason, rowsRemoved]);
        return { userHash: rows[0]?.user_hash ?? '', rowsRemoved };
      });
    },
  };
}

/**
 * Writers of personal rows also write, or lock rows of, `erasures`, so this waits for those under way and holds up the
 * others until the commit. A statement locks its tables before it takes its snapshot: whoever was held up sees the
 * erasure. Readers do not wait.
 */
const waitForWriters = 'LOCK TABLE erasures IN EXCLUSIVE MODE';

/** Where a person's letters stand in their stream. Locks them, if at all, in the order in which a replay marks them. */
async function readPlaces(
  client: Pick<Database, 'query'>,
  userId: string,
  lock: '' | 'FOR UPDATE',
): Promise<readonly number[]> {
  const { rows } = await client.query<{ sequence: string }>(
    `SELECT unnest(sequences) AS sequence FROM (
      SELECT sequences FROM dead_letters WHERE user_id = $1 ORDER BY id ${lock}
    ) AS letters`,
    [userId],
  );
  return rows.map(({ sequence }) => Number(sequence));
}

/** A rebuild that has just done this person stands at the one before: what it does next stays the same. */
const moveCursors = `
  UPDATE rebuilds SET done_up_to = CASE WHEN finished_at IS NULL
    THEN coalesce((SELECT max(user_id) FROM events WHERE user_id < $1), '') ELSE '' END
  WHERE done_up_to = $1`;

/** Whoever was forced into an arm by hand stands in the definitions. */
const unforce = `
  UPDATE experiment_sets SET definitions = jsonb_set(definitions, '{experiments}', (
    SELECT jsonb_agg(CASE WHEN each ? 'forced' THEN each #- ARRAY['forced', $1] ELSE each END ORDER BY i)
    FROM jsonb_array_elements(definitions->'experiments') WITH ORDINALITY AS e(each, i)
  ))
  WHERE EXISTS (SELECT FROM jsonb_array_elements(definitions->'experiments') AS e(each) WHERE each->'forced' ? $1)`;

const record = `
  INSERT INTO erasures (user_hash, reason, rows_removed) VALUES (${userHash('$1')}, $2, $3)
  ON CONFLICT (user_hash) DO UPDATE SET rows_removed = erasures.rows_removed + excluded.rows_removed
  RETURNING encode(user_hash, 'hex') AS user_hash`;
