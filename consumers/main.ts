import { modelFeed } from '../experiments/model-feed.ts';
import { createPredictors } from '../experiments/models/predictors.ts';
import { policies } from '../experiments/policies/index.ts';
import { createModelPolicy } from '../experiments/policies/of-model.ts';
import { createDeadLetterStore } from '../features/dead-letter-store.ts';
import { createEventStore } from '../features/event-store.ts';
import { systemClock } from '../platform/clock.ts';
import { openDatabase } from '../platform/database.ts';
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
  const shared = { url: config.databaseUrl, statementTimeoutMs };
  const eventsDatabase = openDatabase({
    ...shared,
    applicationName: 'oo-consumers',
    maxConnections: durables.length * batchesInFlight,
  });
  const followDatabase = openDatabase({ ...shared, applicationName: 'oo-follow', maxConnections: 2 });
  const openForChore = (name: string, maxConnections: number, timeoutMs = choreTimeoutMs) =>
    openDatabase({
      ...shared,
      applicationName: `oo-${name}`,
      maxConnections,
      statementTimeoutMs: timeoutMs,
      signal: stopped,
    });
  const choresDatabase = openForChore('chores', 1);
  const rewardsDatabase = openForChore('rewards', 1, statementTimeoutMs);
  const shadowsDatabase = openForChore('shadows', shadowsAtOnce);
  const gateDatabase = openForChore('gate', 2);
  const mlflowDatabase = openForChore('mlflow', 2, statementTimeoutMs); // one holds the lock
  await using onnx = lazyOnnxPool();
  const bus = await openBus({ url: config.natsUrl, name: 'oo-consumers', signal, log });
  void bus.closed.then((error) => {
    if (!signal.aborted) lost.abort(error ?? new Error('the bus closed the connection'));
  });
  try {
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
  } finally {
    await bus.close();
    await Promise.all(
      [
        eventsDatabase,
        followDatabase,
        choresDatabase,
        rewardsDatabase,
        shadowsDatabase,
        gateDatabase,
        mlflowDatabase,
      ].map((pool) => pool.end()),
    );
  }
});
