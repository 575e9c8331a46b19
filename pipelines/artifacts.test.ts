import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Artifacts, openArtifacts } from './artifacts.ts';

let folder: string;
let artifacts: Artifacts;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oo-artifacts-'));
  artifacts = openArtifacts(join(folder, 'kept'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const files = () =>
  readdirSync(join(folder, 'kept'), { recursive: true, withFileTypes: true }).filter((each) => each.isFile());

async function* inParts(bytes: Uint8Array, length: number) {
  for (let i = 0; i < bytes.length; i += length) yield bytes.slice(i, i + length);
}

describe('an artifact', () => {
  it('is named by its bytes, whatever they are and however they come', async () => {
    const anyPut = fc.tuple(fc.uint8Array({ maxLength: 5_000 }), fc.integer({ min: 1, max: 999 }));
    await fc.assert(
      fc.asyncProperty(anyPut, async ([bytes, length]) => {
        const put = await artifacts.put(inParts(bytes, length));
        expect(put).toEqual({ sha256: sha256(bytes), bytes: bytes.length });
        expect(readFileSync(await artifacts.path(put.sha256))).toEqual(Buffer.from(bytes));
      }),
      { numRuns: 30 },
    );
  });

  it('is the same from a file, and kept once', async () => {
    const file = join(folder, 'given');
    writeFileSync(file, 'grüße');
    const [one, two] = [await artifacts.put(file), await artifacts.put(inParts(Buffer.from('grüße'), 1))];
    expect(one).toEqual(two);
    expect(one.bytes).toBe(7);
    expect(files()).toHaveLength(1);
  });

  it('is put by several at once', async () => {
    const bytes = Buffer.alloc(300_000, 'x');
    const all = await Promise.all(Array.from({ length: 8 }, () => artifacts.put(inParts(bytes, 1_000))));
    expect(new Set(all.map((each) => each.sha256)).size).toBe(1);
    expect(files()).toHaveLength(1);
  });

  it('that ends too early is not there, nor any part of it', async () => {
    const broken = async function* () {
      yield Buffer.from('half');
      throw new Error('the source broke');
    };
    await expect(artifacts.put(broken())).rejects.toThrow('the source broke');
    expect(files()).toEqual([]);
    await expect(artifacts.path(sha256(Buffer.from('half')))).rejects.toThrow('there is no artifact');
  });

  it('whose bytes were changed is an error until it is put again', async () => {
    const { sha256: name } = await artifacts.put(inParts(Buffer.from('right'), 9));
    writeFileSync(await artifacts.path(name), 'wrong');
    await expect(artifacts.path(name)).rejects.toMatchObject({ reason: 'DAMAGED_ARTIFACT' });
    await artifacts.put(inParts(Buffer.from('right'), 9));
    expect(readFileSync(await artifacts.path(name), 'utf8')).toBe('right');
  });

  it.each(['', '../../etc/passwd', 'A'.repeat(64), 'a'.repeat(63), `${'a'.repeat(64)}\n`])(
    'has no name %j',
    async (name) => {
      await expect(artifacts.path(name)).rejects.toMatchObject({ code: 'invalid_argument' });
    },
  );

  it('that was never put is not there', async () => {
    await expect(artifacts.path('a'.repeat(64))).rejects.toMatchObject({ code: 'not_found' });
    expect(existsSync(join(folder, 'kept'))).toBe(false);
  });
});
