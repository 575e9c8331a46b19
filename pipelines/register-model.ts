import { modelFeed } from '../experiments/model-feed.ts';
import { RefusedArtifact, readArtifact } from '../experiments/models/artifact.ts';
import { onnxFileOf } from '../experiments/models/predictors.ts';
import { createModelPolicy, type PolicyModel } from '../experiments/policies/of-model.ts';
import type { Predictor } from '../experiments/policies/policy.ts';
import type { FieldViolation } from '../platform/errors.ts';
import {
  type Content,
  invalid,
  type Manifest,
  type ModelVersion,
  parseManifest,
  versionHash,
} from '../registry/model.ts';
import { type ModelStore, type Registration, sha256Of } from '../registry/model-store.ts';
import type { LazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import type { Subject } from '../registry/rollout.ts';

export interface RegisterDeps {
  readonly store: Pick<ModelStore, 'register'>;
  readonly onnx: Pick<LazyOnnxPool, 'load'>;
}

/**
 * Registers a model, if it is all that its manifest says: made for what this build feeds models with, its bytes those of
 * their digests, its artifact one that can be used, with the outputs of its golden batch, and with a policy that can decide
 * by it. Throws `invalid_argument` that names each bad field; nothing is registered then. What is registered already is the
 * answer once more.
 */
export async function registerModel(
  { store, onnx }: RegisterDeps,
  given: Omit<Registration, 'manifest'> & { readonly manifest: unknown },
): Promise<ModelVersion> {
  const manifest = parseManifest(given.manifest, modelFeed);
  const artifact = contentOf(given.contents, 'artifact', manifest.artifact);
  const golden = manifest.goldenBatch && contentOf(given.contents, 'goldenBatch', manifest.goldenBatch);
  if (manifest.kind === 'onnx') await checkOnnx(manifest, { artifact, golden, onnx });
  else checkOwn(manifest, artifact);
  checkPolicy(manifest);
  const kept = [manifest.artifact, manifest.goldenBatch].flatMap((content) => content?.sha256 ?? []);
  const contents = new Map([...given.contents].filter(([sha256]) => kept.includes(sha256)));
  return store.register({ ...given, manifest, contents });
}

function contentOf(contents: Registration['contents'], field: string, { sha256, bytes }: Content): Uint8Array {
  const found = contents.get(sha256);
  if (!found) throw one(field, `is ${sha256}, and there are no such bytes`);
  if (found.length !== bytes)
    throw one(`${field}.bytes`, `is ${bytes}, and there are ${found.length}: it was cut off or added to`);
  const actual = sha256Of(found);
  if (actual !== sha256) throw one(`${field}.sha256`, `is ${sha256}, and that of the bytes is ${actual}`);
  return found;
}

/** Ours say what they are themselves; the manifest must say the same. */
function checkOwn({ kind, weights }: Manifest, bytes: Uint8Array) {
  try {
    const artifact = readArtifact(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (artifact.kind !== kind) throw one('kind', `is ${kind}, and the artifact is ${artifact.kind}`);
    if (artifact.kind !== 'linear') return;
    const { weights: mean, noise, noise_count: noiseCount } = artifact;
    const isSame =
      weights?.noise === noise &&
      weights.noiseCount === noiseCount &&
      weights.mean.length === mean.length &&
      weights.mean.every((weight, i) => Object.is(weight, mean[i]));
    if (!isSame) throw one('weights', 'are not those of the artifact');
  } catch (error) {
    if (error instanceof RefusedArtifact) throw one(`artifact.${error.field}`, error.problem);
    if (error instanceof TypeError) throw one('artifact', 'is no text');
    throw error;
  }
}

async function checkOnnx(
  manifest: Manifest,
  { artifact, golden, onnx }: { artifact: Uint8Array; golden: Uint8Array | null } & Pick<RegisterDeps, 'onnx'>,
) {
  let batch: unknown;
  try {
    batch = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(golden ?? new Uint8Array()));
  } catch {
    throw one('goldenBatch', 'is no JSON');
  }
  const model = await onnx.load(onnxFileOf(manifest, artifact, batch));
  await model.release();
}

function checkPolicy(manifest: Manifest) {
  const hash = versionHash(manifest);
  try {
    policySubjectOf({ name: manifest.model, policy: manifest.model, hash, manifest });
  } catch (error) {
    if (error instanceof RangeError) throw one('explorer', error.message);
    throw error;
  }
}

const nobody: Predictor = { version: '', load: async () => {}, predict: async () => [] };

/** What a version's policy is called in rollouts, whoever may run its model. Throws a RangeError where there is no such policy. */
export function policySubjectOf(version: PolicyModel): Subject {
  const { name: policy, version: policyVersion } = createModelPolicy(version, () => nobody);
  return { policy, version: policyVersion };
}

const one = (field: string, description: string) => invalid([{ field, description } satisfies FieldViolation]);
