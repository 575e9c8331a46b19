import type { Delta } from '../features/tables.ts';
import { toMs } from '../features/time.ts';
import { namesOfTipKind, namesOfTipSource } from '../gen/proto/oo/contract.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';

/** What an event adds to the table of written tips: of two with one id, the first. Pure; the event is valid. */
export function generationDeltas(event: Envelope): readonly Delta[] {
  if (event.payload.case !== 'tipGenerated') return [];
  const { tips, model, promptVersion, promptHash, experiments } = event.payload.value;
  const distinct = tips.filter(({ tipId }, i) => tips.findIndex((other) => other.tipId === tipId) === i);
  return distinct.map((tip) => ({
    table: 'generated_tips',
    row: {
      event_id: event.eventId,
      tip_id: tip.tipId,
      user_id: event.userId,
      generated_at: toMs(event.occurredAt),
      tip_kind: namesOfTipKind[tip.kind] ?? 'unspecified',
      tip_source: namesOfTipSource[tip.source] ?? 'unspecified',
      llm_model: model || null,
      prompt_version: promptVersion,
      prompt_hash: promptHash,
      signal_ids: tip.signalIds,
      experiments: experiments.map(({ experiment }) => experiment),
      experiment_versions: experiments.map(({ version }) => version),
      experiment_arms: experiments.map(({ arm }) => arm),
      measurement: experiments.find(({ bandit }) => bandit)?.bandit?.measurement ?? null,
    },
  }));
}
