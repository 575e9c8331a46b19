import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { decide } from '../experiments/decide.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { nothingLearnt } from '../experiments/statistics.ts';
import { toTimestamp } from '../features/time.ts';
import { vectorNames, vectorVersion } from '../features/vector.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';

const candidates = 5;
const roundsEach = 50;
const reactions = [Reaction.DONE, Reaction.DISMISS, Reaction.SNOOZE, Reaction.HELPFUL];

export interface Told {
  readonly eventId: string;
  readonly type: string;
  readonly userId: string;
  readonly occurredAtMs: number;
  /** In the order in which events are told. */
  readonly transactionId: number;
  readonly envelope: Uint8Array;
}

/** Every transaction of a new cluster's own is later, so all that a decision had seen is over, as it is in life. */
const firstTransaction = 10;
const perPerson = roundsEach * 3;
/** Each event of a person has one of its own. */
const transactionOf = (i: number): number => firstTransaction + (i % perPerson);

/**
 * So many events: decision, showing and reaction by turns, fifty times each person. Each decision has seen all events of
 * its person before it.
 */
export function* lifeOf(events: number): Generator<Told, undefined> {
  const nowMs = Date.now();
  let tip = decisionAt(nowMs, 0);
  for (let i = 0; i < events; i++) {
    const person = `person-${String(Math.floor(i / perPerson)).padStart(6, '0')}`;
    const round = Math.floor(i / 3) % roundsEach;
    const atMs = nowMs - (roundsEach - round) * (dayMs / 2);
    if (i % 3 === 0) tip = decisionAt(atMs, i);
    yield told(person, atMs, tip, i);
  }
}

type Payload = MessageInitShape<typeof EnvelopeSchema>['payload'];

function decisionAt(atMs: number, i: number) {
  const vectors = Array.from({ length: candidates }, (_, c) =>
    vectorNames.map((_, j) => ((i * 31 + c * 1009 + j * 7919) % 8193) - 4096),
  );
  const requestId = newId(atMs);
  const { chosen, scores, propensities, policy, ...rest } = decide(egreedyV2, vectors, requestId, {
    person: nothingLearnt,
    population: nothingLearnt,
  });
  const value = {
    requestId,
    requestHash: new Uint8Array(32),
    tipId: `tip-${chosen}`,
    candidates: vectors.map((vector, c) => ({
      tipId: `tip-${c}`,
      kind: TipKind.TASK,
      source: TipSource.TASK_DIRECT,
      vector,
      score: scores[c] ?? 0,
      propensity: propensities[c] ?? 0,
    })),
    policy: policy.name,
    policyVersion: policy.version,
    modelVersion: rest.modelVersion,
    weights: [...rest.weights],
    vectorNames: [...vectorNames],
    vectorVersion,
    seed: rest.seed,
    draw: rest.draw,
    timeZone: 'Europe/Amsterdam',
    snapshot: `${transactionOf(i)}:${transactionOf(i)}:`,
  };
  return { decisionId: newId(atMs), value };
}

const types = ['TipScored', 'TipServed', 'TipFeedback'] as const;

function told(
  userId: string,
  decidedAtMs: number,
  { decisionId, value }: ReturnType<typeof decisionAt>,
  i: number,
): Told {
  const step = i % 3;
  const { tipId } = value;
  const eventId = step === 0 ? decisionId : newId(decidedAtMs);
  const occurredAtMs = decidedAtMs + step * 60_000;
  const shown = { tipId, decisionId, kind: TipKind.TASK, source: TipSource.TASK_DIRECT };
  const payload: Payload =
    step === 0
      ? { case: 'tipScored', value }
      : step === 1
        ? { case: 'tipServed', value: shown }
        : { case: 'tipFeedback', value: { tipId, decisionId, reaction: reactionOf(decisionId), dwellMs: 30_000n } };
  const envelope = create(EnvelopeSchema, {
    ...{ eventId, userId, occurredAt: toTimestamp(occurredAtMs), schemaVersion: 'v1', producer: 'bench@1', payload },
  });
  return {
    ...{ eventId, userId, occurredAtMs, type: `oo.events.v1.${types[step]}` },
    transactionId: transactionOf(i),
    envelope: toBinary(EnvelopeSchema, envelope),
  };
}

const reactionOf = (decisionId: string): Reaction =>
  reactions[Number.parseInt(decisionId.slice(-4), 16) % reactions.length] ?? Reaction.DONE;
