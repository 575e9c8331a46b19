import { setImmediate as turn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import type { ExperimentSource } from '../../experiments/experiment.ts';
import { type Treatment, treat, withBandits, without } from '../../experiments/treatment.ts';
import { noBuckets } from '../../features/buckets.ts';
import { assembleRequest, withProfile } from '../../features/context.ts';
import { type Profile, readProfile } from '../../features/profile.ts';
import type { DegradationName } from '../../gen/proto/oo/contract.ts';
import { type TipGenerated, TipGeneratedSchema } from '../../gen/proto/oo/events/v1/decisions_pb.ts';
import { Degradation, TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { type TipCandidate, TipCandidateSchema } from '../../gen/proto/oo/serving/v1/candidate_pb.ts';
import {
  type GenerateRequest,
  GenerateRequestSchema,
  type GenerateResponse,
  GenerateResponseSchema,
} from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import type { LlmGateway } from '../../generation/gateway/gateway.ts';
import { type PromptRegistry, resolvePrompt } from '../../generation/prompts/registry.ts';
import {
  type WriteTipsRequest,
  type WrittenBy,
  type WrittenTip,
  type WrittenTips,
  writeTips,
} from '../../generation/write-tips.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { DecisionLog } from '../decision-log.ts';
import { createEnvelope, hashRequest } from '../envelope.ts';
import type { FollowedBandits } from '../follow-bandits.ts';
import { createLogReserve } from '../log-reserve.ts';
import { toLoggedExperiments } from '../logged-experiments.ts';
import type { FeastReader } from '../read-feast.ts';
import type { PersonReader } from '../read-person.ts';
import { traceGeneration } from '../trace-generation.ts';

export interface GenerateDeps {
  readonly readPerson: PersonReader;
  readonly readFeast: FeastReader;
  readonly decisionLog: DecisionLog;
  readonly prompts: PromptRegistry;
  /** Used where neither the request nor an experiment chooses one. */
  readonly defaultPromptVersion: string;
  readonly experiments: ExperimentSource;
  readonly bandits: Pick<FollowedBandits, 'epochOf'>;
  /** Undefined: no language model is configured. */
  readonly gateway: LlmGateway | undefined;
  /** Gets the profile of every call for which the person could be read. */
  readonly countSkew: (profile: Profile) => void;
  /** Gets all tips that were written, once. */
  readonly countGeneration: (written: WrittenTips) => void;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
}

const defaultTips = 3;

/**
 * Writes tips, logs what wrote them, and only then answers. `onCandidate` gets each tip as soon as it is complete, which is
 * before it is logged; the log gets those also where the caller has left meanwhile.
 */
export function createGenerate(deps: GenerateDeps) {
  const { readPerson, readFeast, decisionLog, prompts, defaultPromptVersion, experiments, bandits } = deps;
  const { gateway, countSkew, countGeneration, clock, newId, log } = deps;
  const logReserve = createLogReserve({ now: () => performance.now() });

  return async (
    request: GenerateRequest,
    context: Pick<HandlerContext, 'requestHeader' | 'signal' | 'timeoutMs'>,
    onCandidate?: (candidate: TipCandidate) => void,
  ): Promise<GenerateResponse> => {
    const nowMs = clock();
    const assigned = treat(experiments.current(), request.userId, nowMs);
    const treatment = request.promptVersion
      ? without(assigned, 'promptVersion')
      : withBandits(assigned, request.requestId, bandits.epochOf);
    const prompt = resolvePrompt(prompts, request.promptVersion || treatment.promptVersion, defaultPromptVersion);
    const generationId = newId();
    const [person, feast, { ofRequest, requestHash }] = await Promise.all([
      readPerson(request.userId, undefined, nowMs),
      readFeast(request.userId),
      prepare(request, nowMs),
    ]);
    const known = { supplied: request.profileFeatures, feast, buckets: person?.buckets ?? noBuckets };
    const profile = readProfile(known, nowMs);
    if (person) countSkew(profile);

    const asked: WriteTipsRequest = {
      prompt,
      fallbackPrompt: prompts.fallback,
      context: withProfile(ofRequest, profile),
      n: request.n ?? defaultTips,
      tipId: () => newId(),
      person: request.userId,
      nonce: newId().replaceAll('-', ''),
      deadlineMs: logReserve.before(context.timeoutMs() ?? Number.POSITIVE_INFINITY),
      signal: context.signal,
      onTip: onCandidate && ((tip, by) => onCandidate(toCandidate(tip, by))),
    };
    const written = await traceGeneration(context.requestHeader, { prompt, model: gateway?.model }, () =>
      writeTips(asked, { gateway }),
    );
    countGeneration(written);
    if (written.failure) {
      const what = written.model === '' ? 'templates wrote the tips' : 'the language model broke off';
      log.warn({ generationId, failure: written.failure }, what);
    }

    const degradations = degradationsOf(written, {
      isPersonUnknown: person === undefined,
      isFeastUnavailable: feast === undefined,
    });
    const event = createEnvelope({
      eventId: generationId,
      occurredAtMs: nowMs,
      userId: request.userId,
      requestId: request.requestId,
      traceparent: context.requestHeader.get('traceparent'),
      payload: { case: 'tipGenerated', value: toTipGenerated(request, requestHash, treatment, written, degradations) },
    });
    await logReserve.watch(decisionLog.append(event));
    return toResponse(generationId, written, degradations);
  };
}

/** What needs nothing but the request, once the reads have gone out: it costs no time while they are under way. */
async function prepare(request: GenerateRequest, nowMs: number) {
  await turn();
  return {
    ofRequest: assembleRequest(request.context, nowMs),
    requestHash: hashRequest(GenerateRequestSchema, request),
  };
}

const degradationOf = {
  profile_unavailable: Degradation.PROFILE_UNAVAILABLE,
  policy_fallback: Degradation.POLICY_FALLBACK,
  llm_not_configured: Degradation.LLM_NOT_CONFIGURED,
  llm_unavailable: Degradation.LLM_UNAVAILABLE,
  llm_timeout: Degradation.LLM_TIMEOUT,
  llm_bad_output: Degradation.LLM_BAD_OUTPUT,
  llm_ungrounded: Degradation.LLM_UNGROUNDED,
  feast_unavailable: Degradation.FEAST_UNAVAILABLE,
  llm_budget: Degradation.LLM_BUDGET,
} as const satisfies Record<DegradationName, Degradation>;

const kindOf = {
  task: TipKind.TASK,
  advice: TipKind.ADVICE,
  insight: TipKind.INSIGHT,
  reminder: TipKind.REMINDER,
} as const;
const sourceOf = { llm: TipSource.LLM, fallback: TipSource.FALLBACK } as const;

function degradationsOf(
  written: WrittenTips,
  { isPersonUnknown, isFeastUnavailable }: { readonly isPersonUnknown: boolean; readonly isFeastUnavailable: boolean },
): Degradation[] {
  return [
    ...(isPersonUnknown ? [Degradation.PROFILE_UNAVAILABLE] : []),
    ...(isFeastUnavailable ? [Degradation.FEAST_UNAVAILABLE] : []),
    ...written.degradations.map((name) => degradationOf[name]),
  ];
}

/** What wrote which tips: ids and counts. The texts stay out of events. */
function toTipGenerated(
  request: GenerateRequest,
  requestHash: Uint8Array,
  treatment: Treatment,
  written: WrittenTips,
  degradations: Degradation[],
): TipGenerated {
  return create(TipGeneratedSchema, {
    requestId: request.requestId,
    requestHash,
    tips: written.tips.map(({ id, kind, source, signalIds }) => ({
      tipId: id,
      kind: kindOf[kind],
      source: sourceOf[source],
      signalIds: [...signalIds],
    })),
    model: written.askedModel,
    promptVersion: written.promptVersion,
    promptHash: written.promptHash,
    promptTokens: written.promptTokens,
    completionTokens: written.completionTokens,
    degradations,
    requestedPromptVersion: written.requestedPromptVersion,
    ...toLoggedExperiments(treatment),
  });
}

function toCandidate(tip: WrittenTip, { model, promptVersion }: WrittenBy): TipCandidate {
  const { id, content, kind, source, rationale, signalIds, confidence } = tip;
  return create(TipCandidateSchema, {
    id,
    content,
    kind: kindOf[kind],
    source: sourceOf[source],
    model,
    promptVersion,
    rationale,
    signalIds: [...signalIds],
    ...(confidence === undefined ? {} : { confidence }),
  });
}

function toResponse(generationId: string, written: WrittenTips, degradations: Degradation[]): GenerateResponse {
  const { promptVersion, promptHash, model, promptTokens, completionTokens } = written;
  return create(GenerateResponseSchema, {
    generationId,
    candidates: written.tips.map((tip) => toCandidate(tip, written)),
    model,
    promptVersion,
    promptHash,
    promptTokens,
    completionTokens,
    degradations,
  });
}
