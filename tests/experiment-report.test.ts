// What an operator is told of an experiment, from the decisions and reactions to the printed page.

import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  addCounts,
  type Metric,
  momentsByArm,
  noCounts,
  rewardPerDecision,
  rewardPerUser,
  type UserCounts,
} from '../experiments/analysis/counters.ts';
import { analyse } from '../experiments/analysis/difference.ts';
import { uniform } from '../experiments/draw.ts';
import { random } from '../experiments/policies/random.ts';
import { readReport } from '../experiments/report-store.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { rewards } from '../experiments/rewards.ts';
import { createEventStore } from '../features/event-store.ts';
import { toTimestamp } from '../features/time.ts';
import { vectorNames } from '../features/vector.ts';
import { BadRequestSchema, ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { AdminService, Direction } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { decided, decisionBy } from './_util/decisions.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { putExperiments } from './_util/put-experiments.ts';
import { storePatiently } from './_util/tables.ts';

const adminOf = (baseUrl: string) =>
  createClient(AdminService, createGrpcTransport({ baseUrl, defaultTimeoutMs: 10_000 }));

let loop: Loop;
let admin: ReturnType<typeof adminOf>;
beforeAll(async () => {
  loop = await startLoop();
  admin = adminOf(loop.baseUrl);
  await putExperiments(loop, { experiments: [{ ...experiment, version: '1', status: 'stopped' }] });
  await putExperiments(loop, { experiments: [experiment] });
  await loop.database.query('UPDATE experiment_sets SET created_at = $1', [new Date(beganMs)]);
});
afterAll(() => loop[Symbol.asyncDispose]());
beforeEach(() => loop.database.query('TRUNCATE experiment_stats, tip_scores, tip_outcomes'));

const beganMs = Date.UTC(2026, 2, 1, 12, 34, 56, 789);

const experiment = {
  key: 'e',
  version: '2',
  status: 'running',
  arms: [
    { key: 'control', weight: 0.5 },
    { key: 'other', weight: 0.5, policy: 'random' },
  ],
};

interface Row {
  readonly userId: string;
  readonly arm: string;
  readonly decisions: number;
  readonly rewards?: number;
  readonly rewardMilli: number;
}

async function count(rows: readonly Row[], version = '2'): Promise<void> {
  await loop.database.query(
    `INSERT INTO experiment_stats (user_id, experiment, version, arm, decisions, rewards, reward_milli)
    SELECT u, 'e', $1, a, d, w, r FROM unnest($2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[]) AS x(u, a, d, w, r)`,
    [
      version,
      rows.map(({ userId }) => userId),
      rows.map(({ arm }) => arm),
      rows.map(({ decisions }) => decisions),
      rows.map(({ rewards = 0 }) => rewards),
      rows.map(({ rewardMilli }) => rewardMilli),
    ],
  );
}

/** A decision that was made before, and what came of it. Undefined: nothing. */
interface PastRow {
  readonly userId: string;
  readonly atMs: number;
  readonly rewardMilli?: number | undefined;
  readonly rewardVersion?: string;
}

/** Puts decisions where the consumers would, and their rewards. */
async function decidedBefore(rows: readonly PastRow[]): Promise<void> {
  await loop.database.query(
    `WITH given AS (
      SELECT *, gen_random_uuid() AS id FROM unnest($1::text[], $2::timestamptz[], $3::int2[], $4::text[]) AS x(u, at, r, v)
    ), scored AS (
      INSERT INTO tip_scores (decision_id, request_id, user_id, tip_id, decided_at, policy, policy_version, tip_kind,
        tip_source, score, propensity, candidates)
      SELECT id, id, u, 'tip', at, 'random', '1', 'advice', 'llm', 0, 1, 1 FROM given
    )
    INSERT INTO tip_outcomes (user_id, tip_id, decision_id, decided_at, reward_milli, reward_version)
    SELECT u, 'tip', id, at, r, v FROM given WHERE r IS NOT NULL`,
    [
      rows.map(({ userId }) => userId),
      rows.map(({ atMs }) => new Date(atMs)),
      rows.map(({ rewardMilli }) => rewardMilli ?? null),
      rows.map(({ rewardVersion }) => rewardVersion ?? rewards.version),
    ],
  );
}

const people = (arm: string, length: number, rewardMilli: (i: number) => number): Row[] =>
  Array.from({ length }, (_, i) => ({
    ...{ userId: `${arm}-${i}`, arm, decisions: 1 + (i % 3), rewards: 1, rewardMilli: rewardMilli(i) },
  }));

describe('a report', () => {
  it('counts what people were shown and did, in the arm they were drawn into', async () => {
    const candidates = ['a', 'b'].map((id) => ({ id, kind: TipKind.ADVICE, source: TipSource.LLM }));
    const arms = new Map<string, string>();
    for (let i = 0; i < 24; i++) {
      const userId = newId(Date.now());
      const { tipId, decisionId, experiments } = await loop.client.score({ userId, candidates });
      arms.set(userId, experiments[0]?.arm ?? '');
      const reaction = Reaction.DISMISS;
      if (i % 2)
        await loop.publisher.publish({
          userId,
          payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction } },
        });
    }
    await loop.drained();
    while ((await createRewardStore(loop.database).rewardTips()) > 0);
    const report = await admin.getExperimentReport({ experiment: 'e' });
    const inArm = (key: string) => [...arms.values()].filter((arm) => arm === key).length;
    expect(report).toMatchObject({ experiment: 'e', version: '2', control: 'control', peopleInSeveralArms: 0n });
    expect(report.arms.map(({ arm, people: found, decisions }) => [arm, Number(found), Number(decisions)])).toEqual(
      ['control', 'other'].map((arm) => [arm, inArm(arm), inArm(arm)]),
    );
    const total = (of: 'rewards' | 'rewardMilli') => report.arms.reduce((sum, arm) => sum + Number(arm[of]), 0);
    expect([total('rewards'), total('rewardMilli')]).toEqual([12, -12_000]);
  });

  it('says how arms differ, with intervals, in both measures', async () => {
    const [control, other] = [
      people('control', 300, (i) => (i % 5) * 100),
      people('other', 310, (i) => 300 + (i % 7) * 100),
    ];
    await count([...control, ...other]);
    const { arms, metrics, sampleRatio } = await admin.getExperimentReport({ experiment: 'e' });
    expect(arms).toMatchObject([
      { arm: 'control', share: 0.5, people: 300n, rewards: 300n },
      { arm: 'other', share: 0.5, people: 310n },
    ]);
    expect(sampleRatio).toMatchObject({ alarm: false });
    expect(metrics.map(({ metric }) => metric)).toEqual(['reward_per_decision', 'reward_per_user']);
    for (const { comparisons, means } of metrics) {
      const [{ absolute, relative, direction } = {}] = comparisons;
      expect(direction).toBe(Direction.BETTER);
      expect(absolute?.value).toBeCloseTo((means[1]?.mean ?? 0) - (means[0]?.mean ?? 0), 9);
      expect(absolute?.fixed?.lower).toBeGreaterThan(absolute?.alwaysValid?.lower ?? 0);
      expect(absolute?.alwaysValid?.lower).toBeGreaterThan(0);
      expect(relative?.value).toBeGreaterThan(1);
      expect(means[0]?.interval?.lower).toBeLessThan(means[0]?.mean ?? 0);
    }
    const reversed = await admin.getExperimentReport({ experiment: 'e', control: 'other' });
    expect(reversed.metrics[0]?.comparisons).toMatchObject([{ arm: 'control', direction: Direction.WORSE }]);
  });

  it('is made of what the pure fold over the people makes, to the last bit', async () => {
    const anyRows = fc.uniqueArray(
      fc.record({
        userId: fc.nat(400).map(String),
        arm: fc.constantFrom('control', 'other'),
        decisions: fc.integer({ min: 1, max: 2 ** 40 }),
        rewardMilli: fc.integer({ min: -(2 ** 45), max: 2 ** 45 }),
        past: fc.array(fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined }), { maxLength: 4 }),
      }),
      { selector: ({ userId }) => userId, minLength: 2, maxLength: 60, size: 'max' },
    );
    let adjusted = 0;
    await fc.assert(
      fc.asyncProperty(anyRows, async (rows) => {
        await loop.database.query('TRUNCATE experiment_stats, tip_scores, tip_outcomes');
        await count(rows);
        await decidedBefore(
          rows.flatMap(({ userId, past }) =>
            past.map((rewardMilli) => ({ userId, rewardMilli, atMs: beganMs - dayMs })),
          ),
        );
        const { metrics } = await readReport(loop.database, { experiment: 'e' });
        for (const metric of [rewardPerDecision, rewardPerUser]) {
          const users = rows.map(({ arm, past, ...counts }) => ({
            arm,
            counts: addCounts({ ...noCounts, ...counts }, pastOf(past)),
          }));
          const moments = momentsByArm(users, metric);
          const analysis = metrics.find((each) => each.metric === metric)?.analysis;
          if (moments.size < 2) continue;
          const expected = analyse(new Map([...moments].toSorted()), 'control');
          expect(analysis).toEqual(expected);
          adjusted += expected.comparisons.filter((each) => each.adjusted).length;
        }
      }),
      { numRuns: 60 },
    );
    expect(adjusted).toBeGreaterThan(10);
  });

  it('leaves out whoever is in two arms, and says how many they are', async () => {
    await count([...people('control', 5, () => 100), ...people('other', 5, () => 100)]);
    await count([{ userId: 'control-0', arm: 'other', decisions: 9, rewardMilli: 9 }]);
    await count([{ userId: 'control-1', arm: 'other', decisions: 9, rewardMilli: 9 }], '1'); // in another version: no harm
    const { arms, peopleInSeveralArms } = await admin.getExperimentReport({ experiment: 'e' });
    expect(peopleInSeveralArms).toBe(1n);
    expect(arms).toMatchObject([{ people: 4n }, { people: 5n, decisions: 9n }]);
  });

  it.each<[string, number, number, boolean]>([
    ['even', 500, 520, false],
    ['uneven', 500, 700, true],
    ['empty', 0, 0, false],
    ['one-sided', 0, 40, true],
  ])('tells by the shares of the arms whether they can be trusted: %s', async (_, control, other, alarm) => {
    await count([...people('control', control, (i) => i), ...people('other', other, (i) => i)]);
    const report = await admin.getExperimentReport({ experiment: 'e' });
    expect(report.sampleRatio?.alarm).toBe(alarm);
    expect(report.arms.map(({ people: found }) => Number(found))).toEqual([control, other]);
  });

  it('raises the alarm where people are in an arm that the definition does not have', async () => {
    await count([...people('control', 5, () => 1), ...people('other', 5, () => 1), ...people('ghost', 1, () => 1)]);
    const { sampleRatio, arms } = await admin.getExperimentReport({ experiment: 'e' });
    expect(sampleRatio).toMatchObject({ alarm: true, pValue: 0, chiSquare: Number.POSITIVE_INFINITY });
    expect(arms[2]).toMatchObject({ arm: 'ghost', share: 0, people: 1n });
  });

  it('is also there of versions that have ended', async () => {
    await count(
      people('other', 3, () => 1),
      '1',
    );
    const report = await admin.getExperimentReport({ experiment: 'e', version: '1' });
    expect(report).toMatchObject({ version: '1', arms: [{ people: 0n }, { people: 3n }] });
    expect(report.metrics[0]?.comparisons).toMatchObject([{ arm: 'other', direction: Direction.UNCLEAR }]);
    expect(report.metrics[0]?.comparisons[0]?.absolute).toBeUndefined();
    expect(report.metrics[0]?.means[0]?.mean).toBeUndefined();
  });

  it.each([
    [{ experiment: 'none' }, Code.NotFound, 'EXPERIMENT_NOT_FOUND', 'experiment'],
    [{ experiment: 'e', version: '3' }, Code.NotFound, 'EXPERIMENT_NOT_FOUND', 'version'],
    [{ experiment: 'e', control: 'ghost' }, Code.InvalidArgument, 'INVALID_FIELDS', 'control'],
    [{ experiment: '' }, Code.InvalidArgument, 'INVALID_FIELDS', 'experiment'],
    [{ experiment: 'a\0b' }, Code.InvalidArgument, 'INVALID_FIELDS', 'experiment'],
    [{ experiment: 'e', version: 'x'.repeat(65) }, Code.InvalidArgument, 'INVALID_FIELDS', 'version'],
  ])('of %j is refused', async (request, code, reason, field) => {
    const call = admin.getExperimentReport(request);
    const error = await call.then(() => new ConnectError('answered'), ConnectError.from);
    expect(error.code).toBe(code);
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe(reason);
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([{ field }]);
  });
});

/** What somebody's earlier decisions add up to. */
const pastOf = (past: readonly (number | undefined)[]): Partial<UserCounts> => ({
  decisionsBefore: past.length,
  rewardMilliBefore: past.reduce((sum: number, rewardMilli = 0) => sum + rewardMilli, 0),
});

describe('what people did before', () => {
  /** Of whoever was in no arm of `past`, 0. */
  const sumsOf = async (version?: string) => {
    const { arms, before } = await readReport(loop.database, { experiment: 'e', version });
    return { before, arms: arms.map(({ arm, sums: { p, m } }) => [arm, Number(p), Number(m)]) };
  };

  it('counts in the 28 days before the experiment began, the first instant included, the last one not', async () => {
    await count([...people('control', 2, () => 1), ...people('other', 2, () => 1)]);
    const fromMs = beganMs - 28 * dayMs;
    await decidedBefore([
      { userId: 'control-0', atMs: fromMs - 1, rewardMilli: 1 },
      { userId: 'control-0', atMs: fromMs, rewardMilli: 10 },
      { userId: 'control-0', atMs: beganMs - 1, rewardMilli: 100 },
      { userId: 'control-0', atMs: beganMs, rewardMilli: 1000 },
      { userId: 'other-1', atMs: beganMs - dayMs, rewardMilli: -500 },
      { userId: 'other-1', atMs: beganMs - dayMs }, // nobody reacted: a decision all the same
      { userId: 'other-1', atMs: beganMs - dayMs, rewardMilli: 7, rewardVersion: '1' }, // in another currency
      { userId: 'somebody', atMs: beganMs - dayMs, rewardMilli: 300 },
    ]);
    expect(await sumsOf()).toEqual({
      before: { fromMs, toMs: beganMs },
      arms: [
        ['control', 110, 2],
        ['other', -500, 3],
      ],
    });
  });

  it('counts by the instant of the decision, also where the reaction came once the experiment ran', async () => {
    const userId = newId(Date.now());
    await count([{ userId, arm: 'other', decisions: 1, rewardMilli: 0 }]);
    const last = decided(userId, beganMs - 1, decisionBy(random, { vectors: [vectorNames.map(() => 0)] }));
    const first = decided(userId, beganMs, decisionBy(random, { vectors: [vectorNames.map(() => 0)] }));
    const reactions = [last, first].map(({ eventId: decisionId }) =>
      create(EnvelopeSchema, {
        ...{ eventId: newId(Date.now()), userId, schemaVersion: 'v1', producer: 'test' },
        occurredAt: toTimestamp(beganMs + 60_000),
        payload: { case: 'tipFeedback', value: { tipId: 'tip-0', decisionId, reaction: Reaction.HELPFUL } },
      }),
    );
    await storePatiently(createEventStore(loop.database), [last, first, ...reactions]);
    while ((await createRewardStore(loop.database).rewardTips()) > 0);
    const { arms } = await sumsOf();
    expect(arms).toEqual([
      ['control', 0, 0],
      ['other', 500, 1],
    ]);
  });

  it('leaves out who is in several arms, before as well', async () => {
    await count([...people('control', 2, () => 1), ...people('other', 1, () => 1)]);
    await count([{ userId: 'control-0', arm: 'other', decisions: 1, rewardMilli: 1 }]);
    await decidedBefore(['control-0', 'control-1'].map((userId) => ({ userId, atMs: beganMs - 1, rewardMilli: 9 })));
    expect((await sumsOf()).arms).toEqual([
      ['control', 9, 1],
      ['other', 0, 0],
    ]);
  });

  it('is what was before the first version that drew the same people, and before the start that is set', async () => {
    const set = (id: number, atMs: number, ...experiments: readonly object[]) =>
      loop.database.query(
        `INSERT INTO experiment_sets (id, previous_id, version, definitions, actor, caller, reason, created_at)
        VALUES ($1::int8, $1 - 1, '', $2, '', '', '', $3)`,
        [1000 + id, JSON.stringify({ experiments }), new Date(atMs)],
      );
    const start = '2026-05-01T00:00:00+02:00';
    const [f, g] = ['f', 'g'].map((key) => ({ ...experiment, key, version: '1' }));
    try {
      await set(1, beganMs, { ...f, status: 'draft' });
      await set(2, beganMs + dayMs, f ?? {}, { ...g, start });
      await set(3, beganMs + 2 * dayMs, { ...f, version: '2', start }, { ...f, key: 'h', status: 'stopped' });
      const began = async (key: string, version: string) =>
        (await readReport(loop.database, { experiment: key, version })).before?.toMs;
      expect(await began('f', '1')).toBe(beganMs + dayMs);
      expect(await began('f', '2')).toBe(beganMs + dayMs);
      expect(await began('g', '1')).toBeUndefined(); // replaced before its start
      expect(await began('h', '1')).toBeUndefined();
      await set(4, beganMs + 3 * dayMs, { ...g, start });
      expect(await began('g', '1')).toBe(Date.parse(start));
    } finally {
      await loop.database.query('DELETE FROM experiment_sets WHERE id > 1000');
    }
  });

  /** Each has a level of their own, before as now; `effect` comes on top in the other arm. One in five is new. */
  function crowd(arm: string, length: number, effect: number, seed: bigint) {
    let counter = 0;
    const next = () => uniform(seed, counter++);
    const reward = (level: number) => Math.round(700 * (level - 0.5) + 200 * (next() - 0.5));
    return Array.from({ length }, (_, i) => {
      const level = next();
      const rewards = (isThere: boolean) =>
        Array.from({ length: isThere ? 1 + Math.floor(8 * next() ** 2) : 0 }, () => reward(level));
      const during = rewards(true).map((one) => one + effect);
      const rewardMilli = during.reduce((sum, one) => sum + one, 0);
      return { userId: `${arm}-${i}`, arm, decisions: during.length, rewardMilli, past: rewards(next() > 0.2) };
    });
  }
  type Crowd = ReturnType<typeof crowd>;

  const put = async (everybody: Crowd) => {
    await count(everybody);
    await decidedBefore(
      everybody.flatMap(({ userId, past }) =>
        past.map((rewardMilli, i) => ({ userId, rewardMilli, atMs: beganMs - (1 + i) * dayMs })),
      ),
    );
  };

  /** From each person's residuals, and not from sums: what the adjusted difference is, its error, and the error without. */
  function byHand(control: Crowd, other: Crowd, { of }: Metric) {
    const arms = [control, other].map((arm) => {
      const each = arm.map(({ past, ...counts }) => of(addCounts({ ...noCounts, ...counts }, pastOf(past))));
      const add = (pick: (one: (typeof each)[number]) => number) => each.reduce((sum, one) => sum + pick(one), 0);
      const [n, m] = [add(({ count: one }) => one), add(({ countBefore }) => countBefore)];
      const [mean, before] = [add(({ total }) => total) / n, add(({ totalBefore }) => totalBefore) / m];
      const residuals = each.map((one) => ({
        now: (one.total - one.count * mean) / n,
        earlier: (one.totalBefore - one.countBefore * before) / m,
      }));
      return { mean, before, residuals, scale: each.length / (each.length - 1) };
    });
    const total = (pick: (one: { now: number; earlier: number }) => number) =>
      arms.reduce((sum, { residuals, scale }) => sum + scale * residuals.reduce((all, one) => all + pick(one), 0), 0);
    const theta = total(({ now, earlier }) => now * earlier) / total(({ earlier }) => earlier ** 2);
    const [base = { mean: 0, before: 0 }, treated = base] = arms;
    return {
      value: treated.mean - base.mean - theta * (treated.before - base.before),
      standardError: Math.sqrt(total(({ now, earlier }) => (now - theta * earlier) ** 2)),
      unadjusted: Math.sqrt(total(({ now }) => now ** 2)),
    };
  }

  it('is taken off the difference, as one would by hand, and a part of the doubt with it', async () => {
    const effect = 84;
    const [control, other] = [crowd('control', 260, 0, 1n), crowd('other', 240, effect, 2n)];
    await put([...control, ...other]);
    const { metrics } = await admin.getExperimentReport({ experiment: 'e' });
    for (const metric of [rewardPerDecision, rewardPerUser]) {
      const [found] = metrics.find((each) => each.metric === metric.name)?.comparisons ?? [];
      const expected = byHand(control, other, metric);
      const [{ value, standardError, fixed, alwaysValid } = {}, absolute] = [found?.adjusted, found?.absolute];
      expect(value).toBeCloseTo(expected.value, 9);
      expect(standardError).toBeCloseTo(expected.standardError, 9);
      expect(absolute?.standardError).toBeCloseTo(expected.unadjusted, 9);
      expect(found?.varianceCut).toBeCloseTo(1 - (expected.standardError / expected.unadjusted) ** 2, 9);
      expect(found?.varianceCut).toBeGreaterThan(0.25);
      for (const interval of [fixed, alwaysValid])
        expect(((interval?.lower ?? 0) + (interval?.upper ?? 0)) / 2).toBeCloseTo(expected.value, 9);
    }
    const [perDecision] = metrics[0]?.comparisons ?? [];
    expect(perDecision?.adjusted?.fixed?.lower).toBeLessThan(effect);
    expect(perDecision?.adjusted?.fixed?.upper).toBeGreaterThan(effect);
    // what the whole difference cannot tell yet, the adjusted one does
    expect(perDecision?.absolute?.alwaysValid?.lower).toBeLessThan(0);
    expect(perDecision?.adjusted?.alwaysValid?.lower).toBeGreaterThan(0);
    expect(perDecision?.direction).toBe(Direction.BETTER);
  });

  it('is not there where nobody did anything before', async () => {
    await count([...people('control', 300, (i) => i % 5), ...people('other', 300, (i) => 300 + (i % 7))]);
    const { metrics } = await admin.getExperimentReport({ experiment: 'e' });
    for (const { comparisons } of metrics) {
      expect(comparisons[0]?.adjusted).toBeUndefined();
      expect(comparisons[0]?.varianceCut).toBeUndefined();
      expect(comparisons[0]?.direction).toBe(Direction.BETTER);
    }
  });

  it('is printed, in one line for each arm', async () => {
    await put([...crowd('control', 130, 0, 1n), ...crowd('other', 120, 60, 2n)]);
    const env = { ...process.env, DATABASE_URL: loop.databaseUrl, NO_COLOR: '1' };
    const command = startNode('scripts/experiment.ts', env, ['e']);
    await command.ended;
    const lines = command.output().match(/^ +other adjusted: .*$/gm);
    const number = String.raw`-?\d+\.\d`;
    const range = `${number} to ${number}`;
    expect(lines).toHaveLength(2);
    for (const line of lines ?? [])
      expect(line).toMatch(
        new RegExp(
          `^ +other adjusted: ${number}, ${range} for one look, ${range} for any number of looks; ${number} % of the variance is gone$`,
        ),
      );
    expect(command.output()).toContain('in the 28 days before 2026-03-01');
  });
});

describe('npm run experiment', () => {
  const run = async (...args: readonly string[]) => {
    const env = { ...process.env, DATABASE_URL: loop.databaseUrl, NO_COLOR: '1' };
    const command = startNode('scripts/experiment.ts', env, args);
    return { code: await command.ended, output: command.output() };
  };

  it('prints the report', async () => {
    await count([...people('control', 300, (i) => i % 5), ...people('other', 300, (i) => 300 + (i % 7))]);
    const { code, output } = await run('e');
    expect(output).toMatch(/e version 2, running; compared with control/);
    expect(output).toMatch(/the arms got the people they should have/);
    expect(output).toMatch(/other .* better/);
    expect(code).toBe(0);
  });

  it('ends with 1 where the arms cannot be compared', async () => {
    await count(people('other', 300, (i) => i));
    const { code, output } = await run('e', '--control', 'other');
    expect(output).toMatch(/trust no comparison/);
    expect(code).toBe(1);
  });

  it.each([
    [[], /One experiment must be named\nUsage/],
    [['none'], /there is no experiment none/],
    [['e', '--control', 'ghost'], /control: is no arm; known: control, other/],
    [['e', '--odd'], /Usage/],
  ])('of %j says what is wrong and ends with 2', async (args, message) => {
    const { code, output } = await run(...args);
    expect(output).toMatch(message);
    expect(code).toBe(2);
  });
});
