import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epsilonGreedy, leastOf, withFloor } from './exploration.ts';

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('the floor', () => {
  it.each([
    [[0.5, 0.5, 0], 0.1, [0.45, 0.45, 0.1]],
    [[1, 0, 0, 0], 0.05, [0.85, 0.05, 0.05, 0.05]],
    [[0.2, 0.8], 0, [0.2, 0.8]],
    [[1], 0.3, [1]],
    [[1, 0, 0, 0], 0.25, [0.25, 0.25, 0.25, 0.25]],
    [[1, 0], 0.9, [0.5, 0.5]],
  ])('under weights %o of %d gives %o', (weights, floor, expected) => {
    for (const [i, value] of withFloor(weights, floor).entries())
      expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 14);
  });

  it('holds for everyone, keeps the sum and the ratios above it', () => {
    const counts = fc.array(fc.nat(1000), { minLength: 1, maxLength: 500 }).filter((all) => sum(all) > 0);
    fc.assert(
      fc.property(counts, fc.double({ min: 0, max: 1, noNaN: true }), (all, floor) => {
        const weights = all.map((count) => count / sum(all));
        const propensities = withFloor(weights, floor);
        const least = leastOf(floor, all.length);
        const rest = Math.max(0, 1 - all.length * floor);
        expect(Math.abs(sum(propensities) - 1)).toBeLessThanOrEqual(1e-12);
        for (const [i, value] of propensities.entries()) {
          expect(value).toBeGreaterThanOrEqual(least);
          expect(value).toBeLessThanOrEqual(1);
          expect(value - least).toBeCloseTo(rest * (weights[i] ?? 0), 12);
        }
      }),
    );
  });
});

describe('epsilon greedy', () => {
  it.each([
    [
      [1, 2, 3],
      [0.1 / 3, 0.1 / 3, 0.1 / 3 + 0.9],
    ],
    [[5], [1]],
    [
      [2, 2],
      [0.5, 0.5],
    ],
    [
      [-1, -1, -2],
      [0.1 / 3 + 0.45, 0.1 / 3 + 0.45, 0.1 / 3],
    ],
    [
      [Number.POSITIVE_INFINITY, 3, Number.POSITIVE_INFINITY],
      [0.1 / 3 + 0.45, 0.1 / 3, 0.1 / 3 + 0.45],
    ],
  ])('of %o gives %o', (values, expected) => {
    for (const [i, value] of epsilonGreedy(values, 0.1).entries()) {
      expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 12);
    }
  });
});
