import type { Population } from '../features/population.ts';
import { readPopulation } from '../features/population-store.ts';
import { isVisible, type Snapshot } from '../features/snapshot.ts';
import type { Database } from '../platform/database.ts';

/** The measurement of the population that a read had seen last. Undefined: none. */
export type PopulationAt = (snapshot: Snapshot, text: string) => Promise<Population | undefined>;

/** Knows the measurements there are; each is read once, when it is first needed. */
export async function createPopulationAt(database: Database): Promise<PopulationAt> {
  const { rows } = await database.query<{ transactionId: string }>(
    `SELECT transaction_id::text AS "transactionId" FROM population WHERE dimension = 'all' ORDER BY measured_at DESC`,
  );
  const measurements = rows.map(({ transactionId }) => BigInt(transactionId));
  const known = new Map<bigint, Promise<Population | undefined>>();
  return async (snapshot, text) => {
    const seen = measurements.find((transactionId) => isVisible(snapshot, transactionId));
    if (seen === undefined) return undefined;
    const population = known.get(seen) ?? readPopulation(database, { visibleIn: text });
    known.set(seen, population);
    return population;
  };
}
