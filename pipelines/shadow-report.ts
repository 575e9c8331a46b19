import { doublyRobust, ips, snips } from '../experiments/off-policy/estimators.ts';
import { type Options, type Report, startEvaluation } from '../experiments/off-policy/evaluate.ts';
import { type RewardModel, startRewardModel } from '../experiments/off-policy/reward-model.ts';
import { RefusedLog, type Row } from '../experiments/off-policy/row.ts';
import { type ShadowSummary, summariseShadow } from '../experiments/shadow.ts';
import {
  type RewardedScore,
  readRewarded,
  readShadows,
  type ShadowTotals,
} from '../experiments/shadow-rewards-store.ts';
import { vectorNames } from '../features/vector.ts';
import type { Database } from '../platform/database.ts';

/** What is known of one version of a policy in the shadow. */
export interface ShadowReport extends ShadowTotals {
  /** Undefined: no decision was compared. */
  readonly summary: ShadowSummary | undefined;
  /** CPU time of the shadow for each decision that it was asked about. Undefined: none. */
  readonly cpuMicros: number | undefined;
  /** Decisions whose outcome is known by now. */
  readonly rewarded: number;
  /** What it would have earned for each of them, in rewards of -1 to 1, beside what was earned. Undefined: there is none. */
  readonly evaluation: Report | undefined;
  /** What speaks against reading more into it, in sentences. Empty: nothing. */
  readonly doubts: readonly string[];
}

/**
 * Reports on all shadows, or on those of one name, as of one instant. Reads what was kept of each decision twice: what a
 * reward is predicted from must be known before it can be corrected. Memory holds sums for each person.
 */
export async function reportShadows(
  database: Database,
  { policy, ...options }: Options & { readonly policy?: string | undefined } = {},
): Promise<readonly ShadowReport[]> {
  const client = await database.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const reports: ShadowReport[] = [];
    for (const totals of await readShadows(client, policy)) {
      const { rewarded, evaluation } = await evaluateShadow(() => readRewarded(client, totals), options);
      const summary = summariseShadow(totals.counters);
      const asked = totals.counters.decisions + totals.counters.errors;
      reports.push({
        ...totals,
        summary,
        cpuMicros: asked === 0 ? undefined : totals.counters.cpuMicros / asked,
        rewarded,
        evaluation,
        doubts: doubtsOf(totals, rewarded, evaluation),
      });
    }
    await client.query('COMMIT');
    client.release();
    return reports;
  } catch (error) {
    client.release(true); // whatever state it is in: a closed connection is rolled back
    throw error;
  }
}

/** Estimates from what `read` gives, each time the same. */
export async function evaluateShadow(
  read: () => AsyncIterable<RewardedScore>,
  options: Options = {},
): Promise<{ readonly rewarded: number; readonly evaluation: Report | undefined }> {
  const training = startRewardModel(vectorNames.length);
  let rewarded = 0;
  for await (const { userId, vectors, rewardMilli } of read()) {
    rewarded++;
    if (vectors) training.add(userId, vectors.chosen, rewardMilli / 1000);
  }
  if (rewarded === 0) return { rewarded, evaluation: undefined };
  const model = training.fit();
  const evaluation = startEvaluation([doublyRobust, snips, ips], options);
  try {
    for await (const score of read()) evaluation.add(rowOf(score, model));
    return { rewarded, evaluation: evaluation.report() };
  } catch (error) {
    if (error instanceof RefusedLog) return { rewarded, evaluation: undefined };
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

const week = 7;

export function doubtsOf(
  { counters, days, behind = 0 }: Pick<ShadowTotals, 'counters' | 'days' | 'behind'>,
  rewarded: number,
  evaluation: Report | undefined,
): readonly string[] {
  const { decisions, errors, skippedVectors, skippedStatistics, skippedPropensities } = counters;
  const many = (count: number, what: string) => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
  const doubts = [
    decisions === 0 && 'It was compared with no decision yet.',
    errors > 0 &&
      `It failed on ${many(errors, 'decision')} of ${(decisions + errors).toLocaleString('en')}; nothing is known of what it would have earned there.`,
    skippedStatistics > 0 &&
      `${many(skippedStatistics, 'decision')} came without what policies had learnt by then (from before it was logged, or by a policy that learns nothing) and were left out.`,
    skippedVectors > 0 && `${many(skippedVectors, 'decision')} with vectors of another encoding were left out.`,
    skippedPropensities > 0 &&
      `${many(skippedPropensities, 'decision')} without a proper distribution in the log were left out.`,
    behind > 0 && `${many(behind, 'decision')} wait to be scored.`,
    decisions > 0 && days < week && `There are decisions of ${many(days, 'day')} only: no week is whole.`,
    decisions > 0 && rewarded === 0 && 'No outcome is known yet: what it would have earned cannot be said.',
    rewarded > 0 && !evaluation && 'What is kept of the decisions makes no sense: nothing was estimated.',
    ...(evaluation?.verdict.kind === 'insufficient evidence'
      ? evaluation.verdict.vetoes.map(({ name, says }) => `Too little evidence, by the ${name}: ${says}.`)
      : []),
  ];
  return doubts.filter((doubt) => doubt !== false);
}
