import { describe, expect, it } from 'vitest';
import { pick, uniform } from '../draw.ts';
import { alarmBelow, type Epoch, sampleRatio } from './sample-ratio.ts';

const epoch = (weights: readonly number[], observed: readonly number[]): Epoch => ({
  arms: weights.map((weight, i) => ({ weight, observed: observed[i] ?? 0 })),
});

/** People who are assigned as the weights say. */
function assigned(weights: readonly number[], size: number, seed: number): number[] {
  const counts = weights.map(() => 0);
  for (let i = 0; i < size; i++) {
    const arm = pick(weights, uniform(BigInt(seed), i));
    counts[arm] = (counts[arm] ?? 0) + 1;
  }
  return counts;
}

describe('sampleRatio', () => {
  it.each([
    ['nobody', [epoch([1, 1], [0, 0])], 0, 0, 1],
    ['no epoch', [], 0, 0, 1],
    ['as it should be', [epoch([0.5, 0.5], [500, 500])], 0, 1, 1],
    // p = erfc(√(χ²/2)), as of a normal variable
    ['two arms', [epoch([1, 1], [540, 460])], 6.4, 1, 0.0114120364],
    ['weights that are counted in per cent', [epoch([80, 20], [770, 230])], 5.625, 1, 0.0177060658],
    // p = exp(−χ²/2)
    ['three arms', [epoch([1, 1, 2], [30, 20, 50])], 2, 2, 0.3678794412],
    ['an arm without weight is no degree of freedom', [epoch([1, 0, 1, 2], [30, 0, 20, 50])], 2, 2, 0.3678794412],
    ['one arm', [epoch([1], [7])], 0, 0, 1],
    ['two epochs', [epoch([1, 1], [60, 40]), epoch([3, 1], [75, 25])], 4, 2, 0.1353352832],
    ['an epoch in which nobody came', [epoch([1, 1, 2], [30, 20, 50]), epoch([1, 9], [0, 0])], 2, 2, 0.3678794412],
    ['somebody in an arm without weight', [epoch([1, 0], [1000, 1])], Number.POSITIVE_INFINITY, 0, 0],
    ['no weights at all', [epoch([0, 0], [1, 0])], Number.POSITIVE_INFINITY, 0, 0],
  ])('%s', (_, epochs, chiSquare, df, pValue) => {
    const actual = sampleRatio(epochs);
    if (Number.isFinite(chiSquare)) expect(actual.chiSquare).toBeCloseTo(chiSquare, 9);
    else expect(actual.chiSquare).toBe(chiSquare);
    expect(actual.pValue).toBeCloseTo(pValue, 9);
    expect(actual).toMatchObject({ df, alarm: pValue < alarmBelow });
  });

  it.each([
    [-1, 1],
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 1],
    [1, -1],
    [1, Number.NaN],
  ])('refuses weight %d with %d observed', (weight, observed) => {
    expect(() => sampleRatio([{ arms: [{ weight, observed }] }])).toThrow(RangeError);
  });

  it('is uniform where nothing is wrong', () => {
    const runs = 500;
    const values = Array.from({ length: runs }, (_, seed) => {
      const stages = [
        [0.5, 0.3, 0.2],
        [0.1, 0.45, 0.45],
      ];
      return sampleRatio(stages.map((weights, i) => epoch(weights, assigned(weights, 200, 2 * seed + i)))).pValue;
    }).sort((a, b) => a - b);
    // Kolmogorov and Smirnov: beyond 1.95/√n with probability 0.001
    const gap = Math.max(...values.map((p, i) => Math.max(Math.abs(p - i / runs), Math.abs(p - (i + 1) / runs))));
    expect(gap).toBeLessThan(1.95 / Math.sqrt(runs));
  });

  it('raises the alarm when one in a hundred goes astray, given enough people', () => {
    expect(sampleRatio([epoch([1, 1], [51_000, 49_000])]).alarm).toBe(true);
    expect(sampleRatio([epoch([1, 1], [510, 490])]).alarm).toBe(false);
  });

  it('is not deceived by a bandit whose weights moved', () => {
    const [early, late] = [
      [0.5, 0.5],
      [0.1, 0.9],
    ];
    const counts = [assigned(early ?? [], 20_000, 1), assigned(late ?? [], 20_000, 2)] as const;
    expect(sampleRatio([epoch(early ?? [], counts[0]), epoch(late ?? [], counts[1])]).alarm).toBe(false);
    const total = [0, 1].map((arm) => (counts[0][arm] ?? 0) + (counts[1][arm] ?? 0));
    expect(sampleRatio([epoch(late ?? [], total)]).alarm).toBe(true);
  });
});
