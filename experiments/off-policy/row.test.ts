import { describe, expect, it } from 'vitest';
import { type Decision, problemOfDecision, toRow } from './row.ts';

const decision: Decision = {
  user: 'anna',
  chosen: 1,
  propensities: [0.5, 0.25, 0.25],
  targetProbabilities: [0, 0.75, 0.25],
  reward: 2,
};

describe('toRow', () => {
  it('keeps of the candidates what estimators need', () => {
    expect(toRow(decision, [1, 2, 4])).toEqual({
      user: 'anna',
      propensity: 0.25,
      targetProbability: 0.75,
      reward: 2,
      q: { chosen: 2, target: 0.75 * 2 + 0.25 * 4 },
      unsupported: 0,
    });
    expect(toRow(decision)).not.toHaveProperty('q');
  });

  it.each([
    [[0.5, 0.5, 0], 0.25],
    [[0.49995, 0.5, 0.00005], 0.25],
    [[0.4999, 0.5, 0.0001], 0], // at the floor it is supported
    [[0, 1, 0], 0.25],
  ])('with propensities %o lacks support for %d of the target', (propensities, unsupported) => {
    expect(toRow({ ...decision, propensities }).unsupported).toBe(unsupported);
  });
});

describe('problemOfDecision', () => {
  it('finds none where there is none', () => {
    expect(problemOfDecision(decision)).toBeUndefined();
    expect(problemOfDecision({ ...decision, propensities: [0.333333, 0.333333, 0.333334] })).toBeUndefined();
  });

  it.each<[Partial<Decision>, string, string]>([
    [{ propensities: [] }, 'propensities', 'are empty'],
    [{ chosen: 3 }, 'chosen', 'is 3: not an index of 3 propensities'],
    [{ chosen: -1 }, 'chosen', 'is -1: not an index of 3 propensities'],
    [{ chosen: 0.5 }, 'chosen', 'is 0.5: not an index of 3 propensities'],
    [{ targetProbabilities: [0.5, 0.5] }, 'targetProbabilities', 'are 2 for 3 propensities'],
    [{ propensities: [0.5, 0.25, 0.2] }, 'propensities', 'sum to 0.95, not to 1'],
    [{ propensities: [1.25, 0.25, -0.5] }, 'propensities', 'have 1.25: not from 0 to 1'],
    [{ targetProbabilities: [1, 1, -1] }, 'targetProbabilities', 'have -1: not from 0 to 1'],
    [{ targetProbabilities: [0.1, 0.1, 0.1] }, 'targetProbabilities', 'sum to 0.30000000000000004, not to 1'],
    [{ propensities: [0.5, Number.NaN, 0.5] }, 'propensities', 'have NaN: not from 0 to 1'],
    [{ propensities: [0.5, 0, 0.5] }, 'propensities', 'have 0 at 1, which was chosen nevertheless'],
    [{ reward: Number.NaN }, 'reward', 'is NaN: not finite'],
  ])('of %o is in %s', (change, field, problem) => {
    expect(problemOfDecision({ ...decision, ...change })).toEqual({ field, problem });
  });
});
