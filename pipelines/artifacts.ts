import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { failedPrecondition, invalidArgument, notFound } from '../platform/errors.ts';

export interface Artifact {
  /** Of its bytes, in lower-case hexadecimal: its name. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Files that are named by what they hold, in a folder that all runners of a run share. Steps pass on hashes, never paths:
 * whoever has the folder somewhere else finds the same bytes.
 */
export interface Artifacts {
  /** Keeps a file's bytes, or a stream's. What is there already is kept once. */
  put(source: string | AsyncIterable<Uint8Array | string>): Promise<Artifact>;
  /** Where it is. Reads it first: bytes that are not those of the name are an error, never an input. */
  path(sha256: string): Promise<string>;
}

export function openArtifacts(folder: string): Artifacts {
  const fileOf = (sha256: string) => join(folder, sha256.slice(0, 2), sha256);
  return {
    async put(source) {
      await mkdir(folder, { recursive: true });
      const temporary = join(folder, `.${randomUUID()}`);
      try {
        const artifact = await copy(typeof source === 'string' ? createReadStream(source) : source, temporary);
        const file = fileOf(artifact.sha256);
        await mkdir(dirname(file), { recursive: true });
        await rename(temporary, file); // over one that is there: it may have been damaged
        return artifact;
      } finally {
        await rm(temporary, { force: true });
      }
    },
    async path(sha256) {
      if (!/^[0-9a-f]{64}$/.test(sha256)) {
        throw invalidArgument([{ field: 'sha256', description: 'is 64 lower-case hexadecimal digits' }]);
      }
      const file = fileOf(sha256);
      if (!(await stat(file).catch(() => undefined))?.isFile()) {
        throw notFound('NO_ARTIFACT', `there is no artifact ${sha256} in ${folder}`);
      }
      const hash = createHash('sha256');
      for await (const chunk of createReadStream(file)) hash.update(chunk);
      if (hash.digest('hex') !== sha256) {
        throw failedPrecondition('DAMAGED_ARTIFACT', `the artifact ${sha256} was changed: its bytes are others now`);
      }
      return file;
    },
  };
}

/** Copies a stream to a new file, down to the disk. */
async function copy(source: AsyncIterable<Uint8Array | string>, file: string): Promise<Artifact> {
  const hash = createHash('sha256');
  let bytes = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(source, measure, createWriteStream(file, { flags: 'wx' }));
  const handle = await open(file, 'r+');
  await handle.sync().finally(() => handle.close());
  return { sha256: hash.digest('hex'), bytes };
}
