// Which policy decides about people: a log of steps, taken by operators, followed by every replica.

import { setTimeout as sleep } from 'node:timers/promises';
import { Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canaryArm } from '../experiments/canary.ts';
import { egreedyV1 } from '../experiments/policies/egreedy-v1.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { policies } from '../experiments/policies/index.ts';
import { linUcb } from '../experiments/policies/linucb-v1.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { AdminService, GateStatus, RolloutStage } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { unchanging } from '../platform/follow.ts';
import { foldRollouts, type RolloutStep, servingOf, standingOf, subjectName } from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { followRollouts } from '../server/follow-rollouts.ts';
import { failureOf } from './_util/failure-of.ts';
import { type Loop, silent, startLoop } from './_util/loop.ts';
import { putCards, takeSteps, wayTo } from './_util/rollouts.ts';
import { createTestDatabase } from './_util/servers.ts';

const candidates = ['a', 'b', 'c'].map((id) => ({ id, kind: TipKind.ADVICE, source: TipSource.LLM }));
const by = { actor: 'anna', reason: 'a test' };
const dayMs = 86_400_000;

const adminOf = (baseUrl: string) =>
  createClient(AdminService, createGrpcTransport({ baseUrl, defaultTimeoutMs: 10_000 }));

/** Two replicas on a database on which one policy decides about everybody. */
async function startTwo() {
  const loop = await startLoop();
  const replica = await loop.startReplica();
  const store = createRolloutStore(loop.database);
  await waitFor('the first step', async () => (await store.readSteps(0)) !== undefined);
  await putCards(loop.database, [...policies.values()]);
  const operator = adminOf(loop.baseUrl);
  const lastNumber = async () => (await operator.listPolicies({})).lastNumber;
  return {
    loop,
    replica,
    store,
    operator,
    async advance(policy: string, toStage: RolloutStage, more: object = {}) {
      const request = { policy, toStage, ...by, expectedPreviousNumber: await lastNumber(), ...more };
      return (await operator.advanceRollout(request)).rollouts;
    },
    async standing(policy: string) {
      return (await operator.listPolicies({})).policies.find((each) => each.policy === policy);
    },
    async [Symbol.asyncDispose]() {
      await loop[Symbol.asyncDispose]();
    },
  };
}

/** Lets the gate say something of a policy, as the consumers would. */
async function say(
  database: Database,
  policy: Policy,
  status: 'PASS' | 'FAIL' | 'INSUFFICIENT',
  judgedAtMs = Date.now(),
) {
  const store = createRolloutStore(database);
  const subject = { policy: policy.name, version: policy.version };
  const step = standingOf(foldRollouts((await store.readSteps(0)) ?? []), subject)?.number ?? 0;
  await store.putVerdict({
    ...{ subject: subjectName(subject), step, judgedAtMs, limitsVersion: '1', status },
    criteria: [{ criterion: 'reward', status, numbers: { lower: -3 }, limit: -20, sentence: 'No harm is found.' }],
  });
}

/** Scores on all replicas at once until it is disposed of, which rejects with the first that failed. */
function startLoad(replicas: readonly Pick<Loop, 'client'>[]) {
  const ends = new AbortController();
  const answers: { readonly atMs: number; readonly policy: string }[] = [];
  const running = replicas.map(async ({ client }, i) => {
    for (let n = 0; !ends.signal.aborted; n++) {
      const { policy } = await client.score({ userId: `load-${i}-${n % 100}`, candidates });
      answers.push({ atMs: performance.now(), policy });
    }
  });
  return {
    answers,
    async [Symbol.asyncDispose]() {
      ends.abort();
      await Promise.all(running);
    },
  };
}

describe('the way to people, by RPC', () => {
  let two: Awaited<ReturnType<typeof startTwo>>;
  beforeAll(async () => {
    two = await startTwo();
  });
  afterAll(() => two[Symbol.asyncDispose]());

  it('begins with the default policy, which every server finds to be active', async () => {
    const { operator, store } = two;
    const { policies: all, lastNumber } = await operator.listPolicies({});
    expect(lastNumber).toBe(1);
    expect(all.map(({ policy }) => policy)).toEqual([...policies.keys()].toSorted());
    expect(all.every(({ servedHere }) => servedHere)).toBe(true);
    expect(await two.standing('egreedy-v2')).toMatchObject({
      stage: RolloutStage.ACTIVE,
      trafficPercent: 100,
      number: 1,
    });
    expect(await two.standing('softmax')).toMatchObject({ stage: RolloutStage.UNSPECIFIED, number: 0 });
    expect((await store.readSteps(0))?.[0]).toMatchObject({ actor: 'DEFAULT_POLICY', from: undefined, to: 'active' });
  });

  it('goes step by step, each with who took it and why, and keeps the verdict that it was taken on', async () => {
    const { loop, operator, advance } = two;
    expect(await advance('softmax', RolloutStage.REGISTERED)).toMatchObject([
      { number: 2, policy: 'softmax', policyVersion: softmax.version, ...by, caller: 'anonymous', trafficPercent: 0 },
    ]);
    const [shadow] = await advance('softmax', RolloutStage.SHADOW, { expectedDivergence: 'it explores more' });
    expect(shadow).toMatchObject({ fromStage: RolloutStage.REGISTERED, expectedDivergence: 'it explores more' });
    await say(loop.database, softmax, 'PASS');
    const toCanary = { trafficPercent: 1 };
    expect(await failureOf(advance('softmax', RolloutStage.CANARY, toCanary))).toMatchObject({
      ...{ code: Code.FailedPrecondition, reason: 'SHADOW_TOO_SHORT', fields: ['to_stage'] },
    });
    const overridden = { ...toCanary, overrideReason: 'the board asked' };
    await say(loop.database, softmax, 'FAIL');
    expect(await failureOf(advance('softmax', RolloutStage.CANARY, overridden))).toMatchObject({
      reason: 'SHADOW_TOO_SHORT',
    });
    expect((await operator.listPolicies({})).lastNumber).toBe(3);
  });

  it('shows what the gate said, criterion by criterion', async () => {
    const standing = await two.standing('softmax');
    expect(standing).toMatchObject({ stage: RolloutStage.SHADOW, number: 3 });
    expect(standing?.verdict).toMatchObject({
      status: GateStatus.FAIL,
      limitsVersion: '1',
      criteria: [
        {
          criterion: 'reward',
          status: GateStatus.FAIL,
          numbers: { lower: -3 },
          limit: -20,
          sentence: 'No harm is found.',
        },
      ],
    });
  });

  it('lets nobody on without a verdict of the gate that says so, or a reason that stays', async () => {
    const { loop, advance, operator } = two;
    const startMs = Date.now() - 30 * dayMs;
    await takeSteps(loop.database, linUcb, ['registered', 'shadow'], startMs);
    const to = { trafficPercent: 1 };
    const step = () => advance('linucb-v1', RolloutStage.CANARY, to);
    expect(await failureOf(step())).toMatchObject({ reason: 'VERDICT_MISSING', fields: ['policy'] });
    for (const status of ['FAIL', 'INSUFFICIENT'] as const) {
      await say(loop.database, linUcb, status);
      expect(await failureOf(step())).toMatchObject({ reason: 'VERDICT_BLOCKS', fields: ['policy'] });
    }
    const [taken] = await advance('linucb-v1', RolloutStage.CANARY, { ...to, overrideReason: 'few people use it' });
    expect(taken).toMatchObject({ overrideReason: 'few people use it', trafficPercent: 1 });
    expect(JSON.parse(taken?.evidenceJson ?? '')).toMatchObject({ status: 'INSUFFICIENT' });
    expect(await two.standing('linucb-v1')).toMatchObject({ overrides: ['few people use it'] });
    await operator.rollBack({ policy: 'linucb-v1', ...by });
  });

  it('does nothing in a dry run', async () => {
    const { lastNumber } = await two.operator.listPolicies({});
    const [step] = await two.advance('random', RolloutStage.REGISTERED, { dryRun: true });
    expect(step).toMatchObject({ number: lastNumber + 1, toStage: RolloutStage.REGISTERED });
    expect((await two.operator.listPolicies({})).lastNumber).toBe(lastNumber);
  });

  it.each<[string, object, object]>([
    ['a policy that there is not', { policy: 'best' }, { code: Code.InvalidArgument, fields: ['policy'] }],
    ['no policy', { policy: '' }, { code: Code.InvalidArgument, fields: ['policy'] }],
    ['no actor', { actor: '' }, { code: Code.InvalidArgument, fields: ['actor'] }],
    ['a blank actor', { actor: ' ' }, { code: Code.FailedPrecondition, reason: 'ACTOR_MISSING', fields: ['actor'] }],
    ['no reason', { reason: '' }, { code: Code.InvalidArgument, fields: ['reason'] }],
    ['what no database holds', { reason: 'a\0b' }, { code: Code.InvalidArgument, fields: ['reason'] }],
    ['no stage', { toStage: 0 }, { code: Code.InvalidArgument, fields: ['to_stage'] }],
    ['a stage for RollBack', { toStage: 6 }, { code: Code.InvalidArgument, fields: ['to_stage'] }],
    ['a stage that there is not', { toStage: 99 }, { code: Code.InvalidArgument, fields: ['to_stage'] }],
    [
      'a stage too far',
      { toStage: RolloutStage.ACTIVE },
      { code: Code.FailedPrecondition, reason: 'ILLEGAL_TRANSITION', fields: ['to_stage'] },
    ],
    ['more than all', { trafficPercent: 101 }, { code: Code.InvalidArgument, fields: ['traffic_percent'] }],
    [
      'another last step',
      { expectedPreviousNumber: 1 },
      { code: Code.FailedPrecondition, reason: 'CHANGED_MEANWHILE', fields: ['expected_previous_number'] },
    ],
    [
      'an override that is not needed',
      { overrideReason: 'why not' },
      { code: Code.FailedPrecondition, reason: 'OVERRIDE_WITHOUT_NEED', fields: ['override_reason'] },
    ],
  ])('refuses %s, and changes nothing', async (_, wrong, expected) => {
    const { lastNumber } = await two.operator.listPolicies({});
    const { toStage = RolloutStage.REGISTERED, ...more } = wrong as { toStage?: RolloutStage };
    expect(await failureOf(two.advance('square-cb', toStage, more))).toMatchObject(expected);
    expect((await two.operator.listPolicies({})).lastNumber).toBe(lastNumber);
  });

  it('refuses to roll back what serves nobody', async () => {
    const { operator } = two;
    expect(await failureOf(operator.rollBack({ policy: 'best', ...by }))).toMatchObject({
      code: Code.InvalidArgument,
      fields: ['policy'],
    });
    expect(await failureOf(operator.rollBack({ policy: 'softmax', ...by }))).toMatchObject({
      reason: 'ILLEGAL_TRANSITION',
    });
    expect(await failureOf(operator.rollBack({ policy: 'egreedy-v2', ...by }))).toMatchObject({
      reason: 'NOTHING_BEFORE',
    });
  });

  it('ends for a version that no server has any more, by retirement and by nothing else', async () => {
    const { loop, advance, operator } = two;
    await takeSteps(loop.database, { name: 'softmax', version: 'old' }, ['registered']);
    const old = { policyVersion: 'old' };
    expect(await failureOf(advance('softmax', RolloutStage.SHADOW, old))).toMatchObject({
      code: Code.InvalidArgument,
      fields: ['policy_version'],
    });
    expect(await advance('softmax', RolloutStage.RETIRED, old)).toMatchObject([{ policyVersion: 'old' }]);
    const { policies: all } = await operator.listPolicies({});
    expect(all.filter(({ policy }) => policy === 'softmax')).toMatchObject([
      { policyVersion: softmax.version, servedHere: true },
      { policyVersion: 'old', servedHere: false, stage: RolloutStage.RETIRED },
    ]);
  });

  it('of many who take the same step, is that of one', async () => {
    const { lastNumber } = await two.operator.listPolicies({});
    const more = { expectedPreviousNumber: lastNumber };
    const calls = Array.from({ length: 12 }, () =>
      two.advance('square-cb', RolloutStage.REGISTERED, more).then(
        () => 1,
        () => 0,
      ),
    );
    expect((await Promise.all(calls)).reduce((sum: number, each) => sum + each, 0)).toBe(1);
    expect((await two.operator.listPolicies({})).lastNumber).toBe(lastNumber + 1);
  });

  it('is listed a page at a time, newest first, also of one policy', async () => {
    const { operator } = two;
    const { lastNumber } = await operator.listPolicies({});
    const numbers: number[] = [];
    let pageToken = '';
    do {
      const page = await operator.listRollouts({ page: { pageSize: 2, pageToken } });
      numbers.push(...page.rollouts.map(({ number }) => number));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(numbers).toEqual(Array.from({ length: lastNumber }, (_, i) => lastNumber - i));
    const own = await operator.listRollouts({ policy: 'linucb-v1' });
    const { ROLLED_BACK, CANARY, SHADOW, REGISTERED } = RolloutStage;
    expect(own.rollouts.map(({ toStage }) => toStage)).toEqual([ROLLED_BACK, CANARY, SHADOW, REGISTERED]);
    expect(await failureOf(operator.listRollouts({ page: { pageToken: 'c2V0LzE' } }))).toMatchObject({
      fields: ['page.page_token'],
    });
  });

  it.each(['UPDATE rollouts SET percent = 100', 'DELETE FROM rollouts', 'TRUNCATE rollouts'])(
    'is only appended to: %s is refused by the database',
    async (statement) => {
      await expect(two.loop.database.query(statement)).rejects.toThrow('only appended to');
    },
  );
});

describe('a canary', () => {
  it('decides about its share of people on every replica, logged and counted as an experiment', async () => {
    await using two = await startTwo();
    const { loop, replica } = two;
    await takeSteps(loop.database, softmax, wayTo('canary 25'));
    const people = Array.from({ length: 80 }, (_, i) => `person-${i}`);
    await waitFor('both replicas to follow', async () => {
      const answers = await Promise.all(
        [loop, replica].flatMap(({ client }) =>
          people.slice(0, 20).map((userId) => client.score({ userId, candidates })),
        ),
      );
      return answers.filter(({ policy }) => policy === 'softmax').length > 1;
    });
    const decided = await Promise.all(
      people.map(async (userId) => {
        const [one, other] = await Promise.all(
          [loop, replica].map(({ client }) => client.score({ userId, candidates })),
        );
        expect(other?.policy).toBe(one?.policy);
        const arm = one?.policy === 'softmax' ? canaryArm : 'active';
        expect(one?.experiments).toMatchObject([
          { experiment: 'canary:softmax', version: '7', arm, propensity: arm === canaryArm ? 0.25 : 0.75 },
        ]);
        return one?.policy;
      }),
    );
    const share = decided.filter((policy) => policy === 'softmax').length / people.length;
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.4);
    await loop.drained();
    const { rows } = await loop.database.query<{ people: number }>(
      `SELECT count(DISTINCT user_id)::int AS people FROM experiment_stats
      WHERE experiment = 'canary:softmax' AND version = '7' AND arm = 'canary' AND user_id LIKE 'person-%'`,
    );
    expect(rows[0]?.people).toBe(share * people.length);
    const report = await two.operator.getExperimentReport({ experiment: 'canary:softmax' });
    expect(report).toMatchObject({ version: '7', control: canaryArm, arms: [{ arm: canaryArm, share: 0.25 }, {}] });
    const nothing = two.operator.getExperimentReport({ experiment: 'canary:random' });
    expect(await failureOf(nothing)).toMatchObject({ code: Code.NotFound });
  });
});

describe('every replica', () => {
  it('follows a promotion and a rollback within two seconds, while Scores go on and none fails', async () => {
    await using two = await startTwo();
    const { loop, replica, operator, advance } = two;
    const everybody = Array.from({ length: 12 }, (_, i) => `person-${i}`); // half of them are in a canary
    await using load = startLoad([loop, replica, loop, replica]);
    const untilAll = async (policy: string) => {
      const startMs = performance.now();
      await waitFor(`all replicas to decide by ${policy}`, async () => {
        const answers = await Promise.all(
          [loop, replica].flatMap(({ client }) => everybody.map((userId) => client.score({ userId, candidates }))),
        );
        return answers.every((answer) => answer.policy === policy);
      });
      expect(performance.now() - startMs).toBeLessThan(2_000);
      const doneMs = performance.now();
      await sleep(300);
      const later = load.answers.filter(({ atMs }) => atMs > doneMs + 100);
      expect(new Set(later.map((answer) => answer.policy))).toEqual(new Set([policy]));
    };
    for (const policy of [softmax, random]) {
      await takeSteps(loop.database, policy, wayTo('canary 50'));
      await say(loop.database, policy, 'PASS');
      const steps = await advance(policy.name, RolloutStage.ACTIVE);
      expect(steps).toMatchObject([{ policy: policy.name }, { toStage: RolloutStage.RETIRED }]);
      expect(steps[1]?.causeNumber).toBe(steps[0]?.number);
      await untilAll(policy.name);
    }
    const { rollouts } = await operator.rollBack({ policy: 'random', ...by });
    expect(rollouts).toMatchObject([
      { policy: 'random', toStage: RolloutStage.ROLLED_BACK },
      { policy: 'softmax', toStage: RolloutStage.ACTIVE, trafficPercent: 100 },
    ]);
    await untilAll('softmax');
    await waitFor('enough Scores', async () => load.answers.length > 50);
  });

  it('takes a policy that is rolled back out of experiments too, whoever is forced into it', async () => {
    await using two = await startTwo();
    const { loop, operator } = two;
    const experiment = {
      ...{ key: 'policies', version: '1', status: 'running', forced: { tester: 'new' } },
      arms: [
        { key: 'old', weight: 0.5 },
        { key: 'new', weight: 0.5, policy: 'softmax' },
      ],
    };
    const put = { definitionsJson: JSON.stringify({ experiments: [experiment] }), ...by };
    expect(await failureOf(operator.putExperiments(put))).toMatchObject({
      code: Code.InvalidArgument,
      fields: ['definitions_json.experiments[0].arms[1].policy'],
    });
    await takeSteps(loop.database, softmax, wayTo('canary 1'));
    await waitFor('the server to follow', () =>
      operator.putExperiments(put).then(
        () => true,
        () => false,
      ),
    );
    const policyOf = async (client: Loop['client']) => (await client.score({ userId: 'tester', candidates })).policy;
    await waitFor('the experiment', async () => (await policyOf(loop.client)) === 'softmax');
    await operator.rollBack({ policy: 'softmax', ...by });
    expect(await policyOf(loop.client)).toBe('egreedy-v2');
    await waitFor('the other replica', async () => (await policyOf(two.replica.client)) === 'egreedy-v2');
    const answer = await loop.client.score({ userId: 'somebody', candidates });
    expect(answer).toMatchObject({ policy: 'egreedy-v2', experiments: [] });
  });
});

describe('a replica that starts', () => {
  const start = (database: Database, defaultPolicy: Policy, known: ReadonlyMap<string, Policy> = policies) => {
    const deps = { policies: unchanging(known), defaultPolicy, clock: Date.now, log: silent };
    return followRollouts({ store: createRolloutStore(database), ...deps });
  };

  it('among many on a new database, takes the first step once', async () => {
    await using own = await createTestDatabase();
    const database = openDatabase({ url: own.url, applicationName: 'test', maxConnections: 8 });
    const replicas = Array.from({ length: 8 }, (_, i) => start(database, i % 2 === 0 ? egreedyV1 : egreedyV2));
    await Promise.all(replicas.map((each) => each.refresh()));
    const steps = (await createRolloutStore(database).readSteps(0)) ?? [];
    expect(steps).toHaveLength(1);
    for (const each of replicas) expect(each.current().active.name).toBe(steps[0]?.policy);
    await database.end();
  });

  it('goes by the rollouts, not by DEFAULT_POLICY, once there are any', async () => {
    await using own = await createTestDatabase();
    const database = openDatabase({ url: own.url, applicationName: 'test', maxConnections: 2 });
    await start(database, egreedyV2).refresh();
    const other = start(database, random);
    expect(other.current().active).toBe(random); // until it could read
    expect(await other.refresh()).toBeUndefined();
    expect(other.current().active).toBe(egreedyV2);
    await database.end();
  });

  it('says so where the active policy, or the canary, is of another version than its own; one that runs goes on', async () => {
    await using own = await createTestDatabase();
    const database = openDatabase({ url: own.url, applicationName: 'test', maxConnections: 2 });
    const running = start(database, egreedyV2);
    await running.refresh();
    const changed = new Map([...policies, [egreedyV2.name, { ...egreedyV2, version: 'changed' }]]);
    expect(String(await start(database, random, changed).refresh())).toContain('needs a name of its own');
    const newer: Policy = { ...softmax, name: 'newer' };
    await takeSteps(database, newer, wayTo('canary 1'));
    expect(String(await running.refresh())).toContain('newer');
    expect(running.current()).toMatchObject({ active: egreedyV2, canary: undefined });
    await database.end();
  });
});

describe('steps in the store', () => {
  it('are appended all or none, and by one of two who go on from the same', async () => {
    await using own = await createTestDatabase();
    const database = openDatabase({ url: own.url, applicationName: 'test', maxConnections: 8 });
    const store = createRolloutStore(database);
    const step = (number: number, policy: string): RolloutStep => ({
      ...{ number, policy, version: '1', atMs: 1_700_000_000_123, actor: 'a', caller: 'c', reason: 'r "x" \\ é' },
      ...{ from: undefined, to: 'registered', percent: 0 },
    });
    for (let round = 0; round < 20; round++) {
      const first = 2 * round + 1;
      const both = [step(first, `two-${round}`), step(first + 1, `three-${round}`)];
      const alone = [step(first, `one-${round}`)];
      const results = await Promise.all([store.append(both), store.append(alone)]);
      expect(results.filter(Boolean)).toHaveLength(1);
      const own = (await store.readSteps(0))?.filter(({ number }) => number >= first) ?? [];
      expect(own.map(({ policy }) => policy)).toEqual((results[0] ? both : alone).map(({ policy }) => policy));
      if (!results[0]) await store.append([step(first + 1, `filler-${round}`)]);
    }
    expect(await store.append([step(1, 'late')])).toBe(false);
    expect(await store.append([step(99, 'early')])).toBe(false);
    expect((await store.readSteps(0))?.[0]).toMatchObject({ atMs: 1_700_000_000_123, reason: 'r "x" \\ é' });
    expect(await store.readSteps(40)).toBeUndefined();
    expect(servingOf(foldRollouts((await store.readSteps(39)) ?? [])).active).toBeUndefined();
    await database.end();
  });

  it('keep of two verdicts the one that was judged last', async () => {
    await using own = await createTestDatabase();
    const database = openDatabase({ url: own.url, applicationName: 'test', maxConnections: 1 });
    await say(database, softmax, 'PASS', 2_000);
    await say(database, softmax, 'FAIL', 1_000);
    expect(await createRolloutStore(database).readVerdicts()).toMatchObject([{ status: 'PASS', judgedAtMs: 2_000 }]);
    await database.end();
  });
});
