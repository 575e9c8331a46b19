import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../run-main.ts';

const LOG_BYTES_MAX = 10_000_000;
const POLL_MS = 20;

/** A process in the background, in its own session: neither Ctrl-C nor the end of this process reaches it. */
export interface Background {
  readonly pid: number;
  /** Why it ended, as soon as it has; it never holds this process open. */
  readonly ended: () => string | undefined;
  /** What it has written to its log since it was started. */
  readonly output: () => string;
}

/** A server that outlives the process that asked for it. */
export interface EmbeddedServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** False: it was running already, and `stop` leaves it alone. */
  readonly started: boolean;
  readonly stop: () => Promise<void>;
}

/** The user a program runs as, when that is not the one who runs this process. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export function startInBackground(
  program: string,
  args: readonly string[],
  log: string,
  account?: Account,
): Background {
  const before = startOfLog(log);
  const fd = openSync(log, 'a');
  try {
    const env = { PATH: process.env.PATH, LC_ALL: 'C' }; // it lives long: none of this process's secrets
    const options: SpawnOptions = { ...spawnAs(account), env, cwd: '/', detached: true, stdio: ['ignore', fd, fd] };
    const child = spawn(program, args, options);
    let end: string | undefined;
    child.once('error', (error) => {
      end = error.message;
    });
    child.once('exit', (code, signal) => {
      end = signal === null ? `exit code ${code}` : `signal ${signal}`;
    });
    child.unref();
    return {
      pid: child.pid ?? -1,
      ended: () => end,
      output: () => readFileSync(log).subarray(before).toString().trim(),
    };
  } finally {
    closeSync(fd);
  }
}

/** Runs a program to its end and returns what it printed; anything but exit code 0 is an error that shows it. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { account, cwd, timeoutMs = 120_000 } = options;
  const child = spawn(program, args, {
    ...spawnAs(account),
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const end = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  clearTimeout(timer); // spawn's own timeout would outlive a program that could not be started
  const output = Buffer.concat(chunks).toString().trim();
  if (end !== undefined) throw new Error(`${program} ${end}${output === '' ? '' : `:\n${output}`}`);
  return output;
}

export interface RunOptions {
  readonly account?: Account | undefined;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/**
 * Whether the process `pid` is alive and was started with `argument` among its arguments. A number alone proves
 * nothing: pids are reused, and one that has died but was not reaped still counts as existing.
 */
export function isRunning(pid: number, argument: string): boolean {
  return commandLine(pid).includes(separated(`\0${argument}\0`));
}

/** Sends the signals in turn until that process is gone, `waitMs` after each; false if it outlives them all. */
export async function endProcess(
  pid: number,
  argument: string,
  signals: readonly NodeJS.Signals[],
  waitMs: number,
): Promise<boolean> {
  for (const signal of signals) {
    if (!isRunning(pid, argument)) return true;
    sendSignal(pid, signal);
    sendSignal(pid, 'SIGCONT'); // a stopped process hears nothing but SIGKILL
    if (await until(() => !isRunning(pid, argument), waitMs)) return true;
  }
  return !isRunning(pid, argument);
}

/** Signals a process that may already be gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** The pids of all other processes with these arguments in a row; the last need only be the start of one. */
export function findProcesses(...args: readonly string[]): number[] {
  const text = separated(`\0${args.join('\0')}`);
  return allPids().filter((pid) => pid !== process.pid && commandLine(pid).includes(text));
}

/**
 * Does `work` while no other process does work under the same lock file. The kernel holds the lock (through SQLite, the
 * one way to it that Node has), so a holder that dies, however hard, frees it: no pid to compare, nothing to steal. Rejects
 * with `busy` where another process has held it for all of `waitMs`.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  waitMs = 120_000,
  busy = `Another process has held ${file} for ${waitMs / 1000} s. End it, then try again.`,
): Promise<T> {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    if (!(await until(() => tryLock(database), waitMs))) throw new StartupError(busy);
    return await work();
  } finally {
    database.close();
  }
}

/** Asks until the answer is yes (true) or the time is over (false). */
export async function until(ask: () => boolean | Promise<boolean>, waitMs: number, pollMs = POLL_MS): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  while (!(await ask())) {
    if (performance.now() > deadline) return false;
    await sleep(pollMs);
  }
  return true;
}

/** The number in a file of one line, undefined when there is none. */
export function readNumber(file: string): number | undefined {
  const value = Number.parseInt(readText(file) ?? '', 10);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

/** Makes a folder that this process can write to. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Error(`Cannot write to ${folder}. Give it to this user or remove it, then try again. ${error}`);
  }
}

export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Writes a file so that no reader ever sees half of it. */
export function replaceFile(file: string, text: string, mode = 0o644): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text, { mode });
  renameSync(draft, file);
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return false; // SQLITE_BUSY
    throw error;
  }
}

/** `\0program\0argument\0…\0`; no argument for a process that is gone, or dead and not reaped. */
function commandLine(pid: number): string {
  if (process.platform === 'linux') return `\0${readText(`/proc/${pid}/cmdline`) ?? ''}`;
  return separated(`\0${ps('-p', String(pid), '-o', 'command=')}\0`);
}

/** Without /proc, arguments can be told apart only by spaces, so an argument that has some must be split alike. */
function separated(text: string): string {
  return process.platform === 'linux' ? text : text.replaceAll(' ', '\0');
}

function allPids(): number[] {
  const names = process.platform === 'linux' ? readdirSync('/proc') : ps('-ax', '-o', 'pid=').split(/\s+/);
  return names.map(Number).filter((pid) => Number.isInteger(pid) && pid > 0);
}

function ps(...args: string[]): string {
  return (spawnSync('ps', ['-ww', ...args], { encoding: 'utf8' }).stdout ?? '').trim();
}

/** Where new output will start; a log that has grown too long starts afresh. */
function startOfLog(file: string): number {
  const { size } = statSync(file, { throwIfNoEntry: false }) ?? { size: 0 };
  if (size <= LOG_BYTES_MAX) return size;
  truncateSync(file);
  return 0;
}

/** As another user the working directory must be one that user can enter; messages are read, so they stay English. */
function spawnAs(account: Account | undefined): SpawnOptions {
  const env = { ...process.env, LC_ALL: 'C' };
  return account === undefined ? { env } : { env, uid: account.uid, gid: account.gid, cwd: '/' };
}
