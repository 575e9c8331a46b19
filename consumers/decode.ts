import { fromBinary, fromJsonString, toBinary } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import type { StoredEvent } from '../features/event-store.ts';
import { toMs } from '../features/time.ts';
import { type DeadLetterReasonName, subjects } from '../gen/proto/oo/contract.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Delivery } from '../platform/bus.ts';
import { matchPattern } from '../platform/match-pattern.ts';
import { deltas } from './deltas.ts';

/** A message that can be stored, or why it never can. */
export type Decoded =
  | { readonly kind: 'event'; readonly event: StoredEvent }
  | { readonly kind: 'bad'; readonly reason: DeadLetterReasonName; readonly error: string };

/** The schema versions this build reads. Others wait among the dead letters for a build that does. */
export const acceptedVersions: readonly string[] = ['v1'];

const validator = createValidator({ regexMatch: matchPattern });

/** Decodes and checks a message: bytes, version, rules, subject, in that order. Never throws. */
export function decode(message: Pick<Delivery, 'subject' | 'data' | 'headers'>): Decoded {
  let envelope: Envelope;
  try {
    envelope = parse(message);
  } catch {
    return bad(
      'undecodable',
      `the ${isJson(message.headers) ? 'JSON' : 'bytes'} cannot be read as oo.events.v1.Envelope`,
    );
  }
  const { schemaVersion, payload } = envelope;
  if (schemaVersion !== '' && !acceptedVersions.includes(schemaVersion)) {
    return bad('unsupported_version', `schema_version must be one of ${acceptedVersions.join(', ')}`);
  }
  const checked = validator.validate(EnvelopeSchema, envelope);
  if (checked.kind !== 'valid') return bad('rule_violated', String(checked.violations?.[0] ?? checked.error));
  if (payload.case === undefined) return bad('rule_violated', 'payload is missing');
  const { message: type, subject, alsoAccepted } = subjects[payload.case];
  const accepted: readonly string[] = [subject, ...alsoAccepted];
  if (!accepted.includes(message.subject)) return bad('wrong_subject', `${type} belongs on ${accepted.join(' or ')}`);
  return { kind: 'event', event: toStored(envelope, type, isJson(message.headers) ? undefined : message.data) };
}

function bad(reason: DeadLetterReasonName, error: string): Decoded {
  return { kind: 'bad', reason, error };
}

function isJson(headers: Delivery['headers']): boolean {
  return /^application\/json\b/i.test(headers['Content-Type'] ?? headers['content-type'] ?? '');
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parse({ data, headers }: Pick<Delivery, 'data' | 'headers'>): Envelope {
  if (isJson(headers)) return fromJsonString(EnvelopeSchema, utf8.decode(data), { ignoreUnknownFields: true });
  return fromBinary(EnvelopeSchema, data);
}

function toStored(envelope: Envelope, type: string, binary: Uint8Array | undefined): StoredEvent {
  return {
    eventId: envelope.eventId.toLowerCase(),
    type,
    userId: envelope.userId,
    occurredAtMs: toMs(envelope.occurredAt),
    schemaVersion: envelope.schemaVersion,
    producer: envelope.producer,
    envelope: binary ?? toBinary(EnvelopeSchema, envelope),
    deltas: deltas(envelope),
  };
}
