// A trained model as a file: what it is, how it is written, and what makes of a text no model.
import { hash } from 'node:crypto';
import { unit, type Vector, vectorNames, vectorVersion } from '../../features/vector.ts';
import type { Prior } from '../linear-model.ts';

interface Common {
  /** Changes with the fields and their meanings. */
  readonly format: 1;
  /** Of the vectors that it knows, and their entries in order. */
  readonly vector_version: string;
  readonly entries: readonly string[];
  /** One for each entry, for entries in -1 to 1. */
  readonly weights: readonly number[];
  /** How strongly the weights are held at 0, in rewards. */
  readonly lambda: number;
  /** Rewards behind it. */
  readonly rows: number;
  /** Version of the rewards that it predicts. */
  readonly reward_version: string;
}

/** Predicts the reward as the sum of weights times entries. Can be the prior of a policy as it is. */
export interface LinearArtifact extends Common {
  readonly kind: 'linear';
  /** Variance of a reward around its prediction, and how many rewards that is worth where it is a prior. */
  readonly noise: number;
  readonly noise_count: number;
}

/** Predicts the probability that the reward is positive, and with it the reward. */
export interface LogisticArtifact extends Common {
  readonly kind: 'logistic';
  readonly intercept: number;
  /** Mean reward where it is positive, and where it is not. */
  readonly mean_positive: number;
  readonly mean_other: number;
  readonly iterations: number;
  /** Whether another step would have changed nothing that matters. */
  readonly converged: boolean;
}

export type Artifact = LinearArtifact | LogisticArtifact;

/** A text that is no model, or none that this build can use. Nothing was changed. */
export class RefusedArtifact extends Error {
  readonly field: string;
  readonly problem: string;

  constructor(field: string, problem: string) {
    super(`${field} ${problem}`);
    this.field = field;
    this.problem = problem;
  }
}

/** The same model is the same text, byte for byte: fields in the order of their names, numbers as short as they can be. */
export function writeArtifact(artifact: Artifact): string {
  const sorted = Object.entries(artifact).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted))}\n`;
}

/** Names the model by what is in it. At most 64 characters. */
export function versionOfArtifact(artifact: Artifact): string {
  return `${artifact.kind}-${hash('sha256', writeArtifact(artifact)).slice(0, 16)}`;
}

/** What a policy that learns starts from. */
export function priorOfArtifact(artifact: LinearArtifact): Prior {
  const { weights, noise, noise_count } = artifact;
  return { version: versionOfArtifact(artifact), mean: weights, noise, noiseCount: noise_count };
}

/** The expected reward of a vector, mostly in -1 to 1. */
export function predictReward(artifact: Artifact, vector: Vector): number {
  if (artifact.kind === 'linear') return scoreOf(artifact, vector);
  const { mean_positive, mean_other } = artifact;
  const p = probabilityPositive(artifact, vector);
  return p * mean_positive + (1 - p) * mean_other;
}

export function probabilityPositive(artifact: LogisticArtifact, vector: Vector): number {
  return 1 / (1 + Math.exp(-(artifact.intercept + scoreOf(artifact, vector))));
}

function scoreOf({ weights }: Artifact, vector: Vector): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += (weights[i] ?? 0) * (vector[i] ?? 0) * unit;
  return total;
}

const lengthMax = 65_536;
/** A reward is at most 1 and an entry too: a weight beyond this is a mistake in units. */
const weightMax = 1_000;

type Check = (value: unknown) => string | undefined;

const isNumber = (min: number, max: number, isWhole = false): Check => {
  const range = `a ${isWhole ? 'whole number' : 'number'} from ${min} to ${max}`;
  return (value) => {
    if (typeof value !== 'number') return `is ${told(value)}: must be ${range}`;
    const isRight = value >= min && value <= max && (!isWhole || Number.isInteger(value));
    return isRight ? undefined : `is ${value}: must be ${range}`;
  };
};
const is =
  (expected: string | number): Check =>
  (value) =>
    value === expected ? undefined : `is ${told(value)}: must be ${expected}`;
const isText: Check = (value) =>
  typeof value === 'string' && value !== '' && value.length <= 64 ? undefined : 'must be a text of 1 to 64 characters';

const isEntries: Check = (value) => {
  if (!Array.isArray(value)) return `is ${told(value)}: must be a list`;
  const unknown = value.find((name) => !vectorNames.some((known) => known === name));
  if (unknown !== undefined) return `has ${told(unknown)}, which is no entry of a vector`;
  if (new Set(value).size < value.length) return 'has an entry twice';
  const missing = vectorNames.find((name) => !value.includes(name));
  if (missing !== undefined) return `lacks ${missing}`;
  return value.every((name, i) => name === vectorNames[i]) ? undefined : 'are in another order';
};

const isWeights: Check = (value) => {
  if (!Array.isArray(value)) return `is ${told(value)}: must be a list`;
  if (value.length !== vectorNames.length) return `has ${value.length} numbers for ${vectorNames.length} entries`;
  const check = isNumber(-weightMax, weightMax);
  return value
    .map((each, i) => [i, check(each)] as const)
    .find(([, problem]) => problem)
    ?.join(' ');
};

/** In the order in which they are looked at: what says which model it is comes first. */
const common: Readonly<Record<keyof Common, Check>> = {
  format: is(1),
  vector_version: is(vectorVersion),
  entries: isEntries,
  weights: isWeights,
  lambda: isNumber(0, 1e9),
  rows: isNumber(0, 2 ** 53, true),
  reward_version: isText,
};
const meanReward = isNumber(-1, 1);

const fields: Readonly<Record<Artifact['kind'], Readonly<Record<string, Check>>>> = {
  linear: { ...common, noise: isNumber(1e-9, 10), noise_count: isNumber(0, 1e9) },
  logistic: {
    ...common,
    intercept: isNumber(-weightMax, weightMax),
    mean_positive: meanReward,
    mean_other: meanReward,
    iterations: isNumber(0, 1_000, true),
    converged: (value) => (typeof value === 'boolean' ? undefined : `is ${told(value)}: must be true or false`),
  },
};

/** Reads what `writeArtifact` wrote. Throws RefusedArtifact, naming the field. */
export function readArtifact(text: string): Artifact {
  if (text.length > lengthMax) throw new RefusedArtifact('artifact', `is longer than ${lengthMax} characters`);
  const value = parse(text);
  const { kind } = value;
  if (kind !== 'linear' && kind !== 'logistic')
    throw new RefusedArtifact('kind', `is ${told(kind)}: must be linear or logistic`);
  for (const [field, check] of Object.entries(fields[kind])) {
    if (!Object.hasOwn(value, field)) throw new RefusedArtifact(field, 'is missing');
    const problem = check(value[field]);
    if (problem !== undefined) throw new RefusedArtifact(field, problem);
  }
  const surplus = Object.keys(value).find((field) => field !== 'kind' && !Object.hasOwn(fields[kind], field));
  if (surplus !== undefined) throw new RefusedArtifact(told(surplus), 'is no field of such a model');
  return value as unknown as Artifact;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RefusedArtifact('artifact', 'is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RefusedArtifact('artifact', 'is no object');
  return value as Readonly<Record<string, unknown>>;
}

/** A value for a message: short, whatever it is. JSON has no Infinity, but reads a number that is too large as one. */
function told(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'undefined');
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
