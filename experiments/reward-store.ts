import { waitForErasures } from '../features/erasure-store.ts';
import { vectorNames, vectorVersion } from '../features/vector.ts';
import { type Database, inTransaction } from '../platform/database.ts';
import { type ArrayParameter, plainArray, textArray, uuidArray } from '../platform/postgres-arrays.ts';
import { type ArmRewards, rewardsByArm } from './arm-rewards.ts';
import { add, contributionOf, type Statistics, subtract } from './linear-model.ts';
import { movePromptRewards, setPromptRewards } from './prompt-reward-store.ts';
import type { Reward } from './prompt-rewards.ts';
import { isOutcomeName, rewardMilli, rewards } from './rewards.ts';
import { nothingLearnt, statisticsArrays, statisticsColumns, statisticsVersion } from './statistics.ts';

/** At most this many tips in one transaction. */
const tipsMax = 500;

export interface RewardStore {
  /**
   * Rewards tips whose decision and outcome are both known, and those whose outcome has changed since: writes the reward
   * beside the outcome and moves the person's sums, and the counts of their arms and prompts, by the difference, all or
   * nothing. Several processes may do it at once. Returns how many tips it rewarded, at most 500; another call rewards
   * the rest. Errors are those of the database.
   */
  rewardTips(): Promise<number>;
}

export function createRewardStore(database: Database): RewardStore {
  return {
    rewardTips: () =>
      inTransaction(database, async (client) => {
        await client.query(waitForErasures);
        await client.query(waitForRebuild);
        const values = [vectorVersion, rewards.version];
        const { rows } = await client.query<Tip>({ name: 'unrewarded-tips', text: unrewarded, values });
        if (rows.length > 0)
          await client.query({ name: 'reward-tips', text: moveSums, values: parametersOf(rows, changesOf(rows)) });
        const arms = rewardsByArm(rows.map((tip) => ({ ...tip, after: rewardOf(tip), before: tip.counted_milli })));
        if (arms.length > 0) await client.query({ name: 'reward-arms', text: moveArms, values: armArrays(arms) });
        const prompts = rows.map((tip) => ({ ...tip, after: worthOf(tip) }));
        await movePromptRewards(client, prompts);
        return rows.length;
      }),
  };
}

/**
 * Makes the rewards of some people, their sums, and the rewards of their arms and prompts equal to what their decisions and
 * outcomes say, whatever was there. For a transaction that has waited for erasures. Rows that are right are not touched.
 */
export async function relearn(client: Pick<Database, 'query'>, userIds: readonly string[]): Promise<void> {
  const { rows } = await client.query<Tip>({
    name: 'tips-of-people',
    text: ofPeople,
    values: [vectorVersion, rewards.version, textArray(userIds)],
  });
  const people = [...Map.groupBy(rows, ({ user_id }) => user_id)];
  const sums = people.map(([userId, tips]): [string, Statistics] => [
    userId,
    tips.map((tip) => learntFrom(tip.vector, rewardOf(tip))).reduce(add),
  ]);
  await client.query({ name: 'set-rewards', text: setSums, values: parametersOf(rows, new Map(sums)) });
  await client.query(
    'DELETE FROM policy_stats WHERE user_id = ANY ($1::text[]) AND version = $2 AND user_id <> ALL ($3::text[])',
    [textArray(userIds), statisticsVersion, textArray(people.map(([userId]) => userId))],
  );
  const arms = rewardsByArm(rows.map((tip) => ({ ...tip, after: rewardOf(tip), before: null })));
  await client.query({ name: 'set-arms', text: setArms, values: armArrays(arms) });
  await client.query({
    name: 'empty-arms',
    text: emptyArms,
    values: [...armArrays(arms).slice(0, 4), textArray(userIds)],
  });
  const prompts = rows.map((tip) => ({ ...tip, after: worthOf(tip), before: null }));
  await setPromptRewards(client, userIds, prompts);
}

/** A rebuild that could not get on locks tables. Whoever holds rows by then would wait for it while it waits for them. */
const waitForRebuild = 'LOCK TABLE tip_outcomes IN ROW EXCLUSIVE MODE';

interface Tip {
  readonly user_id: string;
  readonly tip_id: string;
  readonly decision_id: string;
  /** Null: it has none any more. One that this build does not know is worth nothing to it. */
  readonly outcome: string | null;
  readonly outcome_event_id: string | null;
  readonly dwell_ms: number | null;
  /** What it counts for so far. Null: nothing, or in the sums of another version. */
  readonly reward_milli: number | null;
  /** The same, whatever the version, and of which event: what it counts for in its arms and prompts. */
  readonly counted_milli: number | null;
  readonly counted_event_id: string | null;
  /** Null: not known, or of another encoding. Nothing can be learnt from the tip then. */
  readonly vector: readonly number[] | null;
  /** Null: the decision is not known. */
  readonly experiments: readonly string[] | null;
  readonly experiment_versions: readonly string[] | null;
  readonly experiment_arms: readonly string[] | null;
  readonly decided_day: number | null;
  readonly prompt_version: string | null;
  readonly llm_model: string | null;
  readonly tip_kind: string | null;
  readonly policy: string | null;
}

const decidedTips = `
  SELECT tip.user_id, tip.tip_id, tip.decision_id, tip.outcome, tip.outcome_event_id, tip.dwell_ms::float8,
    CASE WHEN tip.reward_version = $2 THEN tip.reward_milli END AS reward_milli,
    tip.reward_milli AS counted_milli, CASE WHEN scored.vector_version = $1 THEN scored.vector END AS vector,
    scored.experiments, scored.experiment_versions, scored.experiment_arms,
    tip.reward_event_id AS counted_event_id,
    (scored.decided_at AT TIME ZONE 'UTC')::date - date '1970-01-01' AS decided_day,
    scored.prompt_version, scored.llm_model, scored.tip_kind, scored.policy
  FROM tip_outcomes AS tip
  LEFT JOIN tip_scores AS scored USING (decision_id, user_id, tip_id)
  WHERE tip.decided_at IS NOT NULL`;

/**
 * A tip that a statement under way changes is left for the next call: its outcome is not settled yet. So is one that
 * another process rewards.
 */
const unrewarded = `${decidedTips} AND tip.outcome_event_id IS DISTINCT FROM tip.reward_event_id
  ORDER BY tip.outcome_at LIMIT ${tipsMax} FOR NO KEY UPDATE OF tip SKIP LOCKED`;

/** Waits for those who change a tip. Whoever comes later finds it rewarded. */
const ofPeople = `${decidedTips} AND tip.user_id = ANY ($3::text[])
  ORDER BY tip.user_id, tip.tip_id, tip.decision_id FOR NO KEY UPDATE OF tip`;

const writeRewards = `
  WITH rewarded AS (
    UPDATE tip_outcomes AS tip
    SET reward_milli = given.reward_milli, reward_event_id = given.event_id, reward_version = given.version
    FROM (
      SELECT *, CASE WHEN event_id IS NOT NULL THEN $6 END AS version
      FROM unnest($1::text[], $2::text[], $3::uuid[], $4::int2[], $5::uuid[])
        AS tips(user_id, tip_id, decision_id, reward_milli, event_id)
    ) AS given
    WHERE (tip.user_id, tip.tip_id, tip.decision_id) = (given.user_id, given.tip_id, given.decision_id)
      AND (tip.reward_milli, tip.reward_event_id, tip.reward_version) IS DISTINCT FROM (given.reward_milli, given.event_id, given.version)
  )
  INSERT INTO policy_stats AS s (user_id, version, ${statisticsColumns})
  SELECT user_id, $7, count, reward, reward_squared, xy::int8[], xx::int8[]
  FROM unnest($8::text[], $9::int8[], $10::int8[], $11::int8[], $12::text[], $13::text[])
    AS d(user_id, count, reward, reward_squared, xy, xx)
  ORDER BY user_id
  ON CONFLICT (user_id, version) DO UPDATE SET`;

const moveSums = `${writeRewards} count = s.count + excluded.count, reward = s.reward + excluded.reward,
    reward_squared = s.reward_squared + excluded.reward_squared, xy = ${sumOfArrays('xy')}, xx = ${sumOfArrays('xx')}`;

const setSums = `${writeRewards} count = excluded.count, reward = excluded.reward,
    reward_squared = excluded.reward_squared, xy = excluded.xy, xx = excluded.xx
  WHERE (s.count, s.reward, s.reward_squared, s.xy, s.xx)
    IS DISTINCT FROM (excluded.count, excluded.reward, excluded.reward_squared, excluded.xy, excluded.xx)`;

const armKey = 'user_id, experiment, version, arm';
const armsGiven = `unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[])
    AS given(${armKey}, rewards, reward_milli)`;

/** In the order in which decisions are counted. */
const writeArms = `
  INSERT INTO experiment_stats AS s (${armKey}, rewards, reward_milli)
  SELECT * FROM ${armsGiven} ORDER BY ${armKey}
  ON CONFLICT (${armKey}) DO UPDATE SET`;

const moveArms = `${writeArms} rewards = s.rewards + excluded.rewards, reward_milli = s.reward_milli + excluded.reward_milli`;

const setArms = `${writeArms} rewards = excluded.rewards, reward_milli = excluded.reward_milli
  WHERE (s.rewards, s.reward_milli) IS DISTINCT FROM (excluded.rewards, excluded.reward_milli)`;

/** All arms of some people but those given. */
const emptyArms = `
  UPDATE experiment_stats AS s SET rewards = 0, reward_milli = 0
  WHERE user_id = ANY ($5::text[]) AND (rewards, reward_milli) IS DISTINCT FROM (0, 0) AND NOT EXISTS (
    SELECT FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS given(${armKey})
    WHERE (given.user_id, given.experiment, given.version, given.arm) = (s.user_id, s.experiment, s.version, s.arm)
  )`;

function armArrays(arms: readonly ArmRewards[]): ArrayParameter[] {
  return [
    textArray(arms.map(({ userId }) => userId)),
    textArray(arms.map(({ experiment }) => experiment)),
    textArray(arms.map(({ version }) => version)),
    textArray(arms.map(({ arm }) => arm)),
    plainArray(arms.map(({ rewards }) => rewards)),
    plainArray(arms.map(({ rewardMilli }) => rewardMilli)),
  ];
}

function sumOfArrays(column: string): string {
  return `ARRAY(SELECT a + b FROM unnest(s.${column}, excluded.${column}) WITH ORDINALITY AS entry(a, b, i) ORDER BY i)`;
}

function changesOf(tips: readonly Tip[]): ReadonlyMap<string, Statistics> {
  const people = [...Map.groupBy(tips, ({ user_id }) => user_id)];
  return new Map(people.map(([userId, own]) => [userId, own.map(changeOf).reduce(add)]));
}

function parametersOf(tips: readonly Tip[], sums: ReadonlyMap<string, Statistics>): (ArrayParameter | string)[] {
  return [
    textArray(tips.map(({ user_id }) => user_id)),
    textArray(tips.map(({ tip_id }) => tip_id)),
    uuidArray(tips.map(({ decision_id }) => decision_id)),
    plainArray(tips.map(rewardOf)),
    uuidArray(tips.map(({ outcome_event_id }) => outcome_event_id)),
    rewards.version,
    statisticsVersion,
    textArray([...sums.keys()]),
    ...statisticsArrays([...sums.values()]),
  ];
}

function rewardOf(tip: Pick<Tip, 'outcome' | 'dwell_ms'>): number | null {
  return worthOf(tip)?.milli ?? null;
}

function worthOf({ outcome, dwell_ms }: Pick<Tip, 'outcome' | 'dwell_ms'>): Reward | null {
  if (outcome === null || !isOutcomeName(outcome)) return null;
  return { outcome, milli: rewardMilli(outcome, dwell_ms ?? undefined) };
}

/** What the person's sums change by: the new reward comes in, and the one before, if there was one, goes out. */
function changeOf(tip: Tip): Statistics {
  return subtract(learntFrom(tip.vector, rewardOf(tip)), learntFrom(tip.vector, tip.reward_milli));
}

function learntFrom(vector: Tip['vector'], milli: number | null): Statistics {
  if (vector?.length !== vectorNames.length || milli === null) return nothingLearnt;
  return contributionOf(vector, milli) ?? nothingLearnt;
}
