// What an operator is told of an experiment, from the decisions and reactions to the printed page.

import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { momentsByArm, noCounts, rewardPerDecision, rewardPerUser } from '../experiments/analysis/counters.ts';
import { analyse } from '../experiments/analysis/difference.ts';
import { readReport } from '../experiments/report-store.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { BadRequestSchema, ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { AdminService, Direction } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { putExperiments } from './_util/put-experiments.ts';

const adminOf = (baseUrl: string) =>
  createClient(AdminService, createGrpcTransport({ baseUrl, defaultTimeoutMs: 10_000 }));

let loop: Loop;
let admin: ReturnType<typeof adminOf>;
beforeAll(async () => {
  loop = await startLoop();
  admin = adminOf(loop.baseUrl);
  await putExperiments(loop, { experiments: [{ ...experiment, version: '1', status: 'stopped' }] });
  await putExperiments(loop, { experiments: [experiment] });
});
afterAll(() => loop[Symbol.asyncDispose]());
beforeEach(() => loop.database.query('TRUNCATE experiment_stats'));

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
      }),
      { selector: ({ userId }) => userId, minLength: 2, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(anyRows, async (rows) => {
        await loop.database.query('TRUNCATE experiment_stats');
        await count(rows);
        const { metrics } = await readReport(loop.database, { experiment: 'e' });
        for (const metric of [rewardPerDecision, rewardPerUser]) {
          const users = rows.map(({ arm, ...counts }) => ({ arm, counts: { ...noCounts, ...counts } }));
          const moments = momentsByArm(users, metric);
          const analysis = metrics.find((each) => each.metric === metric)?.analysis;
          if (moments.size < 2) continue;
          const expected = analyse(new Map([...moments].toSorted()), 'control');
          const seen = (found = expected) => ({
            arms: found.arms,
            comparisons: found.comparisons.map(({ adjusted: _, ...rest }) => rest), // by what was before: never known here
          });
          expect(seen(analysis)).toEqual(seen(expected));
        }
      }),
      { numRuns: 60 },
    );
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
