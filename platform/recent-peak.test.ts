import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createRecentPeak } from './recent-peak.ts';

const halfLifeMs = 1000;

it('is the largest of all values, each halved for every half-life that has passed since', () => {
  const values = fc.array(fc.record({ value: fc.nat(500), afterMs: fc.nat(3000) }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(values, fc.nat(5000), (values, restMs) => {
      let nowMs = 7;
      const peak = createRecentPeak({ halfLifeMs, now: () => nowMs });
      expect(peak.current()).toBe(0);
      const seen: { readonly value: number; readonly atMs: number }[] = [];
      for (const { value, afterMs } of values) {
        nowMs += afterMs;
        peak.observe(value);
        seen.push({ value, atMs: nowMs });
      }
      nowMs += restMs;
      const expected = Math.max(...seen.map(({ value, atMs }) => value * 0.5 ** ((nowMs - atMs) / halfLifeMs)));
      expect(peak.current()).toBeCloseTo(expected, 6);
    }),
  );
});
