import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isWritableBy, postgresAccount } from '../../platform/embedded/postgres-binaries.ts';
import { findProcesses, sendSignal, until } from '../../platform/embedded/process.ts';

const END_WAIT_MS = 5_000;
const SWEEPS = 20;

/** Everything that one run of the tests starts on disk and as servers lies below one folder, and ends with it. */
export interface TestRun {
  readonly folder: string;
  readonly end: () => Promise<void>;
}

/**
 * Opens a folder for a run. A watcher process holds the other end of a pipe to this one: however this process ends, by
 * Ctrl-C or kill -9, the watcher then ends every server of the run and removes the folder.
 */
export async function startTestRun(): Promise<TestRun> {
  const folder = realpathSync(mkdtempSync(join(await placeForServers(), 'oo-test-')));
  chmodSync(folder, 0o755); // as root, Postgres runs as another user
  const watcher = spawn(process.execPath, [fileURLToPath(import.meta.url), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.unref();
  (watcher.stdin as Socket).unref();
  return {
    folder,
    end: async () => {
      await sweep(folder);
      watcher.stdin.end();
    },
  };
}

/** Ends the processes that were given a path below `folder`, and removes the folder. */
export async function sweep(folder: string): Promise<void> {
  for (let i = 0; i < SWEEPS; i++) {
    const pids = findProcesses(`${folder}/`);
    // SIGINT makes both servers stop at once, and in order; a stopped process must go on to hear it.
    for (const signal of ['SIGINT', 'SIGCONT'] as const) for (const pid of pids) sendSignal(pid, signal);
    if (!(await until(() => findProcesses(`${folder}/`).length === 0, END_WAIT_MS))) {
      for (const pid of findProcesses(`${folder}/`)) sendSignal(pid, 'SIGKILL');
      continue;
    }
    for (const place of mountsBelow(folder)) spawnSync('umount', ['--lazy', place]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    if (!existsSync(folder)) return;
  }
  throw new Error(
    `${folder} cannot be removed, or processes in it do not end: ${findProcesses(`${folder}/`).join(', ')}`,
  );
}

/** What a test mounted and, having been killed, did not unmount. */
function mountsBelow(folder: string): readonly string[] {
  if (process.platform !== 'linux') return [];
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  return mounts.map((line) => line.split(' ')[1] ?? '').filter((place) => place.startsWith(`${folder}/`));
}

async function placeForServers(): Promise<string> {
  const account = await postgresAccount();
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) if (await isWritableBy(account, folder)) return folder;
  throw new Error(`The tests need a folder for temporary files that every user can write to; ${tmpdir()} is not one.`);
}

/** The watcher. Workers of a killed run may live a moment longer and start something: hence more than one look. */
if (import.meta.main) {
  const folder = process.argv[2] ?? '';
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('close', resolve));
  for (let i = 0; i < 2; i++) {
    await sweep(folder);
    await sleep(500);
  }
}
