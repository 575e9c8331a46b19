/**
 * `npm run golden`: makes the golden events that are missing, in `tests/golden/<version>`. What is there stays for ever:
 * it is what producers have published, and every build must read it. Does nothing where one of them changed or went.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { create, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { envelopes, examples } from '../tests/golden/examples.ts';
import { broken, folder, hashes, lockFile } from '../tests/golden/read-golden.ts';

const version = 'v1';

await mkdir(folder + version, { recursive: true });
const known = existsSync(lockFile) ? (JSON.parse(await readFile(lockFile, 'utf8')) as Record<string, string>) : {};
const wrong = broken(known, await hashes());
if (wrong.length > 0) throw new Error(`golden events never change and never go: ${wrong.join(', ')}`);
const made: string[] = [];
for (const [name, variants] of Object.entries(examples)) {
  for (const [variant, value] of Object.entries(variants)) {
    const file = `${version}/${name}.${variant}`;
    if (`${file}.binpb` in known) continue;
    const payload = { case: name, value } as NonNullable<MessageInitShape<typeof EnvelopeSchema>['payload']>;
    const event = create(EnvelopeSchema, { ...(variant === 'minimal' ? envelopes.minimal : envelopes.full), payload });
    await writeFile(`${folder}${file}.binpb`, toBinary(EnvelopeSchema, event));
    await writeFile(`${folder}${file}.json`, `${toJsonString(EnvelopeSchema, event, { prettySpaces: 2 })}\n`);
    made.push(file);
  }
}
await writeFile(lockFile, `${JSON.stringify({ ...(await hashes()), ...known }, null, 2)}\n`);
console.log(made.length === 0 ? 'nothing is missing' : `made ${made.join(', ')}`);
