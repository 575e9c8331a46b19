/** A tip whose reward changes, with the arms that its decision was in. Null: it has no reward. */
export interface RewardedTip {
  readonly user_id: string;
  readonly experiments: readonly string[] | null;
  readonly experiment_versions: readonly string[] | null;
  readonly experiment_arms: readonly string[] | null;
  readonly before: number | null;
  readonly after: number | null;
}

/** By how much the rewards of a person in an arm change. */
export interface ArmRewards {
  readonly userId: string;
  readonly experiment: string;
  readonly version: string;
  readonly arm: string;
  readonly rewards: number;
  readonly rewardMilli: number;
}

/** What tips add to the counts of their arms: one entry for each person and arm that changes. */
export function rewardsByArm(tips: readonly RewardedTip[]): readonly ArmRewards[] {
  const arms = new Map<string, ArmRewards>();
  for (const tip of tips) {
    const { user_id: userId, before, after } = tip;
    const [rewards, rewardMilli] = [Number(after !== null) - Number(before !== null), (after ?? 0) - (before ?? 0)];
    for (const [i, experiment] of (tip.experiments ?? []).entries()) {
      const key = {
        userId,
        experiment,
        version: tip.experiment_versions?.[i] ?? '',
        arm: tip.experiment_arms?.[i] ?? '',
      };
      const text = JSON.stringify(Object.values(key));
      const held = arms.get(text) ?? { rewards: 0, rewardMilli: 0 };
      arms.set(text, { ...key, rewards: held.rewards + rewards, rewardMilli: held.rewardMilli + rewardMilli });
    }
  }
  return [...arms.values()].filter(({ rewards, rewardMilli }) => rewards !== 0 || rewardMilli !== 0);
}
