import { describe, expect, it } from 'vitest';
import { gateLimits } from '../experiments/gate.ts';
import { figure, modelCardOf, policyCardOf } from '../tests/_util/cards.ts';
import { manifestOf } from '../tests/_util/models.ts';
import { cardHash, type Evaluation, type LogEvidence, type ModelCard, policyHash } from './card.ts';
import { cardStateOf, problemsOf } from './card-problems.ts';
import { type Manifest, versionHash } from './model.ts';

const subject = { policy: 'softmax', version: '1' };
const manifest = manifestOf();
const ofManifest = (of: Manifest = manifest) => ({ hash: versionHash(of), manifest: of });
const ofBuild = { hash: policyHash(subject), manifest: undefined };
const card = modelCardOf(manifest);
const made = policyCardOf(subject);
const none = { value: null, reason: 'it snowed' } as const;

const said = (given: ModelCard, of: Parameters<typeof problemsOf>[1] = ofManifest()) =>
  problemsOf(given, of, gateLimits).map(({ field, description }) => `${field} ${description}`);

const evaluated = (changes: Partial<Evaluation>): ModelCard => ({
  ...card,
  evaluation: { ...(card.evaluation as Evaluation), ...changes },
});
const logged = (changes: Partial<LogEvidence>): ModelCard => ({
  ...made,
  log: { ...(made.log as LogEvidence), ...changes },
});
const [activity, integrations] = card.evaluation?.fairness ?? [];
const [gainByActivity, gainByIntegrations] = made.log?.fairness ?? [];
const [baseline] = card.evaluation?.baselines ?? [];
const [slice] = card.evaluation?.slices ?? [];
const offPolicy = card.evaluation?.offPolicy;
const { training } = card;
if (training.kind !== 'trained') throw new Error('the example was not trained');
if (!activity || !integrations || !gainByActivity || !gainByIntegrations || !baseline || !slice || !offPolicy)
  throw new Error('the example lacks something');
const veto = { name: 'mean weight', value: 2, passes: false, says: '2.000, must be near 1' };

describe('what is on a card', () => {
  it('lets a model on where nothing is missing, although a small group has no numbers', () => {
    expect(activity.suppressed).toEqual(['light']);
    expect(said(card)).toEqual([]);
    expect(said(made, ofBuild)).toEqual([]);
    const foreign = manifestOf({ data: null });
    expect(said(modelCardOf(foreign), ofManifest(foreign))).toEqual([]);
    expect(said({ ...card, latency: none, notKnown: [{ name: 'x', ...none }] })).toEqual([]);
  });

  it.each<[string, ModelCard, string]>([
    ['no evaluation', { ...card, evaluation: null }, 'evaluation is missing'],
    ['nobody held out', evaluated({ rows: 0 }), 'evaluation.rows is 0'],
    ['no people held out', evaluated({ people: 0 }), 'evaluation.rows is 0'],
    [
      'a share held out of nothing',
      { ...evaluated({ heldOutShare: 0 }), training: { ...training, heldOutShare: 0 } },
      'evaluation.heldOutShare is 0',
    ],
    ['another share held out than in training', evaluated({ heldOutShare: 0.3 }), 'evaluation.heldOutShare is 0.3'],
    ['smaller groups than may be told of', evaluated({ minGroupPeople: 5 }), 'evaluation.minGroupPeople is 5'],
    [
      'an error that could not be computed',
      evaluated({ errors: { rmse: none, mae: figure(1), meanError: figure(0) } }),
      'evaluation.errors.rmse could not be computed: it snowed',
    ],
    ['no baseline', evaluated({ baselines: [] }), 'evaluation.baselines is empty'],
    [
      'a baseline that could not be computed',
      evaluated({ baselines: [{ ...baseline, rmseSaved: none }] }),
      'evaluation.baselines[0].rmseSaved could not be computed: it snowed',
    ],
    ['no calibration', evaluated({ calibration: none }), 'evaluation.calibration could not be computed: it snowed'],
    ['an empty calibration', evaluated({ calibration: [] }), 'evaluation.calibration is empty'],
    [
      'a part of the calibration that could not be computed',
      evaluated({ calibration: [{ from: 0, to: 1, predicted: figure(0), reward: none }] }),
      'evaluation.calibration[0].reward could not be computed',
    ],
    ['no slices', evaluated({ slices: [] }), 'evaluation.slices is empty'],
    [
      'a slice without a number',
      evaluated({ slices: [{ ...slice, rmse: undefined }] }),
      'evaluation.slices.tip_kind.task.rmse is missing',
    ],
    [
      'a slice whose number could not be computed',
      evaluated({ slices: [{ ...slice, rmse: none }] }),
      'evaluation.slices.tip_kind.task.rmse could not be computed',
    ],
    [
      'numbers of too few people',
      evaluated({ slices: [{ ...slice, people: 12 }] }),
      'evaluation.slices.tip_kind.task has numbers of 12 people',
    ],
    ['nothing about fairness', evaluated({ fairness: [activity] }), 'evaluation.fairness has nothing by integrations'],
    ...(['selectionRate', 'reward', 'truePositiveRate', 'falsePositiveRate'] as const).map(
      (measure): [string, ModelCard, string] => [
        `no difference in ${measure}`,
        evaluated({ fairness: [{ ...activity, [measure]: { ...activity[measure], difference: none } }, integrations] }),
        `evaluation.fairness.activity.${measure}.difference could not be computed: it snowed`,
      ],
    ),
    [
      'a large group of which a measure could not be computed',
      evaluated({
        fairness: [
          { ...activity, reward: { ...activity.reward, groups: [{ group: 'new', figure: none }] } },
          integrations,
        ],
      }),
      'evaluation.fairness.activity.reward.new could not be computed',
    ],
    [
      'a veto of the off-policy estimate',
      evaluated({ offPolicy: { ...offPolicy, value: none, gain: none, checks: [...offPolicy.checks, veto] } }),
      'evaluation.offPolicy.checks forbid to believe the estimate: mean weight: 2.000',
    ],
    ['nothing checked', evaluated({ offPolicy: { ...offPolicy, checks: [] } }), 'evaluation.offPolicy.checks is empty'],
    [
      'no off-policy gain',
      evaluated({ offPolicy: { ...offPolicy, gain: none } }),
      'evaluation.offPolicy.gain could not be computed',
    ],
    [
      'no logged reward',
      evaluated({ offPolicy: { ...offPolicy, logged: none } }),
      'evaluation.offPolicy.logged could not be computed',
    ],
    ['inputs that it does not describe', { ...card, inputs: card.inputs.slice(1) }, 'inputs do not describe hour_sin'],
    ['another model', modelCardOf(manifestOf({ code: 'x' })), 'model.hash is of another model'],
    ['another name', { ...card, model: { ...card.model, name: 'x' } }, 'model.name is x, and the manifest says reward'],
    ['another use', { ...card, model: { ...card.model, use: 'rules' } }, 'model.use is rules'],
    ['no artifact', { ...card, model: { ...card.model, artifact: null } }, 'model.artifact.sha256 is undefined'],
    ['other rewards', { ...card, model: { ...card.model, rewardVersion: '1' } }, 'model.rewardVersion is 1'],
    ['an evaluation by other rewards', evaluated({ rewardVersion: '1' }), 'evaluation.rewardVersion is 1'],
    ['an evaluation of another kind', evaluated({ kind: 'onnx' }), 'evaluation.kind is onnx'],
    [
      'training that is said to be unknown',
      { ...card, training: { kind: 'elsewhere', says: 'x' } },
      'training.kind is',
    ],
  ])('keeps a model with %s from people, and says why', (_, given, expected) => {
    expect(said(given)).toEqual([expect.stringContaining(expected)]);
  });

  it('asks a model of probabilities for what they are worth, and no other', () => {
    const logistic = manifestOf({ kind: 'logistic' });
    const given = modelCardOf(logistic);
    expect(said(given, ofManifest(logistic))).toEqual([
      'evaluation.classification could not be computed: the model predicts rewards, not probabilities',
    ]);
    const known = { logLoss: figure(0.5), logLossSaved: figure(0.1), auc: figure(0.7) };
    const evaluation = { ...(given.evaluation as Evaluation), classification: known };
    expect(said({ ...given, evaluation }, ofManifest(logistic))).toEqual([]);
    const unknown = { ...evaluation, classification: { ...known, auc: none } };
    expect(said({ ...given, evaluation: unknown }, ofManifest(logistic))).toEqual([
      'evaluation.classification.auc could not be computed: it snowed',
    ]);
  });

  it('keeps a model from people where every group is too small', () => {
    const nobody = {
      groups: [],
      difference: { value: null, reason: 'fewer than two groups are large enough' },
      between: null,
    } as const;
    const measures = { selectionRate: nobody, reward: nobody, truePositiveRate: nobody, falsePositiveRate: nobody };
    const small = { segment: 'activity', suppressed: ['new', 'light'], ...measures };
    expect(said(evaluated({ fairness: [small, integrations] }))).toHaveLength(4);
  });

  it.each<[string, ModelCard, string]>([
    ['nothing from the log', { ...made, log: null }, 'log is missing'],
    ['no decisions', logged({ decisions: 0 }), 'log.decisions is 0'],
    ['smaller groups than may be told of', logged({ minGroupPeople: 99 }), 'log.minGroupPeople is 99'],
    ['nothing by a segment', logged({ fairness: [gainByActivity] }), 'log.fairness has nothing by integrations'],
    [
      'no group that is large enough',
      logged({ fairness: [{ ...gainByActivity, gain: [] }, gainByIntegrations] }),
      'log.fairness.activity has no group that is large enough: regular',
    ],
    [
      'a group of which nothing can be said',
      logged({ fairness: [{ ...gainByActivity, gain: [{ group: 'new', figure: none }] }, gainByIntegrations] }),
      'log.fairness.activity.new could not be computed: it snowed',
    ],
    ['a veto', logged({ offPolicy: { ...offPolicy, checks: [veto] } }), 'log.offPolicy.checks forbid to believe'],
    ['another policy', policyCardOf({ ...subject, version: '2' }), 'model.hash is of another model'],
    ['what a model has', { ...made, model: { ...made.model, kind: 'linear' } }, 'model.kind is linear'],
    [
      'a bad evaluation',
      { ...made, evaluation: { ...(card.evaluation as Evaluation), rows: 0 } },
      'evaluation.rows is 0',
    ],
  ])('keeps a policy of the build with %s from people', (_, given, expected) => {
    expect(said(given, ofBuild)).toEqual([expect.stringContaining(expected)]);
  });
});

describe('what is stored as a card', () => {
  it('is none, complete, or not', () => {
    for (const nothing of [undefined, null]) expect(cardStateOf(nothing, ofManifest(), gateLimits)).toBeUndefined();
    expect(cardStateOf(card, ofManifest(), gateLimits)).toEqual({ kind: 'complete', hash: cardHash(card) });
    expect(cardStateOf({ ...card, evaluation: null }, ofManifest(), gateLimits)).toMatchObject({
      kind: 'incomplete',
      problems: [{ field: 'evaluation' }],
    });
    const state = cardStateOf({ purpose: 'a test' }, ofManifest(), gateLimits);
    expect(state?.kind === 'incomplete' && state.problems.map(({ field }) => field)).toContain('owner');
  });
});
