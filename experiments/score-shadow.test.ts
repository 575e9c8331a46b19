import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Vector, vectorNames } from '../features/vector.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { decisionBy } from '../tests/_util/decisions.ts';
import { add, contributionOf } from './linear-model.ts';
import { egreedyV2 } from './policies/egreedy-v2.ts';
import { policies } from './policies/index.ts';
import type { Outcome, Policy } from './policies/policy.ts';
import { random } from './policies/random.ts';
import { scoreShadow } from './score-shadow.ts';
import { noShadow, oneError, oneSkipped } from './shadow.ts';
import { nothingLearnt } from './statistics.ts';

const vectorOf = (entry: number): Vector => vectorNames.map((_, i) => (i < 7 ? entry + i : -entry));
const vectors = [vectorOf(4000), vectorOf(0), vectorOf(-300)];
const taught = (entry: number, milli: number) => contributionOf(vectorOf(entry), milli) ?? nothingLearnt;
const person = [taught(400, -1000), taught(-900, 600)].reduce(add);
const population = [taught(77, 300), taught(-4000, 1000), person].reduce(add);

const decision = decisionBy(egreedyV2, {
  vectors,
  learnt: { person, population },
  requestId: '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d',
});
const but = (changes: Partial<TipScored>): TipScored => ({ ...decision, ...changes });
const unlike = (name: string, outcome: () => Outcome): Policy => ({ ...random, name, choose: outcome });

describe('a shadow', () => {
  it.each([...policies.values()].map((policy) => [policy.name, policy] as const))(
    'is asked with what was logged: %s agrees with itself in everything',
    (_, policy) => {
      fc.assert(
        fc.property(fc.uuid(), (requestId) => {
          const own = decisionBy(policy, { vectors, learnt: { person, population }, requestId });
          const { counters } = scoreShadow(policy, own, population);
          expect(counters).toMatchObject({ decisions: 1, divergenceMicro: 0, weightMicro: 1e6, errors: 0 });
        }),
        { numRuns: 30 },
      );
    },
  );

  it('that was asked with other sums would say something else', () => {
    const { counters } = scoreShadow(policies.get('softmax') ?? random, decision, nothingLearnt);
    expect(scoreShadow(policies.get('softmax') ?? random, decision, population).counters).not.toEqual(counters);
  });

  it('leaves what its reward can be estimated from', () => {
    const shadowed = scoreShadow(random, decision, population);
    const mean = vectorNames.map((_, j) => vectors.reduce((sum, vector) => sum + (vector[j] ?? 0), 0) / 3);
    expect(shadowed).toMatchObject({ kind: 'scored', score: { propensity: 1 / 3, unsupported: 0, topTipId: 'tip-0' } });
    for (const [j, entry] of (shadowed.kind === 'scored' ? shadowed.score.expectedVector : []).entries())
      expect(entry).toBeCloseTo(mean[j] ?? Number.NaN, 9);
    const likesLast = unlike('last', () => ({ scores: [0, 0, 0], propensities: [0.34, 0.33, 0.33].toReversed() }));
    expect(scoreShadow({ ...likesLast, leastPropensity: () => 0 }, decision, population)).toMatchObject({
      score: { topTipId: 'tip-2' },
    });
  });

  it('is known to like what is hardly ever shown', () => {
    const [first, ...others] = decision.candidates;
    if (!first) throw new Error('no candidate');
    const candidates = [{ ...first, propensity: 1 }, ...others.map((each) => ({ ...each, propensity: 0 }))];
    const shadowed = scoreShadow(random, but({ tipId: 'tip-0', candidates }), population);
    expect(shadowed).toMatchObject({ score: { unsupported: expect.closeTo(2 / 3, 12) } });
  });

  it.each<[string, () => Outcome]>([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['returns nothing', () => undefined as unknown as Outcome],
    ['returns too few', () => ({ scores: [0], propensities: [1] })],
    ['returns what is no number', () => ({ scores: [0, 0, 0], propensities: [Number.NaN, 0.5, 0.5] })],
    ['returns less than it promised', () => ({ scores: [0, 0, 0], propensities: [1, 0, 0] })],
    [
      'returns holes',
      () => ({ scores: [0, 0, 0], propensities: Object.assign(new Array<number>(3), { 0: 0.5, 2: 0.5 }) }),
    ],
    ['returns more than 1', () => ({ scores: [0, 0, 0], propensities: [0.5, 0.5, 0.5] })],
    [
      'returns a score that is infinite',
      () => ({ scores: [0, 0, Number.POSITIVE_INFINITY], propensities: [0.4, 0.4, 0.2] }),
    ],
  ])('that %s counts one error, and nothing else', (_, choose) => {
    const policy = { ...unlike('bad', choose), leastPropensity: () => 0.01 };
    expect(scoreShadow(policy, decision, population)).toEqual({ kind: 'failed', counters: oneError });
  });

  it('that changes what it is given changes nothing for others', () => {
    const before = JSON.stringify(vectors);
    const vandal: Policy = {
      ...random,
      choose(model, given) {
        for (const vector of given as number[][]) vector.fill(7);
        return random.choose(model, given, undefined as never);
      },
    };
    const expected = scoreShadow(random, decision, population);
    expect(scoreShadow(vandal, decision, population)).toEqual(expected);
    expect(JSON.stringify(decision.candidates.map(({ vector }) => vector))).toBe(before);
  });

  it('whose sums no rewards can lead to counts an error: the policy would not have decided', () => {
    const statistics = decision.statistics && { ...decision.statistics, count: 2n ** 60n };
    expect(scoreShadow(egreedyV2, { ...decision, ...(statistics && { statistics }) }, population).counters).toEqual(
      oneError,
    );
  });
});

describe('a decision says nothing of a shadow that learns', () => {
  const byRandom = decisionBy(random, { vectors });
  it.each<[string, TipScored, typeof population | undefined, keyof typeof oneSkipped]>([
    ['from before sums were logged', but({ vectorVersion: '' }), population, 'statistics'],
    ['by a policy that learns nothing', byRandom, nothingLearnt, 'statistics'],
    ['whose population is lost', decision, undefined, 'statistics'],
    ['with vectors of another encoding', but({ vectorVersion: '0' }), population, 'vectors'],
    ['with vectors of another length', decisionBy(random, { vectors: [[1], [2]] }), nothingLearnt, 'vectors'],
  ])('%s', (_, logged, sums, why) => {
    expect(scoreShadow(egreedyV2, logged, sums)).toEqual({ kind: 'skipped', counters: oneSkipped[why] });
    expect(scoreShadow(random, logged, sums)).toMatchObject({ kind: 'scored', counters: { decisions: 1 } });
  });

  it('but one without any rewards so far does', () => {
    const fresh = decisionBy(egreedyV2, { vectors });
    expect(scoreShadow(egreedyV2, fresh, nothingLearnt).counters).toMatchObject({ decisions: 1, weightMicro: 1e6 });
  });
});

describe('a decision says nothing of any shadow', () => {
  const none = decision.candidates.map((each) => ({ ...each, propensity: 0 }));
  it.each<[string, Partial<TipScored>]>([
    ['without probabilities', { candidates: none }],
    ['whose probabilities do not sum to 1', { candidates: none.map((each) => ({ ...each, propensity: 0.5 })) }],
    ['without the tip that it chose', { tipId: 'nowhere' }],
    ['without candidates', { candidates: [] }],
  ])('%s', (_, changes) => {
    expect(scoreShadow(random, but(changes), population)).toEqual({
      kind: 'skipped',
      counters: { ...noShadow, skippedPropensities: 1 },
    });
  });
});
