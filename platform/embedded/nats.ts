import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { freePort } from './free-port.ts';
import { findNatsServer, parseVersion, type Version } from './nats-binary.ts';
import {
  type EmbeddedServer,
  endProcess,
  findProcesses,
  isRunning,
  makeFolder,
  readNumber,
  replaceFile,
  run,
  startInBackground,
  until,
  withLock,
} from './process.ts';

const READY_WAIT_MS = 60_000; // recovery reads every stream
const STOP_WAIT_MS = 20_000;
const INFO_WAIT_MS = 2000;
const START_TRIES = 10;

export interface NatsOptions {
  /** Keeps everything: the streams, the configuration, the log, the port. Made when missing. */
  readonly dir: string;
  /** The port to use if nobody else does; otherwise a free one is chosen, and remembered in `dir`. */
  readonly port?: number;
  /** Where a fetched nats-server is kept. */
  readonly cache: string;
  /** The program to use instead of looking for one. */
  readonly binary?: string;
  /** Whether an acknowledged message has reached the disk (from 2.10 on; default), not only the system's cache. */
  readonly sync?: boolean;
}

/** What a server says of itself to whoever connects. */
export interface NatsInfo {
  readonly serverName: string;
  readonly version: string;
  readonly jetstream: boolean;
}

interface Home {
  readonly dir: string;
  readonly config: string;
  /** Says whose server it is, to tell it from others on the same port. */
  readonly name: string;
}

interface Running {
  readonly pid: number;
  readonly port: number;
}

/**
 * The nats-server of `dir`, with JetStream, started if it is not running. Any number of processes may ask at once: one
 * of them starts it. It outlives them all, until the one that started it calls `stop` or anybody calls `stopNats`;
 * after any crash, the next call finds it or starts it again with its streams.
 */
export async function ensureNats(options: NatsOptions): Promise<EmbeddedServer> {
  const home = homeOf(options.dir);
  makeFolder(home.dir);
  const running = findServer(home);
  if (running !== undefined && (await isReady(home, running.port))) return server(home, running, false);

  return withLock(join(home.dir, 'lock'), async () => {
    const running = findServer(home);
    if (running !== undefined && (await becomesReady(home, running))) return server(home, running, false);
    return server(home, await start(home, options), true);
  });
}

/** Stops the nats-server of `dir`, whoever started it; nothing if it is not running. */
export async function stopNats(dir: string): Promise<void> {
  const home = homeOf(dir);
  const running = findServer(home);
  if (running === undefined || (await endProcess(running.pid, home.config, ['SIGTERM', 'SIGKILL'], STOP_WAIT_MS)))
    return;
  throw new Error(`nats-server (process ${running.pid}) does not stop.`);
}

/** The URL of the nats-server of `dir` if it is running. */
export async function findNats(dir: string): Promise<string | undefined> {
  const home = homeOf(dir);
  const running = findServer(home);
  return running !== undefined && (await isReady(home, running.port)) ? urlOf(running.port) : undefined;
}

/** The first line any NATS server sends; undefined where none answers. */
export function natsInfo(port: number, host = '127.0.0.1'): Promise<NatsInfo | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    let text = '';
    const finish = (info?: NatsInfo) => {
      socket.destroy();
      resolve(info);
    };
    socket.setEncoding('utf8').setTimeout(INFO_WAIT_MS, () => finish());
    socket.once('error', () => finish());
    socket.once('close', () => finish());
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\r\n')) finish(parseInfo(text));
    });
  });
}

export function parseInfo(line: string): NatsInfo | undefined {
  if (!line.startsWith('INFO ')) return undefined;
  try {
    const info = JSON.parse(line.slice(5, line.indexOf('\r\n'))) as Record<string, unknown>;
    return {
      serverName: String(info.server_name ?? ''),
      version: String(info.version ?? ''),
      jetstream: info.jetstream === true,
    };
  } catch {
    return undefined;
  }
}

/** The server's configuration. `sync_interval` is unknown to 2.9, which then refuses to start. */
export function natsConfig(options: {
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly version: Version;
  readonly sync: boolean;
}): string {
  const { name, dir, port, version, sync } = options;
  const [major, minor] = version;
  const always = sync && (major > 2 || minor >= 10) ? ['  sync_interval: always'] : [];
  return [
    'host: 127.0.0.1',
    `port: ${port}`,
    `server_name: ${name}`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(join(dir, 'store'))}`,
    '  max_mem: 1G',
    '  max_file: 20G',
    ...always,
    '}',
    '',
  ].join('\n');
}

function homeOf(folder: string): Home {
  const dir = resolve(folder);
  const name = `oo-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}`;
  return { dir, config: join(dir, 'nats.conf'), name };
}

function urlOf(port: number): string {
  return `nats://127.0.0.1:${port}`;
}

function server(home: Home, { pid, port }: Running, started: boolean): EmbeddedServer {
  const stop = async () => {
    if (started) await stopNats(home.dir);
  };
  return { url: urlOf(port), port, pid, started, stop };
}

async function start(home: Home, options: NatsOptions): Promise<Running> {
  // One that still runs here had its folder removed under it: it would go on writing to files of the same names.
  for (const pid of findPids(home)) await endProcess(pid, home.config, ['SIGKILL'], STOP_WAIT_MS);
  const { path, version } = await program(options);
  const log = join(home.dir, 'log');
  const portFile = join(home.dir, 'port');
  let wished: (number | undefined)[] = [options.port, readNumber(portFile)];
  let problem = '';
  for (let i = 0; i < START_TRIES; i++) {
    const port = await freePort(wished);
    replaceFile(portFile, `${port}\n`); // before the start, so that the server is found if this process dies now
    replaceFile(home.config, natsConfig({ ...home, port, version, sync: options.sync ?? true }));
    const background = startInBackground(path, ['-c', home.config], log);
    const isUp = () => background.ended() !== undefined || isReady(home, port);
    if (!(await until(isUp, READY_WAIT_MS))) {
      throw new Error(`nats-server is not ready after ${READY_WAIT_MS / 1000} s; see ${log}.`);
    }
    if (background.ended() === undefined) return { pid: background.pid, port };
    problem = background.output();
    if (!/address already in use/.test(problem)) break;
    wished = [];
  }
  throw new Error(`nats-server does not start; its log is ${log}:\n${problem}`);
}

async function program({ binary, cache }: NatsOptions): Promise<{ path: string; version: Version }> {
  if (binary === undefined) return findNatsServer(cache);
  const version = parseVersion(await run(binary, ['--version']));
  if (version === undefined) throw new Error(`${binary} is not a nats-server.`);
  return { path: binary, version };
}

/** The server that has the streams of `home` open. */
function findServer(home: Home): Running | undefined {
  const [pid] = findPids(home);
  const port = readNumber(join(home.dir, 'port'));
  return pid !== undefined && port !== undefined ? { pid, port } : undefined;
}

/** Asked of the system, because a note of the pid could be lost in a crash. */
function findPids(home: Home): number[] {
  return findProcesses('-c', home.config, '');
}

/** Waits for a server that runs already: it may be reading its streams, or, false, be on its way out. */
async function becomesReady(home: Home, { pid, port }: Running): Promise<boolean> {
  const isDecided = async () => !isRunning(pid, home.config) || (await isReady(home, port));
  if (await until(isDecided, READY_WAIT_MS)) return isRunning(pid, home.config);
  // Two servers on the same files would destroy them: one that runs is never replaced.
  throw new Error(`nats-server (process ${pid}) is running but does not answer; see ${join(home.dir, 'log')}.`);
}

async function isReady(home: Home, port: number): Promise<boolean> {
  const info = await natsInfo(port);
  return info?.serverName === home.name && info.jetstream;
}
