import { unit, vectorNames, vectorVersion } from '../../features/vector.ts';
import { factorise, isPossible, solveLower, solveUpper } from '../linear-model.ts';
import { rewards } from '../rewards.ts';
import type { LogisticArtifact } from './artifact.ts';
import { dimension, type TrainingRow } from './sums.ts';

// What a row adds is rounded to whole numbers before it is added: then, as everywhere, no order changes a bit.
const residualUnit = 2 ** -26;
const curvatureUnit = 2 ** -16;
const lossUnit = 2 ** -20;
const lossMax = 4096;
/** Products are below 2^38, so that a double adds this many exactly. Then they go on as big integers, without a bound. */
const blockRows = 2 ** 14;

const size = dimension + 1;
const products = (size * (size + 1)) / 2;
const one = 1 / unit;

/** What one pass over the rows tells of some weights. Passes over parts of the rows add up, in any order. */
export interface Pass {
  readonly rows: bigint;
  readonly positive: bigint;
  /** In thousandths. */
  readonly rewardPositive: bigint;
  readonly rewardOther: bigint;
  readonly loss: bigint;
  readonly gradient: readonly bigint[];
  /** Upper triangle, row by row. */
  readonly curvature: readonly bigint[];
}

export interface RunningPass {
  /** False: such a row cannot have happened. It adds nothing. */
  add(row: TrainingRow): boolean;
  read(): Pass;
}

/** Starts a pass with the weights of the intercept and of all entries. */
export function startPass(weights: readonly number[]): RunningPass {
  const block = { gradient: new Float64Array(size), curvature: new Float64Array(products), loss: 0, rows: 0 };
  const gradient = new Array<bigint>(size).fill(0n);
  const curvature = new Array<bigint>(products).fill(0n);
  const counts = { rows: 0, positive: 0, rewardPositive: 0, rewardOther: 0 };
  let loss = 0n;
  const x = new Float64Array(size);
  x[0] = one;

  const empty = () => {
    for (let i = 0; i < size; i++) gradient[i] = (gradient[i] ?? 0n) + BigInt(block.gradient[i] ?? 0);
    for (let i = 0; i < products; i++) curvature[i] = (curvature[i] ?? 0n) + BigInt(block.curvature[i] ?? 0);
    loss += BigInt(block.loss);
    block.gradient.fill(0);
    block.curvature.fill(0);
    block.loss = 0;
    block.rows = 0;
  };

  return {
    add({ vector, rewardMilli }) {
      if (vector.length !== dimension || !isPossible(vector, rewardMilli)) return false;
      const isPositive = rewardMilli > 0;
      let z = weights[0] ?? 0;
      for (let i = 0; i < dimension; i++) {
        const entry = vector[i] ?? 0;
        x[i + 1] = entry;
        z += (weights[i + 1] ?? 0) * entry * unit;
      }
      const p = 1 / (1 + Math.exp(-z));
      const residual = Math.round((p - (isPositive ? 1 : 0)) / residualUnit);
      const bend = Math.round((p * (1 - p)) / curvatureUnit);
      block.loss += Math.round(Math.min(lossMax, softplus(isPositive ? -z : z)) / lossUnit);
      for (let i = 0, position = 0; i < size; i++) {
        const entry = x[i] ?? 0;
        block.gradient[i] = (block.gradient[i] ?? 0) + residual * entry;
        const bent = bend * entry;
        for (let j = i; j < size; j++, position++)
          block.curvature[position] = (block.curvature[position] ?? 0) + bent * (x[j] ?? 0);
      }
      counts.rows++;
      if (isPositive) {
        counts.positive++;
        counts.rewardPositive += rewardMilli;
      } else counts.rewardOther += rewardMilli;
      if (++block.rows === blockRows) empty();
      return true;
    },
    read() {
      empty();
      return {
        rows: BigInt(counts.rows),
        positive: BigInt(counts.positive),
        rewardPositive: BigInt(counts.rewardPositive),
        rewardOther: BigInt(counts.rewardOther),
        loss,
        gradient: [...gradient],
        curvature: [...curvature],
      };
    },
  };
}

/** log(1 + e^z), without overflow. */
const softplus = (z: number): number => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

export function addPasses(a: Pass, b: Pass): Pass {
  const sums = (left: readonly bigint[], right: readonly bigint[]) => left.map((each, i) => each + (right[i] ?? 0n));
  return {
    rows: a.rows + b.rows,
    positive: a.positive + b.positive,
    rewardPositive: a.rewardPositive + b.rewardPositive,
    rewardOther: a.rewardOther + b.rewardOther,
    loss: a.loss + b.loss,
    gradient: sums(a.gradient, b.gradient),
    curvature: sums(a.curvature, b.curvature),
  };
}

/** Rows that teach nothing about what is positive: there are none, or they are all alike. */
export class RefusedRows extends Error {}

/** Of the weights, but for the intercept, in rows. */
const lambda = 1;
const passesMax = 50;
const smallStep = 1e-6;

/** Where a fit stands. `done`: no pass is wanted any more. */
export interface LogisticFit {
  readonly kind: 'running' | 'done';
  /** To make the next pass with. */
  readonly weights: readonly number[];
  /** The best weights so far, and the loss there; Infinity before the first pass. */
  readonly best: readonly number[];
  readonly bestLoss: number;
  readonly passes: number;
  readonly converged: boolean;
}

export const firstFit: LogisticFit = {
  kind: 'running',
  weights: new Array<number>(size).fill(0),
  best: new Array<number>(size).fill(0),
  bestLoss: Number.POSITIVE_INFINITY,
  passes: 0,
  converged: false,
};

/**
 * What to do after a pass over all rows with the weights of `fit`: a step of Newton's, or half the way back where the
 * last one went too far (penalised likelihood; Bishop 2006, 4.3.3). Ends after 50 passes. Throws RefusedRows.
 */
export function advance(fit: LogisticFit, pass: Pass): LogisticFit {
  if (pass.positive === 0n || pass.positive === pass.rows)
    throw new RefusedRows(`${pass.positive} of ${pass.rows} rewards are positive: there is nothing to tell apart`);
  const { weights } = fit;
  const passes = fit.passes + 1;
  const loss = Number(pass.loss) * lossUnit + (lambda / 2) * weights.slice(1).reduce((sum, w) => sum + w * w, 0);
  const isWorse = loss > fit.bestLoss + 1e-9 * Number(pass.rows);
  if (isWorse) {
    const halfway = weights.map((weight, i) => (weight + (fit.best[i] ?? 0)) / 2);
    return { ...fit, kind: passes >= passesMax ? 'done' : 'running', weights: halfway, passes };
  }
  const step = newtonStep(weights, pass);
  const converged = step.every((each) => Math.abs(each) < smallStep);
  const next = weights.map((weight, i) => weight - (step[i] ?? 0));
  const isDone = converged || passes >= passesMax;
  return {
    ...{ kind: isDone ? 'done' : 'running', weights: next, passes, converged },
    ...{ best: converged ? next : weights, bestLoss: loss },
  };
}

function newtonStep(weights: readonly number[], { gradient, curvature }: Pass): Float64Array {
  const step = Float64Array.from(
    gradient,
    (each, i) => Number(each) * residualUnit * unit + (i === 0 ? 0 : lambda * (weights[i] ?? 0)),
  );
  const matrix = new Float64Array(size * size);
  for (let column = 0, position = 0; column < size; column++)
    for (let row = column; row < size; row++, position++)
      matrix[row * size + column] =
        Number(curvature[position]) * curvatureUnit * unit * unit + (row === column && row > 0 ? lambda : 0);
  // where all are sure, there is no curvature left to divide by: a hair of it keeps the step finite
  if (!factorise(matrix, size, 1e-6))
    throw new RefusedRows('the rows curve the wrong way: they are no rows of one pass');
  solveLower(matrix, step);
  solveUpper(matrix, step);
  return step;
}

/** The model of a fit that is done, and of its last pass. */
export function toLogistic({ best, passes, converged }: LogisticFit, pass: Pass): LogisticArtifact {
  const [intercept = 0, ...weights] = best.map((weight) => weight + 0);
  return {
    kind: 'logistic',
    format: 1,
    vector_version: vectorVersion,
    entries: vectorNames,
    intercept,
    weights,
    lambda,
    rows: Number(pass.rows),
    mean_positive: Number(pass.rewardPositive) / (1000 * Number(pass.positive)),
    mean_other: Number(pass.rewardOther) / (1000 * Number(pass.rows - pass.positive)),
    iterations: passes,
    converged,
    reward_version: rewards.version,
  };
}
