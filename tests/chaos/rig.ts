import { fileURLToPath } from 'node:url';
import type { Bus } from '../../platform/bus.ts';
import { type Database, openDatabase } from '../../platform/database.ts';
import { openBus } from '../../platform/nats-bus.ts';
import { streams } from '../../platform/streams.ts';
import { waitFor } from '../../scripts/demo/wait-for.ts';
import { isDrained } from '../_util/loop.ts';
import { type NodeProcess, startNode } from '../_util/node-process.ts';
import { startProxy, type TcpProxy } from '../_util/proxy.ts';
import { createTestDatabase, startTestNats, type TestNats, type TestServer } from '../_util/servers.ts';
import { createLedger, type Ledger } from './ledger.ts';

/** Servers to break, processes that use them, and a ledger of what was published. */
export interface Rig extends AsyncDisposable {
  readonly nats: TestNats;
  /** The test's own way to the servers, which no proxy is on. */
  readonly bus: Bus;
  readonly database: Database;
  readonly ledger: Ledger;
  /** Starts a script of this project, by default the consumers. */
  start(script?: string, env?: NodeJS.ProcessEnv): NodeProcess;
  /** Waits until every message is settled. */
  drained(timeoutMs?: number): Promise<void>;
}

/** A rig whose processes reach both servers through proxies. */
export interface OutageRig extends Rig {
  readonly postgresProxy: TcpProxy;
  readonly natsProxy: TcpProxy;
}

/** How long a message that a killed process held waits for another: as short as may be configured. */
export const ackWaitMs = 1_000;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A rig on a database of the shared Postgres and a NATS of its own. */
export async function startRig(): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await startTestNats());
  const { url } = stack.use(await createTestDatabase());
  return assemble(stack, nats, { databaseUrl: url, processDatabaseUrl: url, processNatsUrl: nats.url });
}

/** `postgres`: one to break, which the rig ends. Default: a database of the shared one. */
export async function startOutageRig(postgres?: TestServer): Promise<OutageRig> {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await startTestNats());
  const { url } = stack.use(postgres ?? (await createTestDatabase()));
  const postgresProxy = stack.use(await startProxy(Number(new URL(url).port)));
  const natsProxy = stack.use(await startProxy(nats.port));
  const rig = await assemble(stack, nats, {
    databaseUrl: url,
    processDatabaseUrl: withPort(url, postgresProxy.port),
    processNatsUrl: withPort(nats.url, natsProxy.port),
  });
  return Object.assign(rig, { postgresProxy, natsProxy });
}

function withPort(url: string, port: number): string {
  return url.replace(/:\d+(?=\/|$)/, `:${port}`);
}

interface Urls {
  readonly databaseUrl: string;
  readonly processDatabaseUrl: string;
  readonly processNatsUrl: string;
}

async function assemble(stack: AsyncDisposableStack, nats: TestNats, urls: Urls): Promise<Rig> {
  const database = openDatabase({ url: urls.databaseUrl, applicationName: 'test', maxConnections: 4 });
  stack.defer(() => database.end());
  const bus = await openBus({ url: nats.url, name: 'test' });
  stack.defer(() => bus.close());
  await bus.ensureStreams(Object.values(streams));
  const processEnv = {
    PATH: process.env.PATH,
    DATABASE_URL: urls.processDatabaseUrl,
    NATS_URL: urls.processNatsUrl,
    LOG_LEVEL: 'warn',
    ACK_WAIT_MS: String(ackWaitMs),
    IGNORED_AFTER_HOURS: '8760',
  };
  return {
    nats,
    bus,
    database,
    ledger: createLedger({ bus, database }),
    start(script = 'consumers/main.ts', env = {}) {
      const child = startNode(`${root}${script}`, { ...processEnv, ...env });
      stack.defer(() => child.kill());
      return child;
    },
    async drained(timeoutMs = 60_000) {
      await waitFor('every message to be settled', () => isDrained(bus).catch(() => false), timeoutMs);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
