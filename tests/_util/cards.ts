import { describeInputs } from '../../features/describe-inputs.ts';
import type { Disparity, Evaluation, Figure, LogEvidence, ModelCard, OffPolicy } from '../../registry/card.ts';
import { policyHash } from '../../registry/card.ts';
import { type Manifest, versionHash } from '../../registry/model.ts';
import type { Subject } from '../../registry/rollout.ts';
import { manifestOf } from './models.ts';

export const figure = (value: number, people = 1_204): Figure => ({
  ...{
    value,
    low: Number((value - 0.02).toFixed(4)),
    high: Number((value + 0.02).toFixed(4)),
    rows: people * 10,
    people,
  },
});

const disparity = (value: number, groups: readonly [string, string]): Disparity => ({
  groups: groups.map((group, i) => ({ group, figure: figure(value + i / 10) })),
  difference: figure(0.1),
  between: [groups[1], groups[0]],
});

const offPolicy: OffPolicy = {
  policy: 'epsilon-greedy, epsilon 0.1',
  ...{ value: figure(0.31), gain: figure(0.04), logged: figure(0.27) },
  checks: [
    {
      name: 'effective sample size',
      value: 1_400,
      passes: true,
      says: '12040 decisions are worth 1400, at least 400 are needed',
    },
    { name: 'mean weight', value: 1.01, passes: true, says: '1.010, must be from 0.9 to 1.1 and near 1' },
  ],
};

const fairness = (segment: string, groups: readonly [string, string], suppressed: readonly string[]) => ({
  ...{ segment, suppressed, selectionRate: disparity(0.45, groups), reward: disparity(0.2, groups) },
  ...{ truePositiveRate: disparity(0.6, groups), falsePositiveRate: disparity(0.3, groups) },
});

const errors = { rmse: figure(0.41), mae: figure(0.33), meanError: figure(-0.004) };

const evaluation: Evaluation = {
  ...{ format: 1, model: 'linear-0123456789abcdef', kind: 'linear', rewardVersion: '2', vectorVersion: '1' },
  ...{
    asOf: '2026-11-23T08:00:00Z',
    confidence: 0.95,
    heldOutShare: 0.2,
    minGroupPeople: 100,
    rows: 12_040,
    people: 1_204,
  },
  errors,
  baselines: [
    {
      name: 'mean reward of the training rows',
      ...errors,
      rmse: figure(0.47),
      rmseSaved: figure(0.06),
      maeSaved: figure(0.05),
    },
    { name: 'prior in use: prior-1', ...errors, rmse: figure(0.45), rmseSaved: figure(0.04), maeSaved: figure(0.03) },
  ],
  calibration: [
    { from: -0.4, to: 0.1, predicted: figure(-0.05), reward: figure(-0.06) },
    { from: 0.1, to: 0.7, predicted: figure(0.35), reward: figure(0.33) },
  ],
  classification: { value: null, reason: 'the model predicts rewards, not probabilities' },
  slices: [
    { slice: 'tip_kind', group: 'task', rows: 9_000, people: 1_100, ...errors },
    { slice: 'tip_kind', group: 'advice', rows: 40, people: 12, suppressed: '12 people, and 100 are needed' },
  ],
  selectedAbove: 0.12,
  fairness: [fairness('activity', ['new', 'regular'], ['light']), fairness('integrations', ['none', 'one'], [])],
  offPolicy,
  notKnown: [{ name: 'locale', value: null, reason: 'rows hold the first part of a time zone, and no language' }],
};

const log: LogEvidence = {
  ...{
    source: 'shadow',
    asOf: '2026-11-23T08:00:00Z',
    against: 'egreedy-v2 2',
    days: 8,
    decisions: 6_000,
    agreement: 0.83,
  },
  minGroupPeople: 100,
  offPolicy,
  fairness: [
    {
      segment: 'activity',
      suppressed: ['regular'],
      gain: [
        { group: 'new', figure: figure(0.02, 700) },
        { group: 'light', figure: figure(0.01, 400) },
      ],
    },
    { segment: 'integrations', suppressed: [], gain: [{ group: 'none', figure: figure(0.02, 1_100) }] },
  ],
};

/** A complete card of a manifest, with what differs. */
export function modelCardOf(manifest: Manifest = manifestOf(), changes: Partial<ModelCard> = {}): ModelCard {
  const { model, kind, use, explorer, artifact, code, rewardVersion, data, inputs } = manifest;
  return {
    schema: 1,
    purpose: 'Orders the tips of one person by the reward that they can be expected to bring.',
    owner: 'recommendations',
    model: { name: model, kind, use, explorer, hash: versionHash(manifest), artifact, code, rewardVersion },
    inputs: describeInputs(inputs.map(({ name }) => name)),
    training: data
      ? {
          kind: 'trained',
          data: { sha256: data.sha256, rows: 48_160, asOf: data.asOf },
          window: { from: '2026-08-25T00:00:00Z', to: '2026-11-23T00:00:00Z' },
          ...{ people: 6_020, heldOutShare: 0.2, parameters: manifest.parameters },
        }
      : { kind: 'elsewhere', says: 'whoever exported it did not say' },
    evaluation: { ...evaluation, kind },
    log: null,
    latency: { of: 'a decision among 20 candidates', calls: 5_000, p50Ms: 0.21, p95Ms: 0.4, p99Ms: 0.9 },
    weaknesses: ['It knows nothing of what a tip says.', 'Who came this week looks to it like everybody else.'],
    notKnown: [],
    ...changes,
  };
}

/** A complete card of a policy of the build. */
export function policyCardOf(subject: Subject, changes: Partial<ModelCard> = {}): ModelCard {
  const card = modelCardOf();
  const explorer = { name: subject.policy, hyperparameters: {} };
  return {
    ...card,
    model: {
      ...{ name: subject.policy, kind: 'policy', use: 'rules', explorer, hash: policyHash(subject), artifact: null },
      ...{ code: subject.version, rewardVersion: '2' },
    },
    training: { kind: 'by hand', says: 'Weights that somebody found plausible.' },
    evaluation: null,
    log,
    latency: { value: null, reason: 'the gate measures it' },
    ...changes,
  };
}
