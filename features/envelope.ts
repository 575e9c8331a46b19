import { fromBinary, fromJsonString } from '@bufbuild/protobuf';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';

/** Reads an envelope as it is stored. Throws on bytes that are none. */
export function readEnvelope(_schemaVersion: string, bytes: Uint8Array): Envelope {
  return fromBinary(EnvelopeSchema, bytes);
}

/** Reads an envelope in protojson. Fields of a newer contract are left out. Throws on text that is none. */
export function readEnvelopeJson(text: string): Envelope {
  return fromJsonString(EnvelopeSchema, text, { ignoreUnknownFields: true });
}
