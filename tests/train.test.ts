// From the log to a version in the shadow: the DAG `train`, on a real Postgres.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deltas } from '../consumers/deltas.ts';
import { gateLimits } from '../experiments/gate.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { vectorNames } from '../features/vector.ts';
import { type Artifacts, openArtifacts } from '../pipelines/artifacts.ts';
import { dagOf } from '../pipelines/dag.ts';
import { createDags } from '../pipelines/dags/index.ts';
import { readPolicies } from '../pipelines/deciders.ts';
import { type RunEvent, runDag } from '../pipelines/run-dag.ts';
import { openRun, readSteps } from '../pipelines/step-store.ts';
import { dayMs } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import type { ModelCard } from '../registry/card.ts';
import { cardStateOf } from '../registry/card-problems.ts';
import { createCardStore } from '../registry/card-store.ts';
import { createModelStore } from '../registry/model-store.ts';
import { firstStep } from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { silent } from './_util/loop.ts';
import { type LoggedWorld, storeWorld } from './_util/pipelines/logged-world.ts';
import { takeSteps } from './_util/rollouts.ts';
import { createTestDatabase, newFolder } from './_util/servers.ts';

const asOf = '2026-11-01T00:00:00.000Z';
const dags = createDags({ deltas, judge: async () => [], keepMonths: undefined, owner: 'recommendations' });
const stepNames = dagOf(dags, 'train').steps.map(({ name }) => name);

/** Large enough that nothing is missing on the card. */
const world: LoggedWorld = {
  ...{ name: 'world', people: { seen: 160, heldOut: 240 }, decisionsEach: 4, beforeMs: Date.parse(asOf) },
};
const smallWorld: LoggedWorld = { ...world, name: 'small', people: { seen: 20, heldOut: 5 }, decisionsEach: 2 };

interface Place extends AsyncDisposable {
  readonly database: Database;
  readonly artifacts: Artifacts;
}

/** A database with a world in it. */
async function openPlace(stored: LoggedWorld): Promise<Place> {
  const testDatabase = await createTestDatabase();
  const database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 20 });
  await storeWorld(database, stored);
  const close = async () => {
    await database.end();
    await testDatabase.drop();
  };
  return { database, artifacts: openArtifacts(newFolder('artifacts')), [Symbol.asyncDispose]: close };
}

const house = { policy: egreedyV2.name, version: egreedyV2.version };

/** As the first server does. */
async function begin({ database }: Place): Promise<void> {
  const by = { atMs: Date.now() - 40 * dayMs, actor: 'test', caller: '', reason: 'a test' };
  await createRolloutStore(database).append([firstStep(house, by)]);
}

interface Asked {
  readonly dag?: string;
  readonly asOf?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
  readonly onProgress?: (step: string) => void;
}

/** What became of the steps of a run, and which of them it did itself. */
async function run({ database, artifacts }: Place, id: string, asked: Asked = {}) {
  const { signal = new AbortController().signal, onEvent, onProgress = () => {} } = asked;
  const dag = dagOf(dags, asked.dag ?? 'train');
  const opened = await openRun(database, dag.id, id, asked.asOf ?? asOf);
  const attempts = async () =>
    new Map([...(await readSteps(database, opened)).values()].map(({ name, attempt }) => [name, attempt]));
  const before = await attempts();
  const deps = { database, artifacts, log: silent, signal, onProgress, random: () => 0 };
  const { outcomes, failures } = await runDag(deps, dag, opened, { workers: 2, ...(onEvent && { onEvent }) });
  const outputs = [...outcomes].flatMap(([step, each]) => (each.status === 'done' ? [[step, each.output]] : []));
  const after = await attempts();
  return {
    outputs: Object.fromEntries(outputs) as Record<string, Record<string, unknown>>,
    skipped: [...outcomes].flatMap(([step, each]) => (each.status === 'skipped' ? [[step, each.reason]] : [])),
    failures: [...failures].map(([step, error]) => [step, error instanceof Error ? error.message : String(error)]),
    begun: stepNames.flatMap((step) => new Array((after.get(step) ?? 0) - (before.get(step) ?? 0)).fill(step)),
  };
}

const versionsOf = async ({ database }: Place) => (await createModelStore(database).readVersions(0)) ?? [];
const rolloutsOf = async ({ database }: Place) => (await createRolloutStore(database).readSteps(0)) ?? [];
const placesOf = async (place: Place, of: string) =>
  (await rolloutsOf(place)).flatMap(({ policy, to }) => (policy === of ? [to] : []));

describe('a run of train', () => {
  let place: Place;
  let first: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    place = await openPlace(world);
    await begin(place);
    first = await run(place, 'first');
  });
  afterAll(() => place?.[Symbol.asyncDispose]());

  const subject = () => ({ policy: 'reward.1', version: String(first.outputs.register?.policyVersion) });

  it('goes from events to a version that is registered and in the shadow', async () => {
    expect(first).toMatchObject({ failures: [], skipped: [], begun: stepNames });
    expect(await versionsOf(place)).toMatchObject([
      { model: 'reward', version: 1, hash: first.outputs.register?.hash, actor: 'pipeline train' },
    ]);
    expect(first.outputs.shadow).toEqual({ policy: 'reward.1', stage: 'shadow' });
    expect(await rolloutsOf(place)).toMatchObject([
      house,
      { ...subject(), to: 'registered' },
      { ...subject(), to: 'shadow' },
    ]);
  });

  it('makes what servers decide by', async () => {
    const policies = await readPolicies(place.database);
    expect(policies.get('reward.1')).toMatchObject({
      version: subject().version,
      learning: { isOfEverybody: true, prior: { version: 'reward/1' } },
    });
  });

  it('makes a card on which nothing is missing, and which says what it was made of', async () => {
    const [found] = await createCardStore(place.database).read([subject()]);
    expect(found && cardStateOf(found.card, found.of, gateLimits)).toMatchObject({ kind: 'complete' });
    const { sha256 } = first.outputs['training:build'] ?? {};
    expect(found?.card).toMatchObject({
      owner: 'recommendations',
      model: { name: 'reward', hash: first.outputs.register?.hash },
      training: {
        ...{ kind: 'trained', data: { sha256, rows: 1_600, asOf }, people: 400, heldOutShare: 0.2 },
        window: { from: '2026-10-31T00:00:00.000Z', to: '2026-10-31T00:03:00.000Z' },
      },
      evaluation: { people: 240, asOf },
    });
  });

  it('makes a model that beats the constant on people whom it has not seen', async () => {
    const [found] = await createCardStore(place.database).read([subject()]);
    const { evaluation } = (found?.card ?? {}) as ModelCard;
    const constant = evaluation?.baselines.find(({ name }) => name.startsWith('mean reward'));
    expect(constant?.rmseSaved).toMatchObject({ low: expect.toSatisfy((low: number) => low > 0.1) });
    expect(evaluation?.offPolicy.gain).toMatchObject({ low: expect.toSatisfy((low: number) => low > 0.1) });
  });

  it('does nothing when it is asked for once more', async () => {
    expect(await run(place, 'first')).toEqual({ ...first, begun: [] });
    expect([(await versionsOf(place)).length, (await rolloutsOf(place)).length]).toEqual([1, 3]);
  });

  it('under another id makes the same version, and adds nothing', async () => {
    expect(await run(place, 'second')).toEqual(first);
    expect([(await versionsOf(place)).length, (await rolloutsOf(place)).length]).toEqual([1, 3]);
  });

  it('makes the same version elsewhere, also if it was stopped after each step and asked for again', async () => {
    await using elsewhere = await openPlace(world);
    await begin(elsewhere);
    for (const step of stepNames) {
      const stop = new AbortController();
      const onEvent = (event: RunEvent) => event.kind === 'ended' && event.step === step && stop.abort();
      const part = await run(elsewhere, 'stopped', { signal: stop.signal, onEvent });
      expect([part.begun, part.failures]).toEqual([[step], []]);
    }
    expect(await run(elsewhere, 'stopped')).toEqual({ ...first, begun: [] });
    expect(await versionsOf(elsewhere)).toMatchObject([{ name: 'reward/1', hash: first.outputs.register?.hash }]);
    expect(await placesOf(elsewhere, 'reward.1')).toEqual(['registered', 'shadow']);
  });

  it('that was stopped in the middle of a step does that step anew, and no other', async () => {
    const stop = new AbortController();
    const onProgress = (step: string) => step === 'training:build' && stop.abort();
    const stopped = await run(place, 'middle', { signal: stop.signal, onProgress });
    expect(stopped).toMatchObject({
      begun: ['features:backfill', 'training:build'],
      failures: [['training:build', expect.stringContaining('abort')]],
    });
    expect(await run(place, 'middle')).toEqual({ ...first, begun: stepNames.slice(1) });
  });

  it('whose last word was lost after it had registered answers the same, and adds nothing', async () => {
    await run(place, 'lost');
    await place.database.query(
      "DELETE FROM pipeline_steps WHERE dag = 'train' AND run_id = 'lost' AND step IN ('register', 'shadow')",
    );
    expect(await run(place, 'lost')).toEqual({ ...first, begun: ['register', 'shadow'] });
    expect([(await versionsOf(place)).length, (await rolloutsOf(place)).length]).toEqual([1, 3]);
  });

  it('registers a model that is asked for train-logistic, and servers ask it', async () => {
    const { failures, outputs } = await run(place, 'asked', { dag: 'train-logistic' });
    expect([failures, outputs.shadow]).toEqual([[], { policy: 'reward-logistic.1', stage: 'shadow' }]);
    const policy = (await readPolicies(place.database)).get('reward-logistic.1');
    expect(policy?.version).toBe(outputs.register?.policyVersion);
    await policy?.predictor?.load();
    const ofOverdue = (overdue: number) => vectorNames.map((name) => (name === 'is_overdue' ? overdue : 0));
    const [overdue = 0, other = 0] = (await policy?.predictor?.predict([ofOverdue(4096), ofOverdue(0)])) ?? [];
    expect(overdue).toBeGreaterThan(other + 0.5);
    const asked = { policy: 'reward-logistic.1', version: String(outputs.register?.policyVersion) };
    const [found] = await createCardStore(place.database).read([asked]);
    expect(found && cardStateOf(found.card, found.of, gateLimits)).toMatchObject({ kind: 'complete' });
  });

  it('leaves a policy where people have taken it since', async () => {
    const firstMs = Date.now() + 2 * dayMs;
    const left: unknown[] = [];
    for (const [i, at] of (['canary 1', 'rolled_back', 'retired'] as const).entries()) {
      await takeSteps(place.database, { name: 'reward.1', version: subject().version }, [at], firstMs + i * dayMs);
      const { outputs, failures } = await run(place, `after-${at.split(' ')[0]}`);
      left.push(outputs.shadow?.stage, ...failures);
    }
    expect(left).toEqual(['canary', 'rolled_back', 'retired']);
    expect(await placesOf(place, 'reward.1')).toEqual(['registered', 'shadow', 'canary', 'rolled_back', 'retired']);
  });

  it('as of before is not changed by what came in since; as of later it makes the next version', async () => {
    const later: LoggedWorld = { ...smallWorld, name: 'later', beforeMs: Date.parse(asOf) + dayMs };
    await storeWorld(place.database, later);
    const again = await run(place, 'again');
    const { 'features:backfill': _, ...same } = first.outputs; // tables are as of when they are made
    expect(again.outputs).toMatchObject({ ...same, shadow: expect.anything() });
    const next = await run(place, 'next', { asOf: '2026-11-02T00:00:00.000Z' });
    expect(next.outputs.register).toMatchObject({ model: 'reward', version: 2, policy: 'reward.2' });
    expect(next.outputs.register?.hash).not.toBe(first.outputs.register?.hash);
    expect(next.outputs.shadow).toEqual({ policy: 'reward.2', stage: 'shadow' });
  });
});

describe('a run of train in a small world', () => {
  it('is refused where no server has begun, and goes on from there once one has', async () => {
    await using place = await openPlace(smallWorld);
    const refused = await run(place, 'early');
    expect(refused).toMatchObject({
      failures: [['shadow', 'no policy is active yet: a server has to start first']],
      begun: stepNames,
    });
    expect(await rolloutsOf(place)).toEqual([]);
    await begin(place);
    expect(await run(place, 'early')).toMatchObject({
      ...{ failures: [], begun: ['shadow'] },
      outputs: { shadow: { policy: 'reward.1', stage: 'shadow' } },
    });
  });

  it.each<[string, LoggedWorld, string]>([
    ['nobody reacted', { ...smallWorld, reacts: () => false }, asOf],
    ['everything came later', smallWorld, '2026-10-01T00:00:00.000Z'],
  ])('is skipped where %s', async (_, quiet, instant) => {
    await using place = await openPlace(quiet);
    await begin(place);
    const { skipped, failures, outputs } = await run(place, 'quiet', { asOf: instant });
    const [first, ...rest] = skipped;
    expect([failures, Object.keys(outputs)]).toEqual([[], ['features:backfill']]);
    expect(first).toEqual(['training:build', `as of ${instant} no decision has an outcome`]);
    expect(rest.map(([step]) => step)).toEqual(stepNames.slice(2));
    expect([await versionsOf(place), (await rolloutsOf(place)).length]).toEqual([[], 1]);
  });

  it('fails once where nothing can be told apart, and registers nothing', async () => {
    await using place = await openPlace({ ...smallWorld, people: { seen: 0, heldOut: 5 } });
    await begin(place);
    expect(await run(place, 'hopeless', { dag: 'train-logistic' })).toMatchObject({
      failures: [['train', '0 of 0 rewards are positive: there is nothing to tell apart']],
      begun: ['features:backfill', 'training:build', 'train'],
    });
    expect(await versionsOf(place)).toEqual([]);
  });

  it('registers once what two runs make at the same time', async () => {
    await using place = await openPlace(smallWorld);
    await begin(place);
    const runs = await Promise.all(['a', 'b'].map((id) => run(place, id)));
    expect(runs.map(({ failures }) => failures)).toEqual([[], []]);
    expect(await versionsOf(place)).toMatchObject([{ name: 'reward/1', hash: runs[0]?.outputs.register?.hash }]);
    expect(runs[1]?.outputs.register).toEqual(runs[0]?.outputs.register);
    expect(await placesOf(place, 'reward.1')).toEqual(['registered', 'shadow']);
  });
});
