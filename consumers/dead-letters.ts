import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { letterId, readReplay, seenAt, withoutReplay } from '../features/dead-letter.ts';
import type { SeenLetter } from '../features/dead-letter-store.ts';
import { type AnyEnvelope, newestOf, unreadBinary, unreadJson, versions } from '../features/envelope.ts';
import type { DeadLetterReasonName } from '../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Bus, Delivery } from '../platform/bus.ts';
import { isJson } from './decode.ts';

export interface DeadLetter {
  readonly delivery: Delivery;
  readonly reason: DeadLetterReasonName;
  readonly error: string;
}

/** Headers of a dead letter, beside those the message came with. */
export const deadLetterHeaders = {
  reason: 'Oo-Reason',
  error: 'Oo-Error',
  subject: 'Oo-Subject',
  sequence: 'Oo-Stream-Sequence',
  deliveries: 'Oo-Deliveries',
  messageId: 'Oo-Msg-Id',
} as const;

const prefix = 'deadletters.';
const publishMs = 5_000;

/**
 * Puts a message that can never be stored aside: its original bytes on `deadletters.<stream>`, with the reason. Only
 * once the stream has it is the message taken off its own stream. Repeating it after a crash stores it once. Throws
 * BusError.
 */
export async function putAside(
  bus: Pick<Bus, 'publish'>,
  durable: { readonly stream: string; readonly name: string },
  letter: DeadLetter,
): Promise<void> {
  const { delivery } = letter;
  const { subject, data, headers } = messageOf(durable.stream, letter);
  await bus.publish(subject, data, {
    // with its time, as a stream that is made anew counts its messages from 1 again
    id: `dlq:${durable.stream}:${durable.name}:${delivery.sequence}:${delivery.takenAtMs}`,
    timeoutMs: publishMs,
    headers,
  });
  delivery.terminate();
}

/** A letter as it is published. */
function messageOf(stream: string, { delivery, reason, error }: DeadLetter) {
  const { 'Nats-Msg-Id': messageId, ...original } = delivery.headers;
  const headers: Record<string, string> = {
    ...Object.fromEntries(Object.entries(original).filter(([name]) => !name.startsWith('Nats-'))),
    [deadLetterHeaders.reason]: reason,
    [deadLetterHeaders.error]: oneLine(error),
    [deadLetterHeaders.subject]: delivery.subject,
    [deadLetterHeaders.sequence]: String(delivery.sequence),
    [deadLetterHeaders.deliveries]: String(delivery.deliveries),
    ...(messageId ? { [deadLetterHeaders.messageId]: messageId } : {}),
  };
  return { subject: `${prefix}${stream}`, data: delivery.data, headers };
}

/** A header is one line of printable ASCII. */
function oneLine(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200);
}

/**
 * Reads what `putAside` published, in a form that the table takes: it has no NUL in its texts. An event that was
 * replayed and failed again is the letter it was before. Undefined: nobody put it aside. Never throws.
 */
export function readLetter(message: Message): SeenLetter | undefined {
  const headers = cleaned(message.headers);
  const { [deadLetterHeaders.reason]: reason = '', [deadLetterHeaders.subject]: subject = '' } = headers;
  const streamSequence = wholeNumber(headers[deadLetterHeaders.sequence]);
  if (!/^[a-z_]{1,64}$/.test(reason) || subject === '' || streamSequence === undefined) return undefined;
  return letterOf(message, headers, { reason, subject, streamSequence });
}

/**
 * A letter that its stream does not take, as it would be read from there. It is seen when its own stream took it, so
 * that it is the same when it is done again after a crash.
 */
export function unpublished(stream: string, letter: DeadLetter): SeenLetter {
  const { sequence, takenAtMs, deliveries, subject } = letter.delivery;
  const message = { ...messageOf(stream, letter), sequence, takenAtMs, deliveries };
  const names = { reason: letter.reason, subject: withoutNul(subject), streamSequence: sequence };
  return { ...letterOf(message, cleaned(message.headers), names), sequence: null };
}

type Message = Omit<Delivery, 'ack' | 'working' | 'terminate'>;

function letterOf(
  message: Message,
  headers: Record<string, string>,
  { reason, subject, streamSequence }: Pick<SeenLetter, 'reason' | 'subject' | 'streamSequence'>,
): SeenLetter {
  const replay = readReplay(headers);
  const origin = replay?.origin ?? { stream: message.subject.slice(prefix.length), streamSequence };
  return {
    id: letterId(origin, subject, message.data),
    ...origin,
    subject,
    headers: originalHeaders(headers),
    data: message.data,
    ...readIds(message),
    reason,
    error: headers[deadLetterHeaders.error] ?? '',
    deliveries: Math.min(wholeNumber(headers[deadLetterHeaders.deliveries]) ?? 1, 2 ** 31 - 1),
    seenAtMs: seenAt(message.takenAtMs, replay),
    sequence: message.sequence,
  };
}

const withoutNul = (text: string): string => text.replaceAll('\0', '\ufffd');

function cleaned(headers: Delivery['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [withoutNul(name), withoutNul(value)]));
}

function wholeNumber(text = ''): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** The headers that the message had before it was put aside, and before it was replayed. */
function originalHeaders(headers: Record<string, string>): Readonly<Record<string, string>> {
  const added = new Set<string>(Object.values(deadLetterHeaders));
  const messageId = headers[deadLetterHeaders.messageId];
  const original = Object.entries(withoutReplay(headers)).filter(
    ([name]) => !added.has(name) && !name.startsWith('Nats-'),
  );
  return { ...Object.fromEntries(original), ...(messageId ? { 'Nats-Msg-Id': messageId } : {}) };
}

/** The ids that the bytes tell of, as far as they are ids that the contract would take. */
function readIds(message: Bytes): Pick<SeenLetter, 'eventId' | 'userId'> {
  const { eventId, userId } = readWhole(message) ?? { eventId: '', userId: salvageUserId(message) };
  return {
    eventId: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(eventId) ? eventId.toLowerCase() : null,
    userId: userId !== '' && Buffer.byteLength(userId) <= 128 && !userId.includes('\0') ? userId : null,
  };
}

const newest = newestOf(versions);

type Bytes = Pick<Delivery, 'data' | 'headers'>;

/** Undefined: the bytes are no envelope of any version. */
function readWhole({ data, headers }: Bytes): Pick<AnyEnvelope, 'eventId' | 'userId'> | undefined {
  try {
    const unread = isJson(headers) ? unreadJson(new TextDecoder().decode(data)) : unreadBinary(data, newest.schema);
    return unread.read((versions.get(unread.schemaVersion) ?? newest).schema);
  } catch {
    return undefined;
  }
}

/** Whom bytes speak of that are no envelope as a whole, so that an erasure finds them. Empty: they do not say. */
function salvageUserId({ data, headers }: Bytes): string {
  const inFields = () => userIdInFields(data);
  const inText = () => userIdInText(new TextDecoder().decode(data));
  return isJson(headers) ? inText() || inFields() : inFields() || inText(); // what they say to be comes first
}

/** Reads fields as far as it goes. */
function userIdInFields(data: Uint8Array): string {
  const reader = new BinaryReader(data);
  let found = '';
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (number === EnvelopeSchema.field.userId.number && wireType === WireType.LengthDelimited)
        found = reader.string();
      else reader.skip(wireType, number);
    }
  } catch {
    // it breaks off here
  }
  return found;
}

/** Ids that are numbers elsewhere come as numbers, without quotes. */
function userIdInText(text: string): string {
  const [, quoted, number = ''] = /"(?:userId|user_id)"\s*:\s*(?:("(?:[^"\\]|\\.)*")|(-?\d+))/.exec(text) ?? [];
  try {
    return quoted === undefined ? number : String(JSON.parse(quoted));
  } catch {
    return '';
  }
}
