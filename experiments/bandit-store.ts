import { type Database, inTransaction } from '../platform/database.ts';
import type { BanditMeasurement } from './bandit.ts';
import type { Experiment } from './experiment.ts';
import { rewards } from './rewards.ts';

/** A bandit's newest measurement, and when it was taken. */
export interface TakenMeasurement extends BanditMeasurement {
  readonly people: ReadonlyMap<string, number>;
  readonly atMs: number;
}

/** How many requests drew each arm in one epoch. */
export interface DrawnRequests {
  readonly measurement: BanditMeasurement;
  readonly requests: ReadonlyMap<string, number>;
}

type Version = Pick<Experiment, 'key' | 'version'>;

/** The newest measurement of every bandit there ever was. */
export interface Measurements {
  /** The highest number there is. */
  readonly number: number;
  readonly of: (experiment: Version) => BanditMeasurement | undefined;
}

/** Errors are those of the database. */
export interface BanditReader {
  /** Undefined: there is none, or the newest has this number. */
  readNewest(knownNumber: number): Promise<Measurements | undefined>;
  /** Undefined: there is none. */
  readNewestOf(experiment: Version): Promise<TakenMeasurement | undefined>;
  /** The requests that each arm was drawn for, of every epoch there were any in, in their order. */
  readDrawn(experiment: Version): Promise<readonly DrawnRequests[]>;
}

/** Of the tips that one person had from an arm at most this many count, the first ones: nobody decides for everybody. */
const tipsOfPersonMax = 50;

/**
 * Measures the running bandits at one instant, and keeps what is new beside what was before. A bandit of which nothing has
 * changed keeps its measurement, and with it the probabilities of its arms.
 */
export async function measureBandits(database: Database): Promise<void> {
  await inTransaction(database, async (client) => {
    await client.query(waitForOthers);
    await client.query(measureArms, [rewards.version]);
  });
}

export function createBanditReader(database: Pick<Database, 'query'>): BanditReader {
  return {
    async readNewest(knownNumber) {
      const asked = { name: 'newest-measurements', text: newestMeasurements, values: [knownNumber] };
      const { rows } = await database.query<MeasuredArm>(asked);
      if (rows.length === 0) return undefined;
      const measured = new Map(
        [...Map.groupBy(rows, nameOf)].map(([name, arms]) => [name, toMeasurement(arms)] as const),
      );
      const number = Math.max(...rows.map((row) => row.number));
      return { number, of: ({ key, version }) => measured.get(nameOf({ experiment: key, version })) };
    },

    async readNewestOf({ key, version }) {
      const { rows } = await database.query<MeasuredArm & { people: number; atMs: number }>(
        `SELECT ${armColumns}, people::float8, (extract(epoch FROM measured_at) * 1000)::float8 AS "atMs"
        FROM bandit_measurements WHERE experiment = $1 AND version = $2 AND number = (
          SELECT max(number) FROM bandit_measurements WHERE experiment = $1 AND version = $2
        )`,
        [key, version],
      );
      const [first] = rows;
      if (!first) return undefined;
      return {
        ...toMeasurement(rows),
        people: new Map(rows.map(({ arm, people }) => [arm, people])),
        atMs: first.atMs,
      };
    },

    async readDrawn({ key, version }) {
      const { rows } = await database.query<DrawnArm>(drawnRequests, [key, version]);
      return [...Map.groupBy(rows, ({ number }) => number)].map(([number, arms]) => ({
        measurement: { number, arms: new Map(arms.map(({ arm, tips, reward }) => [arm, { pulls: tips, reward }])) },
        requests: new Map(arms.map(({ arm, requests }) => [arm, requests])),
      }));
    },
  };
}

interface MeasuredArm {
  readonly number: number;
  readonly experiment: string;
  readonly version: string;
  readonly arm: string;
  readonly tips: number;
  readonly reward: number;
}

type DrawnArm = Omit<MeasuredArm, 'experiment' | 'version'> & { readonly requests: number };

const armColumns = 'number, experiment, version, arm, tips::float8, reward_milli::float8 AS reward';

const nameOf = ({ experiment, version }: Pick<MeasuredArm, 'experiment' | 'version'>) =>
  JSON.stringify([experiment, version]);

/** Of the arms of one bandit and number. */
function toMeasurement(arms: readonly MeasuredArm[]): BanditMeasurement {
  return {
    number: arms[0]?.number ?? 0,
    arms: new Map(arms.map(({ arm, tips, reward }) => [arm, { pulls: tips, reward }])),
  };
}

/** So that numbers have no gaps and no two are the same. Whoever reads is not in the way. */
const waitForOthers = 'LOCK TABLE bandit_measurements IN SHARE ROW EXCLUSIVE MODE';

/** SQL: for every bandit the rows with its highest number. */
const newest = `
  SELECT * FROM bandit_measurements WHERE (experiment, version, number) IN (
    SELECT experiment, version, max(number) FROM bandit_measurements GROUP BY experiment, version
  )`;

/**
 * A tip belongs to the arm that was drawn when it was written, if that arm's prompt did write it: templates may have, in its
 * place. Which of the tips was shown later, and by what, does not matter. One that nothing came of yet is not counted.
 */
const measureArms = `
  WITH arms AS (
    SELECT each->>'key' AS experiment, each->>'version' AS version, arm->>'key' AS arm,
      arm->>'promptVersion' AS prompt_version
    FROM (SELECT definitions FROM experiment_sets ORDER BY id DESC LIMIT 1) AS newest,
      jsonb_array_elements(definitions->'experiments') AS each, jsonb_array_elements(each->'arms') AS arm
    WHERE each ? 'bandit' AND each->>'status' = 'running'
  ), tips AS (
    SELECT experiment, version, arm, user_id, tip.reward_milli, row_number() OVER (
      PARTITION BY user_id, arm, experiment, version ORDER BY written.generated_at, tip_id, tip.decision_id
    ) AS nth
    FROM generated_tips AS written
    CROSS JOIN unnest(experiments, experiment_versions, experiment_arms) AS drawn(experiment, version, arm)
    JOIN arms USING (experiment, version, arm, prompt_version)
    JOIN tip_outcomes AS tip USING (user_id, tip_id)
    WHERE experiments <> '{}' AND tip.reward_version = $1
  ), people AS (
    SELECT experiment, version, arm, user_id, count(*) AS tips, sum(reward_milli) AS reward_milli
    FROM tips WHERE nth <= ${tipsOfPersonMax} GROUP BY user_id, arm, experiment, version
  ), sums AS (
    SELECT experiment, version, arm, count(user_id) AS people, coalesce(sum(tips), 0) AS tips,
      coalesce(sum(reward_milli), 0) AS reward_milli
    FROM arms LEFT JOIN people USING (experiment, version, arm) GROUP BY experiment, version, arm
  ), changed AS (
    SELECT experiment, version FROM sums LEFT JOIN (${newest}) AS known USING (experiment, version, arm)
    WHERE (sums.people, sums.tips, sums.reward_milli)
      <> (coalesce(known.people, 0), coalesce(known.tips, 0), coalesce(known.reward_milli, 0))
  )
  INSERT INTO bandit_measurements (number, experiment, version, arm, people, tips, reward_milli)
  SELECT (SELECT coalesce(max(number), 0) + 1 FROM bandit_measurements), experiment, version, arm, people, tips, reward_milli
  FROM sums WHERE (experiment, version) IN (SELECT experiment, version FROM changed)`;

/** One look at an index where there is nothing new. */
const newestMeasurements = `
  SELECT ${armColumns} FROM (${newest}) AS newest
  WHERE (SELECT max(number) FROM bandit_measurements) <> $1::int`;

/** All tips of a generation were written for one request. */
const drawnRequests = `
  WITH drawn AS (
    SELECT measurement AS number, arm, count(DISTINCT event_id)::float8 AS requests
    FROM generated_tips
    CROSS JOIN unnest(experiments, experiment_versions, experiment_arms) AS drawn(experiment, version, arm)
    WHERE experiments <> '{}' AND measurement IS NOT NULL AND experiment = $1 AND version = $2
    GROUP BY measurement, arm
  )
  SELECT number, arm, coalesce(tips, 0)::float8 AS tips, coalesce(reward_milli, 0)::float8 AS reward,
    coalesce(requests, 0) AS requests
  FROM drawn FULL JOIN (
    SELECT number, arm, tips, reward_milli FROM bandit_measurements WHERE experiment = $1 AND version = $2
  ) AS measured USING (number, arm)
  WHERE number IN (SELECT number FROM drawn) ORDER BY number, arm`;
