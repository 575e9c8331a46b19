/** One decision of a log, reduced to what an estimate of another policy's value needs. */
export interface Row {
  /** Whose decision it was. Rows of one person resemble each other, so intervals and folds go by person. */
  readonly user: string;
  /** Of the candidate that was chosen, under the policy that chose it. Above 0, at most 1. */
  readonly propensity: number;
  /** Of the same candidate, under the policy that is evaluated. 0 to 1. */
  readonly targetProbability: number;
  /** In any unit, the same for the whole log. Estimates have it too. */
  readonly reward: number;
  /** What a model of the reward expects. Absent: there is no model; then it is absent from every row. */
  readonly q?: Prediction;
  /**
   * The evaluated policy's probability of candidates that the log's policy gave less than `propensityFloor`. Absent:
   * only the chosen candidate's probabilities are known, and this is estimated from them.
   */
  readonly unsupported?: number;
}

/** In the unit of the reward. */
export interface Prediction {
  /** Of the candidate that was chosen. */
  readonly chosen: number;
  /** Of what the evaluated policy would have chosen: the mean over candidates by its probabilities. */
  readonly target: number;
}

/** One decision as it was logged: everything has one entry for each candidate, in order. */
export interface Decision {
  readonly user: string;
  /** Index of the candidate that was shown. */
  readonly chosen: number;
  readonly propensities: readonly number[];
  readonly targetProbabilities: readonly number[];
  readonly reward: number;
}

/**
 * Less than this counts as never: such a candidate weighs up to 10,000 decisions when it is shown after all. Half of
 * the least that our own policies give, an epsilon of 0.1 shared by 500 candidates.
 */
export const propensityFloor = 1e-4;

/** How far logged probabilities may be from 1 in sum: logs are written with few digits. */
const sumTolerance = 1e-6;

/** What is wrong with a row, and in which of its fields. */
export interface Problem {
  readonly field: string;
  readonly problem: string;
}

/** A log that cannot be evaluated. Nothing was computed from any of it. */
export class RefusedLog extends Error {}

export const weightOf = ({ targetProbability, propensity }: Row): number => targetProbability / propensity;

/** `q`: a prediction for each candidate. The decision has no problem. */
export function toRow(
  { user, chosen, propensities, targetProbabilities, reward }: Decision,
  q?: readonly number[],
): Row {
  let target = 0;
  let unsupported = 0;
  for (const [i, probability] of targetProbabilities.entries()) {
    target += probability * (q?.[i] ?? 0);
    if ((propensities[i] ?? 0) < propensityFloor) unsupported += probability;
  }
  return {
    user,
    propensity: propensities[chosen] ?? 0,
    targetProbability: targetProbabilities[chosen] ?? 0,
    reward,
    unsupported: Math.min(1, unsupported),
    ...(q && { q: { chosen: q[chosen] ?? 0, target } }),
  };
}

/** The first thing that is wrong with a row. Undefined: nothing is. */
export function problemOfRow(row: Row): Problem | undefined {
  const { user, propensity, targetProbability, reward, q, unsupported = 0 } = row;
  if (user === '') return { field: 'user', problem: 'is empty' };
  if (!(propensity > 0 && propensity <= 1))
    return { field: 'propensity', problem: `is ${propensity}: not above 0 and at most 1` };
  if (!isProbability(targetProbability))
    return { field: 'targetProbability', problem: `is ${targetProbability}: not from 0 to 1` };
  if (!Number.isFinite(weightOf(row)))
    return { field: 'propensity', problem: `is ${propensity}: too little for a weight` };
  if (!Number.isFinite(reward)) return { field: 'reward', problem: `is ${reward}: not finite` };
  if (q && !Number.isFinite(q.chosen)) return { field: 'q.chosen', problem: `is ${q.chosen}: not finite` };
  if (q && !Number.isFinite(q.target)) return { field: 'q.target', problem: `is ${q.target}: not finite` };
  if (!isProbability(unsupported)) return { field: 'unsupported', problem: `is ${unsupported}: not from 0 to 1` };
  return undefined;
}

/** The first thing that is wrong with a decision. Undefined: nothing is, and its row is right too. */
export function problemOfDecision(decision: Decision): Problem | undefined {
  const { chosen, propensities, targetProbabilities } = decision;
  if (propensities.length === 0) return { field: 'propensities', problem: 'are empty' };
  if (!Number.isInteger(chosen) || chosen < 0 || chosen >= propensities.length)
    return { field: 'chosen', problem: `is ${chosen}: not an index of ${propensities.length} propensities` };
  if (targetProbabilities.length !== propensities.length)
    return {
      field: 'targetProbabilities',
      problem: `are ${targetProbabilities.length} for ${propensities.length} propensities`,
    };
  for (const [field, values] of Object.entries({ propensities, targetProbabilities })) {
    const problem = problemOfDistribution(values);
    if (problem !== undefined) return { field, problem };
  }
  if (propensities[chosen] === 0)
    return { field: 'propensities', problem: `have 0 at ${chosen}, which was chosen nevertheless` };
  return problemOfRow(toRow(decision));
}

function problemOfDistribution(values: readonly number[]): string | undefined {
  const wrong = values.find((value) => !isProbability(value));
  if (wrong !== undefined) return `have ${wrong}: not from 0 to 1`;
  const total = values.reduce((sum, value) => sum + value, 0);
  return Math.abs(total - 1) <= sumTolerance ? undefined : `sum to ${total}, not to 1`;
}

const isProbability = (value: number): boolean => value >= 0 && value <= 1;
