import { describe, expect, it } from 'vitest';
import { createEpsilonGreedy } from './epsilon-greedy.ts';
import { betaThompson, createBetaThompson, createUcb1, ucb1 } from './fixed-arms.ts';
import { settle, versionOf } from './hyperparameters.ts';
import { policies } from './index.ts';
import { createLinThompson } from './lin-thompson.ts';
import { createLinUcb } from './linucb-v1.ts';
import { createSoftmax } from './softmax.ts';
import { createSquareCb } from './square-cb.ts';

describe('hyperparameters', () => {
  const known = { alpha: { standard: 1, min: 0, max: 2 }, pairs: { standard: 8, min: 1, max: 9, isWhole: true } };

  it('are standard where none is given', () => {
    expect(settle(known, {})).toEqual({ alpha: 1, pairs: 8 });
    expect(settle(known, { alpha: 0 })).toEqual({ alpha: 0, pairs: 8 });
  });

  it.each<[string, object]>([
    ['too small', { alpha: -0.1 }],
    ['too large', { alpha: 2.1 }],
    ['no number', { alpha: Number.NaN }],
    ['infinite', { alpha: Number.POSITIVE_INFINITY }],
    ['not whole', { pairs: 2.5 }],
    ['unknown', { beta: 1 }],
    ['the name of something every object has', { toString: 1 }],
  ])('that are %s are refused', (_, given) => {
    expect(() => settle(known, given)).toThrow(RangeError);
  });

  it('are all in the version, which fits the contract', () => {
    expect(versionOf(3, { alpha: 0.5, pairs: 8 })).toBe('3;alpha=0.5;pairs=8');
    expect(() => versionOf(1, { lambda: 1 / 3, kappa: 2 / 3, epsilon: 1 / 7 })).toThrow(/longer than 64/);
  });

  it('of the policies that can decide are these', () => {
    expect([...policies.values(), betaThompson, ucb1].map(({ name, version }) => `${name} ${version}`)).toEqual([
      'random 1',
      'egreedy-v1 1;lambda=20;kappa=10;epsilon=0.1',
      'egreedy-v2 2;lambda=20;kappa=10;epsilon=0.1',
      'linucb-v1 1;lambda=20;kappa=10;alpha=0.25;epsilon=0.05',
      'lin-thompson 2;lambda=20;kappa=10;pairs=64;scale=0.5;floor=0.001',
      'square-cb 1;lambda=20;kappa=10;gamma=100;floor=0.001',
      'softmax 1;lambda=20;kappa=10;temperature=0.03;floor=0.001',
      'beta-thompson 1;samples=128;floor=0.001',
      'ucb1 1;epsilon=0.05',
    ]);
  });

  it.each([
    ['egreedy', () => createEpsilonGreedy({ name: 'e', code: 1, entries: 3 }, { epsilon: 1.1 })],
    ['linucb', () => createLinUcb({ alpha: -1 })],
    ['lin-thompson', () => createLinThompson({ pairs: 0 })],
    ['lin-thompson, at the scale,', () => createLinThompson({ scale: -1 })],
    ['square-cb', () => createSquareCb({ gamma: -1 })],
    ['softmax', () => createSoftmax({ temperature: 0 })],
    ['beta-thompson', () => createBetaThompson({ samples: 0.5 })],
    ['ucb1', () => createUcb1({ epsilon: 2 })],
    ['kappa 0, with which a model may have no answer', () => createSoftmax({ kappa: 0 })],
  ])('of %s have bounds', (_, make) => {
    expect(make).toThrow(RangeError);
  });
});
