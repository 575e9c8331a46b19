import { describe, expect, it } from 'vitest';
import { simulate, truth, world } from '../../tests/_util/bandit-logs.ts';
import { pick, uniform } from '../draw.ts';
import { evaluate } from './evaluate.ts';
import { type Decision, type Row, toRow } from './row.ts';

const people = 200;
const large = { ...world, people, rowsEach: 20 };
const sound: readonly Row[] = simulate(large, 1).map((decision) => toRow(decision));

const vetoes = (rows: readonly Row[]): string[] => {
  const { verdict } = evaluate(rows, { replicates: 2 });
  return verdict.kind === 'sufficient evidence' ? [] : verdict.vetoes.map(({ name }) => name);
};

/** As if the log's policy had said that its choices were more likely than they were, or less. */
const misstated = (factor: number) =>
  sound.map((row) => ({
    ...row,
    propensity: Math.min(1, row.propensity * factor),
    targetProbability: row.targetProbability,
  }));

/**
 * Two tips, of which the second is slightly worse, chosen by Thompson sampling for 20,000 decisions (with the logistic
 * approximation of the normal distribution as the logged propensity: exactly what is drawn from). Evaluated: the worse
 * one.
 */
function thompsonLog(): Decision[] {
  const tips = [
    { expected: 0.6, shown: 1, done: 0.5 },
    { expected: 0.4, shown: 1, done: 0.5 },
  ];
  return Array.from({ length: 20_000 }, (_, i) => {
    const [first, second] = tips.map(({ shown, done }) => {
      const mean = (done + 1) / (shown + 2);
      return { mean, variance: (mean * (1 - mean)) / (shown + 3) };
    });
    if (!first || !second) throw new Error('two tips');
    const z = (first.mean - second.mean) / Math.sqrt(first.variance + second.variance);
    const probability = 1 / (1 + Math.exp(-1.702 * z));
    const chosen = pick([probability, 1 - probability], uniform(4n, 2 * i));
    const tip = tips[chosen];
    if (!tip) throw new Error('one of two');
    const reward = uniform(4n, 2 * i + 1) < tip.expected ? 1 : 0;
    tip.shown++;
    tip.done += reward;
    const propensities = [probability, 1 - probability];
    return { user: `person-${i % people}`, chosen, propensities, targetProbabilities: [0, 1], reward };
  });
}

const thompson = thompsonLog().map((decision) => toRow(decision));

/** The situation in which the target wants the third tip never showed it, and says so in its probabilities. */
const withoutThird = simulate({ ...large, propensities: [[0.7, 0.3, 0], ...world.propensities.slice(1)] }, 2).map(
  (decision) => toRow(decision),
);

/** The policy that was logged, but for one decision. */
const oneHeavy = sound.map((row, i) => ({
  ...row,
  propensity: i === 77 ? 1 / 130 : row.propensity,
  targetProbability: i === 77 ? 1 : row.propensity,
}));

describe('a log', () => {
  it('that is sound has no veto, and says its numbers', () => {
    const { verdict, checks, spread } = evaluate(sound, { replicates: 2 });
    expect(verdict).toEqual({ kind: 'sufficient evidence' });
    expect(checks.map(({ passes }) => passes)).toEqual([true, true, true, true, true]);
    expect(spread).toMatchObject({ rows: 4000, people, unsupportedShare: 0 });
    expect(checks[0]?.says).toMatch(/^4000 decisions are worth \d+(\.\d)?, at least 400 are needed$/);
  });

  it.each<[string, readonly Row[], readonly string[]]>([
    ['of a few decisions', sound.slice(0, 200), ['effective sample size', 'effective people', 'heaviest decision']],
    [
      'of Thompson sampling that no longer shows what is asked about',
      thompson,
      ['effective sample size', 'effective people', 'heaviest decision', 'mean weight'],
    ],
    ['that never showed what is asked about', withoutThird, ['mean weight', 'missing support']],
    ['with propensities that are too high', misstated(1 / 0.6), ['mean weight']],
    ['with propensities that are too low', misstated(1 / 1.5), ['mean weight']],
    ['in which one decision is worth a hundred', oneHeavy, ['heaviest decision']],
    ['about a few people', sound.map((row, i) => ({ ...row, user: `person-${i % 20}` })), ['effective people']],
    [
      'about many people, nearly all of it about one',
      sound.map((row, i) => ({ ...row, user: i % 5 === 0 ? row.user : 'anna' })),
      ['effective people'],
    ],
    [
      'with full weight, but a policy that wants what was hardly ever shown',
      sound.map((row) => ({ ...row, targetProbability: row.propensity, unsupported: 0.02 })),
      ['missing support'],
    ],
    [
      'whose policy is followed in one decision of fifty',
      sound.map((row, i) => ({ ...row, propensity: 0.02, targetProbability: i % 50 === 0 ? 1 : 0 })),
      ['effective sample size'],
    ],
    [
      'that never did what the policy would do',
      sound.map((row) => ({ ...row, targetProbability: 0 })),
      ['effective sample size', 'effective people', 'heaviest decision', 'mean weight'],
    ],
  ])('%s is vetoed', (_, rows, expected) => {
    expect(vetoes(rows)).toEqual(expected);
  });

  it('of Thompson sampling looks plausible all the same', () => {
    const { estimates, spread } = evaluate(thompson, { replicates: 2 });
    for (const name of ['IPS', 'SNIPS']) {
      const value = estimates.find((each) => each.name === name)?.value ?? Number.NaN;
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThan(1);
    }
    expect(spread.effectiveRows).toBeLessThan(100);
  });

  it('without support is off by more than its interval, as the veto says', () => {
    const { target } = truth(large);
    const ips = evaluate(withoutThird, { replicates: 2 }).estimates[0];
    expect(ips?.name).toBe('IPS');
    expect(ips?.normal.high).toBeLessThan(target);
  });

  it('with the chosen probabilities alone has its support estimated from them', () => {
    // one decision in 20,000 on average is one of the rare ones, and the target wants them every fifth time
    const rare = Array.from({ length: 2000 }, (_, i): Row => {
      const isRare = i === 0;
      return {
        user: `u${i % 100}`,
        propensity: isRare ? 5e-5 : 0.5,
        targetProbability: isRare ? 0.02 : 0.4,
        reward: 1,
      };
    });
    expect(evaluate(rare, { replicates: 2 }).spread.unsupportedShare).toBeCloseTo(0.02 / 5e-5 / 2000, 12);
    expect(vetoes(rare)).toContain('missing support');
  });
});

describe('limits', () => {
  const judge = (rows: readonly Row[], limits: Parameters<typeof evaluate>[1]) =>
    evaluate(rows, { replicates: 2, ...limits })
      .checks.filter(({ passes }) => !passes)
      .map(({ name }) => name);
  const same = sound.map((row) => ({ ...row, targetProbability: row.propensity }));
  const most = {
    effectiveRowsMin: 4000,
    effectivePeopleMin: people,
    maxWeightShareMax: 1 / 4000,
    meanWeightMin: 1,
    meanWeightMax: 1,
    unsupportedShareMax: 0,
  };

  it('are reached by what equals them', () => {
    expect(judge(same, { limits: most })).toEqual([]);
  });

  it.each([
    [{ effectiveRowsMin: 4000.001 }, 'effective sample size'],
    [{ effectivePeopleMin: people + 0.001 }, 'effective people'],
    [{ maxWeightShareMax: 1 / 4001 }, 'heaviest decision'],
    [{ meanWeightMin: 1.001 }, 'mean weight'],
    [{ meanWeightMax: 0.999 }, 'mean weight'],
    [{ unsupportedShareMax: -0.001 }, 'missing support'],
  ])('%o alone vetoes', (limit, name) => {
    expect(judge(same, { limits: { ...most, ...limit } })).toEqual([name]);
  });

  it('that are missed are said with the number, the limit and what it means', () => {
    const { checks } = evaluate(misstated(1 / 0.6), { replicates: 2 });
    expect(checks.find(({ name }) => name === 'mean weight')?.says).toMatch(
      /^0\.\d{3}, must be from 0.9 to 1.1 and near 1: propensities are wrong, or candidates that the policy wants were never shown$/,
    );
  });
});
