import { describe, expect, it } from 'vitest';
import { seedOf, uniform } from '../experiments/draw.ts';
import { evaluate } from '../experiments/off-policy/evaluate.ts';
import { startRewardModel } from '../experiments/off-policy/reward-model.ts';
import { toRow } from '../experiments/off-policy/row.ts';
import { noShadow } from '../experiments/shadow.ts';
import type { RewardedScore } from '../experiments/shadow-rewards-store.ts';
import { vectorNames } from '../features/vector.ts';
import { doubtsOf, evaluateShadow } from './shadow-report.ts';

const drawn = (i: number, j: number) => uniform(seedOf(`row ${i}`), j);

/** Decisions between three candidates, what a shadow makes of them, and rewards that follow from the vectors in part. */
const decisions = Array.from({ length: 300 }, (_, i) => {
  const vectors = [0, 1, 2].map((k) => vectorNames.map((_, j) => Math.floor(drawn(i, 20 * k + j) * 8192) - 4096));
  const shadow = [0, 1, 2].map((k) => 0.1 + drawn(i, 70 + k));
  const sum = shadow.reduce((a, b) => a + b);
  const chosen = Math.floor(drawn(i, 80) * 3);
  const rewardMilli = Math.round((vectors[chosen]?.[2] ?? 0) / 8 + (drawn(i, 81) - 0.5) * 200);
  return {
    user: `user ${i % 60}`,
    chosen,
    propensities: [1 / 3, 1 / 3, 1 / 3],
    targetProbabilities: shadow.map((value) => value / sum),
    reward: rewardMilli / 1000,
    rewardMilli,
    vectors,
  };
});

const scores = decisions.map(
  ({ user, chosen, targetProbabilities, rewardMilli, vectors }): RewardedScore => ({
    userId: user,
    propensity: 1 / 3,
    shadowPropensity: targetProbabilities[chosen] ?? 0,
    unsupported: 0,
    rewardMilli,
    vectors: {
      chosen: vectors[chosen] ?? [],
      expected: vectorNames.map((_, j) =>
        vectors.reduce((sum, vector, k) => sum + (targetProbabilities[k] ?? 0) * (vector[j] ?? 0), 0),
      ),
    },
  }),
);

const read = (some: readonly RewardedScore[]) =>
  async function* () {
    yield* some;
  };

describe('the evaluation of a shadow', () => {
  it('is that of the whole decisions, out of the mean of their vectors alone', async () => {
    const model = startRewardModel(vectorNames.length);
    for (const { user, chosen, vectors, reward } of decisions) model.add(user, vectors[chosen] ?? [], reward);
    const fitted = model.fit();
    const rows = decisions.map((decision) =>
      toRow(
        decision,
        decision.vectors.map((vector) => fitted.predict(decision.user, vector)),
      ),
    );
    const expected = evaluate(rows, { replicates: 50 });
    const { evaluation, rewarded } = await evaluateShadow(read(scores), { replicates: 50 });
    expect(rewarded).toBe(300);
    expect(evaluation?.estimates.map(({ name }) => name)).toEqual(['DR', 'SNIPS', 'IPS']);
    for (const { name, value, standardError, bootstrap } of evaluation?.estimates ?? []) {
      const other = expected.estimates.find((each) => each.name === name);
      expect(value, name).toBeCloseTo(other?.value ?? Number.NaN, 9);
      expect(standardError, name).toBeCloseTo(other?.standardError ?? Number.NaN, 9);
      expect(bootstrap.low, name).toBeCloseTo(other?.bootstrap.low ?? Number.NaN, 9);
    }
    expect(evaluation?.logged.value).toBeCloseTo(expected.logged.value, 12);
    expect(evaluation?.spread.unsupportedShare).toBe(0);
  });

  it('goes without a model where vectors are of another encoding', async () => {
    const bare = scores.map((score) => ({ ...score, vectors: undefined }));
    const { evaluation } = await evaluateShadow(read(bare), { replicates: 10 });
    const [dr, , ips] = evaluation?.estimates ?? [];
    expect(dr?.value).toBe(ips?.value);
  });

  it('is none without rewards, and none of what makes no sense', async () => {
    expect(await evaluateShadow(read([]))).toEqual({ rewarded: 0, evaluation: undefined });
    const wrong = scores.map((score) => ({ ...score, propensity: 0 }));
    expect(await evaluateShadow(read(wrong))).toEqual({ rewarded: 300, evaluation: undefined });
  });
});

describe('doubts', () => {
  it('are said in sentences, and none where there are none', async () => {
    const { evaluation } = await evaluateShadow(read(scores), { replicates: 10 });
    const known = (counters: object, days: number, behind = 0) => ({
      counters: { ...noShadow, ...counters },
      days,
      behind,
    });
    const without = evaluation && { ...evaluation, verdict: { kind: 'sufficient evidence' } as const };
    expect(doubtsOf(known({ decisions: 300 }, 7), 300, without)).toEqual([]);
    expect(doubtsOf(known({}, 0), 0, undefined)).toEqual(['It was compared with no decision yet.']);
    expect(
      doubtsOf(known({ decisions: 9, errors: 1, skippedStatistics: 1_234, skippedVectors: 2 }, 1, 5), 0, undefined),
    ).toEqual([
      'It failed on 1 decision of 10; nothing is known of what it would have earned there.',
      expect.stringMatching(/^1,234 decisions came without what policies had learnt by then .* were left out\.$/),
      '2 decisions with vectors of another encoding were left out.',
      '5 decisions wait to be scored.',
      'There are decisions of 1 day only: no week is whole.',
      'No outcome is known yet: what it would have earned cannot be said.',
    ]);
    expect(doubtsOf(known({ decisions: 300 }, 7), 300, evaluation)).toEqual([
      expect.stringMatching(/^Too little evidence, by the effective sample size: 300 decisions are worth .*\.$/),
    ]);
  });
});
