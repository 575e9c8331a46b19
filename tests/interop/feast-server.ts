import { spawn } from 'node:child_process';
import { closeSync, cpSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { freePort } from '../../platform/embedded/free-port.ts';
import { findProcesses, readText, run, sendSignal, until } from '../../platform/embedded/process.ts';
import { newFolder } from '../_util/servers.ts';

const repo = fileURLToPath(new URL('./feast-repo', import.meta.url));
const startMs = 120_000;
const endMs = 10_000;

/** A row of a view: its entity, when it was so, and its features. */
export interface FeastRow {
  readonly user_id: string;
  readonly event_timestamp: Date;
  readonly [feature: string]: string | number | null | Date;
}

export interface FeastServer extends AsyncDisposable {
  readonly url: string;
  /** Writes rows, which must have the same features, to the online store. */
  write(view: string, rows: readonly FeastRow[]): Promise<void>;
  /** Stops it in its tracks: connections are taken and nothing answers, until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it with kill -9, and returns when it is gone. */
  kill(): Promise<void>;
  /** Starts it again, with its data and at the same address. */
  restart(): Promise<void>;
}

/** A real `feast serve` on a copy of `feast-repo`; it takes some 15 s. However the run ends, its watcher ends this too. */
export async function startFeast(): Promise<FeastServer> {
  const folder = newFolder('feast');
  cpSync(repo, folder, { recursive: true });
  const feast = join(inject('python'), 'feast');
  await run(feast, ['-c', folder, 'apply'], { cwd: folder, timeoutMs: startMs });

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const pids = () => findProcesses(folder);
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of pids()) sendSignal(pid, signal);
  };

  const start = async () => {
    const log = join(folder, 'serve.log');
    const end = serve(feast, ['-c', folder, 'serve', '--port', String(port), '--no-access-log'], folder, log);
    const isUp = () => end() !== undefined || isHealthy(url);
    if ((await until(isUp, startMs, 100)) && end() === undefined) return;
    throw new Error(`feast serve is not up: ${end() ?? `nothing within ${startMs} ms`}\n${readText(log)}`);
  };
  const kill = async () => {
    signalAll('SIGKILL');
    if (!(await until(() => pids().length === 0, endMs))) throw new Error('feast serve survived kill -9');
  };

  await start();
  return {
    url,
    write: (view, rows) => write(url, view, rows),
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
    kill,
    restart: start,
    [Symbol.asyncDispose]: kill,
  };
}

/** Starts it in the background. Returns a function that says why it ended, once it has. */
function serve(program: string, args: readonly string[], folder: string, log: string): () => string | undefined {
  const fd = openSync(log, 'a');
  const env = { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8' }; // gunicorn writes to HOME
  const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: ['ignore', fd, fd] });
  closeSync(fd);
  let end: string | undefined;
  child.once('error', (error) => {
    end = error.message;
  });
  child.once('exit', (code, signal) => {
    end = signal ?? `exit code ${code}`;
  });
  child.unref();
  return () => end;
}

async function isHealthy(url: string): Promise<boolean> {
  return await fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function write(url: string, view: string, rows: readonly FeastRow[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).map((name) => [name, rows.map((row) => row[name])]);
  const response = await fetch(`${url}/write-to-online-store`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ feature_view_name: view, df: Object.fromEntries(columns) }),
  });
  if (!response.ok) throw new Error(`feast took no rows: ${response.status} ${await response.text()}`);
}
