// Whatever was once published is read for ever.

import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fromBinary, fromJsonString, toBinary, toJson } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect, usedTypes } from '@bufbuild/protobuf/reflect';
import { describe, expect, it } from 'vitest';
import { decode } from '../../consumers/decode.ts';
import { readEnvelope, versions } from '../../features/envelope.ts';
import { subjects } from '../../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { broken, folder, goldenEvents, hashes, lockFile } from './read-golden.ts';

const golden = await goldenEvents('v1');

describe('the golden events', () => {
  const readLock = async () => JSON.parse(await readFile(lockFile, 'utf8')) as Record<string, string>;

  it('never change and never vanish: LOCK.json names each file and its hash', async () => {
    expect(await hashes()).toEqual(await readLock());
  });

  it('are locked for good: no commit ever said of one what LOCK.json does not say now', async () => {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, encoding: 'utf8' });
    const lock = await readLock();
    for (const commit of git('log', '--format=%H', '--', 'LOCK.json').split('\n').filter(Boolean)) {
      expect(broken(JSON.parse(git('show', `${commit}:./LOCK.json`)), lock), commit).toEqual([]);
    }
  });

  it('are there for every version, and of the newest for every payload', async () => {
    for (const version of versions.keys()) expect((await goldenEvents(version)).length).toBeGreaterThan(0);
    const wanted = Object.keys(subjects).flatMap((name) => [`v1/${name}.full`, `v1/${name}.minimal`]);
    expect(golden.map(({ name }) => name)).toEqual(expect.arrayContaining(wanted));
  });

  it('leave no field of the contract unsaid', () => {
    const events = golden.map(({ bytes }) => reflect(EnvelopeSchema, fromBinary(EnvelopeSchema, bytes)));
    const messages = [EnvelopeSchema, ...usedTypes(EnvelopeSchema)].filter(
      (type) => type.kind === 'message' && type.typeName.startsWith('oo.'),
    );
    const fields = messages.flatMap((type) => (type.kind === 'message' ? type.fields.map(String) : []));
    const said = new Set(events.flatMap(fieldsSaid));
    expect(fields.filter((field) => !said.has(field))).toEqual([]);
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

/** The fields that are set, in the message and in all below it. */
function fieldsSaid(message: ReflectMessage): string[] {
  return message.fields
    .filter((field) => message.isSet(field))
    .flatMap((field) => {
      if (field.fieldKind === 'message') return [String(field), ...fieldsSaid(message.get(field))];
      const items = field.fieldKind === 'list' && field.listKind === 'message' ? [...message.get(field)] : [];
      return [String(field), ...items.flatMap((item) => fieldsSaid(item as ReflectMessage))];
    });
}
