import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createEventPublisher, createTipClient, type EventPublisher, type TipClient } from '../../client/index.ts';
import type { Decode } from '../../consumers/decode.ts';
import { durablesOf } from '../../consumers/durables.ts';
import { runConsumers } from '../../consumers/run-consumers.ts';
import { createDeadLetterStore } from '../../features/dead-letter-store.ts';
import { createEventStore } from '../../features/event-store.ts';
import type { Bus } from '../../platform/bus.ts';
import { type Database, openDatabase } from '../../platform/database.ts';
import { createLog } from '../../platform/log.ts';
import { openBus } from '../../platform/nats-bus.ts';
import { streams } from '../../platform/streams.ts';
import { lazyOnnxPool } from '../../registry/onnx/lazy-pool.ts';
import { waitFor } from '../../scripts/demo/wait-for.ts';
import type { ServerConfig } from '../../server/config.ts';
import { createContext } from '../../server/context.ts';
import { createServer } from '../../server/create-server.ts';
import { createRoutes } from '../../server/routes/index.ts';
import { createTestDatabase, startTestNats, type TestNats } from './servers.ts';

export const silent = createLog({ name: 'test', level: 'silent', pretty: false });

export interface Loop extends AsyncDisposable {
  readonly nats: TestNats;
  readonly databaseUrl: string;
  readonly database: Database;
  readonly bus: Bus;
  readonly baseUrl: string;
  readonly client: TipClient;
  readonly publisher: EventPublisher;
  /** Another server on the same tables and streams. With a `policy` it does not follow rollouts: that one decides. */
  startReplica(config?: Partial<ServerConfig>): Promise<{ readonly baseUrl: string; readonly client: TipClient }>;
  /** Starts consuming; until then events wait in their streams. Ends what was started before. */
  consume(decode?: Decode): Promise<void>;
  /** Waits until the consumers have settled every message there is. */
  drained(): Promise<void>;
  /** How many messages a stream holds. */
  messages(stream: keyof typeof streams): Promise<number>;
}

export interface LoopOptions {
  readonly config?: Partial<ServerConfig>;
  /** Default: a database of its own on the shared Postgres. */
  readonly databaseUrl?: string;
  /** Default true. */
  readonly consume?: boolean;
}

/** The whole service in this process, on a database and a NATS of its own. */
export async function startLoop({ config, databaseUrl: given, consume = true }: LoopOptions = {}): Promise<Loop> {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await startTestNats());
  const databaseUrl = given ?? stack.use(await createTestDatabase()).url;
  const database = openDatabase({ url: databaseUrl, applicationName: 'test', maxConnections: 8 });
  stack.defer(() => database.end());
  const bus = await openBus({ url: nats.url, name: 'test' });
  stack.defer(() => bus.close());
  await bus.ensureStreams(Object.values(streams));

  const onnx = stack.use(lazyOnnxPool());
  const startReplica: Loop['startReplica'] = async (own = {}) => {
    const context = await createContext(
      { policy: 'egreedy-v2', promptVersion: 'v1', llm: undefined, feast: undefined, ...config, ...own },
      { database, bus, log: silent, onnx },
    );
    const { experiments, rollouts, bandits, metrics } = context;
    const server = createServer({ routes: createRoutes(context), experiments, authKeys: [], log: silent, metrics });
    const { url } = await server.listen({ port: 0, host: '127.0.0.1' });
    server.setServing(true);
    stack.defer(() => server.drain(500));
    const stopFollowing = new AbortController();
    const followed = own.policy === undefined ? [rollouts, experiments, bandits] : [experiments, bandits];
    const following = Promise.all(followed.map((each) => each.follow(stopFollowing.signal)));
    stack.defer(async () => {
      stopFollowing.abort();
      await following;
    });
    return { baseUrl: url, client: createTipClient({ baseUrl: url, timeoutMs: 5_000 }) };
  };
  const { baseUrl, client } = await startReplica();

  let stop: AbortController | undefined;
  let running: Promise<void> | undefined;
  const stopConsuming = async () => {
    stop?.abort();
    await running;
  };
  const startConsuming = async (decode?: Decode) => {
    await stopConsuming();
    stop = new AbortController();
    const eventStore = createEventStore(database);
    const deadLetterStore = createDeadLetterStore(database);
    running = runConsumers({
      bus,
      eventStore,
      deadLetterStore,
      log: silent,
      durables: durablesOf(30_000),
      signal: stop.signal,
      ...(decode && { decode }),
    });
  };
  stack.defer(stopConsuming);
  if (consume) await startConsuming();

  const count = async (stream: keyof typeof streams) => (await bus.inspect(streams[stream].name)).messages;
  return {
    nats,
    databaseUrl,
    database,
    bus,
    baseUrl,
    client,
    publisher: createEventPublisher({ bus, producer: 'test' }),
    startReplica,
    consume: startConsuming,
    messages: count,
    drained: async () => {
      await waitFor('the consumers to settle all messages', () => isDrained(bus).catch(() => false)); // or to begin with it
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Whether every message of every stream has been settled by its durable: dead letters last, where events end up. */
export async function isDrained(bus: Bus): Promise<boolean> {
  for (const { name } of [streams.signals, streams.feedback, streams.decisions, streams.deadletters]) {
    const { lastSequence, settledSequence } = await bus.inspect(name, `feature-pipeline-${name}`);
    if (settledSequence < lastSequence) return false;
  }
  return true;
}

/** All rows of a table, as JSON that compares: timestamps as text, rows in the order of `orderBy`. */
export async function rowsOf(database: Database, table: string, orderBy: string): Promise<Record<string, unknown>[]> {
  const { rows } = await database.query<{ row: Record<string, unknown> }>(
    `SELECT to_jsonb(t) AS row FROM ${table} t ORDER BY ${orderBy}`,
  );
  return rows.map(({ row }) => row);
}

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a program of this project's node_modules and returns what it prints. Rejects with what it complains. */
export async function runTool(tool: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, PATH: `${root}node_modules/.bin:${process.env.PATH}` };
  return (await promisify(execFile)(`${root}node_modules/.bin/${tool}`, args, { env, cwd: root })).stdout;
}
