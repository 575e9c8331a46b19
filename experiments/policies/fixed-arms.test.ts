import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policyDraws } from '../draw.ts';
import { type Arm, type ArmPolicy, betaThompson, createBetaThompson, createUcb1, ucb1 } from './fixed-arms.ts';

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const arm = fc
  .nat(10_000)
  .chain((pulls) =>
    fc.record({ pulls: fc.constant(pulls), reward: fc.integer({ min: -1000 * pulls, max: 1000 * pulls }) }),
  );
const choose = (policy: ArmPolicy, arms: readonly Arm[], requestId = 'r') => {
  const outcome = policy.choose(arms, policyDraws(requestId, policy));
  if (!outcome) throw new Error('refused');
  return outcome;
};

describe.each([betaThompson, ucb1])('$name', (policy) => {
  it('gives every arm its floor or more, and they sum to 1 within 1e-12; the same again', () => {
    fc.assert(
      fc.property(fc.array(arm, { minLength: 1, maxLength: 20 }), fc.uuid(), (arms, requestId) => {
        const { scores, propensities } = choose(policy, arms, requestId);
        expect(scores.every((score) => Math.abs(score) <= 1)).toBe(true);
        expect(Math.abs(sum(propensities) - 1)).toBeLessThanOrEqual(1e-12);
        for (const value of propensities) expect(value).toBeGreaterThanOrEqual(policy.leastPropensity(arms.length));
        expect(choose(policy, arms, requestId)).toEqual({ scores, propensities });
      }),
    );
  });

  it.each<[string, Arm]>([
    ['fewer pulls than none', { pulls: -1, reward: 0 }],
    ['more reward than pulls', { pulls: 1, reward: 1001 }],
    ['less reward than pulls', { pulls: 1, reward: -1001 }],
    ['a part of a pull', { pulls: 1.5, reward: 0 }],
    ['no number of pulls', { pulls: Number.NaN, reward: 0 }],
    ['infinite pulls', { pulls: Number.POSITIVE_INFINITY, reward: 0 }],
    ['no number as reward', { pulls: 1, reward: Number.NaN }],
  ])('refuses an arm with %s', (_, broken) => {
    expect(policy.choose([{ pulls: 1, reward: 0 }, broken], policyDraws('r', policy))).toBeUndefined();
  });

  it('scores arms by their mean reward', () => {
    const arms = [
      { pulls: 4, reward: -1000 },
      { pulls: 0, reward: 0 },
    ];
    expect(choose(policy, arms).scores).toEqual([-0.25, 0]);
  });
});

describe('beta-thompson', () => {
  const policy = createBetaThompson({ samples: 1024, floor: 0 });
  const requests = Array.from({ length: 50 }, (_, i) => `request-${i}`);
  const shareOf = (arms: readonly Arm[]) =>
    sum(requests.map((id) => choose(policy, arms, id).propensities[0] ?? Number.NaN)) / requests.length;

  it.each([
    [
      'nothing known',
      [
        { pulls: 0, reward: 0 },
        { pulls: 0, reward: 0 },
      ],
      1 / 2,
    ],
    // P(a > b) of Beta(2, 1) against Beta(1, 1) is the mean of a
    [
      'one success against nothing known',
      [
        { pulls: 1, reward: 1000 },
        { pulls: 0, reward: 0 },
      ],
      2 / 3,
    ],
    [
      'one failure against nothing known',
      [
        { pulls: 1, reward: -1000 },
        { pulls: 0, reward: 0 },
      ],
      1 / 3,
    ],
    // Beta(11, 1) against Beta(1, 1)
    [
      'ten successes against nothing known',
      [
        { pulls: 10, reward: 10_000 },
        { pulls: 0, reward: 0 },
      ],
      11 / 12,
    ],
    // Beta(3, 5) against Beta(1, 1): a reward of 0 is half a success
    [
      'rewards between',
      [
        { pulls: 6, reward: -2000 },
        { pulls: 0, reward: 0 },
      ],
      3 / 8,
    ],
    // Beta(3, 2) against Beta(2, 2): the integral of 12 x^2 (1 - x) (3 x^2 - 2 x^3)
    [
      'three pulls against two',
      [
        { pulls: 3, reward: 1000 },
        { pulls: 2, reward: 0 },
      ],
      22 / 35,
    ],
    [
      'much against little',
      [
        { pulls: 100_000, reward: 10_000_000 },
        { pulls: 100_000, reward: -10_000_000 },
      ],
      1,
    ],
  ])('wins as often as the distributions say: %s', (_, arms, expected) => {
    expect(Math.abs(shareOf(arms) - expected)).toBeLessThan(0.007); // three deviations of 51,200 draws
  });
});

describe('ucb1', () => {
  const policy = createUcb1({ epsilon: 0.03 });

  it.each([
    // ln 12 = 2.4849: 0.5 + sqrt(4.9698 / 10) = 1.205; 0.25 + sqrt(4.9698 / 2) = 1.826
    [
      'what was hardly tried',
      [
        { pulls: 10, reward: 0 },
        { pulls: 2, reward: -1000 },
        { pulls: 0, reward: 0 },
      ].slice(0, 2),
      [0.015, 0.985],
    ],
    // ln 20 = 2.9957: 0.75 + sqrt(5.9915 / 10) = 1.524; 0.5 + the same
    [
      'the better of equally often tried',
      [
        { pulls: 10, reward: 5000 },
        { pulls: 10, reward: 0 },
      ],
      [0.985, 0.015],
    ],
    // ln 110 = 4.7005: 0.75 + sqrt(9.401 / 100) = 1.0566; 0.1 + sqrt(9.401 / 10) = 1.0696
    [
      'doubt rather than a little more',
      [
        { pulls: 100, reward: 50_000 },
        { pulls: 10, reward: -8000 },
      ],
      [0.015, 0.985],
    ],
    // and 0.05 + 0.9696 = 1.0196
    [
      'a little more rather than doubt',
      [
        { pulls: 100, reward: 50_000 },
        { pulls: 10, reward: -9000 },
      ],
      [0.985, 0.015],
    ],
    [
      'what was never tried',
      [
        { pulls: 9, reward: 9000 },
        { pulls: 0, reward: 0 },
        { pulls: 0, reward: 0 },
      ],
      [0.01, 0.495, 0.495],
    ],
  ])('prefers %s', (_, arms, expected) => {
    for (const [i, value] of choose(policy, arms).propensities.entries()) {
      expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 12);
    }
  });
});
