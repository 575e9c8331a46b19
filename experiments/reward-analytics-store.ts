import type { Database } from '../platform/database.ts';
import { type RewardDimension, type RewardRow, rewardRow } from './reward-analytics.ts';

export interface RewardsRequest {
  readonly dimension: RewardDimension;
  /** UTC days, counted from 1970-01-01. Both are in. */
  readonly fromDay: number;
  readonly toDay: number;
}

/** At most this many rows: those served most. Models and prompt versions are whatever callers call them. */
const rowsMax = 1_000;

/** What people did with the tips decided on some days, most served first. Decisions that wait for a rebuild are left out. */
export async function readRewards(
  database: Pick<Database, 'query'>,
  { dimension, fromDay, toDay }: RewardsRequest,
): Promise<readonly RewardRow[]> {
  const { rows } = await database.query<Sums>(sumsOf(tips[dimension]), [fromDay, toDay]);
  return rows.map(({ key, people, n, r, rr, rn, nn, ...counts }) =>
    rewardRow({
      key,
      ...counts,
      ...{ people: BigInt(people), n: BigInt(n), r: BigInt(r) },
      ...{ rr: BigInt(rr), rn: BigInt(rn), nn: BigInt(nn) },
    }),
  );
}

interface Sums {
  readonly key: string;
  readonly served: number;
  readonly done: number;
  readonly dismissed: number;
  readonly snoozed: number;
  readonly helpful: number;
  readonly notHelpful: number;
  readonly people: string;
  readonly n: string;
  readonly r: string;
  readonly rr: string;
  readonly rn: string;
  readonly nn: string;
}

/** Squares are summed as decimals of any length. */
const sumsOf = (tips: string): string => `
  WITH tips AS (${tips}), people AS (
    SELECT key, sum(served) AS served, sum(done) AS done, sum(dismissed) AS dismissed, sum(snoozed) AS snoozed,
      sum(helpful) AS helpful, sum(not_helpful) AS not_helpful, sum(reward_milli)::numeric AS r,
      sum(done + dismissed + snoozed + helpful + not_helpful)::numeric AS n
    FROM tips GROUP BY key, user_id
  )
  SELECT key::text AS key, sum(served)::float8 AS served, sum(done)::float8 AS done, sum(dismissed)::float8 AS dismissed,
    sum(snoozed)::float8 AS snoozed, sum(helpful)::float8 AS helpful, sum(not_helpful)::float8 AS "notHelpful",
    count(*) FILTER (WHERE n > 0)::text AS people, sum(n)::text AS n, sum(r)::text AS r,
    sum(r * r)::text AS rr, sum(r * n)::text AS rn, sum(n * n)::text AS nn
  FROM people GROUP BY people.key ORDER BY sum(served) DESC, people.key::text COLLATE "C" LIMIT ${rowsMax}`;

const byColumn = (key: string): string => `
  SELECT ${key} AS key, user_id, served, done, dismissed, snoozed, helpful, not_helpful, reward_milli
  FROM prompt_rewards
  WHERE day BETWEEN date '1970-01-01' + $1::int AND date '1970-01-01' + $2::int AND served > 0`;

const isOutcome = (outcome: string): string => `(tip.outcome IS NOT DISTINCT FROM '${outcome}')::int`;
const midnight = (day: string): string => `(date '1970-01-01' + ${day})::timestamp AT TIME ZONE 'UTC'`;

/** Of each decision on its own: nothing is added up by day and arm. A reward on its way is not there yet. */
const byArm = `
  SELECT concat(drawn.experiment, '/', drawn.version, '/', drawn.arm) AS key, scored.user_id, 1 AS served,
    ${isOutcome('done')} AS done, ${isOutcome('dismiss')} AS dismissed, ${isOutcome('snooze')} AS snoozed,
    ${isOutcome('helpful')} AS helpful, ${isOutcome('not_helpful')} AS not_helpful,
    coalesce(tip.reward_milli, 0) AS reward_milli
  FROM tip_scores AS scored
  LEFT JOIN tip_outcomes AS tip
    ON (tip.user_id, tip.tip_id, tip.decision_id) = (scored.user_id, scored.tip_id, scored.decision_id)
    AND tip.reward_event_id = tip.outcome_event_id AND tip.outcome <> 'ignored'
    AND tip.decided_at >= ${midnight('$1::int')} AND tip.decided_at < ${midnight('$2::int + 1')}
  CROSS JOIN unnest(scored.experiments, scored.experiment_versions, scored.experiment_arms) AS drawn(experiment, version, arm)
  WHERE cardinality(scored.experiments) > 0
    AND scored.decided_at >= ${midnight('$1::int')} AND scored.decided_at < ${midnight('$2::int + 1')}`;

const tips: Readonly<Record<RewardDimension, string>> = {
  day: byColumn('day'),
  policy: byColumn('policy'),
  model: byColumn('llm_model'),
  prompt_version: byColumn('prompt_version'),
  kind: byColumn("coalesce(nullif(tip_kind, 'unspecified'), '')"),
  experiment_arm: byArm,
};
