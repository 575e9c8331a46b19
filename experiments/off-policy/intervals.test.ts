import { describe, expect, it } from 'vitest';
import { clusteredError, normalInterval, percentileInterval, resample } from './intervals.ts';

const column = (...values: number[]) => values.map((value) => Float64Array.of(value));

describe('clusteredError', () => {
  it('is that of a mean where everybody has one row', () => {
    const values = [1, 2, 4, 9];
    const influences = values.map((value) => (value - 4) / 4);
    // the sample standard deviation over the root of n: sqrt(38 / 3 / 4)
    expect(clusteredError(influences)).toBeCloseTo(Math.sqrt(38 / 12), 14);
  });

  it('is infinite for one person', () => {
    expect(clusteredError([0])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('normalInterval', () => {
  it.each([
    [0.9, 1.644854],
    [0.95, 1.959964],
    [0.99, 2.575829],
  ] as const)('of %d reaches %d errors to either side', (confidence, errors) => {
    const { low, high } = normalInterval(5, 2, confidence);
    expect((high - 5) / 2).toBeCloseTo(errors, 6);
    expect((5 - low) / 2).toBeCloseTo(errors, 6);
  });
});

describe('percentileInterval', () => {
  it('cuts off the same share on both sides', () => {
    const replicates = Float64Array.from({ length: 1001 }, (_, i) => (i * 8) % 1001);
    expect(percentileInterval(replicates, 0.95).low).toBeCloseTo(25, 9);
    expect(percentileInterval(replicates, 0.95).high).toBeCloseTo(975, 9);
  });

  it('lies between two replicates where none is at the cut', () => {
    expect(percentileInterval(Float64Array.of(10, 0), 0.9)).toEqual({
      low: expect.closeTo(0.5, 12),
      high: expect.closeTo(9.5, 12),
    });
  });
});

describe('resample', () => {
  const people = column(1, 10, 100, 1000);
  const totals = (seed: bigint) => Array.from(resample(people, 200, seed), ([sum]) => sum ?? 0);

  it('draws as many people as there are, whole', () => {
    for (const sum of totals(1n)) expect([...String(sum)].reduce((total, digit) => total + Number(digit), 0)).toBe(4);
  });

  it('is the same for the same seed, and another for another', () => {
    expect(totals(1n)).toEqual(totals(1n));
    expect(totals(2n)).not.toEqual(totals(1n));
  });

  it('draws everybody equally often', () => {
    // of 800 draws 200 are expected; a digit says how often one of the four was drawn
    for (const i of people.keys()) {
      const times = totals(3n).reduce((sum, total) => sum + (Math.floor(total / 10 ** i) % 10), 0);
      expect(Math.abs(times - 200)).toBeLessThan(4 * Math.sqrt(800 * 0.25 * 0.75));
    }
  });
});
