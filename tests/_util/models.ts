import { vectorInputs, vectorNames } from '../../features/vector.ts';
import type { Manifest } from '../../registry/model.ts';
import { type Registration, sha256Of } from '../../registry/model-store.ts';

const bytes = new TextEncoder();

/** A manifest of a small linear model, with what differs. */
export function manifestOf(changes: Partial<Manifest> = {}): Manifest {
  return {
    schema: 1,
    model: 'reward',
    kind: 'linear',
    inputs: vectorInputs,
    rewardVersion: '2',
    artifact: { sha256: sha256Of(bytes.encode('{}')), bytes: 2 },
    goldenBatch: null,
    weights: { mean: vectorNames.map((_, i) => i / 16), noise: 0.5, noiseCount: 20 },
    use: 'prior',
    explorer: { name: 'egreedy', hyperparameters: { epsilon: 0.1 } },
    data: { sha256: 'd'.repeat(64), bytes: 1, rows: 100, asOf: '2026-11-23T08:00:00Z' },
    code: 'test',
    parameters: { lambda: 20 },
    ...changes,
  };
}

/** A registration of that manifest. */
export function registrationOf(changes: Partial<Manifest> = {}, atMs = 1_000): Registration {
  const manifest = manifestOf(changes);
  return {
    manifest,
    contents: new Map([[manifest.artifact.sha256, bytes.encode('{}')]]),
    card: { purpose: 'a test' },
    ...{ actor: 'anna', atMs },
  };
}
