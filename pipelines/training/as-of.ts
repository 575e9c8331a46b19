import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../platform/database.ts';

/** An instant that no training set can be as of. */
export class RefusedInstant extends Error {}

/** A store takes its time first and the table a moment later; longer than that it would have to be held up between the two. */
const settlesAfterMs = 1_000;
const lookAgainMs = 50;
/** Longer than a lost connection keeps its locks. */
const writersEndWithinMs = 120_000;

/**
 * Waits until no event can come in any more that counts as stored before an instant. `received_at` is when the
 * transaction of an event began, so one that began before the instant may still go on: those that write to the table now
 * are waited for. Whatever begins later is stored later. Holds nobody up. Throws RefusedInstant if the instant lies in the
 * future, by the database's clock, or a writer does not end.
 */
export async function settle(database: Database, asOfMs: number): Promise<void> {
  const aheadMs = asOfMs - (await nowOf(database));
  if (aheadMs > 0) throw new RefusedInstant(`as of ${new Date(asOfMs).toISOString()}: that is yet to come`);
  await sleep(Math.max(0, aheadMs + settlesAfterMs));
  const deadline = performance.now() + writersEndWithinMs;
  let waiting = await writersOf(database);
  while (waiting.length > 0) {
    if (performance.now() > deadline) throw new RefusedInstant('a transaction that writes events does not end');
    await sleep(lookAgainMs);
    const still = new Set(await writersOf(database));
    waiting = waiting.filter((writer) => still.has(writer));
  }
}

async function nowOf(database: Database): Promise<number> {
  const { rows } = await database.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]?.now.getTime() ?? Number.NaN;
}

/** Whoever writes to a partitioned table holds this lock on the table itself, from before the first row to the end. */
async function writersOf(database: Database): Promise<readonly string[]> {
  const { rows } = await database.query<{ writer: string }>(
    `SELECT DISTINCT virtualtransaction AS writer FROM pg_locks
    WHERE relation = 'events'::regclass AND mode = 'RowExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return rows.map(({ writer }) => writer);
}
