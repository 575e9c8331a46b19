import type { Database } from '../platform/database.ts';
import { DomainError, invalidArgument } from '../platform/errors.ts';
import { type Period, periodBefore, type Run } from './analysis/period-before.ts';
import { type ArmSums, type BanditLog, type ExperimentReport, reportOn } from './analysis/report.ts';
import { createBanditReader } from './bandit-store.ts';
import { type Experiment, readExperiment } from './experiment.ts';
import { createExperimentStore } from './experiment-store.ts';
import { rewards } from './rewards.ts';

export interface ReportRequest {
  readonly experiment: string;
  /** Undefined: the one that was put in force last. */
  readonly version?: string | undefined;
  /** Undefined: the first arm. */
  readonly control?: string | undefined;
}

/** Finds the newest definition of an experiment, of any version unless one is given. */
export type FindExperiment = (key: string, version: string | undefined) => Promise<Experiment | undefined>;

/** Throws `not_found` for an experiment that there never was, `invalid_argument` for a control that is no arm of it. */
export async function readReport(
  database: Pick<Database, 'query'>,
  { experiment: key, version, control }: ReportRequest,
  find: FindExperiment = createExperimentStore(database).readDefinition,
): Promise<ExperimentReport> {
  const experiment = await find(key, version);
  if (!experiment) throw unknown(key, version);
  const { arms } = experiment;
  const base = control === undefined ? arms[0] : arms.find((arm) => arm.key === control);
  if (!base) {
    const known = arms.map((arm) => arm.key).join(', ');
    throw invalidArgument([{ field: 'control', description: `is no arm; known: ${known}` }]);
  }
  const before = periodBefore(experiment, await readRuns(database, experiment));
  const [found, log] = [await readArms(database, experiment, before), await readBandit(database, experiment)];
  return reportOn(experiment, base.key, before, found, log);
}

async function readBandit(database: Pick<Database, 'query'>, experiment: Experiment): Promise<BanditLog | undefined> {
  if (!experiment.bandit) return undefined;
  const { readNewestOf, readDrawn } = createBanditReader(database);
  return { newest: await readNewestOf(experiment), drawn: await readDrawn(experiment) };
}

/** What people did in each arm of an experiment; whoever is in several is left out. Arms without people are too. */
export async function readArms(
  client: Pick<Database, 'query'>,
  experiment: Pick<Experiment, 'key' | 'version'>,
  before: Period | undefined,
): Promise<{ readonly found: readonly ArmSums[]; readonly peopleInSeveralArms: number }> {
  const values = peopleInArmsValues(experiment, before);
  const { rows } = await client.query<ArmRow & { readonly several: number }>(sumsByArm, values);
  return { found: rows.filter(({ people }) => people !== '0').map(toSums), peopleInSeveralArms: rows[0]?.several ?? 0 };
}

/** Whatever ran with the seed of an experiment. Definitions of a form that this build does not read are left out. */
async function readRuns(database: Pick<Database, 'query'>, { seed }: Experiment): Promise<readonly Run[]> {
  const { rows } = await database.query<{ each: unknown; fromMs: number; untilMs: number | null }>(
    `SELECT each, (extract(epoch FROM from_at) * 1000)::float8 AS "fromMs",
      (extract(epoch FROM until_at) * 1000)::float8 AS "untilMs"
    FROM (
      SELECT definitions, created_at AS from_at, lead(created_at) OVER (ORDER BY id) AS until_at FROM experiment_sets
    ) AS sets, jsonb_array_elements(definitions->'experiments') AS each
    WHERE each->>'status' = 'running' AND coalesce(each->>'seed', each->>'key') = $1`,
    [seed],
  );
  return rows.flatMap(({ each, fromMs, untilMs }) => {
    const definition = readExperiment(each);
    return definition ? { definition, fromMs, untilMs: untilMs ?? undefined } : [];
  });
}

type SumName = Exclude<keyof ArmSums, 'arm'>;

/** An arm and `armSums`, as they are read. */
export type ArmRow = Readonly<Record<keyof ArmSums, string>>;

/** What is summed over people. */
const terms: Readonly<Record<SumName, string>> = {
  ...{ people: '1', d: 'd', rewards: 'rewards', r: 'r', rr: 'r * r', rd: 'r * d', dd: 'd * d' },
  ...{ p: 'p', m: 'm', rp: 'r * p', rm: 'r * m', dp: 'd * p', dm: 'd * m', pp: 'p * p', pm: 'p * m', mm: 'm * m' },
};

/**
 * SQL: tables `people` and `known`, everybody in an experiment and what they did before. A row without decisions awaits a
 * rebuild: nobody is in it yet.
 *
 * A decision belongs to the period before by its own instant, whenever its reward came: no arm had a part in it. Without
 * those rewards, the last days before would look worse than they were.
 */
export const peopleInArms = `
  people AS (
    SELECT arm, user_id, decisions::numeric AS d, rewards, reward_milli::numeric AS r, count(*) OVER (PARTITION BY user_id) = 1 AS alone
    FROM experiment_stats WHERE experiment = $1 AND version = $2 AND decisions > 0
  ), before AS (
    SELECT user_id, count(*)::numeric AS m, coalesce(sum(tip.reward_milli) FILTER (WHERE tip.reward_version = $3), 0)::numeric AS p
    FROM tip_scores AS scored
    LEFT JOIN tip_outcomes AS tip USING (user_id, tip_id, decision_id)
    WHERE scored.decided_at >= $4 AND scored.decided_at < $5 AND user_id IN (SELECT user_id FROM people)
    GROUP BY user_id
  ), known AS (
    SELECT arm, user_id, d, rewards, r, alone, coalesce(m, 0) AS m, coalesce(p, 0) AS p
    FROM people LEFT JOIN before USING (user_id)
  )`;

/** The parameters $1 to $5 of `peopleInArms`. */
export function peopleInArmsValues(
  { key, version }: Pick<Experiment, 'key' | 'version'>,
  before: Period | undefined,
): unknown[] {
  return [key, version, rewards.version, before && new Date(before.fromMs), before && new Date(before.toMs)];
}

/** SQL: the sums over `known`. Squares are summed as decimals of any length. */
export const armSums = Object.entries(terms)
  .map(([name, term]) => `coalesce(sum(${term}) FILTER (WHERE alone), 0)::text AS ${name}`)
  .join(', ');

const sumsByArm = `
  WITH ${peopleInArms}
  SELECT arm, ${armSums}, (SELECT count(DISTINCT user_id) FROM people WHERE NOT alone)::float8 AS several
  FROM known GROUP BY arm ORDER BY arm`;

export function toSums({ arm, ...sums }: ArmRow): ArmSums {
  const names = Object.keys(terms) as SumName[];
  return { arm, ...(Object.fromEntries(names.map((name) => [name, BigInt(sums[name])])) as Record<SumName, bigint>) };
}

function unknown(key: string, version: string | undefined): DomainError {
  const field = version === undefined ? 'experiment' : 'version';
  const description = version === undefined ? `there is no experiment ${key}` : `${key} has no version ${version}`;
  return new DomainError({
    code: 'not_found',
    reason: 'EXPERIMENT_NOT_FOUND',
    message: description,
    violations: [{ field, description }],
  });
}
