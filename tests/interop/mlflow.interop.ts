// The registry in a real MLflow: all of it, once, whatever dies on the way; and somebody else's model out of it.

import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createMirrorChore } from '../../consumers/mirror-models.ts';
import { createModelPolicy } from '../../experiments/policies/of-model.ts';
import { random } from '../../experiments/policies/random.ts';
import { vectorNames } from '../../features/vector.ts';
import { registerPulled } from '../../pipelines/register-pulled.ts';
import { type Database, openDatabase } from '../../platform/database.ts';
import { createMlflowClient, type MlflowClient, pathOfUri } from '../../registry/mlflow/client.ts';
import type { Credentials } from '../../registry/mlflow/connection.ts';
import { findDrift } from '../../registry/mlflow/drift.ts';
import { type MirrorOptions, mirror } from '../../registry/mlflow/mirror.ts';
import { asOnlyMirror } from '../../registry/mlflow/mirror-lock-store.ts';
import { type PullOptions, pull } from '../../registry/mlflow/pull.ts';
import { createMirrorSource, type MirrorSource } from '../../registry/mlflow/source.ts';
import { experimentName, runTag, versionTag } from '../../registry/mlflow/wanted.ts';
import type { Manifest, ModelVersion } from '../../registry/model.ts';
import { createModelStore, type ModelStore, sha256Of } from '../../registry/model-store.ts';
import { lazyOnnxPool } from '../../registry/onnx/lazy-pool.ts';
import { firstStep } from '../../registry/rollout.ts';
import { createRolloutStore } from '../../registry/rollout-store.ts';
import { registrationOf } from '../_util/models.ts';
import { startNode } from '../_util/node-process.ts';
import { takeSteps, wayTo } from '../_util/rollouts.ts';
import { createTestDatabase, newFolder, type TestDatabase } from '../_util/servers.ts';
import { type CutProxy, startCutProxy } from './cut-proxy.ts';
import { type LoggedHow, type MlflowServer, startMlflow } from './mlflow-server.ts';

let server: MlflowServer;
let proxy: CutProxy;
let registry: TestDatabase;
let database: Database;
let models: ModelStore;
let source: MirrorSource;
let client: MlflowClient;

const searches = /\/(runs|registered-models|model-versions|experiments)\/search$/;
const isWrite = (method: string, path: string) => method !== 'GET' && !searches.test(path);
const clientAt = (url: string, credentials?: Credentials, timeoutMs?: number) =>
  createMlflowClient({ url, credentials, timeoutMs, random: Math.random });

beforeAll(async () => {
  server = await startMlflow({ bin: inject('mlflow'), folder: newFolder('mlflow') });
  proxy = await startCutProxy(server.url, isWrite);
  registry = await createTestDatabase();
  database = openDatabase({ url: registry.url, applicationName: 'test', maxConnections: 8 });
  models = createModelStore(database);
  await createRolloutStore(database).append([
    firstStep(
      { policy: random.name, version: random.version },
      { atMs: 1, actor: 'test', caller: 'test', reason: 'test' },
    ),
  ]);
  const pageOf = (_: unknown, { name }: ModelVersion) => `# ${name}\n`;
  source = createMirrorSource({ models, rollouts: createRolloutStore(database), pageOf });
  client = clientAt(proxy.url);
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await database?.end();
  await registry?.drop();
});

const sync = (options: MirrorOptions = {}) => mirror(source, client, options);
const drift = () => findDrift(source, client);
const writesOf = () => proxy.take().filter(({ writes }) => writes);

const evaluation = { rows: 100, errors: { rmse: { value: 0.5, low: 0.25, high: 0.75 } }, kind: 'linear' };
let count = 0;
/** Another version. */
const register = (changes: Partial<Manifest> = {}, card: object = { evaluation }) =>
  models.register({ ...registrationOf({ code: `code ${count++}`, ...changes }), card });

async function theirsOf({ model, hash }: ModelVersion) {
  const { experiment_id } = (await client.findExperiment(experimentName)) ?? { experiment_id: '' };
  const runs = await client.listRuns(experiment_id);
  const versions = await client.listVersions(`oo-${model}`);
  return {
    runs: runs.filter(({ data }) => data.tags.get(runTag) === hash),
    versions: versions.filter(({ tags }) => tags.get(versionTag) === hash),
  };
}

describe('a registry in MLflow', () => {
  it('that is empty leaves nothing there', async () => {
    expect(await sync()).toMatchObject({ changes: [], problems: [] });
    expect(await client.findExperiment(experimentName)).toBeUndefined();
    expect(await drift()).toEqual([]);
  });

  it('has each version as a run with its artifacts, and as a version with the aliases that rollouts give', async () => {
    const first = await register({ model: 'first', parameters: { lambda: 20, 'odd/key: ü': 'x', empty: '' } });
    const second = await register({ model: 'first' });
    const third = await register({ model: 'first', data: null });
    expect(await drift()).toContainEqual({ kind: 'only here', what: 'experiment oo-ml', here: 'oo-ml', there: null });
    await takeSteps(database, createModelPolicy(first), wayTo('active'));
    await takeSteps(database, createModelPolicy(second), wayTo('canary 5'));
    await takeSteps(database, createModelPolicy(third), wayTo('shadow'));
    expect((await sync()).problems).toEqual([]);
    expect(await drift()).toEqual([]);

    const { runs, versions } = await theirsOf(first);
    const [run] = runs;
    expect(run?.info).toMatchObject({ status: 'FINISHED', start_time: 1_000 });
    expect(Object.fromEntries(run?.data.params ?? [])).toMatchObject({
      ...{ kind: 'linear', 'explorer.epsilon': '0.1', 'data.rows': '100', 'parameters.empty': '' },
      'parameters.odd_2fkey_3a _fc': 'x',
    });
    const metrics = Object.fromEntries(run?.data.metrics.map(({ key, value }) => [key, value]) ?? []);
    expect(metrics).toEqual({ rows: 100, 'errors.rmse.value': 0.5, 'errors.rmse.low': 0.25, 'errors.rmse.high': 0.75 });
    expect(run?.inputs.dataset_inputs).toMatchObject([{ dataset: { digest: 'd'.repeat(32) } }]);
    expect(versions).toMatchObject([{ version: '1', status: 'READY', run_id: run?.info.run_id }]);
    const root = pathOfUri(run?.info.artifact_uri ?? '');
    expect((await client.listArtifacts(root)).map(({ path }) => path).toSorted()).toEqual([
      ...['card.json', 'card.md', 'manifest.json', 'model'],
    ]);
    const manifest = await client.findArtifact(`${root}/manifest.json`, 1e6);
    expect(sha256Of(manifest ?? new Uint8Array())).toBe(first.hash);

    const holders = await Promise.all(
      ['champion', 'challenger', 'shadow'].map((each) => client.findAlias('oo-first', each)),
    );
    expect(holders.map((each) => each?.tags.get('oo.version'))).toEqual(['1', '2', '3']);
  });

  it('that did not change is not written again, and costs one call where that is known', async () => {
    const { state } = await sync();
    proxy.take();
    expect(await sync({ everyByte: true })).toMatchObject({ changes: [], problems: [] });
    expect(writesOf()).toEqual([]);
    await sync({ known: state });
    expect(proxy.take()).toHaveLength(1);
  });

  it('takes an alias away that is no longer true, and gives the others on', async () => {
    const [first, second] = ((await models.readVersions(0)) ?? []).filter(({ model }) => model === 'first');
    if (!first || !second) throw new Error('nothing registered');
    await takeSteps(database, createModelPolicy(second), ['rolled_back'], Date.now() - 1e9);
    await client.putAlias('oo-first', 'theirs', '1');
    const { changes } = await sync();
    expect(changes).toEqual(['oo-first@challenger']);
    expect(await client.findAlias('oo-first', 'challenger')).toBeUndefined();
    expect(await client.findAlias('oo-first', 'theirs')).toMatchObject({ version: '1' });
    expect(await drift()).toEqual([]);
  });

  it('is not doubled by two that mirror at once', async () => {
    const version = await register({ model: 'twice' });
    const other = openDatabase({ url: registry.url, applicationName: 'other', maxConnections: 2 });
    try {
      const all = [database, other, database, other].map((each) =>
        asOnlyMirror(each, (stillOurs) => mirror(source, clientAt(proxy.url), { stillOurs })),
      );
      const done = (await Promise.all(all)).filter((each) => each !== undefined);
      expect(done.filter(({ changes }) => changes.length > 0)).toHaveLength(1);
    } finally {
      await other.end();
    }
    const { runs, versions } = await theirsOf(version);
    expect([runs.length, versions.length]).toEqual([1, 1]);
  });
});

describe('what somebody changes in MLflow', () => {
  const model = 'changed';
  const name = `oo-${model}`;
  let version: ModelVersion;
  beforeAll(async () => {
    version = await register({ model });
    await sync({ everyByte: true });
    expect(await drift()).toEqual([]);
  });
  const their = async () => {
    const { runs, versions } = await theirsOf(version);
    return {
      runId: runs[0]?.info.run_id ?? '',
      root: pathOfUri(runs[0]?.info.artifact_uri ?? ''),
      number: versions[0]?.version ?? '',
    };
  };
  const api = async (path: string, method: string, body: object) => {
    const response = await fetch(`${server.url}/api/2.0/mlflow/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
  };

  it.each<[string, () => Promise<unknown>, object]>([
    [
      'an alias',
      async () => client.putAlias(name, 'champion', (await their()).number),
      { kind: 'only there', what: 'oo-changed@champion' },
    ],
    [
      'a tag of a version',
      async () => client.tagVersion(name, (await their()).number, { key: 'oo.code', value: 'other' }),
      { kind: 'differs', what: 'oo.code, tag of version changed/1', there: 'other' },
    ],
    [
      'a version, which is deleted',
      async () => api('model-versions/delete', 'DELETE', { name, version: (await their()).number }),
      { kind: 'only here', what: 'version changed/1' },
    ],
    [
      'a run, which is deleted',
      async () => api('runs/delete', 'POST', { run_id: (await their()).runId }),
      { kind: 'only here', what: 'run changed/1' },
    ],
    [
      'the bytes of a model',
      async () => client.putArtifact(`${(await their()).root}/model/model.json`, new TextEncoder().encode('[]')),
      {
        kind: 'differs',
        what: 'artifact model/model.json of run changed/1',
        there: sha256Of(new TextEncoder().encode('[]')),
      },
    ],
    [
      'the bytes of a model, by longer ones',
      async () => client.putArtifact(`${(await their()).root}/model/model.json`, new Uint8Array(1_000)),
      { kind: 'differs', what: 'artifact model/model.json of run changed/1', there: 'more than 2 bytes' },
    ],
    [
      'a metric',
      async () =>
        client.logFacts((await their()).runId, { metrics: [{ key: 'rows', value: 1, timestamp: 2_000, step: 9 }] }),
      { kind: 'differs', what: 'rows, metric of run changed/1', here: '100', there: '1' },
    ],
    [
      'a description',
      () => client.describeModel(name, 'mine'),
      { kind: 'differs', what: 'description of oo-changed', there: 'mine' },
    ],
  ])('is named and changed back: %s', async (_, change, found) => {
    await change();
    const drifts = await drift();
    expect(drifts).toContainEqual(expect.objectContaining(found));
    expect(drifts.length).toBeLessThanOrEqual(2);
    expect((await sync({ everyByte: true })).problems).toEqual([]);
    expect(await drift()).toEqual([]);
  });

  it('by adding to ours is named, and stays', async () => {
    const { root, runId } = await their();
    await client.createVersion({ name, source: `mlflow-artifacts:/${root}/model`, runId, description: '', tags: [] });
    const found = { kind: 'only there', what: expect.stringMatching(/^version \d+ of oo-changed$/) };
    expect(await drift()).toEqual([expect.objectContaining(found)]);
    await sync();
    expect(await drift()).toEqual([expect.objectContaining(found)]);
  });
});

describe("somebody else's model", () => {
  const hows: readonly LoggedHow[] = ['onnx', 'external', 'sklearn', 'no-golden'];
  beforeAll(async () => {
    for (const how of hows) await server.logModel(`their-${how}`, how);
  });
  const pulled = (how: LoggedHow, options: Partial<PullOptions> = {}) =>
    pull(client, { name: `their-${how}`, alias: 'champion', ...options });
  const as = {
    explorer: { name: 'egreedy', hyperparameters: { epsilon: 0.1 } },
    actor: 'anna',
    atMs: 1_000,
    positiveColumn: 1 as const,
  };
  const inputs = vectorNames.slice(0, 3);
  const onnx = lazyOnnxPool();
  afterAll(() => onnx[Symbol.asyncDispose]());
  const deps = {
    get store() {
      return models;
    },
    onnx,
  };

  it('comes in by name and alias with its golden batch, once, and is mirrored as ours', async () => {
    const candidate = await pulled('onnx');
    expect(candidate).toMatchObject({ version: '1', runId: expect.stringMatching(/^[0-9a-f]{32}$/) });
    const golden = JSON.parse(new TextDecoder().decode(candidate.golden));
    expect(golden.outputs).toHaveLength(4);
    const version = await registerPulled(deps, candidate, { model: 'theirs', inputs, ...as });
    expect(version).toMatchObject({ name: 'theirs/1', manifest: { kind: 'onnx', use: 'prediction' } });
    expect(sha256Of(await models.readContent(candidate.sha256))).toBe(candidate.sha256);
    expect(await registerPulled(deps, await pulled('onnx'), { model: 'theirs', inputs, ...as })).toEqual(version);

    await sync();
    const { versions } = await theirsOf(version);
    await client.putAlias('oo-theirs', 'mine', versions[0]?.version ?? '');
    const back = await pull(client, { name: 'oo-theirs', alias: 'mine' });
    expect([back.sha256, sha256Of(back.golden)]).toEqual([candidate.sha256, sha256Of(candidate.golden)]);
  });

  it('is not registered where the check refuses it, or vectors do not have its inputs', async () => {
    const before = await models.readVersions(0);
    const candidate = await pulled('onnx');
    const golden = new TextEncoder().encode('{"inputs": [[0, 0, 0]], "outputs": [77]}');
    const other = await pulled('onnx', { golden });
    await expect(registerPulled(deps, other, { model: 'bad', inputs, ...as })).rejects.toThrow('golden.outputs[0]');
    await expect(registerPulled(deps, candidate, { model: 'bad', inputs: undefined, ...as })).rejects.toThrow(
      'one of float, [batch, 12] is asked for',
    );
    await expect(registerPulled(deps, candidate, { model: 'bad', inputs: ['mood'], ...as })).rejects.toThrow(
      'is mood, which vectors do not have',
    );
    expect(await models.readVersions(0)).toEqual(before);
  });

  it.each<[string, LoggedHow, Partial<PullOptions>, string]>([
    ['of an unknown alias', 'onnx', { alias: 'nobody' }, 'MLflow has no their-onnx@nobody'],
    ['of an unknown name', 'onnx', { name: 'nobody' }, 'MLflow has no nobody@champion'],
    ['of another flavor', 'sklearn', {}, 'has no ONNX flavor (it has python_function, sklearn): export it to ONNX'],
    ['in several files', 'external', {}, '.data: holds a part of the model'],
    ['without a golden batch', 'no-golden', {}, 'golden.json: is not there'],
    ['that is too large', 'onnx', { modelBytesMax: 100 }, 'bytes, and 100 are taken'],
  ])('%s is refused', async (_, how, options, message) => {
    await expect(pulled(how, options)).rejects.toThrow(message);
  });

  it('without a golden batch comes in with one from a file', async () => {
    const golden = new TextEncoder().encode('{"inputs": [[0, 0, 0]], "outputs": [0.5]}');
    expect((await pulled('no-golden', { golden })).golden).toBe(golden);
  });
});

describe('a mirror that dies', () => {
  /** In the order of the calls that write a version of a new model. */
  const steps = [
    'run',
    'facts',
    'data',
    'manifest',
    'card',
    'page',
    'bytes',
    'digest',
    'end',
    'model',
    'version',
    'description',
  ];

  it.each(steps.flatMap((step, at) => (['before', 'after'] as const).map((when) => ({ step, at, when }))))(
    '$when the $step is written goes on where it was, and doubles nothing',
    async ({ at, when }) => {
      const version = await register({ model: `dies-${at}-${when}` });
      proxy.cut({ at, when });
      await expect(sync()).rejects.toThrow('could not be reached');
      proxy.mend();
      expect((await sync()).problems).toEqual([]);
      const { runs, versions } = await theirsOf(version);
      expect([runs.length, versions.length]).toEqual([1, 1]);
      expect(runs[0]?.data.metrics).toHaveLength(4);
      expect(await client.findArtifact(`${pathOfUri(runs[0]?.info.artifact_uri ?? '')}/card.md`, 1e6)).toBeDefined();
    },
  );

  it('by kill -9 lets the next one in, which completes it', async () => {
    const version = await register({ model: 'killed' });
    const isCut = Promise.withResolvers<void>();
    proxy.cut({ at: 3, when: 'after', onCut: isCut.resolve });
    const process = startNode('scripts/mlflow.ts', { DATABASE_URL: registry.url, MLFLOW_TRACKING_URI: proxy.url }, [
      'sync',
    ]);
    await isCut.promise;
    await process.kill();
    proxy.mend();
    const next = () => asOnlyMirror(database, (stillOurs) => mirror(source, client, { stillOurs }));
    await expect.poll(next, { timeout: 20_000 }).toMatchObject({ problems: [] });
    const { runs, versions } = await theirsOf(version);
    expect([runs.length, versions.length]).toEqual([1, 1]);
    expect((await drift()).filter(({ what }) => what.includes('killed'))).toEqual([]);
  });

  it('since MLflow is away says so once, and catches up', async () => {
    const said: string[] = [];
    const log = {
      info: (_: unknown, text?: string) => said.push(text ?? String(_)),
      warn: (_: unknown, text?: string) => said.push(text ?? ''),
    };
    const quick = clientAt(server.url, undefined, 3_000);
    const chore = createMirrorChore({ database, client: quick, log: log as never });
    await register({ model: 'before' });
    await chore.run(1);
    await server.kill();
    const version = await register({ model: 'away' });
    await chore.run(2);
    await chore.run(3);
    expect(said.filter((text) => text === 'models are not all in MLflow')).toHaveLength(1);
    await server.restart();
    await chore.run(4);
    expect(said.at(-1)).toBe('models are in MLflow again');
    expect((await theirsOf(version)).versions).toHaveLength(1);
  });
});

describe('a model of a name of ours', () => {
  it('that is not ours is told of, and not touched', async () => {
    await client.createModel({ name: 'oo-stranger', description: 'mine', tags: [] });
    await register({ model: 'stranger' });
    await register({ model: 'neighbour' });
    const { problems, state } = await sync();
    expect(problems).toEqual([expect.stringContaining('oo-stranger is there, and not of oO')]);
    expect(state).toBe('');
    expect(await client.findModel('oo-stranger')).toMatchObject({ description: 'mine' });
    expect(await client.listVersions('oo-stranger')).toEqual([]);
    expect(await client.listVersions('oo-neighbour')).toHaveLength(1);
  });
});

describe('an MLflow that asks who one is', () => {
  let guarded: MlflowServer;
  /** Smaller: it hashes a password at every call. */
  let own: TestDatabase;
  beforeAll(async () => {
    own = await createTestDatabase();
    const pool = openDatabase({ url: own.url, applicationName: 'test', maxConnections: 1 });
    await createModelStore(pool).register(registrationOf());
    await pool.end();
    guarded = await startMlflow({ bin: inject('mlflow'), folder: newFolder('mlflow-auth'), asksWho: true });
  });
  afterAll(async () => {
    await guarded?.[Symbol.asyncDispose]();
    await own?.drop();
  });
  const basic = (password: string): Credentials => ({ kind: 'basic', username: 'admin', password });

  it('lets nobody in without a password or with a wrong one, which no error repeats', async () => {
    for (const credentials of [undefined, basic('a-wrong-password')]) {
      const error = await mirror(source, clientAt(guarded.url, credentials)).catch(String);
      expect(error).toContain('MLFLOW_TRACKING_USERNAME');
      expect(error).not.toContain('a-wrong-password');
    }
  });

  it('gets everything from a command that knows it, and the drift report agrees', async () => {
    const url = new URL(guarded.url);
    url.username = 'admin';
    url.password = guarded.password;
    const run = async (...args: string[]) => {
      const process = startNode('scripts/mlflow.ts', { DATABASE_URL: own.url, MLFLOW_TRACKING_URI: url.href }, args);
      return { code: await process.ended, output: process.output() };
    };
    const before = await run('drift', '--json');
    expect(before).toMatchObject({ code: 1, output: expect.stringContaining('"only here"') });
    expect(await run('sync')).toMatchObject({ code: 0, output: expect.stringContaining('wrote version reward/1') });
    expect(await run('sync')).toMatchObject({ code: 0, output: 'all was there\n' });
    expect(await run('drift')).toMatchObject({ code: 0, output: 'the registry and MLflow agree\n' });
  });
});
