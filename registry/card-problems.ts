// What keeps a model from people because of its card. A number that could not be computed keeps it; a group that is too
// small to speak of does not, as long as there are others.
import type { FieldViolation } from '../platform/errors.ts';
import {
  cardHash,
  type Evaluation,
  type Fairness,
  type Figure,
  fairnessMeasures,
  type LogEvidence,
  type ModelCard,
  type OffPolicy,
  readCard,
} from './card.ts';
import type { Manifest } from './model.ts';
import type { CardState } from './rollout.ts';

/** What the card has to be of. */
export interface CardedModel {
  readonly hash: string;
  /** Undefined: a policy of the build. */
  readonly manifest: Manifest | undefined;
}

export interface CardRules {
  /** By which people are to be grouped. */
  readonly segments: readonly string[];
  /** Of smaller groups there must be no numbers. */
  readonly minGroupUsers: number;
}

/** Whether what is stored as a card lets a model go on towards people. Undefined: there is no card. */
export function cardStateOf(stored: unknown, of: CardedModel, rules: CardRules): CardState | undefined {
  if (stored === undefined || stored === null) return undefined;
  const read = readCard(stored);
  const problems = read.kind === 'card' ? problemsOf(read.card, of, rules) : read.violations;
  if (read.kind === 'card' && problems.length === 0) return { kind: 'complete', hash: cardHash(read.card) };
  return { kind: 'incomplete', problems };
}

/** All that keeps the model from people. Empty: nothing on its card does. */
export function problemsOf(card: ModelCard, of: CardedModel, rules: CardRules): readonly FieldViolation[] {
  const { model, evaluation, log } = card;
  const isOfBuild = of.manifest === undefined;
  return [
    ...(model.hash === of.hash ? [] : [problem('model.hash', `is of another model: this one is ${of.hash}`)]),
    ...(of.manifest ? problemsBeside(card, of.manifest) : []),
    ...(isOfBuild && model.kind !== 'policy'
      ? [problem('model.kind', `is ${model.kind}, and this is a policy of the build`)]
      : []),
    ...(evaluation
      ? problemsOfEvaluation(evaluation, card, rules)
      : isOfBuild
        ? []
        : [problem('evaluation', 'is missing: nobody tried the model on people whom it has not seen')]),
    ...(log
      ? problemsOfLog(log, rules)
      : isOfBuild
        ? [problem('log', 'is missing: nobody looked at what the log says of the policy')]
        : []),
  ];
}

const problem = (field: string, description: string): FieldViolation => ({ field, description });

/** What a card says of a model, and its manifest says otherwise. */
function problemsBeside(
  { model, inputs, training, evaluation }: ModelCard,
  manifest: Manifest,
): readonly FieldViolation[] {
  const differs = (field: string, is: unknown, ought: unknown) =>
    is === ought ? [] : [problem(field, `is ${is}, and the manifest says ${ought}`)];
  const described = new Set(inputs.map(({ name }) => name));
  return [
    ...differs('model.name', model.name, manifest.model),
    ...differs('model.kind', model.kind, manifest.kind),
    ...differs('model.use', model.use, manifest.use),
    ...differs('model.artifact.sha256', model.artifact?.sha256, manifest.artifact.sha256),
    ...differs('model.rewardVersion', model.rewardVersion, manifest.rewardVersion),
    ...manifest.inputs
      .filter(({ name }) => !described.has(name))
      .map(({ name }) => problem('inputs', `do not describe ${name}, which the model reads`)),
    ...(training.kind === 'trained'
      ? differs('training.data.sha256', training.data.sha256, manifest.data?.sha256)
      : manifest.data
        ? [problem('training.kind', `is ${training.kind}, and the manifest names the data that it was trained on`)]
        : []),
    ...(evaluation
      ? [
          ...differs('evaluation.kind', evaluation.kind, manifest.kind),
          ...differs('evaluation.rewardVersion', evaluation.rewardVersion, manifest.rewardVersion),
        ]
      : []),
  ];
}

function problemsOfEvaluation(
  evaluation: Evaluation,
  { model, training }: ModelCard,
  { segments, minGroupUsers }: CardRules,
): readonly FieldViolation[] {
  const { rows, people, errors, baselines, calibration, classification, slices, fairness } = evaluation;
  const at = (field: string) => `evaluation.${field}`;
  if (rows === 0 || people === 0)
    return [problem(at('rows'), 'is 0: of the people who were held out nobody has a reward, so nothing was measured')];
  const loose = training.kind === 'trained' && training.heldOutShare !== evaluation.heldOutShare;
  return [
    ...(evaluation.heldOutShare > 0 ? [] : [problem(at('heldOutShare'), 'is 0: the model has seen all people')]),
    ...(loose
      ? [
          problem(
            at('heldOutShare'),
            `is ${evaluation.heldOutShare}, and the model was trained without ${training.heldOutShare}`,
          ),
        ]
      : []),
    ...(evaluation.minGroupPeople >= minGroupUsers
      ? []
      : [
          problem(
            at('minGroupPeople'),
            `is ${evaluation.minGroupPeople}: of groups under ${minGroupUsers} there must be no numbers`,
          ),
        ]),
    ...figures(at('errors'), errors),
    ...(baselines.length > 0 ? [] : [problem(at('baselines'), 'is empty: nothing says what the model is better than')]),
    ...baselines.flatMap(({ name, ...baseline }, i) => figures(at(`baselines[${i}]`), baseline)),
    ...('reason' in calibration ? missing(at('calibration'), calibration) : deciles(at('calibration'), calibration)),
    // a model of rewards has no probabilities to speak of
    ...('reason' in classification
      ? model.kind === 'logistic'
        ? missing(at('classification'), classification)
        : []
      : figures(at('classification'), { ...classification })),
    ...(slices.length > 0 ? [] : [problem(at('slices'), 'is empty: an average hides who fares worse')]),
    ...slices.flatMap((slice) => problemsOfSlice(at(`slices.${slice.slice}.${slice.group}`), slice, minGroupUsers)),
    ...segments.flatMap((segment) => {
      const found = fairness.find((each) => each.segment === segment);
      return found ? problemsOfFairness(at(`fairness.${segment}`), found) : [noSegment(at('fairness'), segment)];
    }),
    ...problemsOfOffPolicy(at('offPolicy'), evaluation.offPolicy),
  ];
}

const noSegment = (field: string, segment: string) =>
  problem(field, `has nothing by ${segment}, which the gate looks at: a harm to some of those people would not show`);

/** Each of them must have been computed. */
function figures(field: string, named: Readonly<Record<string, unknown>> | object): readonly FieldViolation[] {
  return Object.entries(named).flatMap(([name, each]) => missing(`${field}.${name}`, each as Figure));
}

function missing(field: string, figure: Figure): readonly FieldViolation[] {
  return figure.value === null ? [problem(field, `could not be computed: ${figure.reason}`)] : [];
}

function deciles(field: string, all: Exclude<Evaluation['calibration'], { readonly value: null }>) {
  if (all.length === 0) return [problem(field, 'is empty')];
  return all.flatMap(({ predicted, reward }, i) => figures(`${field}[${i}]`, { predicted, reward }));
}

function problemsOfSlice(
  field: string,
  { suppressed, people, rmse, mae, meanError }: Evaluation['slices'][number],
  minGroupUsers: number,
): readonly FieldViolation[] {
  if (suppressed !== undefined) return [];
  if (people < minGroupUsers)
    return [problem(field, `has numbers of ${people} people, and must not, under ${minGroupUsers}`)];
  const named = Object.entries({ rmse, mae, meanError });
  return named.flatMap(([name, figure]) =>
    figure ? missing(`${field}.${name}`, figure) : [problem(`${field}.${name}`, 'is missing, and nothing says why')],
  );
}

function problemsOfFairness(field: string, fairness: Fairness): readonly FieldViolation[] {
  return fairnessMeasures.flatMap((measure) => {
    const { groups, difference } = fairness[measure];
    return [
      ...groups.flatMap(({ group, figure }) => missing(`${field}.${measure}.${group}`, figure)),
      ...missing(`${field}.${measure}.difference`, difference),
    ];
  });
}

function problemsOfOffPolicy(field: string, { value, gain, logged, checks }: OffPolicy): readonly FieldViolation[] {
  const vetoes = checks.filter(({ passes }) => !passes);
  return [
    ...(checks.length === 0
      ? [problem(`${field}.checks`, 'is empty: nothing says whether the estimate may be believed')]
      : []),
    ...vetoes.map(({ name, says }) => problem(`${field}.checks`, `forbid to believe the estimate: ${name}: ${says}`)),
    ...(vetoes.length > 0 ? [] : figures(field, { value, gain })), // they are null because of the vetoes
    ...missing(`${field}.logged`, logged),
  ];
}

function problemsOfLog(
  { decisions, offPolicy, fairness, minGroupPeople: asked }: LogEvidence,
  { segments, minGroupUsers }: CardRules,
): readonly FieldViolation[] {
  if (decisions === 0) return [problem('log.decisions', 'is 0: the policy was compared with no decision yet')];
  return [
    ...(asked >= minGroupUsers
      ? []
      : [problem('log.minGroupPeople', `is ${asked}: of groups under ${minGroupUsers} there must be no numbers`)]),
    ...problemsOfOffPolicy('log.offPolicy', offPolicy),
    ...segments.flatMap((segment) => {
      const found = fairness.find((each) => each.segment === segment);
      if (!found) return [noSegment('log.fairness', segment)];
      const { suppressed, gain } = found;
      if (gain.length === 0)
        return [
          problem(
            `log.fairness.${segment}`,
            `has no group that is large enough: ${suppressed.join(', ') || 'none is known'}`,
          ),
        ];
      return gain.flatMap(({ group, figure }) => missing(`log.fairness.${segment}.${group}`, figure));
    }),
  ];
}
