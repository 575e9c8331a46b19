import { seedOf } from '../draw.ts';
import { createSums } from './sums.ts';

/** Predicts rewards of candidates from their vectors. */
export interface RewardModel {
  /** In the unit of the reward, by a fit that has seen no row of this person. */
  predict(user: string, vector: readonly number[]): number;
}

const folds = 5;

/** In rows: the weight of the belief that no feature matters, with features scaled to variance 1. */
const penalty = 1;

/** Columns without variance, but for rounding, say nothing beside the intercept. */
const leastVarianceShare = 1e-10;

/**
 * Ridge regression (Hoerl, Kennard, Technometrics 1970) of rewards on the vectors of chosen candidates, cross-fitted:
 * people fall into five folds, and a person's rewards are predicted from the other four (Chernozhukov et al.,
 * Econometrics Journal 2018). A model that had seen a row would repeat its noise, and the correction of doubly robust
 * estimators would find nothing to correct. Keeps sums only: rows may come in any order and number. `vectorLength` is
 * that of every vector.
 */
export function startRewardModel(vectorLength: number) {
  const size = vectorLength + 2; // 1, the vector, the reward
  const products = Array.from({ length: folds }, () => createSums(size * size));
  const foldOf = createFoldOf();

  return {
    add(user: string, vector: readonly number[], reward: number) {
      const sums = products[foldOf(user)];
      const z = [1, ...vector, reward];
      // the upper triangle is enough
      for (const [i, a] of z.entries()) for (let j = i; j < size; j++) sums?.add(i * size + j, a * (z[j] ?? 0));
    },
    fit(): RewardModel {
      const all = products.map((sums) => sums.read());
      // added up without the fold itself: taking it off again would leave its rounding behind
      const fits = all.map((own) => {
        const others = all.filter((other) => other !== own);
        return ridge(addUp(others, size), size);
      });
      return {
        predict(user, vector) {
          const [intercept = 0, ...slopes] = fits[foldOf(user)] ?? [];
          return slopes.reduce((sum, slope, j) => sum + slope * (vector[j] ?? 0), intercept);
        },
      };
    },
  };
}

function createFoldOf(): (user: string) => number {
  const known = new Map<string, number>();
  return (user) => {
    const fold = known.get(user) ?? Number(seedOf(user) % BigInt(folds));
    known.set(user, fold);
    return fold;
  };
}

function addUp(parts: readonly Float64Array[], size: number): Float64Array {
  return parts.reduce((sum, part) => sum.map((value, i) => value + (part[i] ?? 0)), new Float64Array(size * size));
}

/** Intercept and slopes, from the sums of products of 1, features and reward. All 0 where there are no rows. */
function ridge(products: Float64Array, size: number): readonly number[] {
  const at = (i: number, j: number) => products[i * size + j] ?? 0;
  const rows = at(0, 0);
  if (rows === 0) return Array.from({ length: size - 1 }, () => 0);
  const mean = (j: number) => at(0, j) / rows;
  const covariance = (i: number, j: number) => at(i, j) - rows * mean(i) * mean(j);
  const used = Array.from({ length: size - 2 }, (_, j) => j + 1).filter(
    (j) => covariance(j, j) > leastVarianceShare * at(j, j),
  );
  const matrix = used.map((i) =>
    used.map((j) => covariance(Math.min(i, j), Math.max(i, j)) + (i === j ? (penalty * covariance(i, i)) / rows : 0)),
  );
  const solved = solve(
    matrix,
    used.map((j) => covariance(j, size - 1)),
  );
  const slopes = new Array<number>(size - 2).fill(0);
  for (const [k, j] of used.entries()) slopes[j - 1] = solved[k] ?? 0;
  return [slopes.reduce((intercept, slope, k) => intercept - slope * mean(k + 1), mean(size - 1)), ...slopes];
}

/** Cholesky: `matrix` is symmetric and, with the penalty on its diagonal, positive definite. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): readonly number[] {
  const lower: number[][] = [];
  const forward: number[] = [];
  const dot = (a: readonly number[] = [], b: readonly number[] = [], length: number) => {
    let sum = 0;
    for (let k = 0; k < length; k++) sum += (a[k] ?? 0) * (b[k] ?? 0);
    return sum;
  };
  for (const [i, row] of matrix.entries()) {
    const own: number[] = [];
    for (let j = 0; j < i; j++) own.push(((row[j] ?? 0) - dot(own, lower[j], j)) / (lower[j]?.[j] ?? 1));
    const pivot = (row[i] ?? 0) - dot(own, own, i);
    own.push(pivot > 0 ? Math.sqrt(pivot) : Number.POSITIVE_INFINITY); // rounding ate it: a slope of 0
    lower.push(own);
    forward.push(((right[i] ?? 0) - dot(own, forward, i)) / (own[i] ?? 1));
  }
  const result = new Array<number>(matrix.length).fill(0);
  for (let i = matrix.length - 1; i >= 0; i--) {
    let rest = forward[i] ?? 0;
    for (let k = i + 1; k < matrix.length; k++) rest -= (lower[k]?.[i] ?? 0) * (result[k] ?? 0);
    result[i] = rest / (lower[i]?.[i] ?? 1);
  }
  return result;
}
