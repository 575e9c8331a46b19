import { createBanditReader } from '../experiments/bandit-store.ts';
import { type Choices, type ExperimentSet, suspendUncleared } from '../experiments/experiment.ts';
import { createExperimentStore, type ExperimentStore } from '../experiments/experiment-store.ts';
import { gateLimits } from '../experiments/gate.ts';
import { modelFeed } from '../experiments/model-feed.ts';
import { createPredictors } from '../experiments/models/predictors.ts';
import { policies as builtPolicies } from '../experiments/policies/index.ts';
import { createModelPolicy } from '../experiments/policies/of-model.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { createPopulationReader } from '../experiments/population-store.ts';
import { statisticsVersion } from '../experiments/statistics.ts';
import { createDeadLetterStore } from '../features/dead-letter-store.ts';
import { createErasureStore } from '../features/erasure-store.ts';
import { createFeastStore } from '../features/feast-store.ts';
import { createPersonStore } from '../features/person-store.ts';
import { createGateway } from '../generation/gateway/create-gateway.ts';
import { checkDefaultPrompt, loadPrompts, type PromptRegistry } from '../generation/prompts/registry.ts';
import type { Bus } from '../platform/bus.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { ConfigError } from '../platform/config.ts';
import type { Database } from '../platform/database.ts';
import type { Followed } from '../platform/follow.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log.ts';
import { startupStep } from '../platform/run-main.ts';
import { createCardStore } from '../registry/card-store.ts';
import { followModels } from '../registry/follow-models.ts';
import { createModelStore } from '../registry/model-store.ts';
import { type LazyOnnxPool, noOnnx } from '../registry/onnx/lazy-pool.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import type { ServerConfig } from './config.ts';
import { createDecisionLog } from './decision-log.ts';
import { type FollowedBandits, followBandits } from './follow-bandits.ts';
import { followExperiments } from './follow-experiments.ts';
import { followRollouts, type ServedPolicies } from './follow-rollouts.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createFeastReader, noFeast } from './read-feast.ts';
import { createPersonReader } from './read-person.ts';
import type { AdminDeps } from './routes/admin/index.ts';
import type { GenerateDeps } from './routes/generate.ts';
import type { ScoreDeps } from './routes/score.ts';

export type ServerContext = ScoreDeps &
  GenerateDeps &
  AdminDeps & {
    readonly metrics: Metrics;
    /** Until they are refreshed or followed, DEFAULT_POLICY decides, there are no experiments, and bandits know nothing. */
    readonly rollouts: Followed<ServedPolicies>;
    readonly experiments: Followed<ExperimentSet>;
    readonly models: Followed<ReadonlyMap<string, Policy>>;
    readonly bandits: FollowedBandits;
  };

export interface ServerContextDeps {
  readonly database: Database;
  /** Where people are read, on the way of every Score and Generate. Default: `database`. */
  readonly peopleDatabase?: Database;
  readonly bus: Bus;
  readonly log: Log;
  readonly clock?: Clock;
  /** Default: none, and models as ONNX decide nothing. */
  readonly onnx?: Pick<LazyOnnxPool, 'load'>;
}

/** A Score may take 50 ms in all. */
const predictionMs = 20;

/** All that the routes need, wired once. Throws a StartupError on an unknown policy or default prompt version. */
export async function createContext(
  config: Pick<ServerConfig, 'policy' | 'promptVersion' | 'llm' | 'feast'>,
  { database, peopleDatabase = database, bus, log, clock = systemClock, onnx = noOnnx }: ServerContextDeps,
): Promise<ServerContext> {
  const policy = builtPolicies.get(config.policy);
  if (!policy) throw new ConfigError([`DEFAULT_POLICY: must be one of ${[...builtPolicies.keys()].join(', ')}`]);
  const prompts = await startupStep(async () => {
    const registry = await loadPrompts();
    checkDefaultPrompt(registry, config.promptVersion);
    return registry;
  });
  const { llm, feast } = config;
  const metrics = createMetrics();
  const experimentStore = createExperimentStore(database);
  const rolloutStore = createRolloutStore(database);
  const modelStore = createModelStore(database);
  const { readContent } = modelStore;
  const openPredictor = createPredictors({ readContent, loadOnnx: onnx.load, timeoutMs: predictionMs });
  const models = followModels({
    store: modelStore,
    feed: modelFeed,
    policies: builtPolicies,
    policyOf: (version) => createModelPolicy(version, openPredictor),
    log,
  });
  const choices = choicesOf(prompts, models);
  const knowingModels: Pick<ExperimentStore, 'readNewest'> = {
    async readNewest(knownId) {
      const newest = await experimentStore.readNewest(knownId);
      if (newest) await models.refresh(); // a set may name a model that was registered a moment ago
      return newest;
    },
  };
  const rollouts = followRollouts({ store: rolloutStore, policies: models, defaultPolicy: policy, clock, log });
  const gatewaySources = { random: Math.random, now: () => performance.now(), clock, onCall: metrics.countLlmCall };
  return {
    readPerson: createPersonReader(
      createPersonStore(peopleDatabase, { statisticsVersion }),
      createPopulationReader(database),
      log,
    ),
    readFeast: feast ? createFeastReader(createFeastStore(feast), { log, now: () => performance.now() }) : noFeast,
    database,
    decisionLog: createDecisionLog(bus),
    metrics,
    countSkew: metrics.countSkew,
    countDecision: metrics.countDecision,
    countGeneration: metrics.countGeneration,
    deadLetterStore: createDeadLetterStore(database),
    erasureStore: createErasureStore(database),
    experimentStore,
    rolloutStore,
    modelStore,
    cardStore: createCardStore(database),
    cardRules: gateLimits,
    policies: models,
    choices,
    rollouts,
    models,
    experiments: clearedExperiments(followExperiments({ store: knowingModels, choices, log }), rollouts),
    bandits: followBandits({ reader: createBanditReader(database), log }),
    bus,
    prompts,
    defaultPromptVersion: config.promptVersion,
    gateway: llm && (await startupStep(() => createGateway(llm, gatewaySources))),
    clock,
    newId: () => newId(clock()),
    log,
  };
}

/** The experiments as far as their arms may decide about people, worked out once for each change. */
function clearedExperiments(
  experiments: Followed<ExperimentSet>,
  rollouts: Pick<Followed<ServedPolicies>, 'current'>,
): Followed<ExperimentSet> {
  let [set, served] = [experiments.current(), rollouts.current()];
  let cleared = suspendUncleared(set, new Set(served.cleared.keys()));
  return {
    ...experiments,
    current() {
      if (set !== experiments.current() || served !== rollouts.current()) {
        [set, served] = [experiments.current(), rollouts.current()];
        cleared = suspendUncleared(set, new Set(served.cleared.keys()));
      }
      return cleared;
    },
  };
}

/** What arms may choose: all policies that there are at the time, and the prompts that are not retired. */
function choicesOf(
  { prompts }: PromptRegistry,
  models: Pick<Followed<ReadonlyMap<string, Policy>>, 'current'>,
): Choices {
  const active = [...prompts.values()].filter(({ status }) => status === 'active');
  const promptVersions = new Set(active.map(({ version }) => version));
  return {
    promptVersions,
    get policies() {
      return new Set(models.current().keys());
    },
  };
}
