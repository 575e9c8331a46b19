import { z } from 'zod';
import { contentHash } from '../platform/content-hash.ts';
import { type FieldViolation, invalidArgument } from '../platform/errors.ts';
import { pathStep, violationsOf } from '../platform/violations.ts';
import { bucketsOf } from './assignment.ts';
import { type ArmPolicyName, armPolicyNames } from './policies/fixed-arms.ts';

/** A comparison of two or more arms on people drawn at random. Data: a change of it is a new `version`. */
export interface Experiment {
  readonly key: string;
  readonly version: string;
  /** Only `running` ones draw people. Those forced into an arm get it under every status. */
  readonly status: 'draft' | 'running' | 'stopped';
  /** Salt of the draw. Another seed draws everybody anew; the same seed and weights give everybody the same arm. */
  readonly seed: string;
  /** Of GrowthBook's hash: 2, or 1 for experiments begun elsewhere. With any other nobody is assigned. */
  readonly hashVersion: number;
  /** In order: each has the part of [0, 1) behind the one before. */
  readonly arms: readonly Arm[];
  /** Unset: a person has one arm for as long as the definition stays. */
  readonly bandit?: Bandit | undefined;
  /** The share of each arm's people who are in the experiment. */
  readonly coverage: number;
  /** Unset: everybody. */
  readonly namespace?: Namespace | undefined;
  /** Key of the holdout whose people stay out. Unset: none. */
  readonly holdout?: string | undefined;
  /** Arm by user id, for testing. */
  readonly forced: Readonly<Record<string, string>>;
  /** The first instant, and the first one after. Unset: no such bound. */
  readonly startMs?: number | undefined;
  readonly endMs?: number | undefined;
}

/**
 * Draws the arm anew for each request, more often one whose tips did well. Arms have equal weights, which say who keeps an
 * arm, and where everybody else stands while nothing is learnt.
 */
export interface Bandit {
  readonly policy: ArmPolicyName;
  /** What the probability of no arm falls below. */
  readonly floor: number;
  /**
   * The share of each arm's people who keep it, as in any other experiment: what is compared over, since means of arms
   * that are drawn more often where they did well are biased. The first part of those covered, so whoever is among them stays.
   */
  readonly fixed: number;
}

export interface Arm {
  readonly key: string;
  /** The probability of this arm for whoever is in the experiment. */
  readonly weight: number;
  /** What its people get. Unset: what they would get without the experiment. */
  readonly policy?: string | undefined;
  readonly promptVersion?: string | undefined;
  /** For whoever asks over OFREP. All arms have them or none. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/**
 * A part of all people. Experiments in one namespace exclude each other: what others call a layer. Those in different
 * namespaces are drawn independently.
 */
export interface Namespace {
  readonly key: string;
  /** People whose number in the namespace is in [from, to). */
  readonly from: number;
  readonly to: number;
  /** 1 is a `namespace` of GrowthBook, 2 one of its `filters`; only with 2 do names that resemble each other not matter. */
  readonly hashVersion: 1 | 2;
}

/** People who are kept out of every experiment that names it, to measure what the experiments do together. */
export interface Holdout {
  readonly key: string;
  /** Of all people. */
  readonly share: number;
}

export interface ExperimentSet {
  /** Digest of all that follows, whatever the order of experiments, holdouts and properties. */
  readonly version: string;
  /** Ordered by key. */
  readonly experiments: readonly Experiment[];
  readonly holdouts: readonly Holdout[];
}

/** Where the experiments of this moment come from. Cheap to call: on the way of every request. */
export interface ExperimentSource {
  current(): ExperimentSet;
}

/** What an arm can choose, beside parameters. */
export type Choice = 'policy' | 'promptVersion';

/** What arms may choose from. */
export interface Choices {
  readonly policies: ReadonlySet<string>;
  readonly promptVersions: ReadonlySet<string>;
  /** Policies that may decide about people, where that is known: a running experiment may choose no others. */
  readonly clearedPolicies?: ReadonlySet<string> | undefined;
}

/** Less than a decision event can name: a canary comes on top. */
const experimentsMax = 64;

/**
 * How far from 1 weights may sum up, in millionths: three times 0.333 will do. People whose number lies behind the last
 * arm are in none.
 */
const weightToleranceMillionths = 1000;

/** Seeds must not begin with these, so that no draw of an arm is that of a namespace, a holdout or a canary. */
const reservedSeeds = ['__', 'holdout:', 'canary:'];

/** Safe in a URL and in a file name, and within what a decision event can hold. */
const name = z
  .string('must be a string')
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit');
const isShare = 'must be a number from 0 to 1';
const share = z.number(isShare).min(0, isShare).max(1, isShare);
const isInstant = 'must be an instant, for example 2026-11-23T08:00:00Z';
const instant = z.iso.datetime({ offset: true, error: isInstant }).transform((text) => Date.parse(text));
/** What the database can keep. */
const isStorable = (value: string): boolean => value.isWellFormed() && !value.includes('\0');
const text = z
  .string('must be a string')
  .max(256, 'must have at most 256 characters')
  .refine(isStorable, 'must be Unicode without U+0000');
const isParameter = 'must be a string, a number or a boolean';
const userId = text.min(1, 'must not be empty');

const arm = z.strictObject({
  key: name,
  weight: share.optional(),
  policy: name.optional(),
  promptVersion: name.optional(),
  parameters: z.record(name, z.union([text, z.number(isParameter), z.boolean()], isParameter)).optional(),
});

/** With a floor below, some logged decision would weigh more than a thousand others in an evaluation. */
const isFloor = 'must be a number from 0.001 to 0.5';

const bandit = z.strictObject(
  {
    policy: z.enum(armPolicyNames, `must be ${armPolicyNames.join(' or ')}`),
    floor: z.number(isFloor).min(0.001, isFloor).max(0.5, isFloor).default(0.05),
    fixed: share.default(0.05),
  },
  'must be an object',
);

const experiment = z
  .strictObject({
    key: name,
    version: name,
    status: z.enum(['draft', 'running', 'stopped'], 'must be draft, running or stopped'),
    seed: text
      .min(1, 'must not be empty')
      .refine(
        (seed) => !reservedSeeds.some((prefix) => seed.startsWith(prefix)),
        `must not begin with ${reservedSeeds.join(' or ')}`,
      )
      .optional(),
    hashVersion: z.int('must be a whole number').min(1, 'must be 1 or more').default(2),
    arms: z.array(arm, 'must be a list').min(2, 'must have at least 2').max(16, 'must have at most 16'),
    bandit: bandit.optional(),
    coverage: share.default(1),
    namespace: z
      .strictObject(
        { key: name, from: share, to: share, hashVersion: z.literal([1, 2], 'must be 1 or 2').default(2) },
        'must be an object',
      )
      .optional(),
    holdout: name.optional(),
    forced: z.record(userId, name, 'must be an object of arms by user id').default({}),
    start: instant.optional(),
    end: instant.optional(),
  })
  .superRefine(({ arms, bandit }, { addIssue }) => {
    for (const [i, { weight }] of arms.entries()) {
      const path = ['arms', i, 'weight'];
      if (!bandit && weight === undefined) addIssue({ code: 'custom', path, message: isShare });
      if (bandit && weight !== undefined)
        addIssue({ code: 'custom', path, message: 'must not be set: the bandit finds it' });
    }
  });

const definitions = z.strictObject(
  {
    experiments: z.array(experiment, 'must be a list').max(experimentsMax, `must have at most ${experimentsMax}`),
    holdouts: z.array(z.strictObject({ key: name, share }), 'must be a list').default([]),
  },
  'must be an object',
);

/**
 * Reads definitions as people write them: `{ experiments: […], holdouts: […] }`, where `seed` is the key unless given,
 * `start` and `end` are instants in words. Throws `invalid_argument` with every problem under its full path. What
 * experiments have to do with each other, and with those that `haveRun`, is checked once each is right by itself.
 */
export function parseExperiments(input: unknown, choices: Choices, haveRun: readonly Experiment[] = []): ExperimentSet {
  const result = definitions.safeParse(input);
  if (!result.success) throw invalid(violationsOf(result.error));
  const experiments = result.data.experiments.map(toExperiment);
  const { holdouts } = result.data;
  const violations = [
    ...repeated('experiments', experiments),
    ...repeated('holdouts', holdouts),
    ...experiments.flatMap((each, i) => problemsOf(each, `experiments[${i}]`, choices, holdouts)),
    ...experiments.flatMap((each, i) => conflictsOf(each, `experiments[${i}]`, experiments.slice(0, i))),
    ...experiments.flatMap((each, i) => (isUsedUp(each, haveRun) ? [usedUp(`experiments[${i}]`)] : [])),
  ];
  if (violations.length > 0) throw invalid(violations);
  return toSet(experiments, holdouts);
}

/** Reads one definition by itself. Undefined: it is not of the form that this build reads. */
export function readExperiment(input: unknown): Experiment | undefined {
  const result = experiment.safeParse(input);
  return result.success ? toExperiment(result.data) : undefined;
}

/** Whether another draw, or other arms, ran under its version: both would be counted as one. A bandit is a draw. */
function isUsedUp(one: Experiment, haveRun: readonly Experiment[]): boolean {
  const drawOf = ({ seed, hashVersion, arms, bandit }: Experiment) => contentHash({ seed, hashVersion, arms, bandit });
  return haveRun.some(
    (other) => other.key === one.key && other.version === one.version && drawOf(other) !== drawOf(one),
  );
}

const usedUp = (path: string): FieldViolation => ({
  field: `${path}.version`,
  description: 'ran before with another seed, hashVersion, arms or bandit: give it a new one',
});

/** Without experiments nobody is in any. */
export const noExperiments: ExperimentSet = toSet([], []);

function toSet(experiments: readonly Experiment[], holdouts: readonly Holdout[]): ExperimentSet {
  const content = { experiments: experiments.toSorted(byKey), holdouts: holdouts.toSorted(byKey) };
  return { version: contentHash(content), ...content };
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}

function toExperiment({ seed, start, end, arms, ...rest }: z.infer<typeof experiment>): Experiment {
  const weighed = arms.map(({ key, weight = 1 / arms.length, ...choice }) => ({ key, weight, ...choice }));
  return { ...rest, arms: weighed, seed: seed ?? rest.key, startMs: start, endMs: end };
}

/** What is wrong with an experiment by itself. */
function problemsOf(one: Experiment, path: string, choices: Choices, holdouts: readonly Holdout[]): FieldViolation[] {
  const { status, arms, forced, holdout, namespace, startMs, endMs } = one;
  const found = [...repeated(`${path}.arms`, arms), ...problemsOfBandit(one, path)];
  const report = (field: string, description: string) => found.push({ field: `${path}.${field}`, description });
  const millionths = Math.round(arms.reduce((sum, { weight }) => sum + weight, 0) * 1e6);
  if (Math.abs(millionths - 1e6) > weightToleranceMillionths) {
    report('arms', `their weights sum to ${millionths / 1e6}, but must sum to 1, give or take 0.001`);
  }
  const haveParameters = arms.some(({ parameters }) => parameters);
  for (const [i, { policy, promptVersion, parameters }] of arms.entries()) {
    if (policy !== undefined && !choices.policies.has(policy)) {
      report(`arms[${i}].policy`, `is unknown; known: ${[...choices.policies].join(', ')}`);
    } else if (policy !== undefined && status === 'running' && choices.clearedPolicies?.has(policy) === false) {
      report(`arms[${i}].policy`, 'may not decide about people: the gate has not let it out of the shadow');
    }
    if (promptVersion !== undefined && !choices.promptVersions.has(promptVersion)) {
      report(`arms[${i}].promptVersion`, `is unknown; known: ${[...choices.promptVersions].join(', ')}`);
    }
    if (haveParameters && !parameters) report(`arms[${i}].parameters`, 'is not set, but other arms have parameters');
  }
  for (const [user, key] of Object.entries(forced)) {
    if (!arms.some((each) => each.key === key)) report(`forced${pathStep(user)}`, 'is the key of no arm');
  }
  if (namespace && namespace.from >= namespace.to) report('namespace.to', 'must be more than from');
  if (holdout !== undefined && !holdouts.some(({ key }) => key === holdout)) report('holdout', 'is no key in holdouts');
  if (startMs !== undefined && endMs !== undefined && startMs >= endMs) report('end', 'must be after start');
  return found;
}

/**
 * What is wrong with an experiment as a bandit. It learns from what became of the tips that each arm's prompt wrote: of
 * anything else that an arm did it would learn nothing.
 */
function problemsOfBandit({ bandit, arms, coverage }: Experiment, path: string): FieldViolation[] {
  if (!bandit) return [];
  const found: FieldViolation[] = [];
  const report = (field: string, description: string) => found.push({ field: `${path}.${field}`, description });
  const { floor, fixed } = bandit;
  if (floor * arms.length > 1) {
    report('bandit.floor', `is ${floor} for each of ${arms.length} arms: together more than 1`);
  }
  if (fixed > coverage) report('bandit.fixed', 'must not be more than coverage');
  for (const [i, { promptVersion, policy, parameters }] of arms.entries()) {
    const first = arms.findIndex((other) => other.promptVersion === promptVersion);
    if (promptVersion === undefined) {
      report(`arms[${i}].promptVersion`, 'must be set: a bandit chooses among prompt versions');
    } else if (first !== i) {
      report(`arms[${i}].promptVersion`, `is the same as that of arms[${first}]`);
    }
    if (policy !== undefined) report(`arms[${i}].policy`, 'must not be set in a bandit');
    if (parameters !== undefined) report(`arms[${i}].parameters`, 'must not be set in a bandit');
  }
  return found;
}

/**
 * What keeps an experiment from running beside earlier ones. Stopped experiments, and those of different times, conflict
 * with nothing.
 */
function conflictsOf(one: Experiment, path: string, earlier: readonly Experiment[]): FieldViolation[] {
  return earlier.flatMap((other, i) => {
    if (!canCoincide(one, other)) return [];
    const found: FieldViolation[] = [];
    const report = (field: string, description: string) => found.push({ field: `${path}.${field}`, description });
    // Equal seeds put the same people into the same arms of both, and neither effect can be told from the other.
    if (one.seed === other.seed) report('seed', `is the same as that of experiments[${i}]`);
    if (one.namespace && one.namespace.key === other.namespace?.key) {
      const { hashVersion } = other.namespace;
      if (one.namespace.hashVersion !== hashVersion) {
        report('namespace.hashVersion', `must be ${hashVersion}, as that of experiments[${i}]`);
      } else if (overlap(one.namespace, other.namespace)) {
        report('namespace', `overlaps that of experiments[${i}]`);
      }
      return found;
    }
    for (const choice of ['policy', 'promptVersion'] as const) {
      if (!choosesAny(one, choice) || !choosesAny(other, choice)) continue;
      report('arms', `choose a ${choice}, as those of experiments[${i}] do: both must be in one namespace`);
    }
    return found;
  });
}

function canCoincide(a: Experiment, b: Experiment): boolean {
  if (a.status === 'stopped' || b.status === 'stopped') return false;
  return startOf(a) < endOf(b) && startOf(b) < endOf(a);
}

const startOf = ({ startMs = Number.NEGATIVE_INFINITY }: Experiment) => startMs;
const endOf = ({ endMs = Number.POSITIVE_INFINITY }: Experiment) => endMs;

/** Whether anybody's number is in both. */
function overlap(a: Namespace, b: Namespace): boolean {
  return bucketsOf({ start: Math.max(a.from, b.from), end: Math.min(a.to, b.to) }, a.hashVersion) > 0;
}

/**
 * The same experiments, but for those with an arm that chooses another policy than these: nobody is in them, whichever arm
 * they are in, since people of one arm only could be compared with nobody.
 */
export function suspendUncleared(set: ExperimentSet, cleared: ReadonlySet<string>): ExperimentSet {
  const isCleared = ({ arms }: Experiment) => arms.every(({ policy }) => policy === undefined || cleared.has(policy));
  if (set.experiments.every(isCleared)) return set;
  const suspended = set.experiments.map(
    (each): Experiment => (isCleared(each) ? each : { ...each, status: 'stopped', forced: {} }),
  );
  return toSet(suspended, set.holdouts);
}

/** Whether any of its arms chooses that. */
export function choosesAny({ arms }: Experiment, choice: Choice): boolean {
  return arms.some((each) => each[choice] !== undefined);
}

function repeated(path: string, items: readonly { readonly key: string }[]): FieldViolation[] {
  return items.flatMap(({ key }, i) => {
    const first = items.findIndex((other) => other.key === key);
    return first === i ? [] : [{ field: `${path}[${i}].key`, description: `is the same as that of ${path}[${first}]` }];
  });
}

function invalid(violations: readonly FieldViolation[]) {
  return invalidArgument(violations, { reason: 'INVALID_EXPERIMENTS' });
}
