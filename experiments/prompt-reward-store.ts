import type { ReactionName } from '../gen/proto/oo/contract.ts';
import type { Database } from '../platform/database.ts';
import { type ArrayParameter, plainArray, textArray, uuidArray } from '../platform/postgres-arrays.ts';
import { type PromptRewards, type RewardedPrompt, rewardsByPrompt } from './prompt-rewards.ts';

type Client = Pick<Database, 'query'>;

/** A tip whose reward changes, with what it counted for so far, and the event of which. */
interface CountedPrompt extends Omit<RewardedPrompt, 'before'> {
  readonly counted_milli: number | null;
  readonly counted_event_id: string | null;
}

/** Moves the counts of prompts by what changes for some tips, which the transaction has locked to write their rewards. */
export async function movePromptRewards(client: Client, tips: readonly CountedPrompt[]): Promise<void> {
  const reactions = await readCounted(client, tips);
  const before = ({ counted_milli: milli, counted_event_id: eventId }: CountedPrompt): RewardedPrompt['before'] =>
    milli === null || eventId === null ? null : { outcome: reactions.get(eventId) ?? 'ignored', milli };
  const changes = rewardsByPrompt(tips.map((tip) => ({ ...tip, before: before(tip) })));
  if (changes.length > 0) await client.query({ name: 'reward-prompts', text: move, values: arraysOf(changes) });
}

/** Makes the counts of some people what all their tips say, whatever was there. Rows that are right are not touched. */
export async function setPromptRewards(
  client: Client,
  userIds: readonly string[],
  tips: readonly RewardedPrompt[],
): Promise<void> {
  const arrays = arraysOf(rewardsByPrompt(tips));
  await client.query({ name: 'set-prompts', text: set, values: arrays });
  await client.query({ name: 'empty-prompts', text: empty, values: [...arrays, textArray(userIds)] });
}

/**
 * Which reactions some tips counted for so far, by event. A statement of its own: the one that locked the tips may have
 * begun before the reaction was stored that another process has rewarded in the meantime.
 */
async function readCounted(client: Client, tips: readonly CountedPrompt[]): Promise<ReadonlyMap<string, ReactionName>> {
  const counted = tips.filter(({ counted_event_id }) => counted_event_id !== null);
  if (counted.length === 0) return new Map();
  const { rows } = await client.query<{ event_id: string; reaction: ReactionName }>({
    name: 'counted-reactions',
    text: `SELECT event_id, reaction FROM unnest($1::text[], $2::uuid[]) AS tip(user_id, event_id)
      JOIN tip_feedback USING (user_id, event_id)`,
    values: [
      textArray(counted.map(({ user_id }) => user_id)),
      uuidArray(counted.map(({ counted_event_id }) => counted_event_id)),
    ],
  });
  return new Map(rows.map(({ event_id, reaction }) => [event_id, reaction]));
}

const key = 'user_id, day, prompt_version, llm_model, tip_kind, policy';
const counts = 'done, dismissed, snoozed, helpful, not_helpful, reward_milli';
const countsOf = (row: string): string => counts.replaceAll(/\w+/g, `${row}.$&`);

const given = `
  SELECT user_id, date '1970-01-01' + d.day AS day, prompt_version, llm_model, tip_kind, policy, ${counts}
  FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::int4[], $8::int4[], $9::int4[], $10::int4[], $11::int4[], $12::int4[]) AS d(${key}, ${counts})`;

/** In the order in which decisions are counted. */
const write = `
  INSERT INTO prompt_rewards AS s (${key}, ${counts}) ${given} ORDER BY 1, 2, 3, 4, 5, 6
  ON CONFLICT (${key}) DO UPDATE SET (${counts}) =`;

const move = `${write} (s.done + excluded.done, s.dismissed + excluded.dismissed, s.snoozed + excluded.snoozed,
    s.helpful + excluded.helpful, s.not_helpful + excluded.not_helpful, s.reward_milli + excluded.reward_milli)`;

const set = `${write} (${countsOf('excluded')}) WHERE (${countsOf('s')}) IS DISTINCT FROM (${countsOf('excluded')})`;

/** All rows of some people but those given. */
const empty = `
  UPDATE prompt_rewards AS s SET (${counts}) = (0, 0, 0, 0, 0, 0)
  WHERE user_id = ANY ($13::text[]) AND (${counts}) IS DISTINCT FROM (0, 0, 0, 0, 0, 0)
    AND (${key}) NOT IN (SELECT ${key} FROM (${given}) AS given)`;

function arraysOf(rows: readonly PromptRewards[]): ArrayParameter[] {
  return [
    textArray(rows.map(({ userId }) => userId)),
    plainArray(rows.map(({ day }) => day)),
    textArray(rows.map(({ promptVersion }) => promptVersion)),
    textArray(rows.map(({ llmModel }) => llmModel)),
    textArray(rows.map(({ tipKind }) => tipKind)),
    textArray(rows.map(({ policy }) => policy)),
    plainArray(rows.map(({ done }) => done)),
    plainArray(rows.map(({ dismissed }) => dismissed)),
    plainArray(rows.map(({ snoozed }) => snoozed)),
    plainArray(rows.map(({ helpful }) => helpful)),
    plainArray(rows.map(({ notHelpful }) => notHelpful)),
    plainArray(rows.map(({ rewardMilli }) => rewardMilli)),
  ];
}
