import { fromBinary } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { type Decision, decide, type Learnt } from '../../experiments/decide.ts';
import type { ExperimentSource } from '../../experiments/experiment.ts';
import type { Policy } from '../../experiments/policies/policy.ts';
import { nothingLearnt } from '../../experiments/statistics.ts';
import { treat, withCanary } from '../../experiments/treatment.ts';
import { noBuckets } from '../../features/buckets.ts';
import { readMoment } from '../../features/moment.ts';
import { type Profile, readProfile } from '../../features/profile.ts';
import { encodeVectors, type Vector } from '../../features/vector.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { type ScoreRequest, ScoreRequestSchema, type ScoreResponse } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import type { Clock } from '../../platform/clock.ts';
import { alreadyExists, type FieldViolation, invalidArgument } from '../../platform/errors.ts';
import { derivedId } from '../../platform/ids.ts';
import type { DecisionLog } from '../decision-log.ts';
import { createEnvelope, hashRequest } from '../envelope.ts';
import type { ServedPolicies } from '../follow-rollouts.ts';
import type { FeastReader } from '../read-feast.ts';
import type { PersonReader } from '../read-person.ts';
import { toScoreResponse, toTipScored } from '../tip-scored.ts';

export interface ScoreDeps {
  readonly readPerson: PersonReader;
  readonly readFeast: FeastReader;
  readonly decisionLog: DecisionLog;
  /** Gets the profile of every decision for which the person could be read, once. */
  readonly countSkew: (profile: Profile) => void;
  /** Gets every decision, once: also one whose policy failed. */
  readonly countDecision: (decision: Decision) => void;
  readonly rollouts: { current(): ServedPolicies };
  readonly experiments: ExperimentSource;
  readonly clock: Clock;
}

const nothing: Learnt = { person: nothingLearnt, population: nothingLearnt };

/** Chooses one candidate, logs the decision, and only then answers. */
export function createScore({
  readPerson,
  readFeast,
  decisionLog,
  countSkew,
  countDecision,
  rollouts,
  experiments,
  clock,
}: ScoreDeps) {
  return async (request: ScoreRequest, context: Pick<HandlerContext, 'requestHeader'>): Promise<ScoreResponse> => {
    const arrivedMs = performance.now();
    checkUniqueIds(request);
    const moment = readMoment(request.context, clock());
    const requestHash = hashRequest(ScoreRequestSchema, request);
    const decisionId = derivedId('oo.events.v1.TipScored', request.requestId);

    const asked = readFeast(request.userId); // both at the same time
    const person = await readPerson(request.userId, decisionId, moment.nowMs);
    if (person?.decision) return repeat(person.decision.envelope, requestHash);

    const feast = await asked;

    const known = { supplied: request.profileFeatures, feast, buckets: person?.buckets ?? noBuckets };
    const profile = readProfile(known, moment.nowMs);
    const vectors = encodeVectors(request.candidates.map(candidateFeatures), profile, moment);
    const { active, canary, cleared } = rollouts.current();
    const asExperiments = treat(experiments.current(), request.userId, moment.nowMs);
    const treatment = canary ? withCanary(asExperiments, canary, request.userId, moment.nowMs) : asExperiments;
    const policy = cleared.get(treatment.policy ?? active.name) ?? active;
    const learnt = { ...(person?.learnt ?? nothing), predictions: await predict(policy, vectors) };
    const decision = decide(policy, vectors, request.requestId, learnt);

    const readings = [...profile, ...moment.readings];
    const scored = {
      request,
      requestHash,
      vectors,
      decision,
      learnt,
      treatment,
      populationId: person?.populationId ?? '',
      moment,
      readings,
      snapshot: person?.snapshot ?? '',
      isFeastUnavailable: feast === undefined,
      elapsedMs: performance.now() - arrivedMs,
    };
    const event = createEnvelope({
      eventId: decisionId,
      occurredAtMs: moment.nowMs,
      userId: request.userId,
      requestId: request.requestId,
      traceparent: context.requestHeader.get('traceparent'),
      payload: { case: 'tipScored', value: toTipScored(scored) },
    });
    const standing = await decisionLog.append(event);
    if (standing === event) countDecision(decision);
    if (person && standing === event) countSkew(profile);
    return answer(standing, requestHash);
  };
}

/** Undefined: the policy asks nobody, or there is no answer in time. Then `random` decides, and the answer says so. */
async function predict({ predictor }: Policy, vectors: readonly Vector[]): Promise<Learnt['predictions']> {
  return predictor?.predict(vectors).catch(() => undefined);
}

/** Answers once more what was decided under the same id. */
function repeat(envelope: Uint8Array | undefined, requestHash: Uint8Array): ScoreResponse {
  if (!envelope)
    throw alreadyExists('REQUEST_ID_REUSED', 'request_id was used before, too long ago to be answered again');
  return answer(fromBinary(EnvelopeSchema, envelope), requestHash);
}

/** Answers from the event that stands. It may be that of another request under the same id: that one stays as it is. */
function answer({ eventId, payload }: Envelope, requestHash: Uint8Array): ScoreResponse {
  if (payload.case !== 'tipScored' || !Buffer.from(payload.value.requestHash).equals(requestHash)) {
    throw alreadyExists('REQUEST_ID_REUSED', 'request_id was used before, for another request');
  }
  return toScoreResponse(eventId, payload.value);
}

function candidateFeatures({ features }: ScoreRequest['candidates'][number]) {
  return {
    isOverdue: features?.isOverdue ?? false,
    taskAgeDays: features?.taskAgeDays ?? 0,
    priority: features?.priority ?? 1,
  };
}

/** In code rather than in the contract's rules, where it would cost more than all the others together. */
function checkUniqueIds({ candidates }: ScoreRequest): void {
  const first = new Map<string, number>();
  const violations: FieldViolation[] = [];
  for (const [i, { id }] of candidates.entries()) {
    const earlier = first.get(id);
    if (earlier === undefined) first.set(id, i);
    else
      violations.push({ field: `candidates[${i}].id`, description: `is the same as that of candidates[${earlier}]` });
  }
  if (violations.length > 0) throw invalidArgument(violations);
}
