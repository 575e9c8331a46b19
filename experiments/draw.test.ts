import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawsOf, firstCounter, pick, policyDraws, seedOf, uniform } from './draw.ts';

const requestId = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** SplitMix64 as it is published, in whole numbers. */
function splitMix64(seed: bigint, counter: number): number {
  let z = BigInt.asUintN(64, seed + BigInt(counter + 1) * 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
}

describe('the draw', () => {
  it('is that of SplitMix64, on every machine', () => {
    // first outputs of the reference implementation for seed 1234567, cut to 53 bits
    const expected = [6457827717110365317n, 3203168211198807973n, 9817491932198370423n].map(
      (z) => Number(z >> 11n) / 2 ** 53,
    );
    expect([0, 1, 2].map((counter) => uniform(1234567n, counter))).toEqual(expected);
  });

  it('is that of SplitMix64 for any seed and counter, though it is made of 32-bit halves', () => {
    const seeds = fc.oneof(
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.constantFrom(0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 64n - 1n),
    );
    const counters = fc.oneof(fc.nat(2 ** 32 - 2), fc.constantFrom(0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2));
    fc.assert(
      fc.property(seeds, counters, (seed, counter) => {
        expect(uniform(seed, counter)).toBe(splitMix64(seed, counter));
        expect(drawsOf(seed).uniform(counter)).toBe(splitMix64(seed, counter));
      }),
      { numRuns: 1000 },
    );
  });

  it('is uniform enough: ten equal bins of 20,000 requests pass a chi-square test at p = 0.001', () => {
    const bins = new Array<number>(10).fill(0);
    for (let i = 0; i < 20_000; i++) {
      const bin = Math.floor(uniform(seedOf(`request-${i}`), 0) * 10);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    expect(sum(bins.map((count) => (count - 2000) ** 2 / 2000))).toBeLessThan(27.88);
  });

  it.each([
    [[0.2, 0.3, 0.5], 0, 0],
    [[0.2, 0.3, 0.5], 0.2, 1],
    [[0.2, 0.3, 0.5], 0.4999, 1],
    [[0.2, 0.3, 0.5], 0.999, 2],
    [[1, 0], 0.9999999999999999, 0],
    [[0.5, 0.4999999999999, 0], 0.99999999999999, 1],
  ])('on %o at %d picks index %d', (probabilities, draw, expected) => {
    expect(pick(probabilities, draw)).toBe(expected);
  });
});

describe('the draws of a policy', () => {
  const draws = policyDraws(requestId, { name: 'p', version: '1' });

  // Computed with Python's hashlib, whole numbers and statistics.NormalDist.
  it('have the same bits on every machine', () => {
    expect([1, 2, 3, 4_294_967_294].map(draws.uniform)).toEqual([
      0.8831589496435395, 0.5360300756827637, 0.13544547962274844, 0.5166018207015118,
    ]);
    expect([1, 2, 3, 4, 5, 6, 7, 8].map(draws.normal)).toEqual([
      1.1909273649162657, 0.09043713435506114, -1.101013091974817, 0.8762463117626934, -0.5691273824931986,
      -1.547526485774923, -0.7987312823701451, 1.2019529085491385,
    ]);
  });

  it('depend on the request, the policy and its version, not on the case of the id', () => {
    const first = (id: string, name: string, version: string) =>
      policyDraws(id, { name, version }).uniform(firstCounter);
    const all = [first(requestId, 'p', '1'), first('another', 'p', '1'), first(requestId, 'q', '1')];
    expect(new Set([...all, first(requestId, 'p', '2')]).size).toBe(4);
    expect(first(requestId.toUpperCase(), 'p', '1')).toBe(all[0]);
  });

  it('leave the draw of the tip alone', () => {
    const tip = uniform(seedOf(requestId), 0);
    const drawn = Array.from({ length: 2000 }, (_, i) => draws.uniform(firstCounter + i));
    expect(firstCounter).toBeGreaterThan(0);
    expect(drawn).not.toContain(tip);
  });

  it('are normal: mean, variance and the share within one deviation of 50,000 of them', () => {
    const values = Array.from({ length: 50_000 }, (_, i) => draws.normal(i));
    const within = values.filter((value) => Math.abs(value) < 1).length / values.length;
    expect(Math.abs(sum(values) / values.length)).toBeLessThan(0.015);
    expect(Math.abs(sum(values.map((value) => value * value)) / values.length - 1)).toBeLessThan(0.02);
    expect(Math.abs(within - 0.6827)).toBeLessThan(0.007);
    expect(values.every(Number.isFinite)).toBe(true);
  });
});
