import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, type JetStreamManager } from 'nats';
import type { Bus } from '../platform/bus.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { ensureNats, natsInfo } from '../platform/embedded/nats.ts';
import { ensurePostgres } from '../platform/embedded/postgres.ts';
import { migrate } from '../platform/migrations.ts';
import { openBus } from '../platform/nats-bus.ts';
import { startTestRun } from '../tests/_util/test-run.ts';
import { type Script, type ScriptOptions, startScript } from './processes.ts';

/** A Postgres and a NATS of a benchmark's own, empty and migrated, that keep what they acknowledge as in production. */
export interface Stack {
  readonly database: Database;
  readonly bus: Bus;
  /** Looks into NATS and resets it, as no part of the service may. */
  readonly nats: JetStreamManager;
  readonly urls: { readonly databaseUrl: string; readonly natsUrl: string };
  readonly pids: { readonly postgres: number; readonly nats: number };
  /** For files; gone afterwards, and every process with it among its arguments. */
  readonly folder: string;
  /** Aborts what is going on. */
  readonly signal: AbortSignal;
  readonly versions: { readonly postgres: string; readonly nats: string };
  /** Starts a script that can reach both. It ends with the stack at the latest; its own end before that fails the work. */
  start(path: string, env?: ScriptOptions['env']): Script;
}

export interface StackOptions {
  /** Aborts what is going on. */
  readonly signal: AbortSignal;
  /** Connections of our own to Postgres. */
  readonly maxConnections: number;
  readonly postgresSettings?: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Lends a stack to `work`. Rejects as soon as a process of it ends, or on `signal`. Every process and file of it is gone
 * afterwards, however this process ends.
 */
export async function withStack<Result>(
  { signal, maxConnections, postgresSettings = {} }: StackOptions,
  work: (stack: Stack) => Promise<Result>,
): Promise<Result> {
  await using resources = new AsyncDisposableStack();
  const run = await startTestRun();
  resources.defer(run.end);
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {}); // whoever waits for it hears of it
  signal.addEventListener('abort', () => broken.reject(signal.reason), { once: true });
  signal.throwIfAborted();

  const servers = Promise.all([
    ensurePostgres({ dir: join(run.folder, 'postgres'), settings: postgresSettings }),
    ensureNats({ dir: join(run.folder, 'nats'), cache: join(root, '.oo', 'cache') }),
  ]);
  const [postgres, nats] = await Promise.race([servers, broken.promise]);
  await migrate(postgres.url, { migrationsDir: join(root, 'prisma', 'migrations') });

  const database = openDatabase({ url: postgres.url, applicationName: 'oo-bench', maxConnections });
  resources.defer(() => database.end());
  const bus = await openBus({ url: nats.url, name: 'oo-bench' });
  resources.defer(() => bus.close());
  const connection = await connect({ servers: nats.url, name: 'oo-bench-admin' });
  resources.defer(() => connection.close());
  const version = await database.query<{ server_version: string }>('SHOW server_version');

  const env = { DATABASE_URL: postgres.url, NATS_URL: nats.url, HOST: '127.0.0.1', LOG_LEVEL: 'warn' };
  const start = (path: string, more: ScriptOptions['env'] = {}) => {
    const script = startScript(path, { env: { ...env, ...more }, folder: run.folder });
    resources.defer(script.stop);
    script.ended.catch(broken.reject);
    return script;
  };
  const stack: Stack = {
    database,
    bus,
    nats: await connection.jetstreamManager(),
    urls: { databaseUrl: postgres.url, natsUrl: nats.url },
    pids: { postgres: postgres.pid, nats: nats.pid },
    folder: run.folder,
    signal,
    versions: {
      postgres: version.rows[0]?.server_version ?? '',
      nats: (await natsInfo(nats.port))?.version ?? '',
    },
    start,
  };
  try {
    return await Promise.race([work(stack), broken.promise]);
  } catch (error) {
    await Promise.race([sleep(200), broken.promise]); // the end of a process says more than what failed because of it
    throw error;
  }
}
