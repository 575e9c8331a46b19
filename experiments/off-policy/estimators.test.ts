import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clippedIps,
  directMethod,
  doublyRobust,
  type Estimator,
  estimatorsFor,
  ips,
  optimisticDr,
  selfNormalisedDr,
  snips,
  subGaussianIps,
  switchDr,
} from './estimators.ts';
import { startEvaluation } from './evaluate.ts';
import type { Row } from './row.ts';

const number = fc.double({ min: -10, max: 10, noNaN: true });
const row: fc.Arbitrary<Row & { q: NonNullable<Row['q']> }> = fc.record({
  user: fc.constantFrom('a', 'b', 'c', 'd'),
  propensity: fc.double({ min: 0.01, max: 1, noNaN: true }),
  targetProbability: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
  reward: number,
  q: fc.record({ chosen: number, target: number }),
});
const rows = fc.array(row, { minLength: 1, maxLength: 40 });
const infinite = Number.POSITIVE_INFINITY;

function estimate(estimator: Estimator, given: readonly Row[]): number {
  const evaluation = startEvaluation([estimator], { replicates: 1 });
  for (const { q, ...each } of given) evaluation.add(estimator.usesModel && q ? { ...each, q } : each);
  return evaluation.report().estimates[0]?.value ?? Number.NaN;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const weight = ({ targetProbability, propensity }: Row) => targetProbability / propensity;

describe('estimators', () => {
  it.each([
    // weights 2, 0.5, 0, 4; rewards 1, -2, 5, 3; q of the chosen 0.5, -1, 4, 2; of the target 1, 0, 2, 3
    [ips, (2 - 1 + 0 + 12) / 4],
    [snips, 13 / 6.5],
    [clippedIps(2), (2 - 1 + 0 + 6) / 4],
    [subGaussianIps(0.5), ((2 / 1.5) * 1 + (0.5 / 0.75) * -2 + (4 / 2.5) * 3) / 4],
    [directMethod, 1.5],
    [doublyRobust, 1.5 + (2 * 0.5 + 0.5 * -1 + 0 + 4 * 1) / 4],
    [selfNormalisedDr, 1.5 + 4.5 / 6.5],
    [switchDr(2), 1.5 + (2 * 0.5 + 0.5 * -1) / 4],
    [optimisticDr(4), 1.5 + ((8 / 8) * 0.5 + (2 / 4.25) * -1 + (16 / 20) * 1) / 4],
  ])('$name is its formula, worked out by hand', (estimator, expected) => {
    const log: Row[] = [
      { user: 'a', propensity: 0.25, targetProbability: 0.5, reward: 1, q: { chosen: 0.5, target: 1 } },
      { user: 'a', propensity: 0.5, targetProbability: 0.25, reward: -2, q: { chosen: -1, target: 0 } },
      { user: 'b', propensity: 0.5, targetProbability: 0, reward: 5, q: { chosen: 4, target: 2 } },
      { user: 'c', propensity: 0.125, targetProbability: 0.5, reward: 3, q: { chosen: 2, target: 3 } },
    ];
    expect(estimate(estimator, log)).toBeCloseTo(expected, 14);
  });

  it.each([ips, snips])('$name is the mean reward where both policies are the same', (estimator) => {
    fc.assert(
      fc.property(rows, (given) => {
        const same = given.map((each) => ({ ...each, targetProbability: each.propensity }));
        expect(estimate(estimator, same)).toBeCloseTo(mean(given.map(({ reward }) => reward)), 12);
      }),
    );
  });

  it.each([
    ['switch-DR at tau 0', switchDr(0), directMethod],
    ['switch-DR at tau infinite', switchDr(infinite), doublyRobust],
    ['DRos at lambda 0', optimisticDr(0), directMethod],
    ['DRos at lambda infinite', optimisticDr(infinite), doublyRobust],
    ['sub-Gaussian IPS at lambda 0', subGaussianIps(0), ips],
    ['clipped IPS without a limit', clippedIps(infinite), ips],
  ])('%s is its neighbour, bit for bit', (_, estimator, neighbour) => {
    fc.assert(
      fc.property(rows, (given) => {
        expect(estimate(estimator, given)).toBe(estimate(neighbour, given));
      }),
    );
  });

  it('DRos nears DR as lambda grows, and DM as it falls', () => {
    fc.assert(
      fc.property(rows, (given) => {
        const distance = (lambda: number, to: Estimator) =>
          Math.abs(estimate(optimisticDr(lambda), given) - estimate(to, given));
        expect(distance(1e12, doublyRobust)).toBeLessThan(1e-4);
        expect(distance(1e-12, directMethod)).toBeLessThan(1e-4);
      }),
    );
  });

  it('SNIPS stays within the rewards that were seen, and moves with all of them', () => {
    fc.assert(
      fc.property(rows, number, (given, shift) => {
        fc.pre(given.some((each) => weight(each) > 1e-9));
        const value = estimate(snips, given);
        const rewards = given.map(({ reward }) => reward);
        expect(value).toBeLessThanOrEqual(Math.max(...rewards) + 1e-12);
        expect(value).toBeGreaterThanOrEqual(Math.min(...rewards) - 1e-12);
        const shifted = given.map((each) => ({ ...each, reward: each.reward + shift }));
        expect(estimate(snips, shifted)).toBeCloseTo(value + shift, 10);
      }),
    );
  });

  it.each([doublyRobust, selfNormalisedDr, switchDr(1), optimisticDr(1)])(
    '$name corrects nothing where the model is right',
    (estimator) => {
      fc.assert(
        fc.property(rows, (given) => {
          const right = given.map((each) => ({ ...each, reward: each.q.chosen }));
          expect(estimate(estimator, right)).toBe(estimate(directMethod, right));
        }),
      );
    },
  );

  it.each([doublyRobust, selfNormalisedDr])('$name without a model is IPS or SNIPS', (estimator) => {
    fc.assert(
      fc.property(rows, (given) => {
        const blank = given.map((each) => ({ ...each, q: { chosen: 0, target: 0 } }));
        expect(estimate(estimator, blank)).toBe(estimate(estimator === doublyRobust ? ips : snips, blank));
      }),
    );
  });

  it.each(estimatorsFor(100, true))('$name of costs is minus that of the same as rewards', (estimator) => {
    fc.assert(
      fc.property(rows, (given) => {
        const costs = given.map(({ reward, q, ...each }) => ({
          ...each,
          reward: -reward,
          q: { chosen: -q.chosen, target: -q.target },
        }));
        expect(estimate(estimator, costs)).toBeCloseTo(-estimate(estimator, given), 10);
      }),
    );
  });

  it.each([clippedIps(100), subGaussianIps(0.01), switchDr(100), optimisticDr(10_000)])(
    '$name lets no row of 10,000 count for more than 100, and hardly changes small weights',
    ({ weigh }) => {
      for (const w of [0, 1e-9, 0.5, 1, 50, 99, 101, 1e4, 1e9]) {
        expect(weigh(w)).toBeGreaterThanOrEqual(0);
        expect(weigh(w)).toBeLessThanOrEqual(100);
        if (w <= 1) expect(Math.abs(weigh(w) - w)).toBeLessThanOrEqual(0.011 * w);
      }
    },
  );

  it('are by default those, with the root of the number of rows as their limit', () => {
    const byName = new Map(estimatorsFor(10_000, true).map((each) => [each.name, each.weigh]));
    for (const expected of [clippedIps(100), subGaussianIps(0.01), switchDr(100), optimisticDr(10_000)])
      for (const w of [0.5, 99, 101]) expect(byName.get(expected.name)?.(w)).toBe(expected.weigh(w));
  });

  it('are those without a model where there is none', () => {
    const names = (hasModel: boolean) => estimatorsFor(10, hasModel).map(({ name }) => name);
    expect(names(false)).toEqual(['IPS', 'SNIPS', 'clipped IPS', 'sub-Gaussian IPS']);
    expect(names(true)).toEqual([...names(false), 'DM', 'DR', 'SNDR', 'switch-DR', 'DRos']);
  });

  it('have a value for one row, whatever its weight', () => {
    const one: Row = { user: 'a', propensity: 0.5, targetProbability: 0, reward: 1, q: { chosen: 1, target: 2 } };
    expect(estimatorsFor(1, true).map((each) => estimate(each, [one]))).toEqual([0, 0, 0, 0, 2, 2, 2, 2, 2]);
  });
});
