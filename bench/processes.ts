import { fork } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rounded } from './figures.ts';

/** A Node process of this project that is measured, or that measures. */
export interface Script {
  readonly pid: number;
  /** Rejects, with the end of its log, if the process ends before `stop`. Never resolves. */
  readonly ended: Promise<never>;
  /** Sends a task to one of our own scripts and waits for its answer, one at a time. See `answerTasks`. */
  readonly ask: <Answer>(task: unknown) => Promise<Answer>;
  readonly stop: () => Promise<void>;
}

export interface ScriptOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Takes its log. Also among its arguments, by which the run's watcher finds and ends it after a kill -9 of ours. */
  readonly folder: string;
}

type Reply = { readonly answer: unknown } | { readonly problem: string };

const graceMs = 15_000;

/** Runs a script, given by its path in the project, with the Node that runs us. */
export function startScript(path: string, { env = {}, folder }: ScriptOptions): Script {
  const log = join(folder, `${basename(join(path, '..'))}-${basename(path, '.ts')}.log`);
  const fd = openSync(log, 'a');
  const child = fork(fileURLToPath(new URL(`../${path}`, import.meta.url)), [`${folder}/`], {
    env: { ...process.env, ...env },
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', fd, fd, 'ipc'],
  });
  closeSync(fd);

  let isStopping = false;
  let settle: ((reply: Reply) => void) | undefined;
  child.on('message', (reply) => settle?.(reply as Reply));
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const ended = exited.then((how) => {
    if (isStopping) return new Promise<never>(() => {});
    throw new Error(`${path} ended (${how}):\n${readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n')}`);
  });
  ended.catch(() => {}); // whoever waits for it hears of it

  return {
    pid: child.pid ?? -1,
    ended,
    async ask<Answer>(task: unknown) {
      const reply = await new Promise<Reply>((resolve) => {
        settle = resolve;
        child.send(task as object);
      });
      if ('problem' in reply) throw new Error(reply.problem);
      return reply.answer as Answer;
    },
    async stop() {
      isStopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** The other end of `Script.ask`. The process ends with the one that asks. */
export function answerTasks<Task, Answer>(work: (task: Task) => Answer | Promise<Answer>): void {
  process.on('disconnect', () => process.exit());
  process.on('message', async (task) => {
    const reply: Reply = await Promise.resolve(task as Task)
      .then(work)
      .then(
        (answer) => ({ answer }),
        (error: unknown) => ({ problem: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
    process.send?.(reply);
  });
}

/** Linux counts in hundredths of a second, whatever the machine's own clock ticks at. */
const ticksPerSecond = 100;

/**
 * User and system time that a process and all that it started have taken so far, in seconds. Undefined where there is
 * no /proc.
 */
export function cpuSeconds(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the name, which may hold anything: state is the 3rd field; utime, stime, cutime, cstime the 14th to 17th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children.split(' ').reduce((sum, child) => sum + (child === '' ? 0 : (cpuSeconds(Number(child)) ?? 0)), own);
  } catch {
    return undefined;
  }
}

/** The memory that a process has in the machine now. Undefined where there is no /proc. */
export function residentMib(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const [, kib] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return kib === undefined ? undefined : Math.round(Number(kib) / 1024);
}

/** The CPU time of several processes by name. */
export function cpuOf(pids: Readonly<Record<string, number>>): Record<string, number | undefined> {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)]));
}

/** What each took between two looks, in microseconds per unit of work. */
export function cpuMicrosPer(
  units: number,
  before: Readonly<Record<string, number | undefined>>,
  after: Readonly<Record<string, number | undefined>>,
): Record<string, number | undefined> {
  return Object.fromEntries(
    Object.entries(after).map(([name, end]) => {
      const start = before[name];
      return [name, end === undefined || start === undefined ? undefined : rounded(((end - start) / units) * 1e6)];
    }),
  );
}
