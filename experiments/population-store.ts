import { packedStatistics } from '../features/person-store.ts';
import type { Database } from '../platform/database.ts';
import type { Statistics } from './linear-model.ts';
import { nothingLearnt, statisticsColumns, statisticsVersion, unpackStatistics } from './statistics.ts';

/** Adds up everybody's sums, at one instant, and keeps them beside those before, unless nothing has changed since. */
export async function measureLearnt(database: Pick<Database, 'query'>): Promise<void> {
  await database.query(
    `WITH totals AS (
      SELECT count(*) AS people, coalesce(sum(count), 0) AS count, coalesce(sum(reward), 0) AS reward,
        coalesce(sum(reward_squared), 0) AS reward_squared, ${sumOfEach('xy')} AS xy, ${sumOfEach('xx')} AS xx
      FROM policy_stats WHERE ${isPossible}
    )
    INSERT INTO policy_population (id, version, people, ${statisticsColumns})
    SELECT gen_random_uuid(), $1, people, ${statisticsColumns} FROM totals
    WHERE people > 0 AND NOT EXISTS (
      SELECT FROM (
        SELECT * FROM policy_population WHERE version = $1 ORDER BY measured_at DESC LIMIT 1
      ) AS newest WHERE (newest.count, newest.reward, newest.reward_squared, newest.xx, newest.xy)
        = (totals.count, totals.reward, totals.reward_squared, totals.xx, totals.xy)
    )`,
    [statisticsVersion],
  );
}

function sumOfEach(column: 'xx' | 'xy'): string {
  return `ARRAY(SELECT sum(value)::int8 FROM policy_stats, unnest(${column}) WITH ORDINALITY AS entry(value, i)
    WHERE ${isPossible} GROUP BY i ORDER BY i)`;
}

/** SQL: one person's sums that no rewards can lead to must not spoil everybody's. */
const isPossible = `version = $1 AND count >= 0 AND abs(reward) <= 1000 * count
  AND reward_squared BETWEEN 0 AND 1000000 * count
  AND cardinality(xy) = ${nothingLearnt.xy.length} AND cardinality(xx) = ${nothingLearnt.xx.length}`;

/** What everybody's rewards added up to, by the id that decisions name. */
export interface PopulationReader {
  /** Empty: nobody had learnt anything. Undefined: there is none of that id. Errors are those of the database. */
  read(id: string): Promise<Statistics | undefined>;
}

/** Rows never change: each is read once. Reads one or two at a time, those of now, in a server; all in a verification. */
const keptMax = 1000;

export function createPopulationReader(database: Pick<Database, 'query'>): PopulationReader {
  const known = new Map<string, Promise<Statistics | undefined>>();
  return {
    read(id) {
      if (id === '') return Promise.resolve(nothingLearnt);
      const reading = known.get(id) ?? readOne(database, id);
      if (known.size >= keptMax) known.clear();
      known.set(id, reading);
      reading.catch(() => known.delete(id)); // the next one asks again
      return reading;
    },
  };
}

async function readOne(database: Pick<Database, 'query'>, id: string): Promise<Statistics | undefined> {
  const { rows } = await database.query<{ packed: string }>(
    `SELECT ${packedStatistics} AS packed FROM policy_population WHERE id = $1::uuid`,
    [id],
  );
  return rows[0] && unpackStatistics(rows[0].packed);
}
