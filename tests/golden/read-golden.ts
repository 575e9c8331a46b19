import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const folder = fileURLToPath(new URL('.', import.meta.url));
export const lockFile = `${folder}LOCK.json`;

/** An event as it was once published, in both forms. */
export interface GoldenEvent {
  /** Path without ending, for example `v1/tipServed.full`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly json: string;
}

/** All golden events of a version, in the order of their names. */
export async function goldenEvents(version: string): Promise<readonly GoldenEvent[]> {
  const files = await readdir(folder + version);
  const names = files
    .filter((file) => file.endsWith('.binpb'))
    .map((file) => `${version}/${file.replace('.binpb', '')}`);
  return Promise.all(
    names.toSorted().map(async (name) => ({
      name,
      bytes: new Uint8Array(await readFile(`${folder}${name}.binpb`)),
      json: await readFile(`${folder}${name}.json`, 'utf8'),
    })),
  );
}

/** Hash of every file there is, by path. */
export async function hashes(): Promise<Readonly<Record<string, string>>> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => /\.(binpb|json)$/.test(file));
  const entries = files
    .filter((file) => file !== 'LOCK.json')
    .toSorted()
    .map(
      async (file) =>
        [
          file,
          createHash('sha256')
            .update(await readFile(folder + file))
            .digest('hex'),
        ] as const,
    );
  return Object.fromEntries(await Promise.all(entries));
}

/** The files of a lock that are not what they were, or are gone. */
export function broken(lock: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string[] {
  return Object.keys(lock).filter((file) => now[file] !== lock[file]);
}
