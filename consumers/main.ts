import { modelFeed } from '../experiments/model-feed.ts';
import { createPredictors } from '../experiments/models/predictors.ts';
import { policies } from '../experiments/policies/index.ts';
import { createModelPolicy } from '../experiments/policies/of-model.ts';
import { createDeadLetterStore } from '../features/dead-letter-store.ts';
import { createEventStore } from '../features/event-store.ts';
import { systemClock } from '../platform/clock.ts';
import { type DatabaseOptions, openDatabase } from '../platform/database.ts';
import { createLog } from '../platform/log.ts';
import { openBus } from '../platform/nats-bus.ts';
import { runMain } from '../platform/run-main.ts';
import { followModels } from '../registry/follow-models.ts';
import { createMlflowClient } from '../registry/mlflow/client.ts';
import { createModelStore } from '../registry/model-store.ts';
import { lazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { createChores, createRewardChore, createShadowChores, runChores } from './chores.ts';
import { readConsumersConfig } from './config.ts';
import { batchesInFlight, durablesOf } from './durables.ts';
import { followShadows } from './follow-shadows.ts';
import { createGateChore } from './judge-policies.ts';
import { createMirrorChore } from './mirror-models.ts';
import { runConsumers } from './run-consumers.ts';

/** A batch takes milliseconds. What takes this long waits for a lock, or for a connection that is gone. */
const statementTimeoutMs = 20_000;
/** A chore may read a whole table. */
const choreTimeoutMs = 600_000;
/** Each in a transaction of its own. More than these wait for each other. */
const shadowsAtOnce = 8;
/** Nobody waits for what a model in the shadow says. */
const predictionMs = 10_000;

await runMain(async (signal) => {
  const config = readConsumersConfig(process.env);
  const durables = durablesOf(config.ackWaitMs);
  const log = createLog({ name: 'consumers', level: config.logLevel, pretty: process.stdout.isTTY });
  const lost = new AbortController();
  const stopped = AbortSignal.any([signal, lost.signal]);
  await using resources = new AsyncDisposableStack();
  const open = (name: string, maxConnections: number, options: Partial<DatabaseOptions> = {}) => {
    const applicationName = `oo-${name}`;
    const database = openDatabase({
      url: config.databaseUrl,
      applicationName,
      maxConnections,
      statementTimeoutMs,
      ...options,
    });
    resources.defer(() => database.end());
    return database;
  };
  const eventsDatabase = open('consumers', durables.length * batchesInFlight);
  const followDatabase = open('follow', 2);
  const chore = { signal: stopped }; // they may end anywhere, and begin anew with the next process
  const longChore = { ...chore, statementTimeoutMs: choreTimeoutMs };
  const choresDatabase = open('chores', 1, longChore);
  const rewardsDatabase = open('rewards', 1, chore);
  const shadowsDatabase = open('shadows', shadowsAtOnce, longChore);
  const gateDatabase = open('gate', 2, longChore);
  const mlflowDatabase = open('mlflow', 2, chore); // one holds the lock
  const onnx = resources.use(lazyOnnxPool());
  const bus = await openBus({ url: config.natsUrl, name: 'oo-consumers', signal, log });
  resources.defer(bus.close);
  resources.defer(() => lost.abort()); // chores end with whatever ends this
  void bus.closed.then((error) => {
    if (!signal.aborted) lost.abort(error ?? new Error('the bus closed the connection'));
  });

  const eventStore = createEventStore(eventsDatabase);
  const deadLetterStore = createDeadLetterStore(eventsDatabase);
  const modelStore = createModelStore(followDatabase);
  const { readContent } = modelStore;
  const openPredictor = createPredictors({ readContent, loadOnnx: onnx.load, timeoutMs: predictionMs });
  const models = followModels({
    store: modelStore,
    feed: modelFeed,
    policies,
    policyOf: (version) => createModelPolicy(version, openPredictor),
    log,
  });
  const shadows = followShadows({ store: createRolloutStore(followDatabase), policies: models, log });
  const mlflow = config.mlflow && createMlflowClient({ ...config.mlflow, signal: stopped, random: Math.random });
  const all = [
    ...createChores({ bus, database: choresDatabase }, config),
    createRewardChore(rewardsDatabase),
    ...createShadowChores(shadowsDatabase, shadows),
    createGateChore({ database: gateDatabase, policies: models }),
    ...(mlflow ? [createMirrorChore({ database: mlflowDatabase, client: mlflow, log })] : []),
  ];
  const following = Promise.all([models, shadows].map((each) => each.follow(stopped)));
  const chores = runChores(all, { clock: systemClock, log, signal: stopped });
  await runConsumers({ bus, eventStore, deadLetterStore, log, durables, signal: stopped });
  await Promise.all([chores, following]);
  lost.signal.throwIfAborted();
});
