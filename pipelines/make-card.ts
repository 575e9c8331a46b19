import { type Evidence, gateLimits } from '../experiments/gate.ts';
import { doublyRobust } from '../experiments/off-policy/estimators.ts';
import type { Measured, Report } from '../experiments/off-policy/evaluate.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { rewards } from '../experiments/rewards.ts';
import { describeInputs } from '../features/describe-inputs.ts';
import { vectorNames } from '../features/vector.ts';
import type { Evaluation, Figure, LogEvidence, ModelCard, NoFigure, OffPolicy } from '../registry/card.ts';
import type { CardedModel } from '../registry/card-problems.ts';
import type { Manifest } from '../registry/model.ts';

export interface MadeOf {
  readonly policy: Pick<Policy, 'name' | 'version' | 'learning'>;
  readonly of: CardedModel;
  /** The one that there is. What it says and nobody says anew stays. */
  readonly earlier: ModelCard | undefined;
  /** Undefined: the log says nothing of the policy, as it was never asked beside another. */
  readonly log: LogOf | undefined;
  readonly said: Said;
}

export interface LogOf {
  readonly source: LogEvidence['source'];
  readonly atMs: number;
  /** The active policy, as rollouts name it. */
  readonly against: string;
  /** As the gate is given it. */
  readonly evidence: Evidence;
  /** What it would have earned. Undefined: nothing can be said. */
  readonly report: Report | undefined;
}

/** What only people know. Undefined: what the earlier card says, else what can be said of any. */
export interface Said {
  readonly owner: string | undefined;
  readonly purpose?: string | undefined;
  readonly weaknesses?: readonly string[] | undefined;
  /** Of people whom the model has not seen, as training made it. */
  readonly evaluation?: Evaluation | undefined;
}

/** The card of a policy, from its manifest or its code, what the log says, and what people say. It may lack something. */
export function makeCard({ policy, of, earlier, log, said }: MadeOf): ModelCard {
  const { manifest } = of;
  return {
    schema: 1,
    purpose: said.purpose ?? earlier?.purpose ?? purposeOf(policy, manifest),
    owner: said.owner ?? earlier?.owner ?? '',
    model: manifest ? modelOf(manifest, of.hash) : modelOfPolicy(policy, of.hash),
    inputs: describeInputs(manifest ? manifest.inputs.map(({ name }) => name) : entriesOf(policy)),
    training: trainingOf(policy, manifest, earlier),
    evaluation: said.evaluation ?? earlier?.evaluation ?? null,
    log: log ? logOf(policy, log) : (earlier?.log ?? null),
    latency: earlier?.latency ?? { value: null, reason: 'the gate looks at it with each step' },
    weaknesses: said.weaknesses ?? earlier?.weaknesses ?? weaknessesOf(policy),
    notKnown: earlier?.notKnown ?? (manifest ? [] : [unmeasured]),
  };
}

function purposeOf({ learning }: Pick<Policy, 'learning'>, manifest: Manifest | undefined): string {
  const what = 'Decides which one tip a person sees now: ';
  return learning || manifest
    ? `${what}the one that they can be expected to like, with some chance for the others.`
    : `${what}whatever is known of them, so that others can be measured against it.`;
}

const unmeasured = {
  name: 'selection rate, true and false positive rate by group',
  value: null,
  reason: 'nothing was trained, so there are no predictions about people who were held out',
};

const entriesOf = ({ learning }: Pick<Policy, 'learning'>): readonly string[] =>
  vectorNames.slice(0, learning?.prior.mean.length ?? 0);

function modelOf(manifest: Manifest, hash: string): ModelCard['model'] {
  const { model, kind, use, explorer, artifact, code, rewardVersion } = manifest;
  return { name: model, kind, use, explorer, hash, artifact, code, rewardVersion };
}

/** The version of a policy of the build names every hyperparameter, after the number of its code. */
function modelOfPolicy({ name, version }: Pick<Policy, 'name' | 'version'>, hash: string): ModelCard['model'] {
  const [code = version, ...given] = version.split(';');
  const values = given.map((each) => each.split('=')).filter(([, value]) => Number.isFinite(Number(value)));
  const hyperparameters = Object.fromEntries(values.map(([key = '', value]) => [key, Number(value)]));
  return {
    ...{ name, kind: 'policy', use: 'rules', explorer: { name, hyperparameters }, hash, artifact: null },
    ...{ code, rewardVersion: rewards.version },
  };
}

function trainingOf(
  { learning }: Pick<Policy, 'learning'>,
  manifest: Manifest | undefined,
  earlier: ModelCard | undefined,
): ModelCard['training'] {
  if (earlier) return earlier.training;
  if (manifest) return { kind: 'elsewhere', says: 'nobody said what it was trained on' };
  return {
    kind: 'by hand',
    says: learning
      ? `Somebody set the weights that it starts from (${learning.prior.version}); rewards move them from then on.`
      : 'It has no weights, and learns nothing.',
  };
}

function weaknessesOf({ learning }: Pick<Policy, 'learning'>): readonly string[] {
  const always = 'It knows nothing of what a tip says, only of its kind of task.';
  return learning
    ? [always, 'What it expects of somebody new, it expects of everybody.']
    : [always, 'It does the same about everybody, whatever they did.'];
}

function logOf({ name, version }: Pick<Policy, 'name' | 'version'>, found: LogOf): LogEvidence {
  const { source, atMs, against, evidence, report } = found;
  const { shadow, groups = [] } = evidence;
  const least = gateLimits.minGroupUsers;
  return {
    ...{ source, asOf: new Date(atMs).toISOString(), against },
    ...{ days: shadow?.days ?? 0, decisions: shadow?.decisions ?? 0 },
    agreement: shadow && Number.isFinite(shadow.agreement) ? Math.min(1, Math.max(0, shadow.agreement)) : null,
    minGroupPeople: least,
    offPolicy: offPolicyOf(`${name} ${version}`, report),
    fairness: gateLimits.segments.map((segment) => {
      const own = groups.filter((each) => each.segment === segment);
      const large = own.filter(({ users }) => users >= least);
      return {
        segment,
        suppressed: own.filter((each) => !large.includes(each)).map(({ group }) => group),
        gain: large.map(({ group, users, difference }) => ({ group, figure: fromMilli(difference, users) })),
      };
    }),
  };
}

/** An always-valid interval is as wide on either side. */
function fromMilli(difference: { lower: number; upper: number } | undefined, people: number): Figure {
  if (!difference || !Number.isFinite(difference.upper - difference.lower))
    return none('too little is known of these people for an interval');
  const [low, high] = [difference.lower / 1000, difference.upper / 1000];
  return { value: (difference.lower + difference.upper) / 2000, low, high, people };
}

function offPolicyOf(policy: string, report: Report | undefined): OffPolicy {
  if (!report) {
    const nothing = none('no outcome of a decision that it was asked about is known');
    return { policy, value: nothing, gain: nothing, logged: nothing, checks: [] };
  }
  const { spread, checks, verdict, logged } = report;
  const figure = ({ value, normal: { low, high } }: Measured): Figure =>
    Number.isFinite(high - low)
      ? { value, low, high, rows: spread.rows, people: spread.people }
      : none('too few people for an interval');
  const best = report.estimates.find(({ name }) => name === doublyRobust.name);
  const vetoed = none('too little evidence to believe an estimate');
  const isBelieved = verdict.kind === 'sufficient evidence' && best;
  return {
    policy,
    value: isBelieved ? figure(best) : vetoed,
    gain: isBelieved ? figure(best.gain) : vetoed,
    logged: figure(logged),
    checks: checks.map(({ name, value, passes, says }) => ({ name, value, passes, says })),
  };
}

const none = (reason: string): NoFigure => ({ value: null, reason });
