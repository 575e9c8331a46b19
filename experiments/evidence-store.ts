import { timestampOf } from '../features/columns.ts';
import { utcDay } from '../platform/clock.ts';
import { atOneInstant, type Database } from '../platform/database.ts';
import { canaryArm } from './canary.ts';
import { evaluateShadow } from './evaluate-shadow.ts';
import {
  activityFrom,
  type CanarySums,
  comparedInCanary,
  comparedInShadow,
  type Explanation,
  firstGroups,
  type Groups,
  partsOf,
  type Segment,
  shadowOf,
  shadowServing,
} from './evidence.ts';
import type { Experiment } from './experiment.ts';
import { type Evidence, gateLimits } from './gate.ts';
import type { Policy } from './policies/policy.ts';
import { type ArmRow, armSums, peopleInArms, peopleInArmsValues, readArms, toSums } from './report-store.ts';
import { type PolicyKey, readRewarded, readShadow } from './shadow-rewards-store.ts';

type PolicyVersion = Pick<Policy, 'name' | 'version'>;

/** Whom evidence is asked of. */
export interface EvidenceRequest {
  /** What the rollout calls it, and the number of the step that it has come to. */
  readonly subject: string;
  readonly step: number;
  readonly policy: PolicyVersion;
  /** What it is compared with. */
  readonly active: PolicyVersion;
  /** When it came into the shadow, or first served people: what people did before is what they are grouped by. */
  readonly sinceMs: number;
  /** Why the policy is meant to differ from the active one, and who says so. */
  readonly expectedDivergence?: Explanation | undefined;
  /** Undefined: it serves nobody yet. */
  readonly canary?:
    | {
        /** As it is served: of two arms, `active`, which decides as without it, and `canary`. */
        readonly experiment: Experiment;
      }
    | undefined;
}

/**
 * All that is known of a policy by now, as of one instant, for the gate. In the shadow, from those decisions alone that the
 * active policy made in its present version; in the canary, from the people of its experiment. Reads pages of a thousand
 * rows; memory holds sums for each person. Writes nothing. Errors are those of the database.
 */
export function collectEvidence(database: Database, request: EvidenceRequest): Promise<Evidence> {
  const { subject, step, policy, active, sinceMs, expectedDivergence, canary } = request;
  return atOneInstant(database, async (client): Promise<Evidence> => {
    const period = await readShadow(client, keyOf(policy));
    const known = { subject, step, shadow: shadowOf(period, expectedDivergence) };
    if (canary) {
      const { experiment } = canary;
      const sums = {
        ...(await readArms(client, experiment, undefined)),
        groups: await readGroupSums(client, experiment, sinceMs),
      };
      const serving = await readServing(client, experiment, policy, sinceMs);
      return { ...known, ...comparedInCanary(experiment, sums), serving };
    }
    const groups = await readGroups(client, keyOf(policy), sinceMs);
    const evaluation = await evaluateShadow(() => readRewarded(client, keyOf(policy), keyOf(active)), {
      partsOf: (userId) => groups.get(userId) ?? nothingDone,
      replicates: 0, // the gate asks for another interval than that of the bootstrap, which takes long
    });
    return { ...known, ...comparedInShadow(evaluation), serving: shadowServing(period) };
  });
}

type Client = Pick<Database, 'query'>;

const keyOf = ({ name, version }: PolicyVersion): PolicyKey => ({ policy: name, version });

const nothingDone = partsOf(firstGroups);

const activityDays = 30;

/**
 * SQL: the groups of all people of a query, by what they did before an instant in milliseconds: in the UTC days before the
 * one it falls into, as that one was not over. Both are expressions.
 */
const groupsOf = (people: string, sinceMs: string, sinceDay: string): string => `
  SELECT user_id,
    CASE WHEN served >= ${activityFrom.regular} THEN 'regular' WHEN served >= ${activityFrom.light} THEN 'light' ELSE 'new' END AS activity,
    CASE WHEN connected > 1 THEN 'several' WHEN connected = 1 THEN 'one' ELSE 'none' END AS integrations
  FROM (${people}) AS people
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(daily.served), 0) AS served FROM user_daily AS daily
    WHERE daily.user_id = people.user_id AND daily.day < ${dateOf(sinceDay)} AND daily.day >= ${dateOf(sinceDay)} - ${activityDays}
  ) AS activity
  CROSS JOIN LATERAL (
    SELECT count(*) AS connected FROM user_integrations AS integration
    WHERE integration.user_id = people.user_id AND status = 'connected' AND changed_at < ${timestampOf(sinceMs)}
  ) AS integrations`;

function dateOf(day: string): string {
  return `(date '1970-01-01' + ${day})`;
}

const pageSize = 1_000;

/** The parts that everybody who has been in a shadow is in. */
async function readGroups(
  client: Client,
  { policy, version }: PolicyKey,
  sinceMs: number,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const groups = new Map<string, readonly string[]>();
  let after = '';
  for (;;) {
    const { rows } = await client.query<Groups & { readonly user_id: string }>({
      name: 'groups-in-shadow',
      text: `${groupsOf(peopleInShadow, '$4::int8', '$5::int4')} ORDER BY user_id`,
      values: [policy, version, after, sinceMs, utcDay(sinceMs)],
    });
    for (const { user_id, ...own } of rows) groups.set(user_id, partsOf(own));
    const last = rows.at(-1);
    if (rows.length < pageSize || !last) return groups;
    after = last.user_id;
  }
}

const peopleInShadow = `
  SELECT DISTINCT user_id FROM shadow_daily WHERE policy = $1 AND policy_version = $2 AND user_id > $3
  ORDER BY user_id LIMIT ${pageSize}`;

/** What people did in the arms of a canary, group by group. */
async function readGroupSums(client: Client, experiment: Experiment, sinceMs: number): Promise<CanarySums['groups']> {
  const { rows } = await client.query<ArmRow & { readonly segment: Segment; readonly group: string }>(sumsByGroup, [
    ...[...peopleInArmsValues(experiment, undefined), sinceMs, utcDay(sinceMs)],
  ]);
  return rows
    .filter(({ people }) => people !== '0')
    .map(({ segment, group, ...row }) => ({ segment, group, sums: toSums(row) }));
}

const sumsByGroup = `
  WITH ${peopleInArms},
    grouped AS (${groupsOf('SELECT DISTINCT user_id FROM people', '$6::int8', '$7::int4')})
  SELECT segment, "group", arm, ${armSums}
  FROM known JOIN grouped USING (user_id)
  CROSS JOIN LATERAL (VALUES ('activity', activity), ('integrations', integrations)) AS own(segment, "group")
  GROUP BY segment, "group", arm ORDER BY segment, "group", arm`;

/**
 * How the decisions of the canary's arm went, at its present share. One that was not timed is neither fast nor
 * slow; as an error it counts.
 */
async function readServing(
  client: Client,
  { key, version }: Experiment,
  policy: PolicyVersion,
  sinceMs: number,
): Promise<Evidence['serving']> {
  const limitMs = gateLimits.slowDecisionMs;
  const { rows } = await client.query<{ requests: number; slow: number; errors: number }>(servingOfArm, [
    ...[key, version, canaryArm, sinceMs, policy.name, policy.version, limitMs * 1000],
  ]);
  const [found] = rows;
  return found && found.requests > 0 ? { ...found, limitMs } : undefined;
}

/** Where the policy failed, `random` stood in. Another version of the policy is not the one that is judged. */
const servingOfArm = `
  SELECT count(*) FILTER (WHERE elapsed_micros > 0)::float8 AS requests,
    count(*) FILTER (WHERE elapsed_micros > $7::int4)::float8 AS slow,
    count(*) FILTER (
      WHERE policy <> $5 OR policy_version <> $6 OR 'policy_fallback' = ANY (degradations)
    )::float8 AS errors
  FROM (SELECT user_id FROM experiment_stats WHERE experiment = $1 AND version = $2 AND arm = $3) AS people
  JOIN tip_scores USING (user_id)
  WHERE decided_at >= ${timestampOf('$4::int8')} AND EXISTS (
    SELECT FROM unnest(experiments, experiment_versions, experiment_arms) AS own(experiment, version, arm)
    WHERE own.experiment = $1 AND own.version = $2 AND own.arm = $3
  )`;
