import { modelFeed } from '../experiments/model-feed.ts';
import type { PulledModel } from '../registry/mlflow/pull.ts';
import { type Manifest, type ModelVersion, parseManifest, versionHash } from '../registry/model.ts';
import { sha256Of } from '../registry/model-store.ts';
import { makeCard } from './make-card.ts';
import { type RegisterDeps, registerModel } from './register-model.ts';

/** What somebody asks for who registers a model that was pulled. */
export interface PullAs {
  readonly model: string;
  /** The entries of vectors that it reads, in its order. Undefined: all. */
  readonly inputs: readonly string[] | undefined;
  /** The output with the score, and of two classes the one that is wished for. Undefined: there is no choice. */
  readonly output?: string | undefined;
  readonly positiveColumn?: 0 | 1 | undefined;
  readonly explorer: Manifest['explorer'];
  readonly actor: string;
  readonly atMs: number;
}

/**
 * Registers what was pulled, or gives the version that it already is, with a card that says how little is known: nobody is
 * served by it before it was evaluated. Throws `invalid_argument` with what is wrong with it; then nothing is registered.
 */
export async function registerPulled(
  deps: RegisterDeps,
  pulled: PulledModel,
  { model, inputs, output, positiveColumn, explorer, actor, atMs }: PullAs,
): Promise<ModelVersion> {
  const golden = { sha256: sha256Of(pulled.golden), bytes: pulled.golden.length };
  const manifest = parseManifest(
    {
      ...{ schema: 1, model, kind: 'onnx', use: 'prediction', weights: null, explorer, data: null },
      inputs: inputs?.map(inputNamed) ?? modelFeed.inputs,
      rewardVersion: modelFeed.rewardVersion,
      artifact: { sha256: pulled.sha256, bytes: pulled.model.length },
      goldenBatch: golden,
      code: `mlflow ${pulled.name} ${pulled.version}`.slice(0, 128),
      parameters: {
        ...{ 'mlflow.model': pulled.name, 'mlflow.version': pulled.version, 'mlflow.run': pulled.runId },
        ...(output !== undefined && { output }),
        ...(positiveColumn !== undefined && { positive_column: positiveColumn }),
      },
    },
    modelFeed,
  );
  const card = makeCard({
    policy: { name: model, version: '', learning: undefined },
    of: { hash: versionHash(manifest), manifest },
    ...{ earlier: undefined, log: undefined, said: { owner: actor } },
  });
  const contents = new Map([
    [pulled.sha256, pulled.model],
    [golden.sha256, pulled.golden],
  ]);
  return registerModel(deps, { manifest, contents, card, actor, atMs });
}

/** One that vectors do not have is refused by the manifest's own check, with those that they have. */
const inputNamed = (name: string) =>
  modelFeed.inputs.find((each) => each.name === name) ?? { name, type: 'unknown', encoding: 'unknown' };
