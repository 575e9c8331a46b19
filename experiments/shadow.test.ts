import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pick, uniform } from './draw.ts';
import {
  addShadow,
  compareShadow,
  noShadow,
  shadowCounters,
  shadowTime,
  slowShadowMs,
  summariseShadow,
  weightCap,
} from './shadow.ts';

describe('compareShadow', () => {
  it.each([
    ['the same', [0.9, 0.1], 0, [0.9, 0.1], 1, 0, 0.9, 0, 1],
    ['another top tip', [0.9, 0.1], 0, [0.2, 0.8], 0, 0.7, 0.2, 0, 0.2 / 0.9],
    ['a rare tip that the shadow likes', [0.75, 0.25], 1, [0, 1], 0, 0.75, 1, 0, 4],
    ['a tie with one of two', [0.5, 0.5], 0, [1, 0], 0.5, 0.5, 1, 0, 2],
    ['a tie with two of three', [0.25, 0.25, 0.5], 2, [0, 0.5, 0.5], 0.5, 0.25, 0.5, 0, 1],
    ['all the same', [0.25, 0.25, 0.25, 0.25], 3, [0.25, 0.25, 0.25, 0.25], 0.25, 0, 0.25, 0, 1],
    ['what is never shown', [1, 0], 0, [0.25, 0.75], 0, 0.75, 0.25, 0.75, 0.25],
    ['one candidate', [1], 0, [1], 1, 0, 1, 0, 1],
  ])('%s', (_, propensities, chosen, shadow, agreement, divergence, massOnChosen, unsupported, weight) => {
    const actual = compareShadow({ propensities, chosen, shadow });
    const expected = { agreement, divergence, massOnChosen, unsupported, weight };
    for (const [name, value] of Object.entries(expected))
      expect(actual[name as keyof typeof actual], name).toBeCloseTo(value, 12);
  });

  it.each([
    ['another number of candidates', [0.5, 0.5], 0, [1]],
    ['a tip that could not have been chosen', [1, 0], 1, [0.5, 0.5]],
    ['no such tip', [1], 1, [1]],
  ])('refuses %s', (_, propensities, chosen, shadow) => {
    expect(() => compareShadow({ propensities, chosen, shadow })).toThrow(RangeError);
  });
});

describe('the counters', () => {
  const comparison = fc.record({
    agreement: fc.double({ min: 0, max: 1, noNaN: true }),
    divergence: fc.double({ min: 0, max: 1, noNaN: true }),
    massOnChosen: fc.double({ min: 0, max: 1, noNaN: true }),
    unsupported: fc.double({ min: 0, max: 1, noNaN: true }),
    weight: fc.double({ min: 0, max: 2 * weightCap, noNaN: true }),
  });

  it('add up to the same, in any order and split', () => {
    fc.assert(
      fc.property(fc.array(comparison, { maxLength: 30 }), fc.nat(30), (all, at) => {
        const counters = all.map(shadowCounters);
        const sum = (some: typeof counters) => some.reduce(addShadow, noShadow);
        expect(addShadow(sum(counters.slice(at)), sum(counters.slice(0, at)))).toEqual(sum(counters));
        expect(sum(counters.toReversed())).toEqual(sum(counters));
        expect(Object.values(sum(counters)).every(Number.isSafeInteger)).toBe(true);
      }),
    );
  });

  it.each([
    [0, 0],
    [1, 0],
    [1000 * slowShadowMs, 0],
    [1000 * slowShadowMs + 1, 1],
    [1e9, 1],
  ])('of a decision that took %d µs count %d as slow', (cpuMicros, slow) => {
    expect(shadowTime(cpuMicros)).toEqual({ cpuMicros, slow });
    const twice = addShadow(
      { ...noShadow, ...shadowTime(cpuMicros) },
      addShadow(noShadow, { ...noShadow, ...shadowTime(cpuMicros) }),
    );
    expect(twice).toEqual({ ...noShadow, cpuMicros: 2 * cpuMicros, slow: 2 * slow });
  });

  it('stay exact for nine million of the heaviest decisions', () => {
    const heaviest = { agreement: 1, divergence: 1, massOnChosen: 1, unsupported: 1, weight: 1e9 };
    for (const value of Object.values(shadowCounters(heaviest))) expect(value * 9e6).toBeLessThan(2 ** 53);
    expect(shadowCounters(heaviest).weightMaxMicro).toBe(weightCap * 1e6);
  });
});

describe('the summary', () => {
  it('of nothing is none', () => expect(summariseShadow(noShadow)).toBeUndefined());

  it('is of means, the heaviest weight and the effective size', () => {
    const decisions = [
      { propensities: [0.5, 0.5], chosen: 0, shadow: [0.75, 0.25] },
      { propensities: [0.25, 0.75], chosen: 0, shadow: [0.75, 0.25] },
    ];
    const counters = decisions.map((decision) => shadowCounters(compareShadow(decision))).reduce(addShadow);
    // weights 1.5 and 3
    expect(summariseShadow(counters)).toEqual({
      ...{ decisions: 2, agreement: 0.25, divergence: 0.375, massOnChosen: 0.75, unsupported: 0 },
      ...{ meanWeight: 2.25, maxWeight: 3, effectiveDecisions: 4.5 ** 2 / (1.5 ** 2 + 3 ** 2) },
    });
  });

  it('of a shadow without any mass on what was shown has no effective size', () => {
    const counters = shadowCounters(compareShadow({ propensities: [0.5, 0.5], chosen: 0, shadow: [0, 1] }));
    expect(summariseShadow(counters)).toMatchObject({ meanWeight: 0, effectiveDecisions: 0 });
  });

  it('has mean weight 1 less what is not supported, if the tips were drawn as logged', () => {
    const [propensities, shadow] = [
      [0.6, 0.3, 0.1, 0],
      [0.1, 0.2, 0.5, 0.2],
    ];
    const size = 20_000;
    const counters = Array.from({ length: size }, (_, i) => {
      const chosen = pick(propensities, uniform(7n, i));
      return shadowCounters(compareShadow({ propensities, chosen, shadow }));
    }).reduce(addShadow, noShadow);
    const summary = summariseShadow(counters);
    const variance = [0.1 ** 2 / 0.6, 0.2 ** 2 / 0.3, 0.5 ** 2 / 0.1].reduce((a, b) => a + b) - 0.8 ** 2;
    expect(Math.abs((summary?.meanWeight ?? 0) - 0.8)).toBeLessThan(4 * Math.sqrt(variance / size));
    expect(summary?.unsupported).toBeCloseTo(0.2, 9);
  });
});
