import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { subjects } from '../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Bus } from '../platform/bus.ts';
import { newId } from '../platform/ids.ts';
import { createValidator } from '../platform/validator.ts';

type Init = Exclude<MessageInitShape<typeof EnvelopeSchema>, { $typeName: string }>;

/** What happened, to whom. `eventId` and `occurredAt` are made if they are not given. */
export type EventInit = Omit<Init, 'schemaVersion' | 'producer' | 'userId' | 'payload'> & {
  readonly userId: string;
  readonly payload: Exclude<NonNullable<Init['payload']>, { case: undefined }>;
};

export interface EventPublisher {
  /**
   * Publishes an event on the subject of its payload and returns its id once the stream has it. Publishing again under
   * the same `eventId` is safe: it counts once. Throws a TypeError on an event that breaks the contract's rules, and a
   * BusError if the stream does not take it in time.
   */
  publish(event: EventInit): Promise<string>;
}

export interface EventPublisherOptions {
  readonly bus: Pick<Bus, 'publish'>;
  /** The publishing service, with its version if it has one: `recommender@1.4.2`. */
  readonly producer: string;
  /** Milliseconds after which publishing fails. Default 5,000. */
  readonly timeoutMs?: number;
}

/** Only events that consumers will accept leave here: the contract's rules are checked before publishing. */
export function createEventPublisher({ bus, producer, timeoutMs = 5_000 }: EventPublisherOptions): EventPublisher {
  const validator = createValidator();
  return {
    async publish(event) {
      const nowMs = Date.now();
      const envelope = create(EnvelopeSchema, {
        eventId: newId(nowMs),
        occurredAt: timestampFromMs(nowMs),
        ...event,
        schemaVersion: 'v1',
        producer,
      });
      const checked = validator.validate(EnvelopeSchema, envelope);
      if (checked.kind !== 'valid') throw new TypeError(`event refused: ${checked.violations?.[0] ?? checked.error}`);
      if (envelope.payload.case === undefined) throw new TypeError('event refused: payload is missing');
      await bus.publish(subjects[envelope.payload.case].subject, toBinary(EnvelopeSchema, envelope), {
        id: envelope.eventId,
        timeoutMs,
      });
      return envelope.eventId;
    },
  };
}
