import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Contract, readContract } from './contract.ts';

const root = join(import.meta.dirname, '../..');

/**
 * An edit of one file of the sample contract in tests/gate/contract: what must be there, and what replaces it. With
 * nothing that must be there, it makes a new file.
 */
export type Edit = [path: string, from: string, to: string];

/** The sample contract as an image, after the edits. */
export function buildSample(edits: Edit[] = [], flags: string[] = []): Uint8Array {
  const dir = mkdtempSync(join(tmpdir(), 'contract-'));
  try {
    cpSync(join(root, 'tests/gate/contract'), join(dir, 'proto'), { recursive: true });
    cpSync(join(root, 'third_party/protovalidate'), join(dir, 'validate'), { recursive: true });
    writeFileSync(join(dir, 'buf.yaml'), 'version: v2\nmodules: [{ path: proto }, { path: validate }]\n');
    for (const [path, from, to] of edits) {
      const file = join(dir, 'proto', path);
      const text = from === '' ? '' : readFileSync(file, 'utf8');
      if (!text.includes(from)) throw new Error(`${path} has no "${from}"`);
      writeFileSync(file, text.replace(from, to));
    }
    execFileSync(join(root, 'node_modules/.bin/buf'), ['build', 'proto', '-o', 'image.binpb', ...flags], { cwd: dir });
    return readFileSync(join(dir, 'image.binpb'));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

export function sample(edits: Edit[] = []): Contract {
  return readContract(buildSample(edits));
}
