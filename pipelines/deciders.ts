import { modelFeed } from '../experiments/model-feed.ts';
import { createPredictors } from '../experiments/models/predictors.ts';
import { policies } from '../experiments/policies/index.ts';
import { createModelPolicy } from '../experiments/policies/of-model.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import type { Database } from '../platform/database.ts';
import { readModels } from '../registry/follow-models.ts';
import { createModelStore } from '../registry/model-store.ts';
import { type LazyOnnxPool, noOnnx } from '../registry/onnx/lazy-pool.ts';
import { type Decider, deciderIn } from './verify-decision.ts';

/** Who made a decision, asked once more. Rejects with an error of the database. */
export type DeciderOf = (decision: TipScored) => Promise<Decider>;

/** Nobody waits for a replay. */
const timeoutMs = 10_000;

/** Among the policies of this build and those of all registered models. */
export async function openDeciders(database: Database, onnx: Pick<LazyOnnxPool, 'load'>): Promise<DeciderOf> {
  const known = await readPolicies(database, onnx);
  return async (decision) => {
    const { policy } = deciderIn(known, decision);
    const vectors = decision.candidates.map(({ vector }) => vector);
    return { policy, predictions: await policy?.predictor?.predict(vectors) };
  };
}

/** Every policy that can decide, by name. */
export async function readPolicies(
  database: Database,
  onnx: Pick<LazyOnnxPool, 'load'> = noOnnx,
): Promise<ReadonlyMap<string, Policy>> {
  const ignore = () => {};
  const store = createModelStore(database);
  const openPredictor = createPredictors({ readContent: store.readContent, loadOnnx: onnx.load, timeoutMs });
  return readModels({
    store,
    feed: modelFeed,
    policies,
    policyOf: (version) => createModelPolicy(version, openPredictor),
    log: { info: ignore, warn: ignore, error: ignore },
  });
}
