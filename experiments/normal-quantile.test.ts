import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalQuantile } from './normal-quantile.ts';

describe('the normal quantile', () => {
  // Beside each, what Python's statistics.NormalDist().inv_cdf has: the same algorithm, and where p is far from the middle
  // the C library's logarithm, which may differ from V8's in the last bit.
  it.each([
    [0.5, 0, 0],
    [0.2, -0.8416212335729142, -0.8416212335729142],
    [0.3, -0.5244005127080407, -0.5244005127080407],
    [0.74, 0.6433454053929168, 0.6433454053929168],
    [0.074, -1.4466320671589785, -1.4466320671589785],
    [0.99, 2.32634787404084, 2.3263478740408408],
    [0.001, -3.090232306167813, -3.090232306167813],
    [1e-9, -5.9978070150076865, -5.9978070150076865],
    [1e-12, -7.034483825301132, -7.034483825301132],
    [2 ** -53, -8.209536151601386, -8.209536151601386],
  ])('of %d has the bits it always had, and those known elsewhere but for the last', (p, bits, elsewhere) => {
    expect(normalQuantile(p)).toBe(bits);
    expect(Math.abs(bits - elsewhere)).toBeLessThan(1e-15);
  });

  it('is as far above the middle as below it, and rises', () => {
    const p = fc.integer({ min: 1, max: 2 ** 51 }).map((value) => value / 2 ** 52);
    fc.assert(
      fc.property(p, p, (a, b) => {
        expect(normalQuantile(1 - a)).toBe(0 - normalQuantile(a));
        expect(normalQuantile(Math.min(a, b))).toBeLessThanOrEqual(normalQuantile(Math.max(a, b)));
      }),
    );
  });
});
