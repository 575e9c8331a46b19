import { activityFrom, segments } from '../../experiments/evidence.ts';
import { gateLimits } from '../../experiments/gate.ts';
import type { Prior } from '../../experiments/linear-model.ts';
import {
  type Artifact,
  predictReward,
  probabilityPositive,
  versionOfArtifact,
} from '../../experiments/models/artifact.ts';
import { dimension } from '../../experiments/models/sums.ts';
import type { Report } from '../../experiments/off-policy/evaluate.ts';
import { problemOfDecision, RefusedLog } from '../../experiments/off-policy/row.ts';
import { epsilonGreedyHyperparameters } from '../../experiments/policies/epsilon-greedy.ts';
import { epsilonGreedy } from '../../experiments/policies/exploration.ts';
import { estimate } from '../../experiments/policies/policy.ts';
import { priorOf } from '../../experiments/policies/prior.ts';
import { rewards } from '../../experiments/rewards.ts';
import { type Vector, vectorVersion } from '../../features/vector.ts';
import type { Baseline, Decile, Errors, Evaluation, Fairness, Figure, OffPolicy, Slice } from '../../registry/card.ts';
import type { CandidatesLine } from '../bandit-log.ts';
import { evaluateLog } from '../off-policy.ts';
import {
  areaUnderCurve,
  differenceOf,
  disparityOf,
  type Estimated,
  figureOf,
  meanOf,
  medianOf,
  type Part,
  partOf,
  peopleIn,
  rootOf,
} from './measures.ts';
import { heldOutShare, isHeldOut } from './people.ts';
import type { FileRow, TrainingFile } from './read.ts';

export interface EvaluateOptions {
  /** As it was trained with. Default: a fifth. */
  readonly heldOut?: number;
  /** That is in use now. */
  readonly prior?: Prior;
  readonly minGroupPeople?: number;
}

/**
 * Evaluates a model on people whom it has not seen. Reads the file three times; memory holds some numbers for each row of
 * people who are held out. The same file and model give the same evaluation. Throws RefusedFile.
 */
export async function evaluate(
  file: TrainingFile,
  artifact: Artifact,
  {
    heldOut = heldOutShare,
    prior = priorOf(dimension),
    minGroupPeople = gateLimits.minGroupUsers,
  }: EvaluateOptions = {},
): Promise<Evaluation> {
  const sample = await readSample(file, artifact, { heldOut, prior });
  const { whole, model, reward } = sample;
  const selectedAbove = medianOf(model);
  const groupings = groupingsOf(sample, file.hasAllFeatures);
  return {
    format: 1,
    model: versionOfArtifact(artifact),
    kind: artifact.kind,
    rewardVersion: rewards.version,
    vectorVersion,
    asOf: file.asOf ?? null,
    confidence: 0.95,
    heldOutShare: heldOut,
    minGroupPeople,
    rows: whole.rows.length,
    people: whole.people,
    errors: errorsOf(whole, model, reward),
    baselines: baselinesOf(sample, prior),
    calibration: calibrationOf(sample),
    classification: classificationOf(sample, artifact),
    slices: groupings.flatMap((grouping) => slicesOf(sample, grouping, minGroupPeople)),
    selectedAbove: Number.isNaN(selectedAbove) ? null : selectedAbove,
    fairness: groupings
      .filter(({ isSegment }) => isSegment)
      .map((grouping) => fairnessOf(sample, grouping, selectedAbove, minGroupPeople)),
    offPolicy: await offPolicyOf(file, artifact, heldOut),
    notKnown: [
      { name: 'locale', value: null, reason: 'rows hold the first part of a time zone, and no language' },
      ...(file.hasAllFeatures
        ? []
        : Object.keys(segments).map((name) => ({
            name,
            value: null,
            reason: 'the file has the profile features alone',
          }))),
    ],
  };
}

interface Sample {
  readonly whole: Part;
  readonly reward: Float64Array;
  readonly model: Float64Array;
  readonly prior: Float64Array;
  /** Of the rows that are not held out. */
  readonly trainedMean: number;
  readonly trainedShare: number;
  /** Probability of a positive reward; the prediction itself of a model that has none. */
  readonly probability: Float64Array;
  readonly labels: readonly Labels[];
}

type Labels = Readonly<Record<string, string | undefined>>;

const columns = [
  'person',
  'vector',
  'vector_version',
  'reward_milli',
  'tip_kind',
  'tip_source',
  'hour_of_day',
  'time_zone_area',
  'tenure_days',
  'tips_served_30d',
  'integrations_connected',
] as const;

async function readSample(
  file: TrainingFile,
  artifact: Artifact,
  { heldOut, prior }: { readonly heldOut: number; readonly prior: Prior },
): Promise<Sample> {
  const people = new Map<string, number>();
  const taken = { person: [] as number[], reward: [] as number[], model: [] as number[], prior: [] as number[] };
  const probability: number[] = [];
  const labels: Labels[] = [];
  const interned = new Map<string, Labels>();
  const trained = { rows: 0, milli: 0, positive: 0 };
  for await (const row of file.read(columns)) {
    const { person, vector, reward_milli: milli } = row;
    if (milli === null || row.vector_version !== vectorVersion || vector.length !== dimension) continue;
    if (!isHeldOut(person, heldOut)) {
      trained.rows++;
      trained.milli += milli;
      if (milli > 0) trained.positive++;
      continue;
    }
    const number = people.get(person) ?? people.size;
    people.set(person, number);
    taken.person.push(number);
    taken.reward.push(milli / 1000);
    taken.model.push(predictReward(artifact, vector));
    taken.prior.push(estimate(prior.mean, vector));
    probability.push(
      artifact.kind === 'logistic' ? probabilityPositive(artifact, vector) : predictReward(artifact, vector),
    );
    const own = labelsOf(row, file.hasAllFeatures);
    const key = JSON.stringify(own);
    const known = interned.get(key) ?? own;
    interned.set(key, known);
    labels.push(known);
  }
  return {
    whole: { rows: Int32Array.from(labels.keys()), personOf: Int32Array.from(taken.person), people: people.size },
    reward: Float64Array.from(taken.reward),
    model: Float64Array.from(taken.model),
    prior: Float64Array.from(taken.prior),
    trainedMean: trained.milli / 1000 / trained.rows,
    trainedShare: trained.positive / trained.rows,
    probability: Float64Array.from(probability),
    labels,
  };
}

const [someTenure, longTenure] = [7, 90];

/** The groups that a row is in. Segments are those of the gate, by what was known when it was decided. */
function labelsOf(row: Pick<FileRow, (typeof columns)[number]>, hasAllFeatures: boolean): Labels {
  const served = row.tips_served_30d ?? 0;
  const connected = row.integrations_connected ?? 0;
  const [fewest, some, most] = segments.activity;
  const [none, one, several] = segments.integrations;
  const { tenure_days: tenure } = row;
  return {
    tip_kind: row.tip_kind,
    tip_source: row.tip_source,
    hour: ['night', 'morning', 'afternoon', 'evening'][Math.floor(row.hour_of_day / 6)],
    tenure:
      tenure === null ? 'not known' : tenure < someTenure ? 'first week' : tenure < longTenure ? 'weeks' : 'months',
    time_zone_area: row.time_zone_area,
    ...(hasAllFeatures && {
      activity: served < activityFrom.light ? fewest : served < activityFrom.regular ? some : most,
      integrations: connected === 0 ? none : connected === 1 ? one : several,
    }),
  };
}

interface Grouping {
  readonly name: string;
  readonly groups: readonly string[];
  readonly isSegment: boolean;
}

function groupingsOf({ labels }: Sample, hasAllFeatures: boolean): readonly Grouping[] {
  const named = ['tip_kind', 'tip_source', 'hour', 'tenure', 'time_zone_area'];
  return [...named, ...(hasAllFeatures ? Object.keys(segments) : [])].map((name) => ({
    name,
    groups: [...new Set(labels.flatMap((own) => own[name] ?? []))].sort(),
    isSegment: Object.hasOwn(segments, name),
  }));
}

const noRows = 'nobody who is held out has a reward';

function estimatedErrors(part: Part, predicted: Float64Array, reward: Float64Array) {
  const error = (row: number) => (predicted[row] ?? 0) - (reward[row] ?? 0);
  return {
    rmse: rootOf(meanOf(part, (row) => error(row) ** 2)),
    mae: meanOf(part, (row) => Math.abs(error(row))),
    meanError: meanOf(part, error),
  };
}

function errorsOf(part: Part, predicted: Float64Array, reward: Float64Array): Errors {
  const { rmse, mae, meanError } = estimatedErrors(part, predicted, reward);
  return { rmse: figureOf(rmse, noRows), mae: figureOf(mae, noRows), meanError: figureOf(meanError, noRows) };
}

function baselinesOf({ whole, reward, model, prior, trainedMean }: Sample, { version }: Prior): readonly Baseline[] {
  const own = estimatedErrors(whole, model, reward);
  const baseline = (name: string, predicted: Float64Array): Baseline => {
    const { rmse, mae } = estimatedErrors(whole, predicted, reward);
    return {
      name,
      ...errorsOf(whole, predicted, reward),
      rmseSaved: figureOf(differenceOf(rmse, own.rmse), noRows),
      maeSaved: figureOf(differenceOf(mae, own.mae), noRows),
    };
  };
  return [
    baseline(
      'mean reward of the training rows',
      reward.map(() => trainedMean),
    ),
    baseline(`prior in use: ${version}`, prior),
  ];
}

const deciles = 10;

/** Rows in ten equal parts by what was predicted: in each, the reward should be what was predicted. */
function calibrationOf({ whole, model, reward }: Sample): Evaluation['calibration'] {
  const sorted = whole.rows.toSorted((a, b) => (model[a] ?? 0) - (model[b] ?? 0) || a - b);
  if (sorted.length < deciles) return { value: null, reason: `${sorted.length} rows, and ${deciles} are needed` };
  return Array.from({ length: deciles }, (_, i): Decile => {
    const rows = sorted.slice(
      Math.floor((i * sorted.length) / deciles),
      Math.floor(((i + 1) * sorted.length) / deciles),
    );
    const part = { ...whole, rows };
    return {
      from: model[rows[0] ?? 0] ?? 0,
      to: model[rows.at(-1) ?? 0] ?? 0,
      predicted: figureOf(
        meanOf(part, (row) => model[row] ?? 0),
        noRows,
      ),
      reward: figureOf(
        meanOf(part, (row) => reward[row] ?? 0),
        noRows,
      ),
    };
  });
}

/** No prediction is so sure that one row decides all. */
const surest = 1e-6;

function classificationOf(sample: Sample, { kind }: Artifact): Evaluation['classification'] {
  if (kind !== 'logistic') return { value: null, reason: 'the model predicts rewards, not probabilities' };
  const { whole, probability, reward, trainedShare } = sample;
  const isPositive = (row: number) => (reward[row] ?? 0) > 0;
  const lossOf = (p: number, row: number) => {
    const sure = Math.min(1 - surest, Math.max(surest, p));
    return -Math.log(isPositive(row) ? sure : 1 - sure);
  };
  const own = meanOf(whole, (row) => lossOf(probability[row] ?? 0, row));
  const constant = meanOf(whole, (row) => lossOf(trainedShare, row));
  const area = areaUnderCurve(whole, (row) => probability[row] ?? 0, isPositive);
  return {
    logLoss: figureOf(own, noRows),
    logLossSaved: figureOf(differenceOf(constant, own), noRows),
    auc: figureOf(area, 'all rewards are positive, or none'),
  };
}

const tooFew = (people: number, least: number): string =>
  `${people} ${people === 1 ? 'person' : 'people'}, and ${least} are needed`;

function slicesOf(
  { whole, labels, model, reward }: Sample,
  { name, groups }: Grouping,
  least: number,
): readonly Slice[] {
  return groups.map((group) => {
    const part = partOf(whole, (row) => labels[row]?.[name] === group);
    const people = peopleIn(part);
    const found = { slice: name, group, rows: part.rows.length, people };
    return people < least
      ? { ...found, suppressed: tooFew(people, least) }
      : { ...found, ...errorsOf(part, model, reward) };
  });
}

function fairnessOf(
  { whole, labels, model, reward }: Sample,
  { name, groups }: Grouping,
  selectedAbove: number,
  least: number,
): Fairness {
  const parts = groups.map((group) => ({ group, part: partOf(whole, (row) => labels[row]?.[name] === group) }));
  const large = parts.filter(({ part }) => peopleIn(part) >= least);
  const isSelected = (row: number) => (model[row] ?? 0) > selectedAbove;
  const isPositive = (row: number) => (reward[row] ?? 0) > 0;
  const rate = (part: Part): Estimated | undefined => meanOf(part, (row) => (isSelected(row) ? 1 : 0));
  return {
    segment: name,
    suppressed: parts.filter((each) => !large.includes(each)).map(({ group }) => group),
    selectionRate: disparityOf(large, rate),
    reward: disparityOf(large, (part) => meanOf(partOf(part, isSelected), (row) => reward[row] ?? 0)),
    truePositiveRate: disparityOf(large, (part) => rate(partOf(part, isPositive))),
    falsePositiveRate: disparityOf(large, (part) => rate(partOf(part, (row) => !isPositive(row)))),
  };
}

const epsilon = epsilonGreedyHyperparameters.epsilon.standard;

/**
 * The policy that does what the model says, but for the share of chance: it has learnt nothing beside, so that this is an
 * answer about the model alone.
 */
async function offPolicyOf(file: TrainingFile, artifact: Artifact, heldOut: number): Promise<OffPolicy> {
  const policy = `epsilon-greedy, epsilon ${epsilon}, on ${versionOfArtifact(artifact)} alone`;
  const report = await evaluateLog(() => linesOf(file, artifact, heldOut)).catch((error: unknown) => {
    if (error instanceof RefusedLog) return error.message;
    throw error;
  });
  if (typeof report === 'string') {
    const none = { value: null, reason: report };
    return { policy, value: none, gain: none, logged: none, checks: [] };
  }
  const { checks, verdict, estimates, logged, spread } = report;
  const counts = { rows: spread.rows, people: spread.people };
  const figure = ({ value, normal }: Report['logged']): Figure =>
    spread.people < 2
      ? { value: null, reason: tooFew(spread.people, 2) }
      : { value, low: normal.low, high: normal.high, ...counts };
  const best = estimates.find(({ name }) => name === 'DR');
  const vetoes = verdict.kind === 'insufficient evidence' ? verdict.vetoes.map(({ name }) => name).join(', ') : '';
  const vetoed = { value: null, reason: `insufficient evidence: ${vetoes}` };
  return {
    policy,
    value: vetoes === '' && best ? figure(best) : vetoed,
    gain: vetoes === '' && best ? figure(best.gain) : vetoed,
    logged: figure(logged),
    checks: checks.map(({ name, value, passes, says }) => ({ name, value, passes, says })),
  };
}

async function* linesOf(file: TrainingFile, artifact: Artifact, heldOut: number): AsyncGenerator<CandidatesLine> {
  let line = 0;
  const wanted = [
    'person',
    'vector_version',
    'reward_milli',
    'chosen',
    'candidate_propensities',
    'candidate_vectors',
  ] as const;
  for await (const row of file.read(wanted)) {
    const { person, chosen, candidate_propensities: propensities } = row;
    if (!isHeldOut(person, heldOut) || chosen === null || row.vector_version !== vectorVersion) continue;
    const vectors = split(row.candidate_vectors);
    const logged = { user: person, chosen, propensities, targetProbabilities: propensities, reward: 0 };
    if (vectors.length !== propensities.length || problemOfDecision(logged)) continue;
    const scores = vectors.map((vector) => predictReward(artifact, vector));
    yield {
      ...{ kind: 'candidates', line: ++line, user: person, chosen, propensities, vectors },
      targetProbabilities: epsilonGreedy(scores, epsilon),
      // silence is no secret to the policy that chose the tip
      reward: (row.reward_milli ?? 0) / 1000,
    };
  }
}

function split(entries: readonly number[]): readonly Vector[] {
  return Array.from({ length: Math.ceil(entries.length / dimension) }, (_, i) =>
    entries.slice(i * dimension, (i + 1) * dimension),
  );
}
