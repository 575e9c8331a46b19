import { vectorNames } from '../features/vector.ts';
import { doublyRobust, type Estimator } from './off-policy/estimators.ts';
import { type Options, type Report, startEvaluation } from './off-policy/evaluate.ts';
import { type RewardModel, startRewardModel } from './off-policy/reward-model.ts';
import { RefusedLog, type Row } from './off-policy/row.ts';
import type { RewardedScore } from './shadow-rewards-store.ts';

export interface ShadowEvaluation {
  /** Decisions whose outcome is known. */
  readonly rewarded: number;
  /**
   * What the shadow would have earned for each of them, in rewards of -1 to 1, beside what was earned. Undefined: there is
   * none, or what is kept of one makes no sense.
   */
  readonly whole: Report | undefined;
  /** The same of each part that has any. None where there is no `whole`. */
  readonly parts: ReadonlyMap<string, Report>;
}

export interface EvaluationOptions extends Options {
  /** Default: doubly robust alone. */
  readonly estimators?: readonly Estimator[];
  /** The parts of the log that a person's decisions are in. Default: none. */
  readonly partsOf?: (userId: string) => readonly string[];
}

/**
 * Estimates what a shadow would have earned, from what `read` gives, each time the same. It is asked twice: what a reward
 * is predicted from must be known before it can be corrected. Parts share the model of the whole. Memory holds sums for
 * each person.
 */
export async function evaluateShadow(
  read: () => AsyncIterable<RewardedScore>,
  { estimators = [doublyRobust], partsOf = () => [], ...options }: EvaluationOptions = {},
): Promise<ShadowEvaluation> {
  const training = startRewardModel(vectorNames.length);
  let rewarded = 0;
  for await (const { userId, vectors, rewardMilli } of read()) {
    rewarded++;
    if (vectors) training.add(userId, vectors.chosen, rewardMilli / 1000);
  }
  const nothing = { rewarded, whole: undefined, parts: new Map<string, Report>() };
  if (rewarded === 0) return nothing;
  const model = training.fit();
  const whole = startEvaluation(estimators, options);
  const parts = new Map<string, ReturnType<typeof startEvaluation>>();
  try {
    for await (const score of read()) {
      const row = rowOf(score, model);
      whole.add(row);
      for (const name of partsOf(score.userId)) {
        const part = parts.get(name) ?? startEvaluation(estimators, options);
        parts.set(name, part);
        part.add(row);
      }
    }
    return { rewarded, whole: whole.report(), parts: new Map([...parts].map(([name, part]) => [name, part.report()])) };
  } catch (error) {
    if (error instanceof RefusedLog) return nothing;
    throw error;
  }
}

/** The model is linear: what it expects of the shadow is what it expects of the shadow's mean vector. */
function rowOf(
  { userId, propensity, shadowPropensity, unsupported, rewardMilli, vectors }: RewardedScore,
  model: RewardModel,
): Row {
  return {
    user: userId,
    propensity,
    targetProbability: shadowPropensity,
    reward: rewardMilli / 1000,
    unsupported,
    // without vectors the model says nothing, and the correction all: IPS
    q: vectors
      ? { chosen: model.predict(userId, vectors.chosen), target: model.predict(userId, vectors.expected) }
      : { chosen: 0, target: 0 },
  };
}
