import { readFileSync } from 'node:fs';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { DomainError } from '../platform/errors.ts';
import type { Manifest } from '../registry/model.ts';
import { type Registration, sha256Of } from '../registry/model-store.ts';
import { lazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import { linearRegistration, logisticRegistration, onnxRegistration } from '../tests/_util/models.ts';
import { registerModel } from './register-model.ts';

const onnx = lazyOnnxPool();
afterAll(() => onnx[Symbol.asyncDispose]());

/** Registers with a store that keeps what it is given. */
async function attempt(given: Parameters<typeof registerModel>[1]) {
  const kept: Registration[] = [];
  const store = {
    async register(registration: Registration) {
      kept.push(registration);
      const { manifest, actor, atMs: registeredAtMs } = registration;
      const names = { model: manifest.model, version: 1, name: `${manifest.model}/1`, policy: `${manifest.model}.1` };
      return { ...names, hash: '', manifest, registeredAtMs, actor };
    },
  };
  try {
    await registerModel({ store, onnx }, given);
    return { kept, problems: [] };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    expect(error.code).toBe('invalid_argument');
    return { kept, problems: error.violations.map(({ field, description }) => `${field} ${description}`) };
  }
}

/** The same with another artifact, of which the manifest tells truly. */
function withArtifact(registration: Registration, bytes: Uint8Array, changes: Partial<Manifest> = {}): Registration {
  const artifact = { sha256: sha256Of(bytes), bytes: bytes.length };
  const manifest = { ...registration.manifest, artifact, ...changes };
  return { ...registration, manifest, contents: new Map([...registration.contents, [artifact.sha256, bytes]]) };
}

const textOf = ({ manifest, contents }: Registration): string =>
  new TextDecoder().decode(contents.get(manifest.artifact.sha256));
const rewritten = (registration: Registration, change: (text: string) => string): Registration =>
  withArtifact(registration, new TextEncoder().encode(change(textOf(registration))));

const bytesOf = ({ manifest, contents }: Registration): Uint8Array =>
  contents.get(manifest.artifact.sha256) ?? new Uint8Array();

/** A thousand times as long as it says, as whoever unpacked it would find out too late. */
const bomb = Buffer.alloc(16 << 20);

describe('a model', () => {
  it.each([
    ['linear', linearRegistration()],
    ['logistic', logisticRegistration()],
    ['onnx', onnxRegistration()],
  ])(
    'of kind %s that is what it says is registered, with what its manifest names and nothing else',
    async (_, good) => {
      const stray = new Map([...good.contents, ['f'.repeat(64), new Uint8Array(3)]]);
      const { kept, problems } = await attempt({ ...good, contents: stray });
      expect(problems).toEqual([]);
      expect(kept).toHaveLength(1);
      expect(kept[0]).toMatchObject({ manifest: good.manifest, card: good.card, actor: good.actor });
      expect([...(kept[0]?.contents.keys() ?? [])].toSorted()).toEqual([...good.contents.keys()].toSorted());
    },
  );

  const linear = linearRegistration();
  const logistic = logisticRegistration();
  const foreign = onnxRegistration();

  it.each<[string, Parameters<typeof registerModel>[1], string]>([
    ['a manifest that is none', { ...linear, manifest: 7 }, 'must be an object'],
    [
      'a feature that nobody knows',
      { ...linear, manifest: { ...linear.manifest, inputs: [{ name: 'mood', type: 'fixed12', encoding: '1' }] } },
      'inputs[0].name is mood',
    ],
    ['no bytes', { ...linear, contents: new Map() }, 'artifact is '],
    [
      'bytes that were cut off',
      { ...linear, contents: new Map([[linear.manifest.artifact.sha256, bytesOf(linear).slice(0, -9)]]) },
      'artifact.bytes is ',
    ],
    [
      'other bytes of the same length',
      { ...linear, contents: new Map([[linear.manifest.artifact.sha256, new Uint8Array(bytesOf(linear).length)]]) },
      'artifact.sha256 is ',
    ],
    [
      'a name that leads elsewhere',
      { ...linear, manifest: { ...linear.manifest, model: '../../etc/passwd' } },
      'model must be 1 to 32',
    ],
    [
      'a digest that leads elsewhere',
      { ...linear, manifest: { ...linear.manifest, artifact: { sha256: '../../../etc/passwd', bytes: 1 } } },
      'artifact.sha256 must be a SHA-256',
    ],
    [
      'weights that are NaN',
      rewritten(linear, (text) => text.replace(/"weights":\[[^,]*,/, '"weights":[NaN,')),
      'artifact.artifact is no JSON',
    ],
    [
      'weights that are too large for a number',
      rewritten(linear, (text) => text.replace(/"weights":\[[^,]*,/, '"weights":[1e999,')),
      'artifact.weights ',
    ],
    [
      'too few weights',
      rewritten(linear, (text) => text.replace(/"weights":\[[^,]*,/, '"weights":[')),
      'artifact.weights has 11 numbers',
    ],
    [
      'other weights than its manifest',
      rewritten(linear, (text) => text.replace(/"weights":\[[^,]*,/, '"weights":[0.125,')),
      'weights are not those of the artifact',
    ],
    [
      'another noise than its manifest',
      rewritten(linear, (text) => text.replace(/"noise":[^,]*,/, '"noise":0.25,')),
      'weights are not those of the artifact',
    ],
    [
      'an artifact of another kind',
      withArtifact(linear, bytesOf(logistic)),
      'kind is linear, and the artifact is logistic',
    ],
    [
      'entries in another order',
      rewritten(logistic, (text) => text.replace('"hour_sin","hour_cos"', '"hour_cos","hour_sin"')),
      'artifact.entries are in another order',
    ],
    [
      'vectors of another version',
      rewritten(logistic, (text) => text.replace('"vector_version":"1"', '"vector_version":"0"')),
      'artifact.vector_version is ',
    ],
    ['an artifact that is no text', withArtifact(linear, new Uint8Array([0xff, 0xfe, 0])), 'artifact is no text'],
    ['an artifact that is an archive', withArtifact(linear, gzipSync(bytesOf(linear))), 'artifact is no text'],
    [
      'an explorer that nobody knows',
      { ...linear, manifest: { ...linear.manifest, explorer: { name: 'greedy', hyperparameters: {} } } },
      'explorer there is no explorer greedy',
    ],
    [
      'an explorer that needs doubt',
      { ...logistic, manifest: { ...logistic.manifest, explorer: { name: 'linucb', hyperparameters: {} } } },
      'explorer linucb needs weights',
    ],
    ['a foreign model that is a text', withArtifact(foreign, new TextEncoder().encode('{}')), 'no ONNX model'],
    [
      'a foreign model that was cut off',
      withArtifact(foreign, bytesOf(foreign).slice(0, bytesOf(foreign).length / 2)),
      'the file is cut off',
    ],
    [
      'a zip bomb',
      withArtifact(foreign, Buffer.concat([Buffer.from('504b0304', 'hex'), deflateRawSync(bomb)])),
      'unpack',
    ],
    ['a gzip bomb', withArtifact(foreign, gzipSync(bomb)), 'unpack'],
    [
      'a golden batch that is not there',
      { ...foreign, contents: new Map([[foreign.manifest.artifact.sha256, bytesOf(foreign)]]) },
      'goldenBatch is ',
    ],
    [
      'a golden batch that says otherwise',
      withGolden(foreign, (golden) => ({ ...golden, outputs: golden.outputs.map((each) => each + 1) })),
      'golden.outputs[0] expected',
    ],
    [
      'a golden batch of other columns',
      withGolden(foreign, (golden) => ({ ...golden, inputs: golden.inputs.map((row) => row.slice(1)) })),
      'golden.inputs[0] it has 11 entries',
    ],
    [
      'fewer inputs than the model reads',
      { ...foreign, manifest: { ...foreign.manifest, inputs: foreign.manifest.inputs.slice(1) } },
      'one of float, [batch, 11] is asked for',
    ],
  ])('with %s is refused, says which field, and nothing is registered', async (_, bad, problem) => {
    const { kept, problems } = await attempt(bad);
    expect(kept).toEqual([]);
    expect(problems).toEqual([expect.stringContaining(problem)]);
  });
});

interface Golden {
  readonly inputs: readonly (readonly number[])[];
  readonly outputs: readonly number[];
}

function withGolden(registration: Registration, change: (golden: Golden) => Golden): Registration {
  const file = new URL('../registry/onnx/fixtures/linear.golden.json', import.meta.url);
  const bytes = new TextEncoder().encode(JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')))));
  const goldenBatch = { sha256: sha256Of(bytes), bytes: bytes.length };
  const contents = new Map([...registration.contents, [goldenBatch.sha256, bytes]]);
  return { ...registration, manifest: { ...registration.manifest, goldenBatch }, contents };
}
