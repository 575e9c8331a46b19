import { create, createFileRegistry, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { subjects } from '../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { type AnyEnvelope, createReadEnvelope, firstVersion, nextVersion, unreadBinary, versions } from './envelope.ts';

/** An envelope with nothing in it but who it is about. */
function schemaOf(version: string): GenMessage<AnyEnvelope> {
  const text = (name: string, number: number) => ({ name, number, label: Label.OPTIONAL, type: Type.STRING });
  const messageType = [{ name: 'Envelope', field: [text('schema_version', 3), text('user_id', 5)] }];
  const file = [{ name: `${version}.proto`, package: `oo.events.${version}`, syntax: 'proto3', messageType }];
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  return registry.getMessage(`oo.events.${version}.Envelope`) as GenMessage<AnyEnvelope>;
}

const [v1, v2, v3] = ['v1', 'v2', 'v3'].map(schemaOf) as [
  GenMessage<AnyEnvelope>,
  GenMessage<AnyEnvelope>,
  GenMessage<AnyEnvelope>,
];
const marked = (mark: string) => (event: AnyEnvelope) => ({ ...event, userId: `${event.userId} ${mark}` });
const three = nextVersion(nextVersion(firstVersion(v1), v2, marked('in v2')), v3, marked('in v3'));
const stored = (schema: GenMessage<AnyEnvelope>) => toBinary(schema, create(schema, { userId: 'anna' } as object));

describe('versions', () => {
  it.each([
    ['v1', v1, 'anna in v2 in v3'],
    ['v2', v2, 'anna in v3'],
    ['v3', v3, 'anna'],
  ])('carry an event of %s on to the newest, one version at a time', (name, schema, userId) => {
    expect(createReadEnvelope(three)(name, stored(schema))).toMatchObject({ userId });
    expect(three.get(name)?.schema).toBe(schema);
  });

  it('are in the order in which they came, and those they came from stay as they were', () => {
    expect([...three.keys()]).toEqual(['v1', 'v2', 'v3']);
    const before = firstVersion(v1);
    nextVersion(before, v2, marked('in v2'));
    expect(createReadEnvelope(before)('v1', stored(v1))).toMatchObject({ userId: 'anna' });
  });

  it('are read by their own name only', () => {
    expect(() => createReadEnvelope(three)('v4', stored(v3))).toThrow('schema_version v4 is none of v1, v2, v3');
    expect(() => createReadEnvelope(three)('', stored(v3))).toThrow('none of v1, v2, v3');
  });

  it('of the contract travel where the contract says', () => {
    const newest = [...versions.values()].at(-1);
    const own = [...(newest?.subjects ?? [])].map(([name, { subject, alsoAccepted }]) => [
      name,
      { subject, alsoAccepted },
    ]);
    const declared = Object.entries(subjects).map(([name, { subject, alsoAccepted }]) => [
      name,
      { subject, alsoAccepted },
    ]);
    expect(own).toEqual(declared);
  });
});

describe('unreadBinary', () => {
  it.each([
    ['nothing', [], ''],
    ['a version', [0x1a, 2, 0x76, 0x31], 'v1'],
    [
      'a version after a group, a number and a field nobody knows',
      [0xa3, 6, 8, 1, 0xa4, 6, 8, 7, 0xfa, 1, 1, 9, 0x1a, 1, 0x76],
      'v',
    ],
    ['a version that is no text', [0x18, 1], ''],
  ])('finds in %s the version', (_, bytes, version) => {
    expect(unreadBinary(new Uint8Array(bytes), EnvelopeSchema).schemaVersion).toBe(version);
  });

  it.each([
    ['field 0', [0x00, 1]],
    ['a length beyond the end', [0x1a, 9, 0x76]],
    ['a field beyond the end', [0x2a, 9, 0x76]],
    ['a group that never ends', [0xa3, 6, 8, 1]],
    ['groups in groups in groups', Array.from({ length: 100_000 }, () => 0x0b)],
  ])('throws on %s', (_, bytes) => {
    expect(() => unreadBinary(new Uint8Array(bytes), EnvelopeSchema)).toThrow();
  });
});
