// What an operator is told of rewards, against plain SQL over the decisions and the reactions.

import { readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deltas } from '../consumers/deltas.ts';
import { studentQuantile } from '../experiments/analysis/distributions.ts';
import { type RewardDimension as DimensionName, rewardDimensions } from '../experiments/reward-analytics.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { createErasureStore } from '../features/erasure-store.ts';
import { createEventStore } from '../features/event-store.ts';
import { tableNames } from '../features/tables.ts';
import { toTimestamp } from '../features/time.ts';
import { BadRequestSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import {
  AdminService,
  RewardAnalyticsRequestSchema,
  RewardDimension,
  type RewardRow,
} from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { rebuild, rebuildScope } from '../pipelines/rebuild.ts';
import { dayMs } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { createRewardAnalytics } from '../server/routes/admin/reward-analytics.ts';
import type { Payload } from './_util/arbitraries.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { MIGRATIONS } from './_util/servers.ts';
import { storePatiently } from './_util/tables.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const emptyTables = () =>
  loop.database.query(`TRUNCATE events, event_ids, erasures, policy_stats, rebuilds, ${tableNames.join(', ')}`);
beforeEach(emptyTables);

/** Just after a midnight, so that yesterday is near. */
const nowMs = Date.UTC(2026, 10, 23, 0, 5);
const numberOf: Readonly<Record<DimensionName, RewardDimension>> = {
  day: RewardDimension.DAY,
  policy: RewardDimension.POLICY,
  model: RewardDimension.MODEL,
  prompt_version: RewardDimension.PROMPT_VERSION,
  kind: RewardDimension.KIND,
  experiment_arm: RewardDimension.EXPERIMENT_ARM,
};

async function analyticsBy(dimension: DimensionName, days?: number): Promise<readonly RewardRow[]> {
  const answer = createRewardAnalytics({ database: loop.database, clock: () => nowMs });
  const asked = { dimension: numberOf[dimension], ...(days !== undefined && { days }) };
  return (await answer(create(RewardAnalyticsRequestSchema, asked))).rows;
}

async function rewardAll(): Promise<void> {
  while ((await createRewardStore(loop.database).rewardTips()) > 0);
}

interface Candidate {
  readonly model?: string;
  readonly promptVersion?: string;
  readonly kind: TipKind;
  readonly source: TipSource;
}

interface Decision {
  readonly userId: string;
  readonly atMs: number;
  readonly policy: string;
  readonly chosen: Candidate;
  readonly arms: readonly (readonly [string, string, string])[];
  readonly shown: number;
  readonly said: readonly Said[];
}

interface Said {
  /** 0: silence. */
  readonly reaction: Reaction;
  readonly dwellMs: bigint | undefined;
  readonly afterMs: number;
  /** What it says to be about. */
  readonly about: 'this' | 'no decision' | 'an unknown decision' | 'another tip' | 'of another person';
}

const people = Array.from({ length: 13 }, (_, i) => `person ${i}`);

const anySaid: fc.Arbitrary<Said> = fc.record({
  reaction: fc.constantFrom<Reaction[]>(0, 1, 2, 3, 4, 5),
  dwellMs: fc.option(fc.bigInt({ min: 0n, max: 700_000n }), { nil: undefined }),
  afterMs: fc.constantFrom(0, 1, 1000, dayMs, 40 * dayMs),
  about: fc.oneof(
    { weight: 8, arbitrary: fc.constant('this' as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom('no decision', 'an unknown decision', 'another tip', 'of another person'),
    },
  ),
});

const anyDecision: fc.Arbitrary<Decision> = fc.record({
  userId: fc.constantFrom(...people),
  atMs: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: nowMs - 2 * dayMs, max: nowMs }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(nowMs - 5 * 60_000, nowMs - 5 * 60_000 - 1, nowMs - 5 * 60_000 - dayMs, nowMs + dayMs),
    },
  ),
  policy: fc.constantFrom('p', 'q'),
  chosen: fc.record({
    model: fc.constantFrom('', 'm', 'qwen2.5:7b'),
    promptVersion: fc.constantFrom('', 'v1', 'v2-mentor', 'fallback'),
    kind: fc.constantFrom<TipKind[]>(0, 1, 2, 3, 4),
    source: fc.constantFrom<TipSource[]>(0, 1, 2, 3),
  }),
  arms: fc.subarray<readonly [string, string, string]>([
    ['prompts', '1', 'mentor'],
    ['prompts', '2', 'mentor'],
    ['canary', '', 'q'],
  ]),
  shown: fc.integer({ min: 0, max: 2 }),
  said: fc.array(anySaid, { maxLength: 3 }),
});

function event(userId: string, eventId: string, atMs: number, payload: Payload): Envelope {
  return create(EnvelopeSchema, {
    ...{ userId, eventId, payload, schemaVersion: 'v1', producer: 'test', occurredAt: toTimestamp(atMs) },
  });
}

function eventsOf({ userId, atMs, policy, chosen, arms, shown, said }: Decision): Envelope[] {
  const [decisionId, tipId] = [newId(nowMs), `tip ${newId(nowMs)}`];
  const scored: Payload = {
    case: 'tipScored',
    value: {
      ...{ requestId: newId(nowMs), tipId, policy },
      candidates: [
        { tipId: 'not chosen', promptVersion: 'not chosen', model: 'not chosen' },
        { tipId, propensity: 1, ...chosen },
      ],
      experiments: arms.map(([experiment, version, arm]) => ({ experiment, version, arm, propensity: 0.5 })),
      forcedExperiments: [{ experiment: 'forced', version: '1', arm: 'x' }],
    },
  };
  const showings = Array.from({ length: shown }, () =>
    event(userId, newId(nowMs), atMs, { case: 'tipServed', value: { tipId, decisionId } }),
  );
  const reactions = said.map(({ reaction, dwellMs, afterMs, about }) => {
    const tip = {
      tipId: about === 'another tip' ? 'not chosen' : tipId,
      decisionId:
        about === 'no decision' ? '' : about === 'an unknown decision' ? newId(nowMs) : decisionId.toUpperCase(),
    };
    const payload: Payload =
      reaction === 0
        ? { case: 'tipIgnored', value: { ...tip, waitedMs: 1n } }
        : { case: 'tipFeedback', value: { ...tip, reaction, ...(dwellMs !== undefined && { dwellMs }) } };
    const by = about === 'of another person' ? `not ${userId}` : userId;
    return event(by, newId(nowMs), atMs + afterMs, payload);
  });
  return [event(userId, decisionId, atMs, scored), ...showings, ...reactions];
}

/** Each person's tips of each value, by plain SQL over decisions and reactions alone. */
const plainSql = (key: string, from = '') => `
  WITH reaction AS (
    SELECT DISTINCT ON (decision_id) decision_id, reaction, reward_milli
    FROM tip_scores JOIN tip_feedback USING (decision_id, user_id, tip_id)
    ORDER BY decision_id, reaction IN ('done', 'dismiss') DESC, reacted_at, event_id
  )
  SELECT coalesce(${key}, '') AS key, count(*)::int AS served,
    ARRAY['done', 'dismiss', 'snooze', 'helpful', 'not_helpful'] AS names, array_agg(reaction) AS reactions,
    coalesce(sum(reward_milli), 0)::int AS milli
  FROM tip_scores LEFT JOIN reaction USING (decision_id) ${from}
  WHERE (decided_at AT TIME ZONE 'UTC')::date BETWEEN $1::date - $2::int + 1 AND $1::date
  GROUP BY 1, user_id`;

const plainKeys: Readonly<Record<DimensionName, readonly [key: string, from?: string]>> = {
  day: ["to_char(decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"],
  policy: ['policy'],
  model: ['llm_model'],
  prompt_version: ['prompt_version'],
  kind: ["CASE WHEN tip_kind <> 'unspecified' THEN tip_kind END"],
  experiment_arm: [
    "experiments[i] || '/' || experiment_versions[i] || '/' || experiment_arms[i]",
    'CROSS JOIN LATERAL generate_subscripts(experiments, 1) AS i',
  ],
};

interface PlainRow {
  readonly key: string;
  readonly served: number;
  readonly names: readonly string[];
  readonly reactions: readonly (string | null)[];
  readonly milli: number;
}

async function expectedBy(dimension: DimensionName, days: number) {
  const { rows } = await loop.database.query<PlainRow>(plainSql(...plainKeys[dimension]), ['2026-11-23', days]);
  const values = [...Map.groupBy(rows, ({ key }) => key)].map(([key, people]) => {
    const served = sum(people.map((each) => each.served));
    const each = (people[0]?.names ?? []).map((name) =>
      sum(people.map(({ reactions }) => reactions.filter((reaction) => reaction === name).length)),
    );
    const reacted = people.map(({ reactions, milli }) => ({ n: reactions.filter((r) => r !== null).length, milli }));
    return { key, served, each, rate: sum(each) / served, ...meanOf(reacted.filter(({ n }) => n > 0)) };
  });
  return values.toSorted((a, b) => b.served - a.served || (a.key < b.key ? -1 : 1));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** A ratio of sums over people and its interval by the delta method, the long way. */
function meanOf(people: readonly { readonly n: number; readonly milli: number }[]) {
  const [count, total] = [sum(people.map(({ n }) => n)), sum(people.map(({ milli }) => milli))];
  if (count === 0) return { mean: undefined, low: undefined, high: undefined };
  const mean = total / count;
  const squares = sum(people.map(({ n, milli }) => (milli - mean * n) ** 2));
  if (people.length < 10 || squares < 1e-6) return { mean: mean / 1000, low: undefined, high: undefined };
  const error = Math.sqrt((people.length / (people.length - 1)) * squares) / count;
  const half = studentQuantile(0.975, people.length - 1) * error;
  return { mean: mean / 1000, low: (mean - half) / 1000, high: (mean + half) / 1000 };
}

const rounded = (value: number | undefined) => (value === undefined ? undefined : Number(value.toFixed(9)) + 0);

function comparable(rows: readonly RewardRow[]) {
  return rows.map(({ key, served, done, dismissed, snoozed, helpful, notHelpful, ...rest }) => ({
    ...{ key, served: Number(served), each: [done, dismissed, snoozed, helpful, notHelpful].map(Number) },
    ...{ rate: rest.reactionRate, mean: rounded(rest.meanReward) },
    ...{ low: rounded(rest.meanRewardLow), high: rounded(rest.meanRewardHigh) },
  }));
}

/** Returns how many rows had an interval. */
async function expectEqual(days: number): Promise<number> {
  let intervals = 0;
  for (const dimension of rewardDimensions) {
    const expected = await expectedBy(dimension, days);
    expect(comparable(await analyticsBy(dimension, days)), dimension).toEqual(
      expected.map((row) => ({ ...row, mean: rounded(row.mean), low: rounded(row.low), high: rounded(row.high) })),
    );
    intervals += expected.filter(({ low }) => low !== undefined).length;
  }
  return intervals;
}

describe('reward analytics', () => {
  it('are what plain SQL says, whatever was said in whatever order, how often, and of people who were erased', async () => {
    const anyCase = fc.record({
      decisions: fc.oneof(
        fc.array(anyDecision, { minLength: 1, maxLength: 30, size: 'max' }),
        fc.array(anyDecision, { minLength: 100, maxLength: 120, size: 'max' }),
      ),
      order: fc.infiniteStream(fc.nat()),
      batchSize: fc.integer({ min: 1, max: 40 }),
      rewardEvery: fc.integer({ min: 1, max: 4 }),
      erased: fc.constantFrom(undefined, ...people),
      days: fc.constantFrom(1, 2, 3, 3, 366),
    });
    let intervals = 0;
    await fc.assert(
      fc.asyncProperty(anyCase, async ({ decisions, order, batchSize, rewardEvery, erased, days }) => {
        await emptyTables();
        const events = decisions.flatMap(eventsOf);
        const deliveries = [...events, ...events]
          .map((each) => ({ each, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => each);
        const [store, rewarder] = [createEventStore(loop.database), createRewardStore(loop.database)];
        const eraseAt = Math.floor(deliveries.length / batchSize / 2) * batchSize;
        for (let i = 0; i < deliveries.length; i += batchSize) {
          await Promise.all([
            storePatiently(store, deliveries.slice(i, i + batchSize)),
            ...((i / batchSize) % rewardEvery === 0 ? [rewarder.rewardTips(), rewarder.rewardTips()] : []),
          ]);
          if (erased !== undefined && i === eraseAt)
            await createErasureStore(loop.database).erase(erased, 'asked', async () => {});
        }
        await rewardAll();
        intervals += await expectEqual(days);
        await loop.database.query('DELETE FROM prompt_rewards WHERE served > 1');
        await loop.database.query('UPDATE prompt_rewards SET served = 3, done = 2, snoozed = 1, reward_milli = -9');
        const deps = { database: loop.database, deltas, signal: new AbortController().signal, random: Math.random };
        await rebuild(deps, { scope: rebuildScope({ table: 'prompt_rewards' }) });
        await expectEqual(days);
      }),
      { numRuns: 24 },
    );
    expect(intervals).toBeGreaterThan(5);
  }, 120_000);

  const decided: Decision = {
    ...{ userId: 'anna', atMs: nowMs, policy: 'p', arms: [], shown: 1, said: [] },
    chosen: { model: 'm', promptVersion: 'v1', kind: TipKind.ADVICE, source: TipSource.LLM },
  };
  const said = (reaction: Reaction, afterMs = 1): Said => ({ reaction, dwellMs: 20_000n, afterMs, about: 'this' });
  const tell = async (...decisions: readonly Partial<Decision>[]) => {
    const events = decisions.flatMap((each) => eventsOf({ ...decided, ...each }));
    await storePatiently(createEventStore(loop.database), events);
    await rewardAll();
  };

  it.each<[string, readonly Said[], Partial<RewardRow>]>([
    ['nothing said', [], { reactionRate: 0 }],
    ['silence', [said(0)], { reactionRate: 0 }],
    ['snooze, then done', [said(3), said(1, 2)], { done: 1n, snoozed: 0n, reactionRate: 1, meanReward: 1 }],
    ['done twice', [said(1), said(1, 2)], { done: 1n, reactionRate: 1, meanReward: 1 }],
    ['dismissed, and then done', [said(2), said(1, 2)], { dismissed: 1n, done: 0n, meanReward: -1 }],
    ['silence, then helpful', [said(0), said(4, 2)], { helpful: 1n, meanReward: 0.5 }],
    ['done, of which no decision is known', [{ ...said(1), about: 'an unknown decision' }], { done: 0n }],
  ])('count a tip once, by its outcome: %s', async (_, reactions, expected) => {
    await tell({ said: reactions, shown: 2 });
    const [row, ...more] = await analyticsBy('prompt_version');
    expect(row).toMatchObject({ key: 'v1', served: 1n, ...expected });
    expect(row?.meanReward).toBe(expected.meanReward);
    expect([row?.meanRewardLow, row?.meanRewardHigh, ...more]).toEqual([undefined, undefined]);
  });

  it('keep tips that no model wrote, and those without a prompt, in a row of their own; most served come first', async () => {
    const template = { promptVersion: 'fallback', kind: TipKind.TASK, source: TipSource.FALLBACK };
    const task = { kind: TipKind.TASK, source: TipSource.TASK_DIRECT };
    await tell({}, { chosen: template }, { chosen: task }, { chosen: task });
    const keys = async (dimension: DimensionName) =>
      (await analyticsBy(dimension)).map(({ key, served }) => [key, Number(served)]);
    expect(await keys('model')).toEqual([
      ['', 3],
      ['m', 1],
    ]);
    expect(await keys('prompt_version')).toEqual([
      ['', 2],
      ['fallback', 1],
      ['v1', 1],
    ]);
    expect(await keys('kind')).toEqual([
      ['task', 3],
      ['advice', 1],
    ]);
  });

  it('count a tip on the UTC day of its decision, today included, 30 days unless said', async () => {
    const midnightMs = Date.UTC(2026, 10, 23);
    await tell(
      { atMs: midnightMs - 1, said: [said(1, 2)] },
      { atMs: midnightMs },
      { atMs: midnightMs },
      { atMs: midnightMs - 29 * dayMs },
      { atMs: midnightMs - 29 * dayMs - 1 },
      { atMs: midnightMs + dayMs },
    );
    const days = (rows: readonly RewardRow[]) =>
      rows.map(({ key, served, done }) => [key, Number(served), Number(done)]);
    expect(days(await analyticsBy('day', 1))).toEqual([['2026-11-23', 2, 0]]);
    expect(days(await analyticsBy('day'))).toEqual([
      ['2026-11-23', 2, 0],
      ['2026-10-25', 1, 0],
      ['2026-11-22', 1, 1],
    ]);
    expect(days(await analyticsBy('day', 31))).toHaveLength(4);
  });

  it('say where the mean lies from ten people on, and count people, not tips', async () => {
    const person = (i: number, copies: number): Partial<Decision>[] =>
      Array.from({ length: copies }, () => ({ userId: `of ten ${i}`, said: [said(i % 2 === 0 ? 1 : 2)] }));
    await tell(...Array.from({ length: 9 }, (_, i) => person(i, 1)).flat(), { userId: 'silent' });
    expect((await analyticsBy('model'))[0]).toMatchObject({ served: 10n, meanReward: expect.closeTo(1 / 9, 12) });
    expect((await analyticsBy('model'))[0]?.meanRewardLow).toBeUndefined();
    await tell(...person(9, 1));
    const [once] = await analyticsBy('model');
    // ten people at +1 and -1: variance 10/9, t(9) = 2.262157
    expect(once?.meanReward).toBe(0);
    expect(once?.meanRewardHigh).toBeCloseTo(2.262157 * Math.sqrt(10 / 9 / 10), 5);
    await tell(...Array.from({ length: 10 }, (_, i) => person(i, 8)).flat());
    const [often] = await analyticsBy('model');
    expect(often).toMatchObject({ served: 91n, meanReward: 0 });
    expect(often?.meanRewardHigh).toBeCloseTo(once?.meanRewardHigh ?? 0, 12);
    expect(often?.meanRewardLow).toBeCloseTo(-(once?.meanRewardHigh ?? 0), 12);
  });

  it('leave out rows of which no decision is known yet', async () => {
    await tell({ said: [said(1)] });
    await loop.database.query('UPDATE prompt_rewards SET served = 0');
    expect(await analyticsBy('prompt_version')).toEqual([]);
  });

  it('begin with what was there before their table', async () => {
    const any = fc.sample(anyDecision, { numRuns: 80, seed: 11 });
    await tell(...any);
    const rows = async () =>
      (await loop.database.query('SELECT p::text FROM prompt_rewards AS p ORDER BY p::text')).rows;
    const before = await rows();
    await loop.database.query('TRUNCATE prompt_rewards');
    const sql = readFileSync(`${MIGRATIONS}/20261123180000_prompt_rewards/migration.sql`, 'utf8');
    await loop.database.query(sql.slice(sql.indexOf('INSERT INTO')));
    expect(await rows()).toEqual(before);
    expect(before.length).toBeGreaterThan(40);
  });
});

describe('AdminService.RewardAnalytics', () => {
  const adminOf = () =>
    createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl, defaultTimeoutMs: 10_000 }));

  it('answers from a Score and a reaction that came over the wire', async () => {
    const candidates = [
      { id: 'a', kind: TipKind.ADVICE, source: TipSource.LLM, model: 'qwen2.5:7b', promptVersion: 'v2-mentor' },
    ];
    const { tipId, decisionId, policy } = await loop.client.score({ userId: 'anna', candidates });
    await loop.publisher.publish({
      userId: 'anna',
      payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction: Reaction.HELPFUL } },
    });
    await loop.drained();
    await rewardAll();
    const keys = { MODEL: 'qwen2.5:7b', PROMPT_VERSION: 'v2-mentor', KIND: 'advice', POLICY: policy };
    for (const [name, key] of Object.entries(keys)) {
      const dimension = RewardDimension[name as keyof typeof keys];
      const { rows } = await adminOf().rewardAnalytics({ dimension, days: 2 });
      expect(rows).toMatchObject([{ key, served: 1n, helpful: 1n, reactionRate: 1, meanReward: 0.5 }]);
    }
    expect((await adminOf().rewardAnalytics({ dimension: RewardDimension.EXPERIMENT_ARM })).rows).toEqual([]);
  });

  it.each([
    [{}, 'dimension'],
    [{ dimension: 9 }, 'dimension'],
    [{ dimension: RewardDimension.DAY, days: 0 }, 'days'],
    [{ dimension: RewardDimension.DAY, days: 367 }, 'days'],
  ])('of %j is refused', async (request, field) => {
    const error = await adminOf()
      .rewardAnalytics(create(RewardAnalyticsRequestSchema, request as object))
      .then(() => new ConnectError('answered'), ConnectError.from);
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([{ field }]);
  });
});

describe('npm run rewards', () => {
  const run = async (...args: readonly string[]) => {
    const env = { ...process.env, DATABASE_URL: loop.databaseUrl, NO_COLOR: '1' };
    const command = startNode('scripts/rewards.ts', env, args);
    return { code: await command.ended, output: command.output() };
  };

  it('prints the table', async () => {
    const decisions = Array.from({ length: 12 }, (_, i): Decision => {
      const reaction: Reaction = i % 3 === 0 ? Reaction.DISMISS : Reaction.DONE;
      const chosen = { model: i < 11 ? 'm' : '', promptVersion: 'v1', kind: TipKind.TASK, source: TipSource.LLM };
      const said: Said[] = [{ reaction, dwellMs: 20_000n, afterMs: 1, about: 'this' }];
      return { userId: `u${i}`, atMs: Date.now() - 1000, policy: 'p', chosen, arms: [], shown: 0, said };
    });
    await storePatiently(createEventStore(loop.database), decisions.flatMap(eventsOf));
    await rewardAll();
    const { code, output } = await run('--by', 'model', '--days', '2');
    expect(output).toMatch(/last 2 days, today included/);
    expect(output).toMatch(/m +11 +7 +4 +0 +0 +0 +100\.0 % +0\.273 +-0\.405 to 0\.951/);
    expect(output).toMatch(/\(no model wrote it\) +1 +1 +0 +0 +0 +0 +100\.0 % +1\.000 +–/);
    expect(code).toBe(0);
    expect(await run()).toMatchObject({ code: 0, output: expect.stringMatching(/prompt version .*\n +v1 +12 /) });
  });

  it('says where there is nothing', async () => {
    expect(await run('--by', 'experiment_arm', '--days', '1')).toMatchObject({
      code: 0,
      output: expect.stringMatching(/Tips of today.*\n\n.*No tip was served in an experiment\./),
    });
  });

  it.each([
    [['--by', 'weather'], /--by must be one of day, policy, model/],
    [['--days', '0'], /--days must be a whole number from 1 to 366\nUsage/],
    [['--days', '367'], /--days must be/],
    [['--days', 'ten'], /--days must be/],
    [['v1'], /Usage/],
  ])('of %j says what is wrong and ends with 2', async (args, message) => {
    const { code, output } = await run(...args);
    expect(output).toMatch(message);
    expect(code).toBe(2);
  });
});
