import { unit, type Vector } from '../features/vector.ts';

/**
 * All that a linear model needs of the rewards it has seen: sums of whole numbers, so that adding is exact in any order
 * and any split, and taking away what was added leaves what was there before, bit for bit. Exact below 2^53, which 2^29
 * rewards cannot pass.
 *
 * One statistic serves models of fewer entries as well: they use the first entries of the vector, so the upper left part
 * of `xx` and the first part of `xy`.
 */
export interface Statistics {
  /** Rewards seen. */
  readonly count: number;
  /** Sum of the products of two entries, in units of 2^-24: the upper triangle of a symmetric matrix, row by row. */
  readonly xx: readonly number[];
  /** Sum of each entry times the reward, in units of 2^-12 thousandths. */
  readonly xy: readonly number[];
  /** Sum of the rewards, in thousandths. */
  readonly reward: number;
  /** Sum of the squared rewards, in millionths. */
  readonly rewardSquared: number;
}

const entryMax = 1 / unit;
const rewardMax = 1000;

/** What is known before any reward, of vectors with that many entries. */
export function noStatistics(dimension: number): Statistics {
  const xx = new Array<number>((dimension * (dimension + 1)) / 2).fill(0);
  return { count: 0, xx, xy: new Array<number>(dimension).fill(0), reward: 0, rewardSquared: 0 };
}

/**
 * What one reward adds. Undefined: an entry is not whole or outside -4096 to 4096, or the reward outside -1000 to 1000
 * thousandths. Such a thing cannot have happened, and in the sums it would spoil everything.
 */
export function contributionOf(vector: Vector, rewardMilli: number): Statistics | undefined {
  if (!isPossible(vector, rewardMilli)) return undefined;
  return {
    count: 1,
    xx: vector.flatMap((entry, i) => vector.slice(i).map((other) => product(entry, other))),
    xy: vector.map((entry) => product(entry, rewardMilli)),
    reward: product(1, rewardMilli),
    rewardSquared: rewardMilli * rewardMilli,
  };
}

/** Whether a reward of a vector can have happened, as `contributionOf` says. */
export function isPossible(vector: Vector, rewardMilli: number): boolean {
  return isWithin(rewardMilli, rewardMax) && vector.every((entry) => isWithin(entry, entryMax));
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && Math.abs(value) <= max;
}

/** Never -0, which would not be the 0 that remains when it is taken away again. */
function product(a: number, b: number): number {
  return a * b + 0;
}

/** The statistics of the rewards of both. Throws a RangeError if their vectors differ in length. */
export function add(a: Statistics, b: Statistics): Statistics {
  return combine(a, b, 1);
}

/** The statistics without a part of them, as when a reward is corrected. Throws a RangeError like `add`. */
export function subtract(whole: Statistics, part: Statistics): Statistics {
  return combine(whole, part, -1);
}

function combine(a: Statistics, b: Statistics, sign: 1 | -1): Statistics {
  if (a.xy.length !== b.xy.length) throw new RangeError(`vectors of ${a.xy.length} and of ${b.xy.length} entries`);
  return {
    count: a.count + sign * b.count,
    xx: a.xx.map((sum, i) => sum + sign * (b.xx[i] ?? 0)),
    xy: a.xy.map((sum, i) => sum + sign * (b.xy[i] ?? 0)),
    reward: a.reward + sign * b.reward,
    rewardSquared: a.rewardSquared + sign * b.rewardSquared,
  };
}

/** What is believed before any reward was seen. */
export interface Prior extends LinearWeights {
  /** Changes with the values. */
  readonly version: string;
}

export interface LinearWeights {
  /** The expected weight of each entry. A model has as many entries. */
  readonly mean: readonly number[];
  /** The expected variance of a reward around its estimate. */
  readonly noise: number;
  /** How many rewards that variance is worth. */
  readonly noiseCount: number;
}

/** How strongly a model holds on to what it starts from: the noise over the variance it grants a weight. */
export interface Precisions {
  /** Of the population's model to the prior. */
  readonly lambda: number;
  /** Of a person's model to that of the population. */
  readonly kappa: number;
}

/** What was learnt about one person: a normal distribution of weights. */
export interface Model {
  readonly kind: 'model';
  /** Expected weights, one for each entry. */
  readonly mean: readonly number[];
  /** Lower triangular L, row by row, zeros above: L L' is the precision of the weights in units of one over the noise. */
  readonly factor: Float64Array;
  /** Variance of a reward around its estimate; that of an estimate x'w is noise x'(L L')^-1 x. */
  readonly noise: number;
  /** Rewards of this person behind it. */
  readonly count: number;
  /** What a model that is not linear says of each candidate, in the place of the weights. */
  readonly predictions?: readonly number[];
}

/** The model of whoever learns nothing. */
export const emptyModel: Model = { kind: 'model', mean: [], factor: new Float64Array(), noise: 0, count: 0 };

/** Why a state is no state that rewards can lead to. */
export type Problem =
  /** Not as many sums as its vectors' entries ask for, or fewer entries than the model. */
  | 'wrong_length'
  /** A sum that is not a whole number below 2^53: no number, infinite, broken or no longer exact. */
  | 'not_whole'
  | 'count_negative'
  /** Rewards, their squares or their products with entries larger than that many rewards can be. */
  | 'rewards_impossible'
  /** Products of entries larger than that many vectors can have, or a negative square. */
  | 'entries_impossible'
  /** Products that no vectors have together, though each alone is possible. */
  | 'not_positive_definite'
  /** A prior that is not finite. */
  | 'not_finite';

/** A state that is not served. */
export interface Refusal {
  readonly kind: 'refused';
  readonly whose: 'prior' | 'population' | 'person';
  readonly problem: Problem;
}

/**
 * What to believe about one person: the population's statistics move a prior set by hand, the person's own move what the
 * population believes. Each step is a Bayesian linear regression whose prior covers all entries alike (ridge; Bishop,
 * Pattern Recognition and Machine Learning, 2006, 3.3; two levels as in Gelman et al., Bayesian Data Analysis, 3rd
 * edition, chapters 5 and 15): nobody starts from nothing, and whoever reacts much is believed on their own.
 *
 * The person's precision starts from `kappa` times the identity, not from a scaled precision of the population. All
 * entries lie in -1 to 1, so one number means the same for each; it is positive definite whatever was seen; a change in
 * the tips that others get does not change how free a person is; and the population may contain the person's own rewards
 * without making their model sure of itself twice. What it leaves out is the doubt about the population's weights
 * themselves, which matters only as long as nearly nobody has reacted.
 */
export function fitModel(
  person: Statistics,
  population: Statistics,
  prior: Prior,
  precisions: Precisions,
): Model | Refusal {
  if (![...prior.mean, prior.noise].every(Number.isFinite))
    return { kind: 'refused', whose: 'prior', problem: 'not_finite' };
  const everyone = everyoneOf(population, prior, precisions.lambda);
  if (typeof everyone === 'string') return { kind: 'refused', whose: 'population', problem: everyone };
  const own = ridge(person, { ...everyone, noiseCount: prior.noiseCount }, precisions.kappa);
  if (typeof own === 'string') return { kind: 'refused', whose: 'person', problem: own };
  return { kind: 'model', ...own, count: person.count };
}

type Moved = ReturnType<typeof ridge>;

/** What was made of a population by whom, as it is the same for each of its people. Statistics and priors never change. */
const everyones = new WeakMap<Statistics, WeakMap<Prior, Map<number, Moved>>>();

function everyoneOf(population: Statistics, prior: Prior, lambda: number): Moved {
  const byPrior = everyones.get(population) ?? new WeakMap<Prior, Map<number, Moved>>();
  const byLambda = byPrior.get(prior) ?? new Map<number, Moved>();
  const everyone = byLambda.get(lambda) ?? ridge(population, prior, lambda);
  everyones.set(population, byPrior.set(prior, byLambda.set(lambda, everyone)));
  return everyone;
}

/**
 * Moves a prior by what was seen. With A = xx and P = A + precision I, the mean m moves by P^-1 (xy - A m), and the noise
 * to (noiseCount noise + S) / (noiseCount + count), where S is the sum of squared residuals and of the move's own cost
 * (normal-inverse-gamma; Murphy, Machine Learning, 2012, 7.6.3, as expected value of 1 / noise, turned over).
 */
function ridge(
  statistics: Statistics,
  { mean, noise, noiseCount }: LinearWeights,
  precision: number,
): Pick<Model, 'mean' | 'factor' | 'noise'> | Problem {
  const dimension = mean.length;
  const problem = problemOf(statistics, dimension);
  if (problem) return problem;

  const factor = matrixOf(statistics, dimension);
  const residual = Float64Array.from(mean, (_, i) => ((statistics.xy[i] ?? 0) * unit) / rewardMax);
  let squares = statistics.rewardSquared / rewardMax ** 2;
  for (let i = 0; i < dimension; i++) {
    const before = residual[i] ?? 0;
    let after = before;
    for (let j = 0; j < dimension; j++) after -= at(factor, dimension, Math.max(i, j), Math.min(i, j)) * (mean[j] ?? 0);
    residual[i] = after;
    squares -= (mean[i] ?? 0) * (before + after);
  }

  if (!isSumOfSquares(factor, dimension) || !factorise(factor, dimension, precision)) return 'not_positive_definite';
  const move = residual.slice();
  solveLower(factor, move);
  solveUpper(factor, move);
  for (let i = 0; i < dimension; i++) squares -= (move[i] ?? 0) * (residual[i] ?? 0);
  if (squares < -1e-9 * (1 + statistics.count)) return 'rewards_impossible'; // beyond what rounding can do

  return {
    mean: mean.map((value, i) => value + (move[i] ?? 0)),
    factor,
    noise: noise + (Math.max(0, squares) - statistics.count * noise) / (noiseCount + statistics.count),
  };
}

/** The first rows and columns of `xx`, lower triangle, zeros above. */
function matrixOf({ xx, xy }: Statistics, dimension: number): Float64Array {
  const matrix = new Float64Array(dimension * dimension);
  let position = 0;
  for (let column = 0; column < dimension; column++) {
    for (let row = column; row < dimension; row++) {
      matrix[row * dimension + column] = (xx[position + row - column] ?? 0) * (unit * unit);
    }
    position += xy.length - column;
  }
  return matrix;
}

function at(matrix: Float64Array, dimension: number, row: number, column: number): number {
  return matrix[row * dimension + column] ?? 0;
}

/**
 * Whether a symmetric matrix has no negative direction, as every sum of squares. It is moved by far more than rounding can
 * do to it, and by far less than a model starts from.
 */
function isSumOfSquares(matrix: Float64Array, dimension: number): boolean {
  let largest = 1;
  for (let i = 0; i < dimension; i++) largest = Math.max(largest, at(matrix, dimension, i, i));
  return factorise(matrix.slice(), dimension, 1e-12 * largest);
}

/**
 * Cholesky's factorisation of a symmetric matrix plus `precision` times the identity, in place (Golub and Van Loan, Matrix
 * Computations, 4th edition, 4.2). False: it is not positive definite.
 */
export function factorise(matrix: Float64Array, dimension: number, precision: number): boolean {
  for (let i = 0; i < dimension; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = at(matrix, dimension, i, j) + (i === j ? precision : 0);
      for (let k = 0; k < j; k++) rest -= at(matrix, dimension, i, k) * at(matrix, dimension, j, k);
      if (i > j) matrix[i * dimension + j] = rest / at(matrix, dimension, j, j);
      else if (rest > 0) matrix[i * dimension + i] = Math.sqrt(rest);
      else return false;
    }
  }
  return true;
}

/** Replaces b by the solution of L x = b. */
export function solveLower(factor: Float64Array, b: Float64Array): void {
  const dimension = b.length;
  for (let i = 0; i < dimension; i++) {
    let rest = b[i] ?? 0;
    for (let k = 0; k < i; k++) rest -= at(factor, dimension, i, k) * (b[k] ?? 0);
    b[i] = rest / at(factor, dimension, i, i);
  }
}

/** Replaces b by the solution of L' x = b. */
export function solveUpper(factor: Float64Array, b: Float64Array): void {
  const dimension = b.length;
  for (let i = dimension - 1; i >= 0; i--) {
    let rest = b[i] ?? 0;
    for (let k = i + 1; k < dimension; k++) rest -= at(factor, dimension, k, i) * (b[k] ?? 0);
    b[i] = rest / at(factor, dimension, i, i);
  }
}

/**
 * What is wrong with statistics, whether or not a model uses that part of them. Both sides of each comparison are rounded
 * the same way, so what holds for the exact numbers holds here: nothing right is refused.
 */
function problemOf(statistics: Statistics, dimension: number): Problem | undefined {
  const { count, xx, xy, reward, rewardSquared } = statistics;
  const entries = xy.length;
  if (entries < dimension || xx.length !== (entries * (entries + 1)) / 2) return 'wrong_length';
  if (!areWhole([count, reward, rewardSquared]) || !areWhole(xy) || !areWhole(xx)) return 'not_whole';
  if (count < 0) return 'count_negative';

  const isRewardPossible = Math.abs(reward) <= count * rewardMax && rewardSquared <= count * rewardMax ** 2;
  if (!isRewardPossible || reward * reward > count * rewardSquared) return 'rewards_impossible';
  const squares = squaresIn(xx, entries);
  for (let i = 0, position = 0; i < entries; i++) {
    const square = squares[i] ?? 0;
    const withReward = xy[i] ?? 0;
    if (square < 0 || square > count * entryMax ** 2) return 'entries_impossible';
    for (let j = i; j < entries; j++, position++) {
      const sum = xx[position] ?? 0;
      if (sum * sum > square * (squares[j] ?? 0)) return 'entries_impossible'; // Cauchy and Schwarz
    }
    if (withReward * withReward > square * rewardSquared) return 'rewards_impossible';
  }
  return undefined;
}

function areWhole(values: readonly number[]): boolean {
  for (const value of values) if (!Number.isSafeInteger(value)) return false;
  return true;
}

function squaresIn(xx: readonly number[], entries: number): Float64Array {
  const squares = new Float64Array(entries);
  for (let i = 0, position = 0; i < entries; position += entries - i, i++) squares[i] = xx[position] ?? 0;
  return squares;
}
