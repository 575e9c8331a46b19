import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectorNames } from '../features/vector.ts';
import { decide } from './decide.ts';
import { pick, seedOf, uniform } from './draw.ts';
import { egreedyV2, epsilonGreedy } from './policies/egreedy-v2.ts';
import { policies } from './policies/index.ts';
import { contributions, estimate, type Policy } from './policies/policy.ts';
import { random } from './policies/random.ts';

const vector = fc.array(fc.integer({ min: -4096, max: 4096 }), {
  minLength: vectorNames.length,
  maxLength: vectorNames.length,
});
const vectors = fc.array(vector, { minLength: 1, maxLength: 500 });
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe.each([...policies.values()])('policy $name', (policy) => {
  it('gives every candidate a probability, and they sum to 1 within 1e-12', () => {
    fc.assert(
      fc.property(vectors, fc.uuid(), (given, requestId) => {
        const { propensities, chosen, fellBack } = decide(policy, given, requestId);
        expect(fellBack).toBe(false);
        expect(propensities).toHaveLength(given.length);
        expect(Math.abs(sum(propensities) - 1)).toBeLessThanOrEqual(1e-12);
        expect(Math.min(...propensities)).toBeGreaterThan(0);
        expect(propensities[chosen]).toBeGreaterThan(0);
      }),
    );
  });

  it('decides the same again for the same request, whatever the case of its id', () => {
    fc.assert(
      fc.property(vectors, fc.uuid(), (given, requestId) => {
        expect(decide(policy, given, requestId.toUpperCase())).toEqual(decide(policy, given, requestId));
      }),
    );
  });
});

describe('egreedy-v2', () => {
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
  ])('scores %o get probabilities %o', (scores, expected) => {
    for (const [i, value] of epsilonGreedy(scores, 0.1).entries())
      expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 12);
  });

  it('prefers the overdue and important', () => {
    const plain = vectorNames.map(() => 0);
    const urgent = vectorNames.map((name) => (name === 'is_overdue' || name === 'priority_norm' ? 4096 : 0));
    expect(estimate(egreedyV2.weights, urgent)).toBeGreaterThan(estimate(egreedyV2.weights, plain));
  });

  it('explains a score as the sum of what each feature added', () => {
    fc.assert(
      fc.property(vector, (given) => {
        expect(sum(contributions(egreedyV2.weights, given))).toBe(estimate(egreedyV2.weights, given));
      }),
    );
  });
});

describe('a policy that fails', () => {
  const broken: readonly [string, Policy][] = [
    ['NaN weights', { ...egreedyV2, weights: [Number.NaN] }],
    ['infinite weights', { ...egreedyV2, weights: [Number.POSITIVE_INFINITY] }],
    ['probabilities that do not sum to 1', { ...random, probabilities: (scores) => scores.map(() => 0.4) }],
    [
      'a negative probability',
      { ...random, probabilities: (scores) => scores.map((_, i) => (i === 0 ? 2 - scores.length : 1)) },
    ],
    ['too few probabilities', { ...random, probabilities: () => [1] }],
  ];
  it.each(broken)('with %s never decides about people: random does, and says so', (_, policy) => {
    const decision = decide(policy, [[1], [1], [1]], '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d');
    expect(decision).toMatchObject({ fellBack: true, policy: random, scores: [0, 0, 0] });
    expect(decision.propensities).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });
});

describe('the draw', () => {
  it('is that of SplitMix64, on every machine', () => {
    // first outputs of the reference implementation for seed 1234567, cut to 53 bits
    const expected = [6457827717110365317n, 3203168211198807973n, 9817491932198370423n].map(
      (z) => Number(z >> 11n) / 2 ** 53,
    );
    expect([0, 1, 2].map((counter) => uniform(1234567n, counter))).toEqual(expected);
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
