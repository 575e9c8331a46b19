import type { Population } from '../features/population.ts';
import { readPopulation } from '../features/population-store.ts';
import { isVisible, type Snapshot } from '../features/snapshot.ts';
import type { Database } from '../platform/database.ts';

/** The measurement of the population that a read had seen last. Undefined: none. */
export type PopulationAt = (snapshot: Snapshot, text: string) => Promise<Population | undefined>;

/**
 * Knows the measurements there are; each is read once, when it is first needed. A read that may have seen one which came
 * after them is answered by the database.
 */
export async function createPopulationAt(database: Database): Promise<PopulationAt> {
  const { rows } = await database.query<{ knownBefore: string; transactionIds: readonly string[] }>(
    `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "knownBefore", array(
      SELECT transaction_id::text FROM population WHERE dimension = 'all' ORDER BY measured_at DESC
    ) AS "transactionIds"`,
  );
  const knownBefore = BigInt(rows[0]?.knownBefore ?? 0);
  const measurements = (rows[0]?.transactionIds ?? []).map(BigInt);
  const known = new Map<bigint, Promise<Population | undefined>>();
  return async (snapshot, text) => {
    if (snapshot.xmax > knownBefore) return readPopulation(database, { visibleIn: text });
    const seen = measurements.find((transactionId) => isVisible(snapshot, transactionId));
    if (seen === undefined) return undefined;
    const population = known.get(seen) ?? readPopulation(database, { visibleIn: text });
    known.set(seen, population);
    return population;
  };
}
