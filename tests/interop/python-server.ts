import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { findProcesses, readText, sendSignal, until } from '../../platform/embedded/process.ts';

const startMs = 120_000;
const endMs = 10_000;

export interface PythonServerOptions {
  /** A path below `folder` must be among its arguments: by it the server is found. */
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** Answers with a success once the server is up. */
  readonly healthUrl: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface PythonServer extends AsyncDisposable {
  /** Its pids, those of its workers included. */
  pids(): readonly number[];
  /** Stops it in its tracks: connections are taken and nothing answers, until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it with kill -9, and returns when it is gone. */
  kill(): Promise<void>;
  /** Starts it again at the same address. */
  restart(): Promise<void>;
}

/** Starts another project's server, and returns when it is up. However the run ends, its watcher ends this too. */
export async function startPythonServer(options: PythonServerOptions): Promise<PythonServer> {
  const { program, folder, healthUrl } = options;
  const pids = () => findProcesses(folder);
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of pids()) sendSignal(pid, signal);
  };
  const start = async () => {
    const log = join(folder, 'serve.log');
    const end = serve(options, log);
    const isUp = () => end() !== undefined || isHealthy(healthUrl);
    if ((await until(isUp, startMs, 100)) && end() === undefined) return;
    throw new Error(`${program} is not up: ${end() ?? `nothing within ${startMs} ms`}\n${readText(log)}`);
  };
  const kill = async () => {
    signalAll('SIGKILL');
    if (!(await until(() => pids().length === 0, endMs))) throw new Error(`${program} survived kill -9`);
  };

  await start();
  return {
    pids,
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
    kill,
    restart: start,
    [Symbol.asyncDispose]: kill,
  };
}

/** Starts it in the background. Returns a function that says why it ended, once it has. */
function serve({ program, args, folder, env }: PythonServerOptions, log: string): () => string | undefined {
  const fd = openSync(log, 'a');
  const own = { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8', ...env }; // some write to HOME
  const child = spawn(program, args, { cwd: folder, env: own, detached: true, stdio: ['ignore', fd, fd] });
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
  return await fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}
