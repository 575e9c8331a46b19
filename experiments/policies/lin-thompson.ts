import { unit, type Vector } from '../../features/vector.ts';
import { type Draws, firstCounter } from '../draw.ts';
import { type Model, solveUpper } from '../linear-model.ts';
import { leastOf, withFloor } from './exploration.ts';
import { floor, learning, settle, type Values, versionOf } from './hyperparameters.ts';
import { estimates, type Policy } from './policy.ts';
import { priorOf } from './prior.ts';

export const linThompsonHyperparameters = {
  ...learning,
  /** Pairs of weights drawn from the posterior. */
  pairs: { standard: 64, min: 1, max: 1024, isWhole: true },
  /** How far they are drawn from the mean: 1 is as far as the posterior says. */
  scale: { standard: 0.5, min: 0, max: 100 },
  floor,
} as const;

/**
 * A candidate is chosen as often as it is the best one under weights drawn from the posterior. Agrawal, Goyal: Thompson
 * Sampling for Contextual Bandits with Linear Payoffs, ICML 2013, algorithm 1, there with one draw, whose winner is
 * chosen. Here a fixed number of draws comes first, seeded by the request and the policy's version; the shares of wins,
 * with the floor, are the propensities; and the tip is drawn from exactly these. So what is logged is no estimate of the
 * probability the tip was chosen with. It is that probability. Drawing closer to the mean than the posterior says explores
 * less, and as a rule earns more: Chapelle, Li: An Empirical Evaluation of Thompson Sampling, NIPS 2011, 3.
 */
export function createLinThompson(given: Partial<Values<typeof linThompsonHyperparameters>> = {}): Policy {
  const values = settle(linThompsonHyperparameters, given);
  return {
    name: 'lin-thompson',
    version: versionOf(2, values),
    learning: { ...values, prior: priorOf(12) },
    leastPropensity: (candidates) => leastOf(values.floor, candidates),
    choose(model, vectors, draws) {
      const scores = estimates(model, vectors);
      const weights = winsOf(model, vectors, scores, draws, values);
      return { scores, propensities: withFloor(weights, values.floor) };
    },
  };
}

/**
 * The share of draws that each candidate wins. Weights are the mean plus or minus a deviation scale L'^-1 z sqrt(noise), with
 * z standard normal: both signs are equally likely, and as a pair they cost half and balance each other. The i-th entry of
 * the k-th z has the counter `firstCounter` + k entries + i.
 */
function winsOf(
  { mean, factor, noise }: Model,
  vectors: readonly Vector[],
  scores: readonly number[],
  draws: Draws,
  { pairs, scale }: { readonly pairs: number; readonly scale: number },
): number[] {
  const entries = mean.length;
  const columns = varyingColumns(vectors, entries);
  const expected = Float64Array.from(scores);
  const shifts = new Float64Array(scores.length);
  const deviation = new Float64Array(entries);
  const wins = new Float64Array(scores.length);
  const spread = scale * Math.sqrt(noise);

  for (let pair = 0; pair < pairs; pair++) {
    for (let i = 0; i < entries; i++) deviation[i] = spread * draws.normal(firstCounter + pair * entries + i);
    solveUpper(factor, deviation);
    shifts.fill(0);
    for (const { entry, values } of columns) addMultiple(shifts, values, deviation[entry] ?? 0);
    addWin(wins, expected, shifts, 1);
    addWin(wins, expected, shifts, -1);
  }
  return Array.from(wins, (count) => count / (2 * pairs));
}

interface Column {
  readonly entry: number;
  /** That entry of every vector. */
  readonly values: Float64Array;
}

/** The entries that tell candidates apart. Whatever the weights, the others add the same to all of them. */
function varyingColumns(vectors: readonly Vector[], entries: number): readonly Column[] {
  const columns: Column[] = [];
  for (let entry = 0; entry < entries; entry++) {
    const first = vectors[0]?.[entry];
    if (vectors.every((vector) => vector[entry] === first)) continue;
    const values = new Float64Array(vectors.length);
    for (let i = 0; i < values.length; i++) values[i] = (vectors[i]?.[entry] ?? 0) * unit;
    columns.push({ entry, values });
  }
  return columns;
}

function addMultiple(sums: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (values[i] ?? 0) * factor;
}

/** One win for the highest of `expected` plus or minus `shifts`, shared where several are equal. */
function addWin(wins: Float64Array, expected: Float64Array, shifts: Float64Array, sign: 1 | -1): void {
  let best = Number.NEGATIVE_INFINITY;
  let winner = 0;
  let winners = 0;
  for (let i = 0; i < wins.length; i++) {
    const value = (expected[i] ?? 0) + sign * (shifts[i] ?? 0);
    if (value > best) {
      best = value;
      winner = i;
      winners = 1;
    } else if (value === best) winners++;
  }
  if (winners === 1) {
    wins[winner] = (wins[winner] ?? 0) + 1;
    return;
  }
  for (let i = 0; i < wins.length; i++) {
    if ((expected[i] ?? 0) + sign * (shifts[i] ?? 0) === best) wins[i] = (wins[i] ?? 0) + 1 / winners;
  }
}

export const linThompson = createLinThompson();
