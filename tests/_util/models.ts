import { readFileSync } from 'node:fs';
import { writeArtifact } from '../../experiments/models/artifact.ts';
import { vectorInputs, vectorNames, vectorVersion } from '../../features/vector.ts';
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

/** One whose artifact says what its manifest says. */
export function linearRegistration(): Registration {
  const mean = vectorNames.map((_, i) => (i % 5) / 8);
  const text = writeArtifact({
    ...{ kind: 'linear', format: 1, vector_version: vectorVersion, entries: vectorNames, lambda: 1, rows: 10 },
    ...{ weights: mean, reward_version: '2', noise: 0.5, noise_count: 20 },
  });
  const artifact = bytes.encode(text);
  const sha256 = sha256Of(artifact);
  const weights = { mean, noise: 0.5, noiseCount: 20 };
  const { manifest, ...rest } = registrationOf({ weights, artifact: { sha256, bytes: artifact.length } });
  return { ...rest, manifest, contents: new Map([[sha256, artifact]]) };
}

const asked = { use: 'prediction', weights: null, explorer: { name: 'square-cb', hyperparameters: {} } } as const;

/** One of our own kinds that is asked about each candidate. */
export function logisticRegistration(): Registration {
  const text = writeArtifact({
    ...{ kind: 'logistic', format: 1, vector_version: vectorVersion, entries: vectorNames, lambda: 1, rows: 10 },
    ...{ weights: vectorNames.map((_, i) => (i % 3) / 4), reward_version: '2', intercept: -0.25 },
    ...{ mean_positive: 0.75, mean_other: -0.5, iterations: 5, converged: true },
  });
  const artifact = bytes.encode(text);
  const sha256 = sha256Of(artifact);
  const content = { sha256, bytes: artifact.length };
  const { manifest, ...rest } = registrationOf({ ...asked, model: 'chance', kind: 'logistic', artifact: content });
  return { ...rest, manifest, contents: new Map([[sha256, artifact]]) };
}

/** A model that scikit-learn made, with its golden batch. */
export function onnxRegistration(): Registration {
  const artifact = readFileSync(new URL('../../registry/onnx/fixtures/linear.onnx', import.meta.url));
  const golden = readFileSync(new URL('../../registry/onnx/fixtures/linear.golden.json', import.meta.url));
  const contentOf = (content: Uint8Array) => ({ sha256: sha256Of(content), bytes: content.length });
  const { manifest, ...rest } = registrationOf({
    ...{ ...asked, model: 'foreign', kind: 'onnx', artifact: contentOf(artifact), goldenBatch: contentOf(golden) },
    parameters: {},
  });
  return { ...rest, manifest, contents: new Map([artifact, golden].map((each) => [sha256Of(each), each])) };
}
