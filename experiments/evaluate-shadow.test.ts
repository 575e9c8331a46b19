import { describe, expect, it } from 'vitest';
import { vectorNames } from '../features/vector.ts';
import { seedOf, uniform } from './draw.ts';
import { evaluateShadow } from './evaluate-shadow.ts';
import { doublyRobust, ips, snips } from './off-policy/estimators.ts';
import { evaluate } from './off-policy/evaluate.ts';
import { startRewardModel } from './off-policy/reward-model.ts';
import { toRow } from './off-policy/row.ts';
import type { RewardedScore } from './shadow-rewards-store.ts';

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
    const estimators = [doublyRobust, snips, ips];
    const { whole, rewarded } = await evaluateShadow(read(scores), { estimators, replicates: 50 });
    expect(rewarded).toBe(300);
    expect(whole?.estimates.map(({ name }) => name)).toEqual(['DR', 'SNIPS', 'IPS']);
    for (const { name, value, standardError, bootstrap } of whole?.estimates ?? []) {
      const other = expected.estimates.find((each) => each.name === name);
      expect(value, name).toBeCloseTo(other?.value ?? Number.NaN, 9);
      expect(standardError, name).toBeCloseTo(other?.standardError ?? Number.NaN, 9);
      expect(bootstrap.low, name).toBeCloseTo(other?.bootstrap.low ?? Number.NaN, 9);
    }
    expect(whole?.logged.value).toBeCloseTo(expected.logged.value, 12);
    expect(whole?.spread.unsupportedShare).toBe(0);
  });

  it('goes without a model where vectors are of another encoding', async () => {
    const bare = scores.map((score) => ({ ...score, vectors: undefined }));
    const { whole } = await evaluateShadow(read(bare), { estimators: [doublyRobust, ips], replicates: 10 });
    const [withModel, without] = whole?.estimates ?? [];
    expect(withModel?.value).toBe(without?.value);
  });

  it('is none without rewards, and none of what makes no sense', async () => {
    expect(await evaluateShadow(read([]))).toEqual({ rewarded: 0, whole: undefined, parts: new Map() });
    const wrong = scores.map((score) => ({ ...score, propensity: 0 }));
    expect(await evaluateShadow(read(wrong))).toEqual({ rewarded: 300, whole: undefined, parts: new Map() });
  });

  it('of a part is that of its rows alone, with the model of the whole', async () => {
    const model = startRewardModel(vectorNames.length);
    for (const { user, chosen, vectors, reward } of decisions) model.add(user, vectors[chosen] ?? [], reward);
    const fitted = model.fit();
    const partsOf = (user: string) => (user === 'user 7' ? [] : [user < 'user 3' ? 'early' : 'late', 'most']);
    const { parts, whole } = await evaluateShadow(read(scores), { partsOf, replicates: 0 });
    expect([...parts.keys()].toSorted()).toEqual(['early', 'late', 'most']);
    expect(whole?.spread.rows).toBe(300);
    for (const [name, report] of parts) {
      const rows = decisions
        .filter(({ user }) => partsOf(user).includes(name))
        .map((decision) =>
          toRow(
            decision,
            decision.vectors.map((vector) => fitted.predict(decision.user, vector)),
          ),
        );
      const expected = evaluate(rows, { replicates: 0 });
      const dr = expected.estimates.find((each) => each.name === 'DR');
      expect(report.spread.rows, name).toBe(rows.length);
      expect(report.spread.people, name).toBe(new Set(rows.map(({ user }) => user)).size);
      expect(report.estimates[0]?.gain.value, name).toBeCloseTo(dr?.gain.value ?? Number.NaN, 9);
      expect(report.estimates[0]?.gain.standardError, name).toBeCloseTo(dr?.gain.standardError ?? Number.NaN, 9);
    }
  });

  it('of parts is none where a single row makes no sense', async () => {
    const wrong = scores.map((score, i) => ({ ...score, propensity: i === 150 ? 0 : score.propensity }));
    const partsOf = (user: string) => [user];
    expect(await evaluateShadow(read(wrong), { partsOf })).toEqual({
      rewarded: 300,
      whole: undefined,
      parts: new Map(),
    });
  });
});
