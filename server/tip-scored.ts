import { create } from '@bufbuild/protobuf';
import type { Decision, Learnt } from '../experiments/decide.ts';
import { contributions } from '../experiments/policies/policy.ts';
import { toLogged } from '../experiments/statistics.ts';
import type { Treatment } from '../experiments/treatment.ts';
import type { Moment } from '../features/moment.ts';
import type { FeatureReading } from '../features/profile.ts';
import { type Vector, vectorNames, vectorVersion } from '../features/vector.ts';
import { type TipScored, TipScoredSchema } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { Degradation } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { type ScoreRequest, type ScoreResponse, ScoreResponseSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { toFeatureValue } from './feature-value.ts';
import { toLoggedExperiments } from './logged-experiments.ts';

export interface Scored {
  readonly request: ScoreRequest;
  readonly requestHash: Uint8Array;
  readonly vectors: readonly Vector[];
  readonly decision: Decision;
  readonly learnt: Learnt;
  /** What experiments had a say in the decision. */
  readonly treatment: Treatment;
  /** Where `learnt.population` is kept. Empty: nothing was learnt. */
  readonly populationId: string;
  readonly moment: Moment;
  readonly readings: readonly FeatureReading[];
  /** Empty: nothing was read. */
  readonly snapshot: string;
  readonly isFeastUnavailable: boolean;
  /** From the arrival of the call to the decision. Absent: not measured. */
  readonly elapsedMs?: number;
}

/** The event that records a decision: all that made it, so that a replay gives the same answer. */
export function toTipScored({
  request,
  requestHash,
  vectors,
  decision,
  learnt,
  treatment,
  populationId,
  moment,
  readings,
  snapshot,
  isFeastUnavailable,
  elapsedMs,
}: Scored): TipScored {
  const { policy, modelVersion, weights, scores, propensities } = decision;
  return create(TipScoredSchema, {
    requestId: request.requestId,
    requestHash,
    tipId: request.candidates[decision.chosen]?.id ?? '',
    candidates: request.candidates.map(({ id, kind, source, model, promptVersion, taskId }, i) => ({
      tipId: id,
      kind,
      source,
      model,
      promptVersion,
      taskId,
      vector: [...(vectors[i] ?? [])],
      score: scores[i] ?? 0,
      propensity: propensities[i] ?? 0,
    })),
    policy: policy.name,
    policyVersion: policy.version,
    modelVersion,
    weights: [...weights],
    vectorNames: [...vectorNames],
    featureValues: readings.map(toFeatureValue),
    ...toLoggedExperiments(treatment),
    seed: decision.seed,
    draw: decision.draw,
    snapshot,
    degradations: [
      ...(snapshot === '' ? [Degradation.PROFILE_UNAVAILABLE] : []),
      ...(isFeastUnavailable ? [Degradation.FEAST_UNAVAILABLE] : []),
      ...(decision.failure ? [Degradation.POLICY_FALLBACK] : []),
    ],
    timeZone: moment.timeZone,
    vectorVersion,
    elapsedMicros: elapsedMs === undefined ? 0 : wholeMicros(elapsedMs),
    ...((policy.learning ?? policy.predictor) && {
      populationId,
      ...(learnt.person.count > 0 && { statistics: toLogged(learnt.person) }),
    }),
  });
}

/** At least 1, as 0 says that nobody measured it, and at most what the contract allows. */
const wholeMicros = (ms: number): number => Math.min(Math.max(1, Math.ceil(ms * 1000)), 2 ** 31 - 1);

/** The answer to a Score, out of its event and nothing else: whoever has the event can give it again. */
export function toScoreResponse(decisionId: string, decision: TipScored): ScoreResponse {
  const { tipId, candidates, weights, policy, policyVersion, modelVersion, featureValues, degradations } = decision;
  return create(ScoreResponseSchema, {
    decisionId,
    tipId,
    ranked: candidates
      .map((candidate) => ({
        tipId: candidate.tipId,
        score: candidate.score,
        propensity: candidate.propensity,
        contributions: contributions(weights, candidate.vector)
          .map((value, i) => ({ feature: decision.vectorNames[i] ?? '', value }))
          .filter(({ value }) => value !== 0)
          .sort((a, b) => Math.abs(b.value) - Math.abs(a.value)),
      }))
      .sort((a, b) => b.score - a.score),
    policy,
    policyVersion,
    modelVersion,
    experiments: decision.experiments,
    featureValues,
    degradations,
    forcedExperiments: decision.forcedExperiments,
  });
}
