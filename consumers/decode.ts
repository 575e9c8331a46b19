import { toBinary } from '@bufbuild/protobuf';
import {
  type AnyEnvelope,
  newestOf,
  unreadBinary,
  unreadJson,
  type Version,
  type Versions,
  versions,
} from '../features/envelope.ts';
import type { StoredEvent } from '../features/event-store.ts';
import type { Delta } from '../features/tables.ts';
import { toMs } from '../features/time.ts';
import type { DeadLetterReasonName } from '../gen/proto/oo/contract.ts';
import type { Delivery } from '../platform/bus.ts';
import { createValidator } from '../platform/validator.ts';
import { deltas } from './deltas.ts';

/** A message that can be stored, or why it never can. */
export type Decoded =
  | { readonly kind: 'event'; readonly event: StoredEvent }
  | { readonly kind: 'bad'; readonly reason: DeadLetterReasonName; readonly error: string };

/** Decodes and checks a message: bytes, version, rules, subject, in that order. Never throws. */
export type Decode = (message: Pick<Delivery, 'subject' | 'data' | 'headers'>) => Decoded;

/** Decodes by the contract. Versions it does not have wait among the dead letters for a build that does. */
export const decode: Decode = createDecode(versions, deltas);

/**
 * Decodes events of any of these versions. An event keeps the rules and travels on the subjects of the version its
 * producer wrote; it is stored as it was published, and adds what it adds as an event of the newest version.
 */
export function createDecode<Newest>(of: Versions<Newest>, deltasOf: (event: Newest) => readonly Delta[]): Decode {
  const validator = createValidator();
  const names = [...of.keys()];
  const newest = newestOf(of);

  return ({ subject, data, headers }) => {
    const isText = isJson(headers);
    let version: Version<Newest> | undefined;
    let envelope: AnyEnvelope;
    try {
      const unread = isText ? unreadJson(utf8.decode(data)) : unreadBinary(data, newest.schema);
      version = unread.schemaVersion ? of.get(unread.schemaVersion) : newest; // one that says none breaks a rule of any
      if (!version) return bad('unsupported_version', `schema_version must be one of ${names.join(', ')}`);
      envelope = unread.read(version.schema);
    } catch {
      return bad(
        'undecodable',
        `the ${isText ? 'JSON' : 'bytes'} cannot be read as ${version?.schema.typeName ?? 'an Envelope'}`,
      );
    }
    const checked = validator.validate(version.schema, envelope);
    if (checked.kind !== 'valid') return bad('rule_violated', String(checked.violations?.[0] ?? checked.error));
    const { case: name = '', value: payload } = envelope.payload;
    const travels = version.subjects.get(name);
    if (!payload || !travels) return bad('rule_violated', 'payload is missing');
    const accepted = [travels.subject, ...travels.alsoAccepted];
    if (!accepted.includes(subject))
      return bad('wrong_subject', `${payload.$typeName} belongs on ${accepted.join(' or ')}`);
    return {
      kind: 'event',
      event: {
        eventId: envelope.eventId.toLowerCase(),
        type: payload.$typeName,
        userId: envelope.userId,
        occurredAtMs: toMs(envelope.occurredAt),
        schemaVersion: envelope.schemaVersion,
        producer: envelope.producer,
        envelope: isText ? toBinary(version.schema, envelope) : data,
        deltas: deltasOf(version.upcast(envelope)),
      },
    };
  };
}

function bad(reason: DeadLetterReasonName, error: string): Decoded {
  return { kind: 'bad', reason, error };
}

/** Whether a message says that it is in JSON. */
export function isJson(headers: Delivery['headers']): boolean {
  return /^application\/json\b/i.test(headers['Content-Type'] ?? headers['content-type'] ?? '');
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
