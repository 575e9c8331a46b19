// Registered models: kept as they are, checked whenever they are loaded, and put in the place of each other without a
// failed call.

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelFeed } from '../experiments/model-feed.ts';
import { policies } from '../experiments/policies/index.ts';
import { createModelPolicy } from '../experiments/policies/of-model.ts';
import type { Predictor } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { vectorNames } from '../features/vector.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { trainingRows } from '../pipelines/training-set.ts';
import { verify } from '../pipelines/verify.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { followModels } from '../registry/follow-models.ts';
import type { Manifest } from '../registry/model.ts';
import { CorruptContent, createModelStore } from '../registry/model-store.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { followRollouts } from '../server/follow-rollouts.ts';
import { type Loop, silent, startLoop } from './_util/loop.ts';
import { logisticRegistration, manifestOf, onnxRegistration, registrationOf } from './_util/models.ts';
import { takeSteps, wayTo } from './_util/rollouts.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';

const weightsOf = (isOverdue: number) => ({
  mean: vectorNames.map((name) => (name === 'is_overdue' ? isOverdue : 0)),
  ...{ noise: 0.5, noiseCount: 20 },
});

/** Of a model that nobody asks here. */
const unasked = ({ name }: { readonly name: string }): Predictor => ({
  ...{ version: name, load: async () => {}, predict: async () => [] },
});

describe('the registry', () => {
  let server: TestDatabase;
  let database: Database;
  beforeAll(async () => {
    server = await createTestDatabase();
    database = openDatabase({ url: server.url, applicationName: 'test', maxConnections: 8 });
  });
  afterAll(async () => {
    await database.end();
    await server.drop();
  });

  it('counts versions of each model from 1, and knows again what is registered twice', async () => {
    const store = createModelStore(database);
    const first = await store.register(registrationOf({ model: 'twice' }));
    expect(first).toMatchObject({
      name: 'twice/1',
      policy: 'twice.1',
      version: 1,
      manifest: manifestOf({ model: 'twice' }),
    });
    expect(await store.register({ ...registrationOf({ model: 'twice' }, 2_000), actor: 'ben' })).toEqual(first);
    expect(await store.register(registrationOf({ model: 'twice', code: 'newer' }))).toMatchObject({ version: 2 });
    expect(await store.register(registrationOf({ model: 'once' }))).toMatchObject({ name: 'once/1' });
    expect(await store.readCard('twice', 1)).toEqual({ purpose: 'a test' });
    expect(await store.readCard('twice', 9)).toBeUndefined();
  });

  it('gives no number twice and leaves none out when many register at once', async () => {
    const store = createModelStore(database);
    const codes = Array.from({ length: 12 }, (_, i) => `code ${i % 6}`);
    const all = await Promise.all(codes.map((code) => store.register(registrationOf({ model: 'many', code }))));
    expect([...new Set(all.map(({ version }) => version))].toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const [i, { manifest }] of all.entries()) expect(manifest.code).toBe(codes[i]);
  });

  it('registers all of a version or nothing', async () => {
    const store = createModelStore(database);
    const before = await store.readVersions(0);
    const missing = { ...registrationOf({ model: 'half' }), contents: new Map() };
    const elsewhere = { ...missing.manifest, artifact: { sha256: 'b'.repeat(64), bytes: 2 } };
    await expect(store.register({ ...missing, manifest: elsewhere })).rejects.toThrow('model_versions_artifact_fkey');
    expect(await store.readVersions(0)).toEqual(before);
    const { rows } = await database.query("SELECT FROM models WHERE name = 'half'");
    expect(rows).toEqual([]);
  });

  it.each([
    "UPDATE model_versions SET actor = 'mallory'",
    'DELETE FROM model_versions',
    'TRUNCATE model_versions CASCADE',
    "UPDATE model_contents SET bytes = 'x'",
    'DELETE FROM model_contents',
  ])('lets nobody change what is registered: %s', async (change) => {
    await createModelStore(database).register(registrationOf({ model: 'kept' }));
    await expect(database.query(change)).rejects.toThrow('is only appended to');
  });

  it('gives out no bytes that are not what they were, or not there', async () => {
    const store = createModelStore(database);
    const { manifest } = await store.register(registrationOf({ model: 'corrupt' }));
    expect(Buffer.from(await store.readContent(manifest.artifact.sha256)).toString()).toBe('{}');
    await expect(store.readContent('c'.repeat(64))).rejects.toThrow(CorruptContent);
    const client = await database.connect();
    try {
      await client.query("BEGIN; SET LOCAL session_replication_role = replica; UPDATE model_contents SET bytes = '[]'");
      const within = createModelStore({ ...database, query: client.query.bind(client) } as Database);
      await expect(within.readContent(manifest.artifact.sha256)).rejects.toThrow(CorruptContent);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  it.each<[string, Partial<Manifest>]>([
    ['a feature this build does not have', { inputs: [{ name: 'mood', type: 'fixed12', encoding: '1' }] }],
    ['a feature of another type', { inputs: [{ name: 'hour_sin', type: 'text', encoding: '1' }] }],
    ['rewards of another version', { rewardVersion: '0' }],
    ['an explorer this build does not have', { explorer: { name: 'newer', hyperparameters: {} } }],
    ['what nothing here can run', { kind: 'logistic', use: 'prediction', weights: null }],
  ])(
    'of another build, with %s, is told of and left out when it is loaded; the others are there',
    async (what, changes) => {
      const store = createModelStore(database);
      const model = `foreign-${what.length}`;
      await store.register(registrationOf({ model, ...changes }));
      await store.register(registrationOf({ model: `${model}-good` }));
      const errors: object[] = [];
      const models = followModels({
        ...{ store, feed: modelFeed, policies, policyOf: (version) => createModelPolicy(version) },
        log: { ...silent, info: () => {}, warn: () => {}, error: (error: object) => errors.push(error) },
      });
      await models.refresh();
      expect(models.current().has(`${model}.1`)).toBe(false);
      expect(models.current().has(`${model}-good.1`)).toBe(true);
      expect(models.current().get('egreedy-v2')).toBe(policies.get('egreedy-v2'));
      expect(errors).toContainEqual(expect.objectContaining({ model: `${model}/1` }));
    },
  );
});

describe('a model that decides', () => {
  let loop: Loop;
  let replicas: readonly Pick<Loop, 'client'>[];
  beforeAll(async () => {
    loop = await startLoop();
    replicas = [loop, await loop.startReplica()];
  });
  afterAll(() => loop[Symbol.asyncDispose]());

  const task = { kind: TipKind.TASK, source: TipSource.TASK_DIRECT };
  const candidates = [
    { id: 'overdue', ...task, features: { isOverdue: true, taskAgeDays: 9, priority: 4 } },
    { id: 'fresh', ...task, features: { isOverdue: false, taskAgeDays: 0, priority: 1 } },
  ];

  /** Registers a version and takes it all the way. */
  async function roll(isOverdue: number) {
    const store = createModelStore(loop.database);
    const version = await store.register(registrationOf({ weights: weightsOf(isOverdue), code: `wants ${isOverdue}` }));
    const policy = createModelPolicy(version);
    await takeSteps(loop.database, policy, wayTo('active'));
    return { version, policy };
  }
  const decidesEverywhere = (policy: string) =>
    waitFor('all replicas to follow', async () => {
      const answers = await Promise.all(replicas.map(({ client }) => client.score({ userId: 'probe', candidates })));
      return answers.every((answer) => answer.policy === policy);
    });

  it('takes the place of another one on all replicas, without a failed call, and its decisions replay', {
    timeout: 60_000,
  }, async () => {
    const { version, policy } = await roll(1);
    await decidesEverywhere('reward.1');
    const answer = await loop.client.score({ userId: 'anna', candidates });
    expect(answer).toMatchObject({ policy: 'reward.1', policyVersion: policy.version, modelVersion: 'reward/1' });
    expect(answer.ranked.map(({ tipId, score }) => [tipId, score])).toEqual([
      ['overdue', 1],
      ['fresh', 0],
    ]);

    const ends = new AbortController();
    const served = new Set<string>();
    const load = replicas.map(async ({ client }, i) => {
      for (let n = 0; !ends.signal.aborted; n++)
        served.add((await client.score({ userId: `load-${i}-${n % 50}`, candidates })).policy);
    });
    try {
      await Promise.race([roll(-1), ...load]);
      await Promise.race([decidesEverywhere('reward.2'), ...load]);
    } finally {
      ends.abort();
    }
    await Promise.all(load);
    expect([...served].toSorted()).toEqual(['reward.1', 'reward.2']);
    expect((await loop.client.score({ userId: 'anna', candidates })).ranked[0]).toMatchObject({ tipId: 'fresh' });

    await loop.drained();
    const report = await verify(loop.database);
    expect(report.decisions).toBeGreaterThan(3);
    expect(report).toMatchObject({ equal: report.decisions, examples: [] });
    expect([...report.notReplayed]).toEqual([]);
    const { rows } = await loop.database.query(
      "SELECT DISTINCT model_version FROM tip_scores WHERE policy LIKE 'reward.%' ORDER BY 1",
    );
    expect(rows.map(({ model_version }) => model_version)).toEqual([version.name, 'reward/2']);
  });

  it.each([
    ['logistic', 'says of each candidate what its artifact says'],
    ['onnx', 'says what the library it comes from says'],
  ] as const)('of kind %s %s, and its decisions replay', { timeout: 60_000 }, async (kind, _) => {
    const asked = kind === 'onnx' ? onnxRegistration() : logisticRegistration();
    const version = await createModelStore(loop.database).register(asked);
    const policy = createModelPolicy(version, unasked);
    await takeSteps(loop.database, policy, wayTo('active'));
    await decidesEverywhere(version.policy);
    const answer = await loop.client.score({ userId: `asked-${kind}`, candidates });
    expect(answer).toMatchObject({ policy: version.policy, modelVersion: version.name, degradations: [] });
    expect(new Set(answer.ranked.map(({ score }) => score)).size).toBe(2);
    await loop.drained();
    const userIds = [`asked-${kind}`];
    const report = await verify(loop.database, { userIds });
    expect(report).toMatchObject({ decisions: 1, equal: 1, examples: [] });
    expect([...report.notReplayed]).toEqual([]);

    const areVerified = async () => {
      const verified: boolean[] = [];
      for await (const row of trainingRows(loop.database, { userIds })) verified.push(row.verified);
      return verified;
    };
    expect(await areVerified()).toEqual([true]);
    await changeDraw(answer.decisionId);
    expect(await verify(loop.database, { userIds })).toMatchObject({ decisions: 1, equal: 0 });
    expect(await areVerified()).toEqual([false]);
  });

  async function changeDraw(decisionId: string) {
    const { rows } = await loop.database.query('SELECT envelope FROM events WHERE event_id = $1', [decisionId]);
    const envelope = fromBinary(EnvelopeSchema, rows[0].envelope);
    if (envelope.payload.case === 'tipScored') envelope.payload.value.draw = 0.123;
    const changed = Buffer.from(toBinary(EnvelopeSchema, envelope));
    await loop.database.query('UPDATE events SET envelope = $2 WHERE event_id = $1', [decisionId, changed]);
  }

  it('that this build cannot load decides nothing: the last good one stays', async () => {
    const store = createModelStore(loop.database);
    const models = followModels({
      ...{ store, feed: modelFeed, policies, policyOf: (version) => createModelPolicy(version, unasked), log: silent },
    });
    const rollouts = followRollouts({
      ...{ store: createRolloutStore(loop.database), policies: models, defaultPolicy: random },
      ...{ clock: Date.now, log: silent },
    });
    expect(await rollouts.refresh()).toBeUndefined();
    const before = rollouts.current();
    const strange = await store.register(registrationOf({ model: 'strange', rewardVersion: '0' }));
    const subject = { name: strange.policy, version: `${strange.hash.slice(0, 12)};1` };
    await takeSteps(loop.database, subject, wayTo('active'));
    expect(String(await rollouts.refresh())).toContain('strange.1');
    expect(rollouts.current()).toBe(before);
  });
});
