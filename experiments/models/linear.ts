import { unit, vectorNames, vectorVersion } from '../../features/vector.ts';
import { add, fitModel, noStatistics, type Problem, type Statistics, subtract } from '../linear-model.ts';
import { learning } from '../policies/hyperparameters.ts';
import { rewards } from '../rewards.ts';
import type { LinearArtifact } from './artifact.ts';
import { dimension } from './sums.ts';

/** Strengths to choose from, in rewards, from hardly any to all but none of the data. */
export const lambdas: readonly number[] = [1, 5, learning.lambda.standard, 100, 500, 2_500, 12_500];

/** As the prior that is set by hand: the variance is known well by then, but a policy should trust its own people. */
const noiseCount = 20;
const start = { version: 'zero', mean: new Array<number>(dimension).fill(0), noise: 0.5, noiseCount };

/** How well one strength predicted people that it had not seen. */
export interface Tried {
  readonly lambda: number;
  /** Mean squared error. */
  readonly error: number;
}

export interface LinearFit {
  readonly artifact: LinearArtifact;
  /** Empty: there were not two folds with rewards, and the strength is the standard one. */
  readonly tried: readonly Tried[];
}

/** Sums that no rows can have. */
export class RefusedSums extends Error {}

/**
 * Ridge regression from sums, one of each fold of people: the very model that policies move by what they learn. Its
 * strength is the one whose fits on all folds but one predict that one best, of equal ones the strongest; sums of folds
 * are taken away exactly, so that nothing is read twice. The same rows in any order and split give the same bits.
 */
export function fitLinear(folds: readonly Statistics[]): LinearFit {
  const all = folds.reduce(add, noStatistics(dimension));
  const used = folds.filter(({ count }) => count > 0);
  const tried = used.length < 2 ? [] : lambdas.map((lambda) => ({ lambda, error: errorOf(all, used, lambda) }));
  const best = tried.reduce<Tried | undefined>(
    (best, each) => (best && best.error < each.error ? best : each),
    undefined,
  );
  const lambda = best?.lambda ?? learning.lambda.standard;
  const { weights, noise } = ridge(all, lambda);
  return { artifact: toArtifact({ weights, noise, lambda, rows: all.count }), tried };
}

export function toArtifact(fitted: Pick<LinearArtifact, 'weights' | 'noise' | 'lambda' | 'rows'>): LinearArtifact {
  return {
    kind: 'linear',
    format: 1,
    vector_version: vectorVersion,
    entries: vectorNames,
    ...fitted,
    noise_count: noiseCount,
    reward_version: rewards.version,
  };
}

/** Weights, and the variance of rewards around what they predict. Throws RefusedSums. */
export function ridge(statistics: Statistics, lambda: number): Pick<LinearArtifact, 'weights' | 'noise'> {
  const model = fitModel(noStatistics(dimension), statistics, start, { lambda, kappa: 1 });
  if (model.kind === 'refused') throw new RefusedSums(sentences[model.problem]);
  return { weights: model.mean.map((weight) => weight + 0), noise: model.noise };
}

const sentences: Readonly<Record<Problem, string>> = {
  wrong_length: 'the sums are of vectors of another length',
  not_whole: 'a sum is not a whole number',
  count_negative: 'the count is negative',
  rewards_impossible: 'the rewards are larger than so many can be',
  entries_impossible: 'the entries are larger than so many vectors can have',
  not_positive_definite: 'no vectors have such products together',
  not_finite: 'a number is not finite',
};

function errorOf(all: Statistics, folds: readonly Statistics[], lambda: number): number {
  const squares = folds.map((fold) => squaredErrors(fold, ridge(subtract(all, fold), lambda).weights));
  return squares.reduce((sum, each) => sum + each, 0) / all.count;
}

/** The sum of squared differences between rewards and what weights predict: r'r - 2 w'(xy) + w'(xx)w. Never below 0. */
export function squaredErrors({ xx, xy, rewardSquared }: Statistics, weights: readonly number[]): number {
  let total = rewardSquared / 1e6;
  for (let i = 0, position = 0; i < weights.length; i++) {
    const weight = weights[i] ?? 0;
    total -= (2 * weight * (xy[i] ?? 0) * unit) / 1000;
    for (let j = i; j < xy.length; j++, position++)
      total += (i === j ? 1 : 2) * weight * (weights[j] ?? 0) * (xx[position] ?? 0) * unit * unit;
  }
  return Math.max(0, total);
}
