import { type Choices, type ExperimentSet, suspendUncleared } from '../experiments/experiment.ts';
import { createExperimentStore } from '../experiments/experiment-store.ts';
import { policies } from '../experiments/policies/index.ts';
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
import { createRolloutStore } from '../registry/rollout-store.ts';
import type { ServerConfig } from './config.ts';
import { createDecisionLog } from './decision-log.ts';
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
    /** Until they are refreshed or followed, DEFAULT_POLICY decides, and there are no experiments. */
    readonly rollouts: Followed<ServedPolicies>;
    readonly experiments: Followed<ExperimentSet>;
  };

export interface ServerContextDeps {
  readonly database: Database;
  readonly bus: Bus;
  readonly log: Log;
  readonly clock?: Clock;
}

/** All that the routes need, wired once. Throws a StartupError on an unknown policy or default prompt version. */
export async function createContext(
  config: Pick<ServerConfig, 'policy' | 'promptVersion' | 'llm' | 'feast'>,
  { database, bus, log, clock = systemClock }: ServerContextDeps,
): Promise<ServerContext> {
  const policy = policies.get(config.policy);
  if (!policy) throw new ConfigError([`DEFAULT_POLICY: must be one of ${[...policies.keys()].join(', ')}`]);
  const prompts = await startupStep(async () => {
    const registry = await loadPrompts();
    checkDefaultPrompt(registry, config.promptVersion);
    return registry;
  });
  const { llm, feast } = config;
  const metrics = createMetrics();
  const experimentStore = createExperimentStore(database);
  const rolloutStore = createRolloutStore(database);
  const choices = choicesOf(prompts);
  const rollouts = followRollouts({ store: rolloutStore, policies, defaultPolicy: policy, clock, log });
  const gatewaySources = { random: Math.random, now: () => performance.now(), clock, onCall: metrics.countLlmCall };
  return {
    readPerson: createPersonReader(
      createPersonStore(database, { statisticsVersion }),
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
    policies,
    choices,
    rollouts,
    experiments: clearedExperiments(followExperiments({ store: experimentStore, choices, log }), rollouts),
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
  let cleared = suspendUncleared(set, served.cleared);
  return {
    ...experiments,
    current() {
      if (set !== experiments.current() || served !== rollouts.current()) {
        [set, served] = [experiments.current(), rollouts.current()];
        cleared = suspendUncleared(set, served.cleared);
      }
      return cleared;
    },
  };
}

/** What arms may choose: all policies, and the prompts that are not retired. */
function choicesOf({ prompts }: PromptRegistry): Choices {
  const active = [...prompts.values()].filter(({ status }) => status === 'active');
  return { policies: new Set(policies.keys()), promptVersions: new Set(active.map(({ version }) => version)) };
}
