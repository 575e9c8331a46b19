// Whatever was once published is read for ever.

import { readFile } from 'node:fs/promises';
import { fromBinary, fromJsonString, toBinary, toJson } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { decode } from '../../consumers/decode.ts';
import { readEnvelope, versions } from '../../features/envelope.ts';
import { subjects } from '../../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { examples } from './examples.ts';
import { goldenEvents, hashes, lockFile } from './read-golden.ts';

const golden = await goldenEvents('v1');

describe('the golden events', () => {
  it('never change and never vanish: LOCK.json names each file and its hash', async () => {
    expect(await hashes()).toEqual(JSON.parse(await readFile(lockFile, 'utf8')));
  });

  it('are there for every version, and of the newest for every payload', async () => {
    for (const version of versions.keys()) expect((await goldenEvents(version)).length).toBeGreaterThan(0);
    const wanted = Object.keys(subjects).flatMap((name) => [`v1/${name}.full`, `v1/${name}.minimal`]);
    expect(golden.map(({ name }) => name)).toEqual(wanted.toSorted());
  });

  it('with all there is to say leave no field of their payload unsaid', () => {
    for (const [name, { full }] of Object.entries(examples)) {
      const field = EnvelopeSchema.fields.find(({ localName }) => localName === name);
      expect(Object.keys(full).toSorted(), name).toEqual(
        field?.message?.fields.map(({ localName }) => localName).toSorted(),
      );
    }
  });

  it.each(golden)(
    '$name is read from both forms, says the same in both, and is stored as it was published',
    ({ name, bytes, json }) => {
      const event = fromBinary(EnvelopeSchema, bytes);
      expect(toBinary(EnvelopeSchema, event)).toEqual(bytes);
      expect(toJson(EnvelopeSchema, event)).toEqual(JSON.parse(json));
      expect(fromJsonString(EnvelopeSchema, json)).toEqual(event);
      expect(readEnvelope('v1', bytes)).toEqual(event);
      const { subject } = subjects[name.slice('v1/'.length).split('.')[0] as keyof typeof subjects];
      const forms = [
        { data: bytes, headers: {} },
        { data: new TextEncoder().encode(json), headers: { 'Content-Type': 'application/json' } },
      ];
      const decoded = forms.map((form) => decode({ subject, ...form }));
      for (const each of decoded)
        expect(each).toMatchObject({ kind: 'event', event: { schemaVersion: 'v1', envelope: bytes } });
      expect(decoded[1]).toEqual(decoded[0]);
    },
  );
});
