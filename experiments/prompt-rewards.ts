import type { ReactionName } from '../gen/proto/oo/contract.ts';
import type { OutcomeName } from './rewards.ts';

/** What a tip counts for. */
export interface Reward {
  readonly outcome: OutcomeName;
  readonly milli: number;
}

/** A tip whose reward changes, with what its decision said of it. Null: it has none, or the decision is not known. */
export interface RewardedPrompt {
  readonly user_id: string;
  /** Counted from 1970-01-01 UTC. */
  readonly decided_day: number | null;
  readonly prompt_version: string | null;
  readonly llm_model: string | null;
  readonly tip_kind: string | null;
  readonly policy: string | null;
  readonly before: Reward | null;
  readonly after: Reward | null;
}

/** Tips by their reaction, and the sum of their rewards in thousandths. */
interface Counts {
  readonly done: number;
  readonly dismissed: number;
  readonly snoozed: number;
  readonly helpful: number;
  readonly notHelpful: number;
  readonly rewardMilli: number;
}

/** By how much the counts of a row of `prompt_rewards` change. */
export interface PromptRewards extends Counts {
  readonly userId: string;
  readonly day: number;
  readonly promptVersion: string;
  readonly llmModel: string;
  readonly tipKind: string;
  readonly policy: string;
}

const nothing: Counts = { done: 0, dismissed: 0, snoozed: 0, helpful: 0, notHelpful: 0, rewardMilli: 0 };

const countOf: Readonly<Record<ReactionName, keyof Counts>> = {
  done: 'done',
  dismiss: 'dismissed',
  snooze: 'snoozed',
  helpful: 'helpful',
  not_helpful: 'notHelpful',
};

/**
 * What tips add to the counts of what wrote and chose them: one entry for each row that changes. Silence is no reaction and
 * counts for nothing, whatever it is worth to those who learn; so do tips without a decision, of which nothing is known.
 */
export function rewardsByPrompt(tips: readonly RewardedPrompt[]): readonly PromptRewards[] {
  const rows = new Map<string, PromptRewards>();
  for (const tip of tips) {
    if (tip.decided_day === null) continue;
    const key = {
      userId: tip.user_id,
      day: tip.decided_day,
      promptVersion: tip.prompt_version ?? '',
      llmModel: tip.llm_model ?? '',
      tipKind: tip.tip_kind ?? '',
      policy: tip.policy ?? '',
    };
    const text = JSON.stringify(Object.values(key));
    const held = rows.get(text) ?? nothing;
    rows.set(text, { ...key, ...plus(plus(countsOf(held), tip.after, 1), tip.before, -1) });
  }
  return [...rows.values()].filter((row) => Object.values(countsOf(row)).some((count) => count !== 0));
}

function plus(counts: Counts, reward: Reward | null, times: 1 | -1): Counts {
  if (reward === null || reward.outcome === 'ignored') return counts;
  const count = countOf[reward.outcome];
  return { ...counts, [count]: counts[count] + times, rewardMilli: counts.rewardMilli + times * reward.milli };
}

function countsOf({ done, dismissed, snoozed, helpful, notHelpful, rewardMilli }: Counts): Counts {
  return { done, dismissed, snoozed, helpful, notHelpful, rewardMilli };
}
