import type { Delta } from '../features/tables.ts';
import { toMs } from '../features/time.ts';
import { firstVectorVersion } from '../features/vector.ts';
import { namesOfDegradation, namesOfReaction, namesOfTipKind, namesOfTipSource } from '../gen/proto/oo/contract.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { TipFeedback } from '../gen/proto/oo/events/v1/feedback_pb.ts';
import { utcDay } from '../platform/clock.ts';
import { rewardMilli, rewards } from './rewards.ts';

/** What an event adds to the tables of decisions and rewards. Pure; the event is valid. */
export function decisionDeltas(event: Envelope): readonly Delta[] {
  const { payload } = event;
  if (payload.case === 'tipScored')
    return [
      ...tipScores(event, payload.value),
      ...promptRewards(event, payload.value),
      ...experimentStats(event, payload.value),
    ];
  if (payload.case === 'tipFeedback') return tipFeedback(event, payload.value);
  return [];
}

function tipScores(event: Envelope, decision: TipScored): readonly Delta[] {
  const chosen = decision.candidates.find(({ tipId }) => tipId === decision.tipId);
  if (!chosen) return []; // refused before it comes here: the tip chosen is one of the candidates
  return [
    {
      table: 'tip_scores',
      row: {
        decision_id: event.eventId,
        request_id: decision.requestId,
        user_id: event.userId,
        tip_id: decision.tipId,
        decided_at: toMs(event.occurredAt),
        policy: decision.policy,
        policy_version: decision.policyVersion,
        model_version: decision.modelVersion || null,
        tip_kind: namesOfTipKind[chosen.kind] ?? 'unspecified',
        tip_source: namesOfTipSource[chosen.source] ?? 'unspecified',
        llm_model: chosen.model || null,
        prompt_version: chosen.promptVersion || null,
        score: chosen.score,
        propensity: chosen.propensity,
        candidates: decision.candidates.length,
        degradations: decision.degradations.map((number) => namesOfDegradation[number] ?? 'unspecified'),
        vector: chosen.vector,
        vector_version: decision.vectorVersion || firstVectorVersion,
        experiments: decision.experiments.map(({ experiment }) => experiment),
        experiment_versions: decision.experiments.map(({ version }) => version),
        experiment_arms: decision.experiments.map(({ arm }) => arm),
        elapsed_micros: decision.elapsedMicros,
      },
    },
  ];
}

/** By the words that stand in `tip_scores`, so that rewards find the row again. */
function promptRewards(event: Envelope, { policy, tipId, candidates }: TipScored): readonly Delta[] {
  const chosen = candidates.find((candidate) => candidate.tipId === tipId);
  if (!chosen) return []; // as above
  return [
    {
      table: 'prompt_rewards',
      row: {
        user_id: event.userId,
        day: utcDay(toMs(event.occurredAt)),
        prompt_version: chosen.promptVersion,
        llm_model: chosen.model,
        tip_kind: namesOfTipKind[chosen.kind] ?? 'unspecified',
        policy,
        served: 1,
      },
    },
  ];
}

/** Arms that were forced are no part of any comparison. */
function experimentStats({ userId }: Envelope, { experiments }: TipScored): readonly Delta[] {
  return experiments.map(({ experiment, version, arm }) => ({
    table: 'experiment_stats',
    row: { user_id: userId, experiment, version, arm, decisions: 1 },
  }));
}

function tipFeedback(event: Envelope, feedback: TipFeedback): readonly Delta[] {
  const reaction = namesOfReaction[feedback.reaction];
  if (reaction === undefined) return []; // refused by the contract's rules
  const dwellMs = feedback.dwellMs === undefined ? undefined : Number(feedback.dwellMs);
  return [
    {
      table: 'tip_feedback',
      row: {
        event_id: event.eventId,
        user_id: event.userId,
        tip_id: feedback.tipId,
        decision_id: feedback.decisionId || null,
        reaction,
        dwell_ms: dwellMs ?? null,
        reward_milli: rewardMilli(reaction, dwellMs),
        reward_version: rewards.version,
        reacted_at: toMs(event.occurredAt),
      },
    },
  ];
}
