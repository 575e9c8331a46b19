import { modelFeed } from '../../experiments/model-feed.ts';
import { epsilonGreedyHyperparameters } from '../../experiments/policies/epsilon-greedy.ts';
import { describeInputs } from '../../features/describe-inputs.ts';
import type { Evaluation, ModelCard } from '../../registry/card.ts';
import { type LinearWeights, type Manifest, versionHash } from '../../registry/model.ts';
import type { ModelKind } from './train.ts';

/** A training set, and the model that was made of it. */
export interface Made {
  readonly model: string;
  readonly kind: ModelKind;
  readonly built: {
    readonly sha256: string;
    readonly bytes: number;
    readonly rows: number;
    readonly people: number;
    /** Of the decisions in it. */
    readonly from: string;
    readonly to: string;
    readonly asOf: string;
  };
  readonly trained: {
    readonly sha256: string;
    readonly bytes: number;
    readonly lambda: number;
    /** Of its linear surrogate. Null: it has none, or predicts the same of everything. */
    readonly surrogate: number | null;
    readonly weights: LinearWeights | null;
  };
  readonly heldOutShare: number;
  /** Digest of the code that made it. */
  readonly code: string;
}

/** All that the version is made of. A linear model is where each person starts from; another one is asked. */
export function manifestOf({ model, kind, built, trained, heldOutShare, code }: Made): Manifest {
  const { sha256, bytes, rows, asOf } = built;
  return {
    schema: 1,
    ...{ model, kind, code },
    inputs: modelFeed.inputs,
    rewardVersion: modelFeed.rewardVersion,
    artifact: { sha256: trained.sha256, bytes: trained.bytes },
    goldenBatch: null,
    weights: trained.weights,
    use: kind === 'linear' ? 'prior' : 'prediction',
    explorer: { name: 'egreedy', hyperparameters: standards },
    data: { sha256, bytes, rows, asOf },
    parameters: {
      ...{ lambda: trained.lambda, held_out_share: heldOutShare },
      ...(trained.surrogate !== null && { surrogate_r_squared: trained.surrogate }),
    },
  };
}

/** As they are by now, so that a version says all that it does. */
const standards = Object.fromEntries(
  Object.entries(epsilonGreedyHyperparameters).map(([name, { standard }]) => [name, standard]),
);

/** What people are to know of it: by what was measured alone. Owner and purpose can be said better by those who know. */
export function cardOf(
  manifest: Manifest,
  {
    built,
    evaluation,
    owner,
  }: Made & {
    readonly evaluation: Evaluation;
    readonly owner: string;
  },
): ModelCard {
  const { model, kind, use, explorer, artifact, code, rewardVersion, parameters } = manifest;
  const { sha256, rows, asOf, from, to, people } = built;
  return {
    schema: 1,
    purpose:
      'Says how a person is expected to like each tip that could be shown now, so that a policy can choose one, with some chance for the others.',
    owner,
    model: { name: model, kind, use, explorer, hash: versionHash(manifest), artifact, code, rewardVersion },
    inputs: describeInputs(manifest.inputs.map(({ name }) => name)),
    training: {
      kind: 'trained',
      data: { sha256, rows, asOf },
      window: { from, to },
      ...{ people, heldOutShare: evaluation.heldOutShare, parameters },
    },
    evaluation,
    log: null,
    latency: { value: null, reason: 'the gate looks at it with each step' },
    weaknesses: [
      'It learns from what earlier policies chose to show, and knows least of what they hardly ever showed.',
      'It knows nothing of what a tip says, only of its kind of task, the moment and the habits of the person.',
      ...(kind === 'linear' ? ['What two features do together it cannot say: it is linear.'] : []),
    ],
    notKnown: evaluation.notKnown,
  };
}
