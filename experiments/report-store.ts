import type { Database } from '../platform/database.ts';
import { DomainError, invalidArgument } from '../platform/errors.ts';
import { type ArmSums, type ExperimentReport, reportOn } from './analysis/report.ts';
import type { Experiment } from './experiment.ts';
import { createExperimentStore } from './experiment-store.ts';

export interface ReportRequest {
  readonly experiment: string;
  /** Undefined: the one that was put in force last. */
  readonly version?: string | undefined;
  /** Undefined: the first arm. */
  readonly control?: string | undefined;
}

/** Throws `not_found` for an experiment that there never was, `invalid_argument` for a control that is no arm of it. */
export async function readReport(
  database: Pick<Database, 'query'>,
  { experiment: key, version, control }: ReportRequest,
): Promise<ExperimentReport> {
  const experiment = await createExperimentStore(database).readDefinition(key, version);
  if (!experiment) throw unknown(key, version);
  const { arms } = experiment;
  const base = control === undefined ? arms[0] : arms.find((arm) => arm.key === control);
  if (!base) {
    const known = arms.map((arm) => arm.key).join(', ');
    throw invalidArgument([{ field: 'control', description: `is no arm; known: ${known}` }]);
  }
  const { arms: found, peopleInSeveralArms } = await readArms(database, experiment);
  return reportOn(experiment, base.key, found, peopleInSeveralArms);
}

/** What people did in each arm of an experiment; whoever is in several is left out. Arms without people are too. */
export async function readArms(
  client: Pick<Database, 'query'>,
  { key, version }: Pick<Experiment, 'key' | 'version'>,
): Promise<{ readonly arms: readonly ArmSums[]; readonly peopleInSeveralArms: number }> {
  const { rows } = await client.query<ArmRow & { several: number }>(sumsByArm, [key, version]);
  return { arms: rows.filter(({ people }) => people !== '0').map(toSums), peopleInSeveralArms: rows[0]?.several ?? 0 };
}

/** SQL: everybody in an experiment ($1) of a version ($2). A row without decisions awaits a rebuild: nobody is in it yet. */
export const peopleInArms = `
  SELECT arm, user_id, decisions::numeric AS d, rewards, reward_milli::numeric AS r, count(*) OVER (PARTITION BY user_id) = 1 AS alone
  FROM experiment_stats WHERE experiment = $1 AND version = $2 AND decisions > 0`;

/** SQL: the sums over `peopleInArms`. Squares are summed as decimals of any length. */
export const armSums = `${sumOf('1')} AS people, ${sumOf('d')} AS d, ${sumOf('rewards')} AS rewards, ${sumOf('r')} AS r,
    ${sumOf('r * r')} AS rr, ${sumOf('r * d')} AS rd, ${sumOf('d * d')} AS dd`;

const sumsByArm = `
  WITH people AS (${peopleInArms})
  SELECT arm, ${armSums}, (SELECT count(DISTINCT user_id) FROM people WHERE NOT alone)::float8 AS several
  FROM people GROUP BY arm ORDER BY arm`;

function sumOf(expression: string): string {
  return `coalesce(sum(${expression}) FILTER (WHERE alone), 0)::text`;
}

/** An arm and `armSums`, as they are read. */
export type ArmRow = Readonly<Record<keyof ArmSums, string>>;

export function toSums({ arm, people, d, rewards, r, rr, rd, dd }: ArmRow): ArmSums {
  return {
    ...{ arm, people: BigInt(people), d: BigInt(d), rewards: BigInt(rewards), r: BigInt(r) },
    ...{ rr: BigInt(rr), rd: BigInt(rd), dd: BigInt(dd) },
  };
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
