import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { freePort } from '../../platform/embedded/free-port.ts';
import { ensureNats, stopNats } from '../../platform/embedded/nats.ts';
import { ensurePostgres, stopPostgres } from '../../platform/embedded/postgres.ts';
import { type EmbeddedServer, findProcesses, sendSignal, until } from '../../platform/embedded/process.ts';
import { migrate } from '../../platform/migrations.ts';
import { runSql } from './sql.ts';

export const TEMPLATE = 'oo_template';
export const MIGRATIONS = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/** Settings for data that need not survive the machine's fall. A committed row does survive a kill -9 of the server. */
export const THROWAWAY = { fsync: 'off', full_page_writes: 'off' };

/** What the run's global setup found, or why it did not. */
export interface ProvidedServers {
  /** The run's folder: whatever lies below it is removed at the end, and processes that use it are ended. */
  readonly folder: string;
  readonly postgres: { readonly url: string } | { readonly problem: string };
  readonly nats: { readonly path: string } | { readonly problem: string };
}

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly drop: () => Promise<void>;
}

/** A server of this test's own. Address and data stay the same through `kill` and `restart`. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now; another one after `restart`. */
  readonly pid: number;
  /** Ends it with kill -9, and returns when it is gone. */
  readonly kill: () => Promise<void>;
  /** Starts it again, having stopped it first if it runs. */
  readonly restart: () => Promise<void>;
  /** Ends it for good and removes its data. */
  readonly stop: () => Promise<void>;
}

export interface TestNats extends TestServer {
  /** Stops it in its tracks (SIGSTOP): connections stay open and nothing answers, until `resume`. */
  readonly pause: () => void;
  readonly resume: () => void;
}

/** A new database with all migrations applied, on the Postgres that the whole run shares. */
export function createTestDatabase(): Promise<TestDatabase> {
  // Copying files takes a third of the time that logging every page does.
  return createDatabase(`TEMPLATE ${TEMPLATE} STRATEGY file_copy`);
}

/** A new database without a single table. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return createDatabase('');
}

async function createDatabase(how: string): Promise<TestDatabase> {
  const { url } = available(inject('servers').postgres);
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await runSql(url, `CREATE DATABASE ${name} ${how}`);
  const drop = async () => {
    await runSql(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  };
  return { url: new URL(`/${name}`, url).href, drop, [Symbol.asyncDispose]: drop };
}

/** A nats-server with JetStream of this test's own. */
export async function startTestNats(): Promise<TestNats> {
  const binary = natsBinary();
  const dir = newFolder('nats');
  const server = await testServer(
    dir,
    () => ensureNats({ dir, cache: dir, binary, sync: false }),
    () => stopNats(dir),
  );
  return Object.assign(server, {
    pause: () => sendSignal(server.pid, 'SIGSTOP'),
    resume: () => sendSignal(server.pid, 'SIGCONT'),
  });
}

/** A Postgres of this test's own, for what would disturb others (outages); about 1 s. All migrations are applied. */
export async function startTestPostgres(): Promise<TestServer> {
  const dir = newFolder('postgres');
  const server = await testServer(
    dir,
    () => ensurePostgres({ dir, settings: THROWAWAY }),
    () => stopPostgres(dir),
  );
  await migrate(server.url, { migrationsDir: MIGRATIONS });
  return server;
}

/** The nats-server program. */
export function natsBinary(): string {
  return available(inject('servers').nats).path;
}

/** A new path below the folder of the run, which is removed at its end. */
export function newFolder(name: string): string {
  return join(inject('servers').folder, `${name}-${randomUUID()}`);
}

async function testServer(
  dir: string,
  start: () => Promise<EmbeddedServer>,
  stopServer: () => Promise<void>,
): Promise<TestServer> {
  let server = await start();
  const { url, port } = server;
  const stop = async () => {
    await stopServer();
    rmSync(dir, { recursive: true, force: true });
  };
  return {
    url,
    port,
    get pid() {
      return server.pid;
    },
    kill: async () => {
      sendSignal(server.pid, 'SIGKILL');
      // A process that is being killed has no name any more while the system still closes what it listens on.
      const isGone = async () => findProcesses(`${dir}/`).length === 0 && (await freePort([port])) === port;
      if (!(await until(isGone, 10_000))) throw new Error(`Process ${server.pid} survived kill -9.`);
    },
    restart: async () => {
      await stopServer();
      server = await start();
      if (server.port !== port) throw new Error(`Port ${port} was taken by another process during the restart.`);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function available<T extends object>(server: T | { readonly problem: string }): T {
  if ('problem' in server) throw new Error(`Not available in this run: ${server.problem}`);
  return server;
}
