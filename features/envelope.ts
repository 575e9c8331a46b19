import { type DescMessage, fromBinary, fromJson, getOption, type JsonValue, type Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { type SubjectOptions, subject } from '../gen/proto/oo/options/v1/options_pb.ts';

/** What the envelopes of all versions have in common. `schemaVersion` has the same number and name in each. */
export type AnyEnvelope = Message &
  Pick<Envelope, 'eventId' | 'occurredAt' | 'schemaVersion' | 'producer' | 'userId'> & {
    readonly payload: { readonly case?: string | undefined; readonly value?: Message | undefined };
  };

/** A version of the contract: how its events are read and checked, and how they go on as events of the newest version. */
export interface Version<Newest> {
  /** Reads its bytes and its JSON, and holds the rules for what its producers write. */
  readonly schema: DescMessage;
  /** Where each of its payloads travels, by the name in the `payload` oneof. */
  readonly subjects: ReadonlyMap<string, SubjectOptions>;
  /** A valid event of this version as one of the newest. Pure and total; the event stays as it is. */
  readonly upcast: (event: AnyEnvelope) => Newest;
}

/** The versions that a build reads, by `schema_version`, oldest first. What a build works with are the newest's. */
export type Versions<Newest> = ReadonlyMap<string, Version<Newest>>;

/** The versions of the contract. Another one is `nextVersion` of these. */
export const versions: Versions<Envelope> = firstVersion(EnvelopeSchema);

/** The version that a package `oo.events.<version>` is. */
export function firstVersion<First extends AnyEnvelope>(schema: GenMessage<First>): Versions<First> {
  return new Map([[nameOf(schema), { schema, subjects: subjectsOf(schema), upcast: (event) => event as First }]]);
}

/** Adds a version. Events of all versions before it pass through `upcast`, which is pure, and total on valid events. */
export function nextVersion<Before, Next extends AnyEnvelope>(
  before: Versions<Before>,
  schema: GenMessage<Next>,
  upcast: (event: Before) => Next,
): Versions<Next> {
  const older = [...before].map(
    ([name, version]) => [name, { ...version, upcast: (event: AnyEnvelope) => upcast(version.upcast(event)) }] as const,
  );
  return new Map([...older, ...firstVersion(schema)]);
}

/** The version that a build works with, and that most of what it reads is of. */
export function newestOf<Newest>(of: Versions<Newest>): Version<Newest> {
  const newest = [...of.values()].at(-1);
  if (!newest) throw new TypeError('there is no version');
  return newest;
}

function nameOf({ file }: DescMessage): string {
  return file.proto.package.split('.').at(-1) ?? '';
}

function subjectsOf({ fields }: DescMessage): ReadonlyMap<string, SubjectOptions> {
  const payloads = fields.filter(({ oneof }) => oneof?.name === 'payload');
  return new Map(
    payloads.flatMap(({ localName, message }) => (message ? [[localName, getOption(message, subject)]] : [])),
  );
}

/** Reads envelopes as they are stored, as events of the newest version. Throws on bytes that are none. */
export function createReadEnvelope<Newest>(of: Versions<Newest>): (schemaVersion: string, bytes: Uint8Array) => Newest {
  return (schemaVersion, bytes) => {
    const version = of.get(schemaVersion);
    if (!version) throw new Error(`schema_version ${schemaVersion} is none of ${[...of.keys()].join(', ')}`);
    return version.upcast(fromBinary(version.schema, bytes) as AnyEnvelope);
  };
}

export const readEnvelope = createReadEnvelope(versions);

/** An envelope that says its version, and is read once it is known by which schema. */
export interface Unread {
  /** Empty: it does not say. */
  readonly schemaVersion: string;
  /** Throws on what is none of this schema. */
  readonly read: (schema: DescMessage) => AnyEnvelope;
}

/** An envelope in binary form, which is read once if it is one of the `likely` schema. Throws on bytes that are no message. */
export function unreadBinary(bytes: Uint8Array, likely: DescMessage): Unread {
  const envelope = tryBinary(likely, bytes);
  return {
    schemaVersion: envelope?.schemaVersion ?? findVersion(bytes),
    read: (schema) => (schema === likely && envelope) || (fromBinary(schema, bytes) as AnyEnvelope),
  };
}

function tryBinary(schema: DescMessage, bytes: Uint8Array): AnyEnvelope | undefined {
  try {
    return fromBinary(schema, bytes) as AnyEnvelope;
  } catch {
    return undefined;
  }
}

/** An envelope in protojson. Fields of a newer contract are left out. Throws on text that is no JSON. */
export function unreadJson(text: string): Unread {
  const json: JsonValue = JSON.parse(text);
  const { schemaVersion, schema_version = schemaVersion } = Object(json) as Readonly<Record<string, JsonValue>>;
  return {
    schemaVersion: typeof schema_version === 'string' ? schema_version : '',
    read: (schema) => fromJson(schema, json, { ignoreUnknownFields: true }) as AnyEnvelope,
  };
}

/** Steps over the fields of the envelope, whatever they hold. */
function findVersion(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  let found = '';
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === EnvelopeSchema.field.schemaVersion.number && wireType === WireType.LengthDelimited)
      found = reader.string(); // the last one counts
    else reader.skip(wireType, number);
  }
  return found;
}
