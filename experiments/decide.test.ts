import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectorNames } from '../features/vector.ts';
import { decide, type Learnt } from './decide.ts';
import { pick, seedOf, uniform } from './draw.ts';
import { add, contributionOf, noStatistics, type Statistics } from './linear-model.ts';
import { egreedyV2 } from './policies/egreedy-v2.ts';
import { policies } from './policies/index.ts';
import { linThompson } from './policies/lin-thompson.ts';
import type { Outcome, Policy } from './policies/policy.ts';
import { random } from './policies/random.ts';
import { softmax } from './policies/softmax.ts';

const entries = vectorNames.length;
const vector = fc.array(fc.integer({ min: -4096, max: 4096 }), { minLength: entries, maxLength: entries });
const vectors = fc.array(vector, { minLength: 1, maxLength: 50 });
const statistics = fc
  .array(fc.tuple(vector, fc.integer({ min: -1000, max: 1000 })), { maxLength: 20 })
  .map((all) => totalOf(all));
const learnt = fc.record({ person: statistics, population: statistics });
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const requestId = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
const nothing: Learnt = { person: noStatistics(entries), population: noStatistics(entries) };

function totalOf(all: readonly (readonly [readonly number[], number])[]): Statistics {
  return all
    .map(([x, reward]) => contributionOf(x, reward) ?? noStatistics(entries))
    .reduce(add, noStatistics(entries));
}

describe.each([...policies.values()])('policy $name', (policy) => {
  it('gives every candidate a probability, and they sum to 1 within 1e-12', () => {
    fc.assert(
      fc.property(vectors, fc.uuid(), learnt, (given, id, known) => {
        const { propensities, chosen, failure, policy: decided } = decide(policy, given, id, known);
        expect(failure).toBeUndefined();
        expect(decided).toBe(policy);
        expect(propensities).toHaveLength(given.length);
        expect(Math.abs(sum(propensities) - 1)).toBeLessThanOrEqual(1e-12);
        expect(Math.min(...propensities)).toBeGreaterThanOrEqual(policy.leastPropensity(given.length));
        expect(propensities[chosen]).toBeGreaterThan(0);
      }),
    );
  });

  it('decides the same again for the same request and statistics, whatever the case of the id', () => {
    fc.assert(
      fc.property(vectors, fc.uuid(), learnt, (given, id, known) => {
        const again = structuredClone({ given, known });
        expect(decide(policy, again.given, id.toUpperCase(), again.known)).toEqual(decide(policy, given, id, known));
      }),
    );
  });

  it('decides by the draw of the request on the probabilities it says', () => {
    fc.assert(
      fc.property(vectors, fc.uuid(), learnt, (given, id, known) => {
        const { propensities, chosen, seed, draw } = decide(policy, given, id, known);
        expect(seed).toBe(seedOf(id));
        expect(draw).toBe(uniform(seedOf(id), 0));
        expect(chosen).toBe(pick(propensities, draw));
      }),
    );
  });

  it('chooses each candidate about as often as it says', () => {
    const given = [0, 1, 2].map((i) => vectorNames.map((name) => (name === 'is_overdue' ? 2048 * i : 1000)));
    const requests = 3000;
    const excess = given.map(() => 0);
    for (let i = 0; i < requests; i++) {
      const { propensities, chosen } = decide(policy, given, `request-${i}`, nothing);
      for (const [j, value] of propensities.entries()) excess[j] = (excess[j] ?? 0) + (j === chosen ? 1 : 0) - value;
    }
    for (const value of excess) expect(Math.abs(value)).toBeLessThan(4 * Math.sqrt(requests / 4));
  });
});

describe('what was learnt', () => {
  it('is nothing at first: egreedy-v2 decides by the prior set by hand, as it did in version 1', () => {
    const decision = decide(egreedyV2, [vectorNames.map(() => 4096)], requestId, nothing);
    expect(decision.weights).toEqual([0, 0, 0.3, -0.1, 0.2, 0, 0, 0.4, -0.4, 0, 0.1, 0]);
    expect(decision.modelVersion).toBe('prior-1');
  });

  it('is told with the decision: its weights give the scores', () => {
    const overdue = vectorNames.map((name) => (name === 'is_overdue' ? 4096 : 0));
    const disliked = totalOf(Array.from({ length: 10 }, () => [overdue, -1000] as const));
    const { scores, weights } = decide(egreedyV2, [overdue], requestId, { ...nothing, person: disliked });
    expect(weights[2]).toBeCloseTo(0.3 + (-10 - 10 * 0.3) / (10 + 10), 12);
    expect(scores[0]).toBe(weights[2]);
  });

  /** Made-up rewards; all of it whole numbers. */
  const made = (count: number, salt: number) =>
    totalOf(
      Array.from({ length: count }, (_, i) => [
        vectorNames.map((_name, j) => ((i * i * 37 + j * j * 101 + i * j * 59 + salt) % 8193) - 4096),
        ((i * 613 + salt) % 2001) - 1000,
      ]),
    );
  const known = { person: made(30, 7), population: made(300, 11) };
  const given = [1, 2, 3, 4].map((i) =>
    vectorNames.map((_name, j) => ((i * 2711 + j * 1733 + i * j * 97) % 8193) - 4096),
  );

  // A program in Python that inverts matrices, and shares nothing with this one, has the same to 15 digits.
  it.each<[Policy, Partial<Outcome>]>([
    [softmax, { propensities: [0.9732047077170606, 0.00308622838202112, 0.001560112565866993, 0.022148951335051063] }],
    [linThompson, { propensities: [0.6235, 0.1255, 0.07103125, 0.17996875] }],
  ])('gives these bits on every machine, and with every later build of this version: $name', (policy, expected) => {
    expect(decide(policy, given, requestId, known)).toMatchObject({ ...expected, failure: undefined });
  });
});

describe('a policy that fails', () => {
  const proper = (length: number): Outcome => ({
    scores: new Array<number>(length).fill(0),
    propensities: new Array<number>(length).fill(1 / length),
  });
  const withPrior = (weight: number): Policy => ({
    ...egreedyV2,
    learning: { lambda: 5, kappa: 10, prior: { version: 'p', mean: [weight], noise: 0.5, noiseCount: 20 } },
  });
  const giving = (change: (outcome: Outcome) => Partial<Outcome>): Policy => ({
    ...random,
    name: 'broken',
    leastPropensity: () => 0.01,
    choose: (_model, { length }) => ({ ...proper(length), ...change(proper(length)) }),
  });
  const improper = { kind: 'improper' };
  const notFinite = { kind: 'refused', whose: 'prior', problem: 'not_finite' };

  it.each<[string, Policy, object]>([
    ['NaN weights', withPrior(Number.NaN), notFinite],
    ['infinite weights', withPrior(Number.POSITIVE_INFINITY), notFinite],
    ['probabilities that sum to more than 1', giving(() => ({ propensities: [0.4, 0.4, 0.4] })), improper],
    ['probabilities that sum to less', giving(() => ({ propensities: [0.3, 0.3, 0.4 - 1e-11] })), improper],
    ['a negative probability', giving(() => ({ propensities: [1, 0.5, -0.5] })), improper],
    ['a probability below its floor', giving(() => ({ propensities: [0.991, 0.009, 0] })), improper],
    ['a probability that is no number', giving(() => ({ propensities: [0.5, 0.5, Number.NaN] })), improper],
    ['too few probabilities', giving(() => ({ propensities: [0.5, 0.5] })), improper],
    ['too many probabilities', giving(() => ({ propensities: [0.25, 0.25, 0.25, 0.25] })), improper],
    ['too few scores', giving(({ scores }) => ({ scores: scores.slice(1) })), improper],
    ['a score that is no number', giving(() => ({ scores: [0, Number.NaN, 0] })), improper],
    ['an infinite score', giving(() => ({ scores: [0, Number.POSITIVE_INFINITY, 0] })), improper],
  ])('with %s never decides about people: random does, and says so', (_, policy, failure) => {
    const decision = decide(policy, [[1], [1], [1]], requestId, nothing);
    expect(decision).toMatchObject({ failure, policy: random, scores: [0, 0, 0], weights: [], modelVersion: '' });
    expect(decision.propensities).toEqual([1 / 3, 1 / 3, 1 / 3]);
    expect(decision.chosen).toBe(decide(random, [[1], [1], [1]], requestId, nothing).chosen);
  });

  it('is not one that gives a proper distribution', () => {
    expect(
      decide(
        giving(() => ({})),
        [[1], [1], [1]],
        requestId,
        nothing,
      ).failure,
    ).toBeUndefined();
  });
});

describe('a state that is not served', () => {
  const broken = { ...noStatistics(entries), count: -1 };

  it.each([...policies.values()].filter((policy) => policy !== random))(
    'lets random decide instead of $name',
    (policy) => {
      const refused = (whose: string) => ({
        policy: random,
        propensities: [0.5, 0.5],
        failure: { kind: 'refused', whose, problem: 'count_negative' },
      });
      const given = [vectorNames.map(() => 0), vectorNames.map(() => 4096)];
      expect(decide(policy, given, requestId, { ...nothing, person: broken })).toMatchObject(refused('person'));
      expect(decide(policy, given, requestId, { ...nothing, population: broken })).toMatchObject(refused('population'));
    },
  );

  it('is nothing to random, which learns nothing', () => {
    expect(decide(random, [[0]], requestId, { person: broken, population: broken }).failure).toBeUndefined();
  });
});
