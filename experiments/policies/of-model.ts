import type { LinearWeights } from '../linear-model.ts';
import { createEpsilonGreedy } from './epsilon-greedy.ts';
import { createLinThompson } from './lin-thompson.ts';
import { createLinUcb } from './linucb-v1.ts';
import type { Policy, Predictor } from './policy.ts';
import { createSoftmax } from './softmax.ts';
import { createSquareCb } from './square-cb.ts';

/** How a policy explores around what a model expects. */
const explorers: Readonly<Record<string, (given: Readonly<Record<string, number>>) => Policy>> = {
  egreedy: (given) => createEpsilonGreedy({ name: 'egreedy', code: 2, entries: 12 }, given),
  softmax: createSoftmax,
  'square-cb': createSquareCb,
  linucb: createLinUcb,
  'lin-thompson': createLinThompson,
};

export const explorerNames: readonly string[] = Object.keys(explorers);

/** They need to know how much a model doubts its weights, which one that only predicts does not say. */
const doubting: readonly string[] = ['linucb', 'lin-thompson'];

/** A registered version of a model, as far as a policy is made of it. */
export interface PolicyModel {
  /** Of model and version, as it is logged with decisions. */
  readonly name: string;
  /** The name of the policy. */
  readonly policy: string;
  /** Changes with everything that the version is made of. */
  readonly hash: string;
  readonly manifest: {
    readonly use: 'prior' | 'prediction';
    readonly weights: LinearWeights | null;
    readonly explorer: { readonly name: string; readonly hyperparameters: Readonly<Record<string, number>> };
  };
}

const hashDigits = 12;
const versionMax = 64;

/**
 * The policy that decides by a model: its weights are where a person starts from, to be moved by their own rewards, or it is
 * asked about each candidate. Throws a RangeError where there is no such policy.
 */
export function createModelPolicy<Model extends PolicyModel>(
  model: Model,
  openPredictor?: (model: Model) => Predictor,
): Policy {
  const { use, weights, explorer } = model.manifest;
  const create = Object.hasOwn(explorers, explorer.name) ? explorers[explorer.name] : undefined;
  if (!create) throw new RangeError(`there is no explorer ${explorer.name}; known: ${explorerNames.join(', ')}`);
  const base = create(explorer.hyperparameters);
  const version = `${model.hash.slice(0, hashDigits)};${base.version}`;
  if (version.length > versionMax)
    throw new RangeError(`its version has more than ${versionMax} characters: ${version}`);

  if (use === 'prediction') {
    if (doubting.includes(explorer.name))
      throw new RangeError(`${explorer.name} needs weights and how far to doubt them: use must be prior`);
    if (!openPredictor) throw new RangeError('use is prediction, and there is nothing here that runs models');
    return { ...base, name: model.policy, version, learning: undefined, predictor: openPredictor(model) };
  }
  if (!weights || !base.learning) throw new RangeError('weights must be there for a model that is used as a prior');
  const prior = { ...weights, version: model.name };
  return { ...base, name: model.policy, version, learning: { ...base.learning, prior, isOfEverybody: true } };
}
