// Experiments as data: put in force by an operator, followed by every replica.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createExperimentStore } from '../experiments/experiment-store.ts';
import { createErasureStore } from '../features/erasure-store.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { followExperiments } from '../server/follow-experiments.ts';
import { failureOf } from './_util/failure-of.ts';
import { type Loop, silent, startLoop } from './_util/loop.ts';
import { isWaitedFor } from './_util/tables.ts';

const adminOf = (baseUrl: string) =>
  createClient(AdminService, createGrpcTransport({ baseUrl, defaultTimeoutMs: 10_000 }));

let loop: Loop;
let admin: Client<typeof AdminService>;
beforeAll(async () => {
  loop = await startLoop();
  admin = adminOf(loop.baseUrl);
});
afterAll(() => loop[Symbol.asyncDispose]());
afterEach(() => loop.database.query('TRUNCATE experiment_sets'));

const experiment = (key: string, more: object = {}) => ({
  key,
  version: '1',
  status: 'running',
  arms: [
    { key: 'control', weight: 0.5 },
    { key: 'other', weight: 0.5 },
  ],
  ...more,
});
const jsonOf = (...experiments: readonly object[]) => JSON.stringify({ experiments });
const by = { actor: 'anna', reason: 'a test' };

async function put(
  definitionsJson: string,
  more: { dryRun?: boolean; expectedPreviousId?: number } = {},
  operator = admin,
) {
  const { current } = await operator.listExperiments({});
  return operator.putExperiments({ definitionsJson, expectedPreviousId: current?.id ?? 0, ...by, ...more });
}

describe('experiments that are put in force', () => {
  it('are kept as they were written, with who did it, why and when, one after the other', async () => {
    const first = jsonOf(experiment('a', { forced: { 'tester "1"': 'other' } }));
    const { set } = await put(first);
    expect(set).toMatchObject({ id: 1, previousId: 0, ...by, caller: 'anonymous' });
    expect(JSON.parse(set?.definitionsJson ?? '')).toEqual(JSON.parse(first));
    expect(Number(set?.at?.seconds)).toBeCloseTo(Date.now() / 1000, -2);
    const { set: second } = await put(jsonOf());
    expect(second).toMatchObject({ id: 2, previousId: 1 });
    expect(await admin.listExperiments({})).toMatchObject({ current: second, sets: [second, set], nextPageToken: '' });
  });

  it('have the version of what they say, however they are written', async () => {
    const { set } = await put(jsonOf(experiment('a'), experiment('b')));
    const { set: again } = await put(jsonOf(experiment('b', { coverage: 1 }), experiment('a')));
    expect(again?.version).toBe(set?.version);
    expect((await put(jsonOf(experiment('a')))).set?.version).not.toBe(set?.version);
  });

  it('are only checked in a dry run', async () => {
    const { set } = await put(jsonOf(experiment('a')), { dryRun: true });
    expect(set).toMatchObject({ id: 1, previousId: 0 });
    expect(set?.at).toBeUndefined();
    expect(await admin.listExperiments({})).toMatchObject({ sets: [] });
    expect(await failureOf(put(jsonOf(experiment('a', { coverage: 2 })), { dryRun: true }))).toMatchObject({
      fields: ['definitions_json.experiments[0].coverage'],
    });
  });

  it.each([
    ['too old', 1],
    ['not there yet', 7],
    ['none, though there is one', 0],
    ['larger than any', 2 ** 32 - 1],
  ])('are refused, also in a dry run, where the set they replace is %s', async (_, expectedPreviousId) => {
    await put(jsonOf(experiment('a')));
    await put(jsonOf(experiment('b')));
    for (const dryRun of [true, false]) {
      expect(await failureOf(put(jsonOf(), { expectedPreviousId, dryRun }))).toEqual({
        code: Code.FailedPrecondition,
        reason: 'EXPERIMENTS_REPLACED',
        fields: ['expected_previous_id'],
        description: 'is not the newest set, which is 2',
      });
    }
    expect((await admin.listExperiments({})).sets).toHaveLength(2);
  });

  it('of many who replace the same set, are those of one', async () => {
    const calls = Array.from({ length: 12 }, (_, i) =>
      put(jsonOf(experiment(`e${i}`)), { expectedPreviousId: 0 }).then(
        () => 1,
        () => 0,
      ),
    );
    expect((await Promise.all(calls)).reduce((sum: number, each) => sum + each, 0)).toBe(1);
    expect((await admin.listExperiments({})).sets).toHaveLength(1);
  });

  it.each([
    ['no JSON', '{', 'definitions_json', 'is no JSON'],
    ['no object', '[]', 'definitions_json', 'must be an object'],
    ['without experiments', '{}', 'definitions_json.experiments', 'must be a list'],
    ['unknown fields', '{"experiments": [], "odd key": 1}', 'definitions_json["odd key"]', 'is unknown'],
    [
      'bad weights',
      jsonOf(
        experiment('a', {
          arms: [
            { key: 'x', weight: 0.5 },
            { key: 'y', weight: 0.4 },
          ],
        }),
      ),
      'definitions_json.experiments[0].arms',
      'their weights sum to 0.9, but must sum to 1, give or take 0.001',
    ],
    [
      'an unknown policy',
      jsonOf(
        experiment('a', {
          arms: [
            { key: 'x', weight: 0.5, policy: 'best' },
            { key: 'y', weight: 0.5 },
          ],
        }),
      ),
      'definitions_json.experiments[0].arms[0].policy',
      expect.stringContaining('is unknown; known: '),
    ],
    [
      'an unknown prompt',
      jsonOf(
        experiment('a', {
          arms: [
            { key: 'x', weight: 0.5 },
            { key: 'y', weight: 0.5, promptVersion: 'v0' },
          ],
        }),
      ),
      'definitions_json.experiments[0].arms[1].promptVersion',
      expect.stringContaining('is unknown; known: '),
    ],
    [
      'the same key twice',
      jsonOf(experiment('a'), experiment('a', { seed: 's' })),
      'definitions_json.experiments[1].key',
      'is the same as that of experiments[0]',
    ],
    [
      'a user id that no table can hold',
      jsonOf(experiment('a', { forced: { 'a\0b': 'other' } })),
      'definitions_json.experiments[0].forced["a\\u0000b"]',
      'must be Unicode without U+0000',
    ],
    [
      'half a character',
      jsonOf(experiment('a', { seed: '\ud800' })),
      'definitions_json.experiments[0].seed',
      'must be Unicode without U+0000',
    ],
  ])('are refused with %s, and the field is named', async (_, definitionsJson, field, description) => {
    expect(await failureOf(put(definitionsJson))).toEqual({
      code: Code.InvalidArgument,
      reason: 'INVALID_EXPERIMENTS',
      fields: [field],
      description,
    });
    expect((await admin.listExperiments({})).current).toBeUndefined();
  });

  it.each([
    ['actor', { actor: '' }],
    ['reason', { reason: '' }],
    ['actor', { actor: 'a\0b' }],
    ['reason', { reason: 'x'.repeat(501) }],
    ['definitions_json', { definitionsJson: '' }],
    ['definitions_json', { definitionsJson: ' '.repeat(600_000) }],
  ])('are refused with a wrong %s', async (field, wrong) => {
    const request = { definitionsJson: jsonOf(), expectedPreviousId: 0, ...by, ...wrong };
    expect(await failureOf(admin.putExperiments(request))).toMatchObject({
      code: Code.InvalidArgument,
      fields: [field],
    });
  });

  it.each([
    [
      'arms',
      {
        arms: [
          { key: 'control', weight: 0.4 },
          { key: 'other', weight: 0.6 },
        ],
      },
    ],
    ['seed', { seed: 'another' }],
    ['hashVersion', { hashVersion: 1 }],
  ])('need a new version once they ran with another %s, also if that is long ago', async (_, changed) => {
    await put(jsonOf(experiment('a')));
    await put(jsonOf());
    expect(await failureOf(put(jsonOf(experiment('b'), experiment('a', changed))))).toMatchObject({
      fields: ['definitions_json.experiments[1].version'],
    });
    await put(jsonOf(experiment('a', { ...changed, version: '2' })));
    await put(jsonOf(experiment('a', { coverage: 0.5, status: 'stopped' }))); // what may change within a version
  });

  it('may change as long as they are drafts', async () => {
    await put(jsonOf(experiment('a', { status: 'draft' })));
    await put(jsonOf(experiment('a', { seed: 'another' })));
  });

  it('lose whoever is erased and was forced into an arm, and no one else', async () => {
    const userId = `anna é "${newId(Date.now())}"`;
    const forced = { [userId]: 'other', ben: 'control' };
    await put(jsonOf(experiment('a', { forced }), experiment('b')));
    await createErasureStore(loop.database).erase(userId, 'asked', async () => {});
    const { current } = await admin.listExperiments({});
    expect(JSON.parse(current?.definitionsJson ?? '')).toEqual(
      JSON.parse(jsonOf(experiment('a', { forced: { ben: 'control' } }), experiment('b'))),
    );
  });
});

describe('somebody who was erased', () => {
  it('is not brought back by a set that forces them into an arm, nor by trying it', async () => {
    const [anna, ben] = [`anna "${newId(Date.now())}"`, `ben ${newId(Date.now())}`];
    for (const userId of [anna, ben]) await createErasureStore(loop.database).erase(userId, 'asked', async () => {});
    const set = jsonOf(
      experiment('b', { forced: { cem: 'other', [anna]: 'other' } }),
      experiment('a', { forced: { [ben]: 'control' } }),
      experiment('c'),
    );
    for (const dryRun of [true, false]) {
      expect(await failureOf(put(set, { dryRun }))).toMatchObject({
        code: Code.InvalidArgument,
        fields: [
          `definitions_json.experiments[0].forced[${JSON.stringify(anna)}]`,
          `definitions_json.experiments[1].forced[${JSON.stringify(ben)}]`,
        ],
      });
    }
    expect(await admin.listExperiments({})).toMatchObject({ sets: [] });
  });

  it('is not brought back by a set that comes while they are being erased', async () => {
    const anna = `anna ${newId(Date.now())}`;
    const store = createExperimentStore(loop.database);
    const definitions = { experiments: [experiment('a', { forced: { [anna]: 'other' } })] };
    const set = { previousId: 0, version: 'v', definitions, actor: 'a', caller: 'c', reason: 'r' };
    let storing: Promise<unknown> | undefined;
    let rounds = 0;
    await createErasureStore(loop.database).erase(anna, 'asked', async () => {
      if (++rounds < 2) return; // the second time nothing about people is written until it is done
      storing = store.append(set);
      await Promise.race([storing, waitFor('the set to wait', () => isWaitedFor(loop.database))]);
    });
    expect(await storing).toBeUndefined();
    expect(await admin.listExperiments({})).toMatchObject({ sets: [] });
  });
});

describe('the list of sets', () => {
  it('is turned page by page, each set once, newest first', async () => {
    for (let i = 0; i < 7; i++) await put(jsonOf(experiment(`e${i}`)));
    const ids: number[] = [];
    for (let pageToken = ''; ; ) {
      const answer = await admin.listExperiments({ page: { pageSize: 3, pageToken } });
      ids.push(...answer.sets.map(({ id }) => id));
      expect(answer.current?.id).toBe(7);
      pageToken = answer.nextPageToken;
      if (pageToken === '') break;
    }
    expect(ids).toEqual([7, 6, 5, 4, 3, 2, 1]);
  });

  it('ends a page early where sets are large', async () => {
    const forced = Object.fromEntries(Array.from({ length: 11_000 }, (_, i) => [`somebody with a name ${i}`, 'other']));
    for (let i = 0; i < 4; i++) await put(jsonOf(experiment('a', { forced, coverage: i / 4 })));
    const { sets, nextPageToken } = await admin.listExperiments({});
    expect(sets.map(({ id }) => id)).toEqual([4, 3]);
    const rest = await admin.listExperiments({ page: { pageToken: nextPageToken } });
    expect(rest.sets.map(({ id }) => id)).toEqual([2, 1]);
  });

  it.each(['x', 'c2V0Lw', Buffer.from('set/01').toString('base64'), Buffer.from('set/1e3').toString('base64url')])(
    'refuses the page token %s',
    async (pageToken) => {
      expect(await failureOf(admin.listExperiments({ page: { pageToken } }))).toMatchObject({
        code: Code.InvalidArgument,
        fields: ['page.page_token'],
      });
    },
  );
});

describe('every replica', () => {
  const candidates = ['a', 'b'].map((id) => ({ id, kind: TipKind.ADVICE, source: TipSource.LLM }));

  async function flagsOf(baseUrl: string, userId = 'anna'): Promise<readonly string[]> {
    const response = await fetch(`${baseUrl}/ofrep/v1/evaluate/flags`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ context: { targetingKey: userId } }),
    });
    const { flags } = (await response.json()) as { flags: readonly { key: string }[] };
    return flags.map(({ key }) => key);
  }

  it('follows within two seconds, while Scores go on and none fails', async () => {
    await using own = await startLoop({ consume: false });
    const replica = await own.startReplica();
    const operator = adminOf(own.baseUrl);
    const ends = new AbortController();
    let answered = 0;
    const load = [own, replica, own, replica].map(async ({ client }, i) => {
      while (!ends.signal.aborted) {
        await client.score({ userId: `load-${i}-${answered % 50}`, candidates });
        answered++;
      }
    });
    for (const key of ['a', 'b', 'c']) {
      await put(jsonOf(experiment(key)), {}, operator);
      const startMs = performance.now();
      await waitFor('both replicas to use it', async () => {
        const both = await Promise.all([flagsOf(own.baseUrl), flagsOf(replica.baseUrl)]);
        return both.every((flags) => flags.join() === key);
      });
      expect(performance.now() - startMs).toBeLessThan(2_000);
    }
    await waitFor('enough Scores', async () => answered > 50);
    ends.abort();
    await Promise.all(load); // rejects with the first call that failed
  });

  it('keeps the last good set on an outage, and where a set is wrong, and goes on with the next', async () => {
    const store = createExperimentStore(loop.database);
    const broken = openDatabase({ url: 'postgresql://127.0.0.1:1/x', applicationName: 'test', maxConnections: 1 });
    const choices = { policies: new Set(['random']), promptVersions: new Set(['v1']) };
    let isOut = false;
    const readNewest = (id: number) => (isOut ? createExperimentStore(broken) : store).readNewest(id);
    const lines: string[] = [];
    const log = {
      info: (_: object, text: string) => lines.push(text),
      warn: (_: object, text: string) => lines.push(text),
      error: (_: object, text: string) => lines.push(text),
    } as unknown as typeof silent;
    const experiments = followExperiments({ store: { readNewest }, choices, log });
    const keys = async () => {
      await experiments.refresh();
      return experiments.current().experiments.map(({ key }) => key);
    };
    expect(await keys()).toEqual([]);
    await put(jsonOf(experiment('a')));
    expect(await keys()).toEqual(['a']);
    isOut = true;
    await put(jsonOf(experiment('b')));
    expect([await keys(), await keys()]).toEqual([['a'], ['a']]);
    isOut = false;
    expect(await keys()).toEqual(['b']);
    const arms = [
      { key: 'x', weight: 0.5, policy: 'egreedy-v2' },
      { key: 'y', weight: 0.5 },
    ];
    await put(jsonOf(experiment('newer', { arms }))); // by a build that knows this policy
    expect([await keys(), await keys()]).toEqual([['b'], ['b']]);
    await put(jsonOf(experiment('c')));
    expect(await keys()).toEqual(['c']);
    expect(lines).toEqual([
      'experiments in force',
      'experiments cannot be read, the last ones stay',
      'experiments in force',
      'experiments are wrong, the last good ones stay',
      'experiments in force',
    ]);
    await broken.end();
  });

  it('stops following when it is told to', async () => {
    const stop = new AbortController();
    const experiments = followExperiments({
      store: createExperimentStore(loop.database),
      choices: { policies: new Set(), promptVersions: new Set() },
      log: silent,
      everyMs: 60_000,
    });
    await put(jsonOf(experiment('a')));
    const following = experiments.follow(stop.signal);
    await waitFor('the first look', async () => experiments.current().experiments.length === 1);
    stop.abort();
    await Promise.race([following, sleep(1_000).then(() => Promise.reject(new Error('it goes on')))]);
  });
});
