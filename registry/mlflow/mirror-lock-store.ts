import type { Database } from '../../platform/database.ts';

/** The same for every process on one database. */
const lockName = 'oo mlflow mirror';

/**
 * Does `work` unless somebody else on this database is at it, and then nothing: undefined. It is theirs until they are done,
 * or their connection is gone; `stillOurs` throws if that happened to ours.
 */
export async function asOnlyMirror<Result>(
  database: Database,
  work: (stillOurs: () => Promise<void>) => Promise<Result>,
): Promise<Result | undefined> {
  const client = await database.connect();
  try {
    const { rows } = await client.query<{ ours: boolean }>('SELECT pg_try_advisory_lock(hashtext($1)) AS ours', [
      lockName,
    ]);
    if (!rows[0]?.ours) return undefined;
    return await work(async () => {
      await client.query('SELECT');
    });
  } finally {
    client.release(true); // a closed connection holds no lock
  }
}
