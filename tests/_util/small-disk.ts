import { spawnSync } from 'node:child_process';
import { appendFileSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { postgresAccount } from '../../platform/embedded/postgres-binaries.ts';
import { newFolder } from './servers.ts';

/** A disk of a few megabytes, in memory. */
export interface SmallDisk extends AsyncDisposable {
  /** A folder on it that belongs to the user Postgres runs as. */
  readonly folder: string;
  /** Takes all the space that is left. */
  fill(): void;
  /** Gives it back. */
  empty(): void;
}

/** Mounts a disk of its own. Undefined where this user may not. */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk | undefined> {
  const place = newFolder('disk');
  mkdirSync(place);
  const options = `size=${megabytes}m,mode=0755`;
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place]).status !== 0) return undefined;
  const folder = join(place, 'data');
  const ballast = join(place, 'ballast');
  const account = await postgresAccount();
  mkdirSync(folder);
  if (account) chownSync(folder, account.uid, account.gid);
  return {
    folder,
    fill() {
      for (const bytes of [1_048_576, 4_096]) {
        while (tryAppend(ballast, bytes)) {}
      }
    },
    empty: () => rmSync(ballast),
    async [Symbol.asyncDispose]() {
      spawnSync('umount', ['--lazy', place]);
    },
  };
}

function tryAppend(file: string, bytes: number): boolean {
  try {
    appendFileSync(file, Buffer.alloc(bytes));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
