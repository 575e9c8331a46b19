import { readFile } from 'node:fs/promises';
import { aborted } from '../platform/abort.ts';
import { ConfigError } from '../platform/config.ts';
import { openDatabase } from '../platform/database.ts';
import { createLog } from '../platform/log.ts';
import { openBus } from '../platform/nats-bus.ts';
import { runMain, StartupError, startupStep } from '../platform/run-main.ts';
import { streams } from '../platform/streams.ts';
import { lazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import { readServerConfig } from './config.ts';
import { createContext } from './context.ts';
import { createServer } from './create-server.ts';
import { type AuthKey, parseAuthKeys } from './interceptors/authenticate.ts';
import { createRoutes } from './routes/index.ts';

const maxConnections = 4;
/** Reads of people are merged, with so many queries in flight. */
const peopleConnections = 2;
/** After this long a connection that was lost without a word is given up; until then Scores do without profiles. */
const statementTimeoutMs = 10_000;
const graceMs = 10_000;

await runMain(async (signal) => {
  const config = readServerConfig(process.env);
  const authKeys = await readAuthKeys(config.authKeysFile);
  const log = createLog({ name: 'server', level: config.logLevel, pretty: process.stdout.isTTY });
  const database = openDatabase({
    url: config.databaseUrl,
    applicationName: 'oo-server',
    maxConnections,
    statementTimeoutMs,
  });
  const peopleDatabase = openDatabase({
    url: config.databaseUrl,
    applicationName: 'oo-server-people',
    maxConnections: peopleConnections,
    statementTimeoutMs,
    plansOnce: true,
  });
  await using onnx = lazyOnnxPool();
  const bus = await openBus({ url: config.natsUrl, name: 'oo-server', signal, log });
  try {
    await bus.ensureStreams([streams.decisions]);
    const context = await createContext(config, { database, peopleDatabase, bus, log, onnx });
    const { experiments, rollouts, models, bandits } = context;
    const wrong = await rollouts.refresh();
    if (wrong) throw new StartupError(String(wrong));
    await Promise.all([experiments.refresh(), bandits.refresh()]);
    const active = rollouts.current().active.name;
    if (active !== config.policy)
      log.warn({ active }, 'DEFAULT_POLICY is not the active policy: it only begins a database, rollouts change it');
    const server = createServer({
      routes: createRoutes(context),
      experiments,
      authKeys,
      log,
      metrics: context.metrics,
    });
    const { url } = await startupStep(() => server.listen({ port: config.port, host: config.host }));
    server.setServing(true);
    log.info(
      {
        url,
        policy: active,
        promptVersion: config.promptVersion,
        model: config.llm?.model ?? null,
        feast: [...(config.feast?.features.keys() ?? [])],
      },
      'serving',
    );
    if (!config.llm) log.info('no language model is configured (LLM_BASE_URL): templates write all tips');
    const stopFollowing = new AbortController();
    const following = Promise.all(
      [models, rollouts, experiments, bandits].map((each) => each.follow(stopFollowing.signal)),
    );
    const lost = await Promise.race([
      aborted(signal),
      bus.closed.then((error) => error ?? new Error('the bus closed the connection')),
    ]);
    await server.drain(graceMs);
    stopFollowing.abort();
    await following;
    if (lost) throw lost;
  } finally {
    await bus.close();
    await peopleDatabase.end();
    await database.end();
  }
});

async function readAuthKeys(file: string | undefined): Promise<readonly AuthKey[]> {
  if (file === undefined) return [];
  const text = await readFile(file, 'utf8').catch(() => {
    throw new ConfigError(['AUTH_KEYS_FILE: the file cannot be read']);
  });
  return startupStep(() => parseAuthKeys(text));
}
