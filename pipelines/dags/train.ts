import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { readArtifact } from '../../experiments/models/artifact.ts';
import { RefusedSums } from '../../experiments/models/linear.ts';
import { RefusedRows } from '../../experiments/models/logistic.ts';
import { canonicalJson } from '../../platform/content-hash.ts';
import { failedPrecondition } from '../../platform/errors.ts';
import type { Evaluation } from '../../registry/card.ts';
import { artifactBytesMax } from '../../registry/model.ts';
import { createModelStore, sha256Of } from '../../registry/model-store.ts';
import { noOnnx } from '../../registry/onnx/lazy-pool.ts';
import { createRolloutStore } from '../../registry/rollout-store.ts';
import { toShadow } from '../../registry/to-shadow.ts';
import { codeVersion } from '../code-version.ts';
import { type Dag, defineDag, type Json, Skipped, type StepContext } from '../dag.ts';
import { policySubjectOf, registerModel } from '../register-model.ts';
import { cardOf, manifestOf } from '../training/describe.ts';
import { evaluate } from '../training/evaluate.ts';
import { writeTrainingSet } from '../training/parquet.ts';
import { heldOutShare } from '../training/people.ts';
import { openTrainingFile } from '../training/read.ts';
import { type ModelKind, train } from '../training/train.ts';
import { type TrainingExample, trainingExamples } from '../training-set.ts';
import { backfillFeatures, type Deltas } from './backfill.ts';

export interface TrainOptions {
  readonly id: string;
  readonly kind: ModelKind;
  /** The line of models that it makes another version of. */
  readonly model: string;
  /** Who answers for it. */
  readonly owner: string;
  readonly schedule?: string;
}

/**
 * From the log to a version that is registered, has its card, and is in the shadow: nobody is served by it before the gate
 * says so. Everything is as of the run's instant, so the same run gives the same version wherever its steps are done.
 */
export function trainDag(deltas: Deltas, { id, kind, model, owner, schedule }: TrainOptions): Dag {
  return defineDag({
    id,
    ...(schedule !== undefined && { schedule }),
    steps: {
      'features:backfill': { run: backfillFeatures(deltas) },
      'training:build': { needs: ['features:backfill'], run: buildSet },
      train: {
        needs: ['training:build'],
        async run({ artifacts }, inputs) {
          const built = builtOf(inputs);
          const trained = await train(await openTrainingFile(await artifacts.path(built.sha256)), kind).catch(refuse);
          const { sha256, bytes } = await artifacts.put(oneChunk(trained.text));
          const { artifact, surrogate, rows, tried } = trained;
          const prior = artifact.kind === 'linear' ? artifact : surrogate?.artifact;
          return {
            ...{ sha256, bytes, rows: { ...rows }, tried: tried.map((each) => ({ ...each })) },
            ...{ lambda: artifact.lambda, surrogate: surrogate?.rSquared ?? null },
            weights: prior ? { mean: prior.weights, noise: prior.noise, noiseCount: prior.noise_count } : null,
          };
        },
      },
      evaluate: {
        needs: ['training:build', 'train'],
        async run({ artifacts }, inputs) {
          const file = await openTrainingFile(await artifacts.path(builtOf(inputs).sha256));
          const artifact = readArtifact(await readFile(await artifacts.path(trainedOf(inputs).sha256), 'utf8'));
          const evaluation = await evaluate(file, artifact);
          const { sha256 } = await artifacts.put(oneChunk(canonicalJson(evaluation)));
          return { sha256, rows: evaluation.rows, people: evaluation.people };
        },
      },
      card: {
        needs: ['training:build', 'train', 'evaluate'],
        async run({ artifacts }, inputs) {
          const evaluated = z.object({ sha256: z.string() }).parse(inputs.evaluate);
          const evaluation = JSON.parse(await readFile(await artifacts.path(evaluated.sha256), 'utf8')) as Evaluation;
          const code = codeVersion();
          const made = { model, kind, built: builtOf(inputs), trained: trainedOf(inputs), heldOutShare, code };
          const manifest = manifestOf(made);
          const card = cardOf(manifest, { ...made, evaluation, owner });
          const keep = async (value: unknown) => (await artifacts.put(oneChunk(canonicalJson(value)))).sha256;
          return { manifest: await keep(manifest), card: await keep(card) };
        },
      },
      register: { needs: ['train', 'card'], run: register(id) },
      shadow: { needs: ['register'], run: shadow(id) },
    },
  });
}

const built = z.object({
  ...{ sha256: z.string(), bytes: z.number(), rows: z.number(), people: z.number(), from: z.string(), to: z.string() },
  asOf: z.string(),
});
const builtOf = (inputs: Readonly<Record<string, Json>>) => built.parse(inputs['training:build']);

const trained = z.object({
  ...{ sha256: z.string(), bytes: z.number(), lambda: z.number() },
  surrogate: z.number().nullable(),
  weights: z.object({ mean: z.array(z.number()), noise: z.number(), noiseCount: z.number() }).nullable(),
});
const trainedOf = (inputs: Readonly<Record<string, Json>>) => trained.parse(inputs.train);

/** Every decision as of the run, with what was known and what came of it. */
async function buildSet({ database, artifacts, asOf, signal, progress }: StepContext): Promise<Json | Skipped> {
  const path = join(tmpdir(), `oo-training-${randomUUID()}.parquet`);
  const seen = { rows: 0, rewards: 0, people: new Set<string>(), from: '', to: '' };
  async function* examples(): AsyncGenerator<TrainingExample> {
    for await (const example of trainingExamples(database, { asOfMs: Date.parse(asOf) })) {
      signal.throwIfAborted();
      const { decided_at: at, reward_milli: reward } = example.row;
      seen.rows++;
      if (reward !== null) seen.rewards++;
      seen.people.add(example.person);
      if (seen.from === '' || at < seen.from) seen.from = at;
      if (at > seen.to) seen.to = at;
      yield example;
    }
  }
  try {
    const onRowGroup = () => progress({ done: seen.rows, inAll: undefined, unit: 'decisions' });
    await writeTrainingSet(examples(), { path, asOfMs: Date.parse(asOf), onRowGroup });
    if (seen.rewards === 0) return new Skipped(`as of ${asOf} no decision has an outcome`);
    const { sha256, bytes } = await artifacts.put(path);
    return { sha256, bytes, rows: seen.rows, people: seen.people.size, from: seen.from, to: seen.to, asOf };
  } finally {
    await rm(path, { force: true });
  }
}

const carded = z.object({ manifest: z.string(), card: z.string() });

function register(actor: string) {
  return async ({ database, artifacts }: StepContext, inputs: Readonly<Record<string, Json>>): Promise<Json> => {
    const { manifest, card } = carded.parse(inputs.card);
    const json = async (sha256: string) => JSON.parse(await readFile(await artifacts.path(sha256), 'utf8')) as object;
    const artifact = await readFile(await artifacts.path(trainedOf(inputs).sha256));
    if (artifact.length > artifactBytesMax) throw failedPrecondition('MODEL_TOO_LARGE', 'the artifact is too large');
    const registered = await registerModel(
      { store: createModelStore(database), onnx: noOnnx },
      {
        ...{ manifest: await json(manifest), card: await json(card), actor: `pipeline ${actor}`, atMs: Date.now() },
        contents: new Map([[sha256Of(artifact), artifact]]),
      },
    );
    const { model, version, hash, policy } = registered;
    return { model, version, hash, policy, policyVersion: policySubjectOf(registered).version };
  };
}

const registered = z.object({ policy: z.string(), policyVersion: z.string() });

function shadow(actor: string) {
  return async ({ database }: StepContext, inputs: Readonly<Record<string, Json>>): Promise<Json | Skipped> => {
    const { policy, policyVersion: version } = registered.parse(inputs.register);
    const by = {
      atMs: Date.now(),
      actor: `pipeline ${actor}`,
      caller: '',
      reason: 'trained, evaluated and registered',
    };
    const brought = await toShadow(createRolloutStore(database), { policy, version }, by);
    if (brought.kind === 'refused') throw failedPrecondition('ROLLOUT_REFUSED', brought.refusal.message);
    return { policy, stage: brought.stage };
  };
}

/** Rows that nothing can be learnt from say the same however often they are read. */
function refuse(error: unknown): never {
  if (error instanceof RefusedRows || error instanceof RefusedSums)
    throw failedPrecondition('NOTHING_TO_LEARN', error.message);
  throw error;
}

async function* oneChunk(text: string) {
  yield text;
}
