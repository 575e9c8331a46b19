import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectorNames } from '../../features/vector.ts';
import { decide } from '../decide.ts';
import { add, contributionOf, noStatistics, type Statistics } from '../linear-model.ts';
import { nothingLearnt } from '../statistics.ts';
import { createModelPolicy, explorerNames, type PolicyModel } from './of-model.ts';
import type { Predictor } from './policy.ts';

const mean = vectorNames.map((_, i) => (i % 2 === 0 ? 0.25 : -0.5));

function modelOf(changes: Partial<PolicyModel['manifest']> = {}, hash = '0123456789abcdef'.repeat(4)): PolicyModel {
  const weights = { mean, noise: 0.5, noiseCount: 20 };
  const explorer = { name: 'egreedy', hyperparameters: {} };
  return { name: 'reward/3', policy: 'reward.3', hash, manifest: { use: 'prior', weights, explorer, ...changes } };
}

const asking = { use: 'prediction', weights: null } as const;
const predictor: Predictor = { version: 'reward/3', load: async () => {}, predict: async () => [] };

const entry = fc.integer({ min: -4096, max: 4096 });
const vector = fc.array(entry, { minLength: 12, maxLength: 12 });
const statistics = fc
  .array(fc.tuple(vector, fc.integer({ min: -1000, max: 1000 })), { maxLength: 8 })
  .map((seen) => seen.map(([x, reward]) => contributionOf(x, reward) ?? nothingLearnt).reduce(add, nothingLearnt));

describe('the policy of a model', () => {
  it.each(explorerNames)('explores as %s does, and is one of its own', (name) => {
    const explorer = { name, hyperparameters: {} };
    const policy = createModelPolicy(modelOf({ explorer }));
    expect(policy).toMatchObject({ name: 'reward.3', learning: { prior: { version: 'reward/3', mean } } });
    expect(policy.version).toMatch(/^0123456789ab;\d+;/);
    const other = createModelPolicy(modelOf({ explorer }, 'f'.repeat(64)));
    expect(other.version).not.toBe(policy.version);
  });

  it('starts everybody from the model, whatever the population has learnt, and moves with their own rewards', () => {
    const policy = createModelPolicy(modelOf());
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 6 }), statistics, (vectors, population) => {
        const decided = (person: Statistics, everybody = population) =>
          decide(policy, vectors, 'request', { person, population: everybody });
        const fresh = decided(nothingLearnt);
        expect(fresh).toMatchObject({ failure: undefined, modelVersion: 'reward/3', weights: mean });
        const own = contributionOf(vectors[0] ?? [], 1000) ?? nothingLearnt;
        expect(decided(own)).toEqual(decided(own, nothingLearnt));
      }),
    );
  });

  it('that is asked scores candidates as its predictor says', () => {
    const policy = createModelPolicy(modelOf(asking), () => predictor);
    const vectors = [1, 2, 3].map((value) => mean.map(() => value));
    const learnt = { person: noStatistics(12), population: noStatistics(12) };
    const decision = decide(policy, vectors, 'request', { ...learnt, predictions: [0.1, 0.7, -0.2] });
    expect(decision).toMatchObject({ policy: { name: 'reward.3' }, modelVersion: 'reward/3', weights: [] });
    expect(decision.scores).toEqual([0.1, 0.7, -0.2]);
    expect(decision.propensities[1]).toBeGreaterThan(0.9);
  });

  it.each<[string, readonly number[] | undefined, string]>([
    ['gave no answer', undefined, 'no_prediction'],
    ['answered for too few', [0.1], 'improper'],
    ['answered for too many', [0.1, 0.2, 0.3], 'improper'],
    ['says NaN', [0.1, Number.NaN], 'improper'],
    ['says infinity', [0.1, 1 / 0], 'improper'],
  ])('does not decide where its predictor %s: random does', (_, predictions, kind) => {
    const policy = createModelPolicy(modelOf(asking), () => predictor);
    const learnt = { person: nothingLearnt, population: nothingLearnt, predictions };
    const decision = decide(policy, [mean, mean], 'request', learnt);
    expect(decision).toMatchObject({ policy: { name: 'random' }, failure: { kind }, propensities: [0.5, 0.5] });
  });

  it.each<[string, Partial<PolicyModel['manifest']>, string]>([
    [
      'an explorer that is unknown',
      { explorer: { name: 'toString', hyperparameters: {} } },
      'there is no explorer toString',
    ],
    [
      'a hyperparameter that is unknown',
      { explorer: { name: 'egreedy', hyperparameters: { e: 1 } } },
      'hyperparameter e',
    ],
    ['one out of bounds', { explorer: { name: 'egreedy', hyperparameters: { epsilon: 2 } } }, 'epsilon is 2'],
    [
      'a version too long',
      { explorer: { name: 'egreedy', hyperparameters: { epsilon: 1 / 3, lambda: 2e5 / 3, kappa: 1e5 / 3 } } },
      'is longer than 64',
    ],
    [
      'predictions for who needs doubt',
      { ...asking, explorer: { name: 'linucb', hyperparameters: {} } },
      'linucb needs weights',
    ],
    ['a prior without weights', { weights: null }, 'weights must be there'],
  ])('is refused with %s', (_, changes, problem) => {
    expect(() => createModelPolicy(modelOf(changes), () => predictor)).toThrow(problem);
  });

  it('is refused where nothing runs models that predict', () => {
    expect(() => createModelPolicy(modelOf(asking))).toThrow('nothing here that runs models');
  });
});
