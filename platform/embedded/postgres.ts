import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { isWritableBy, newRootFolder, postgresAccount, postgresBinaries } from './postgres-binaries.ts';
import {
  type Account,
  type EmbeddedServer,
  endProcess,
  isRunning,
  makeFolder,
  readNumber,
  readText,
  replaceFile,
  run,
  startInBackground,
  until,
  withLock,
} from './process.ts';

const READY_WAIT_MS = 60_000; // recovery after a crash replays the log
const STOP_WAIT_MS = 30_000;
const START_TRIES = 30;
const RETRY_MS = 200;

export interface PostgresOptions {
  /** Keeps everything: the data, the log, the port and the password. Made when missing. */
  readonly dir: string;
  /** The port to use if nobody else does; otherwise a free one is chosen, and remembered in `dir`. */
  readonly port?: number;
  /** The database the URL leads to, made when missing. Default `oo`. */
  readonly database?: string;
  /** Server settings for a start, such as `{ fsync: 'off' }` in tests. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A cluster's place on disk. */
interface Home {
  readonly dir: string;
  readonly data: string;
}

interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

/**
 * The Postgres of `dir`, started if it is not running. Any number of processes may ask at once: one of them starts it.
 * It outlives them all, until the one that started it calls `stop` or anybody calls `stopPostgres`; after any crash,
 * the next call finds it or starts it again with its data.
 */
export async function ensurePostgres(options: PostgresOptions): Promise<EmbeddedServer> {
  const dir = resolve(options.dir);
  const database = options.database ?? 'oo';
  makeFolder(dir);

  const home = homeOf(dir);
  const running = home && findPostmaster(home.data);
  if (home && running && (await isReady(home, running.port))) return server(home, running, database, false);

  return withLock(join(dir, 'lock'), async () => {
    const account = await accountFor(dir);
    const { bin, major } = await postgresBinaries(account, dir);
    const home = await makeHome(dir, account, bin, options.settings);
    checkVersion(home, major);
    const running = findPostmaster(home.data);
    if (running !== undefined && (await becomesReady(home, running))) return server(home, running, database, false);
    return server(home, await start(home, options, join(bin, 'postgres'), account), database, true);
  });
}

/** Stops the Postgres of `dir`, whoever started it; nothing if it is not running. */
export async function stopPostgres(dir: string): Promise<void> {
  const home = homeOf(resolve(dir));
  if (home === undefined) return;
  await withLock(join(home.dir, 'lock'), async () => {
    const running = findPostmaster(home.data);
    // SIGINT ends the sessions and writes a checkpoint; SIGQUIT leaves recovery to the next start.
    const signals = ['SIGINT', 'SIGQUIT'] as const;
    if (running === undefined || (await endProcess(running.pid, home.data, signals, STOP_WAIT_MS))) return;
    throw new Error(`Postgres of ${home.dir} (process ${running.pid}) does not stop; see ${join(home.dir, 'log')}.`);
  });
}

/** The URL of the Postgres of `dir` if it is running. */
export async function findPostgres(dir: string, database = 'oo'): Promise<string | undefined> {
  const home = homeOf(resolve(dir));
  const running = home && findPostmaster(home.data);
  return home && running && (await isReady(home, running.port)) ? urlOf(home, running.port, database) : undefined;
}

async function server(
  home: Home,
  { pid, port }: Postmaster,
  database: string,
  started: boolean,
): Promise<EmbeddedServer> {
  await createDatabase(urlOf(home, port, 'postgres'), database);
  const stop = async () => {
    if (started) await stopPostgres(home.dir);
  };
  return { url: urlOf(home, port, database), port, pid, started, stop };
}

function urlOf(home: Home, port: number, database: string): string {
  return `postgresql://postgres:${readText(join(home.dir, 'password'))}@127.0.0.1:${port}/${database}`;
}

/** Where the cluster of `dir` is, undefined before it has been made. */
function homeOf(dir: string): Home | undefined {
  const data = join(dir, 'cluster', 'data');
  return existsSync(data) ? { dir, data: realpathSync(data) } : undefined;
}

/** Postgres opens a data folder only as its owner, so an existing one decides who runs it. */
async function accountFor(dir: string): Promise<Account | undefined> {
  const home = homeOf(dir);
  const account = await postgresAccount();
  if (home === undefined || account === undefined) return account;
  const { uid, gid } = statSync(home.data);
  return { uid, gid };
}

/**
 * Makes the cluster, unless it is there. `dir/cluster` is a link where `account` cannot get to `dir`. A half-made
 * cluster never has the final name, so a crash at any point is repaired by the next call.
 */
async function makeHome(
  dir: string,
  account: Account | undefined,
  bin: string,
  settings: PostgresOptions['settings'],
): Promise<Home> {
  const made = homeOf(dir);
  if (made !== undefined) return made;
  const cluster = await makeClusterFolder(join(dir, 'cluster'), account);
  const draft = join(cluster, 'draft');
  const passwordFile = join(cluster, 'password');
  const password = randomBytes(18).toString('base64url');
  replaceFile(join(dir, 'password'), password, 0o600);
  rmSync(draft, { recursive: true, force: true });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account !== undefined) chownSync(passwordFile, account.uid, account.gid);
  // A password even on loopback: whoever may log in as a superuser can run programs as the user Postgres runs as.
  const auth = ['-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile];
  const sync = settings?.fsync === 'off' ? ['--no-sync'] : [];
  await run(join(bin, 'initdb'), ['-D', draft, ...auth, '-E', 'UTF8', '--locale=C', '--no-instructions', ...sync], {
    account,
  });
  rmSync(passwordFile);
  renameSync(draft, join(cluster, 'data'));
  return { dir, data: realpathSync(join(cluster, 'data')) };
}

async function makeClusterFolder(path: string, account: Account | undefined): Promise<string> {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) mkdirSync(path);
  if (!existsSync(path)) throw new Error(`${path} leads nowhere: its data is gone. Remove the link to start afresh.`);
  if (account === undefined) return path;
  chownSync(path, account.uid, account.gid);
  if (await isWritableBy(account, path)) return path;
  const elsewhere = newRootFolder('cluster-');
  chownSync(elsewhere, account.uid, account.gid);
  rmSync(path, { recursive: true });
  symlinkSync(elsewhere, path);
  return elsewhere;
}

function checkVersion(home: Home, major: number): void {
  const version = readNumber(join(home.data, 'PG_VERSION'));
  if (version === major) return;
  throw new Error(
    `${home.dir} was made by PostgreSQL ${version}, and this project now brings ${major}. Dump what you need with the ` +
      'older one, then remove the folder.',
  );
}

async function start(
  home: Home,
  options: PostgresOptions,
  program: string,
  account: Account | undefined,
): Promise<Postmaster> {
  const portFile = join(home.dir, 'port');
  const log = join(home.dir, 'log');
  let wished: (number | undefined)[] = [options.port, readNumber(portFile)];
  let problem = '';
  for (let i = 0; i < START_TRIES; i++) {
    const port = await freePort(wished);
    dropForeignPid(home);
    const background = startInBackground(program, serverArguments(home, port, options.settings), log, account);
    const isUp = () => background.ended() !== undefined || isReady(home, port);
    if (!(await until(isUp, READY_WAIT_MS))) {
      throw new Error(`Postgres is not ready after ${READY_WAIT_MS / 1000} s; see ${log}.`);
    }
    if (background.ended() === undefined) {
      replaceFile(portFile, `${port}\n`);
      return { pid: background.pid, port };
    }
    problem = background.output();
    if (/Address already in use/.test(problem)) wished = [];
    // After a kill -9 the old server's children need a moment to notice.
    else if (/lock file "postmaster\.pid"|shared memory block/.test(problem)) await sleep(RETRY_MS);
    else break;
  }
  throw new Error(`Postgres does not start; its log is ${log}:\n${problem}`);
}

function serverArguments(home: Home, port: number, settings: PostgresOptions['settings'] = {}): string[] {
  const fixed = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_error_verbosity: 'terse', // else its log shows refused rows, and whom they are about
  };
  const all = Object.entries({ ...fixed, ...settings });
  return ['-D', home.data, '-p', String(port), ...all.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** The server that has `data` open. Its own note of that (lines: pid, folder, start, port) outlives a crash. */
function findPostmaster(data: string): Postmaster | undefined {
  const lines = readText(join(data, 'postmaster.pid'))?.split('\n').map(Number);
  const [pid, , , port] = lines ?? [];
  return pid !== undefined && port !== undefined && isRunning(pid, data) ? { pid, port } : undefined;
}

/** After a crash the pid in the note may be another program's by now; Postgres would take that for its predecessor. */
function dropForeignPid(home: Home): void {
  if (findPostmaster(home.data) === undefined) rmSync(join(home.data, 'postmaster.pid'), { force: true });
}

/** Whether the server on `port` answers and is the one of this cluster, not a stranger's. */
async function isReady(home: Home, port: number): Promise<boolean> {
  try {
    const rows = await query(urlOf(home, port, 'postgres'), `SELECT current_setting('data_directory') AS data`);
    return rows[0]?.data === home.data;
  } catch {
    return false;
  }
}

/** Waits for a server that runs already: it may be recovering, or, false, on its way out. */
async function becomesReady(home: Home, { pid, port }: Postmaster): Promise<boolean> {
  const isDecided = async () => !isRunning(pid, home.data) || (await isReady(home, port));
  if (await until(isDecided, READY_WAIT_MS)) return isRunning(pid, home.data);
  throw new Error(`Postgres (process ${pid}) is running but does not answer; see ${join(home.dir, 'log')}.`);
}

/** Creates a database unless it exists. */
async function createDatabase(url: string, name: string): Promise<void> {
  const rows = await query(url, 'SELECT 1 FROM pg_database WHERE datname = $1', [name]);
  if (rows.length > 0) return;
  try {
    await query(url, `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    const isThere = error instanceof pg.DatabaseError && (error.code === '42P04' || error.code === '23505');
    if (!isThere) throw error; // else another process has just made it
  }
}

async function query(url: string, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, values)).rows;
  } finally {
    await client.end();
  }
}
