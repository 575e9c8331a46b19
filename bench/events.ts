import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { decode } from '../consumers/decode.ts';
import type { StoredEvent } from '../features/event-store.ts';
import { toTimestamp } from '../features/time.ts';
import { subjects } from '../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import type { Bus } from '../platform/bus.ts';
import { newId } from '../platform/ids.ts';
import { people, personId } from './people.ts';

/** An event on its way into its stream. */
export interface Message {
  readonly id: string;
  readonly stream: string;
  readonly subject: string;
  readonly data: Uint8Array;
}

const reactions = [Reaction.DONE, Reaction.DISMISS, Reaction.SNOOZE, Reaction.HELPFUL] as const;
const feedbackShare = 0.4;
const publishTimeoutMs = 30_000;

/** A tip that was shown or, less often, a reaction to one. Of any of the people. */
export function randomMessage(occurredAtMs: number): Message {
  const eventId = newId(occurredAtMs);
  const tip = { tipId: `tip-${eventId.slice(-8)}`, decisionId: newId(occurredAtMs) };
  const event = Math.random() < feedbackShare ? reaction(tip) : shown(tip);
  const { stream, subject } = subjects[event.case];
  const envelope = create(EnvelopeSchema, {
    eventId,
    occurredAt: toTimestamp(occurredAtMs),
    schemaVersion: 'v1',
    producer: 'bench@1',
    userId: personId(Math.floor(Math.random() * people)),
    payload: event,
  });
  return { id: eventId, stream, subject, data: toBinary(EnvelopeSchema, envelope) };
}

type Event<Case> = Extract<MessageInitShape<typeof EnvelopeSchema>['payload'], { case: Case }>;

interface Tip {
  readonly tipId: string;
  readonly decisionId: string;
}

function shown(tip: Tip): Event<'tipServed'> {
  return { case: 'tipServed', value: { ...tip, kind: TipKind.TASK, source: TipSource.TASK_DIRECT } };
}

function reaction(tip: Tip): Event<'tipFeedback'> {
  const dwellMs = BigInt(Math.floor(5_000 + Math.random() * 300_000));
  const kind = reactions[Math.floor(Math.random() * reactions.length)] ?? Reaction.DONE;
  return { case: 'tipFeedback', value: { ...tip, reaction: kind, dwellMs, hourOfDay: Math.floor(Math.random() * 24) } };
}

/** Returns once the stream has it. */
export async function publish(bus: Pick<Bus, 'publish'>, { id, subject, data }: Message): Promise<void> {
  await bus.publish(subject, data, { id, timeoutMs: publishTimeoutMs });
}

/** What the consumers make of a message before they store it. */
export function decoded({ subject, data }: Message): StoredEvent {
  const result = decode({ subject, data, headers: {} });
  if (result.kind === 'bad') throw new Error(`the benchmark made a bad event: ${result.error}`);
  return result.event;
}
