import { hash } from 'node:crypto';
import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { toTimestamp } from '../features/time.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';

export interface EnvelopeInit {
  readonly eventId: string;
  readonly occurredAtMs: number;
  readonly userId: string;
  /** The request that caused the event. */
  readonly requestId: string;
  /** W3C trace context of the request, as its header says. */
  readonly traceparent: string | null;
  readonly payload: Envelope['payload'];
}

const producer = 'oo-ml';

/** The envelope of an event of our own. */
export function createEnvelope({
  eventId,
  occurredAtMs,
  userId,
  requestId,
  traceparent,
  payload,
}: EnvelopeInit): Envelope {
  return create(EnvelopeSchema, {
    eventId,
    occurredAt: toTimestamp(occurredAtMs),
    schemaVersion: 'v1',
    producer,
    userId,
    traceparent:
      traceparent && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent) ? traceparent : '',
    causationId: requestId,
    payload,
  });
}

/** SHA-256 of a request in canonical binary form: the same for every protocol and encoding it came in. */
export function hashRequest<Schema extends DescMessage>(schema: Schema, request: MessageShape<Schema>): Uint8Array {
  return hash('sha256', toBinary(schema, request, { writeUnknownFields: false }), 'buffer');
}
