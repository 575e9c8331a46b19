import { unit, type Vector, vectorNames } from '../../features/vector.ts';
import type { Predictor } from '../policies/policy.ts';
import { predictReward, readArtifact } from './artifact.ts';

/** A registered version of a model that is asked about each candidate. */
export interface PredictingModel {
  readonly name: string;
  readonly manifest: {
    readonly kind: 'linear' | 'logistic' | 'onnx';
    readonly inputs: readonly { readonly name: string }[];
    readonly artifact: { readonly sha256: string };
    readonly goldenBatch: { readonly sha256: string } | null;
    readonly parameters: Readonly<Record<string, string | number | boolean>>;
  };
}

/** What ONNX Runtime is given. `columns`: numbers in a row. */
export interface OnnxFile {
  readonly sha256: string;
  readonly bytes: Uint8Array;
  readonly contract: {
    readonly columns: number;
    readonly output: string | undefined;
    readonly positiveColumn: 0 | 1 | undefined;
  };
  readonly golden: unknown;
}

export interface PredictorsDeps {
  /** The bytes of a digest. Throws where they are others, or not there. */
  readonly readContent: (sha256: string) => Promise<Uint8Array>;
  /** Throws where the model is not what its golden batch says. */
  readonly loadOnnx: (file: OnnxFile) => Promise<{
    predict(rows: readonly (readonly number[])[], options: { readonly timeoutMs: number }): Promise<Float32Array>;
  }>;
  /** How long an answer may take. */
  readonly timeoutMs: number;
}

/**
 * Opens models that are asked. Each is read and made ready with its first use, or with `load`, once; where that fails, the
 * next use tries again.
 */
export function createPredictors({ readContent, loadOnnx, timeoutMs }: PredictorsDeps) {
  return ({ name, manifest }: PredictingModel): Predictor => {
    let ready: Promise<Predictor['predict']> | undefined;
    const makeReady = () => {
      ready ??= read().catch((error: unknown) => {
        ready = undefined;
        throw error;
      });
      return ready;
    };
    const read = async (): Promise<Predictor['predict']> => {
      const bytes = await readContent(manifest.artifact.sha256);
      if (manifest.kind !== 'onnx') {
        const artifact = readArtifact(Buffer.from(bytes).toString('utf8'));
        return async (vectors) => vectors.map((vector) => predictReward(artifact, vector));
      }
      const model = await loadOnnx(onnxFileOf(manifest, bytes, await goldenOf(manifest)));
      const select = rowsOf(manifest.inputs.map((input) => input.name));
      return async (vectors) => [...(await model.predict(vectors.map(select), { timeoutMs }))];
    };
    const goldenOf = async ({ goldenBatch }: PredictingModel['manifest']): Promise<unknown> =>
      goldenBatch && JSON.parse(Buffer.from(await readContent(goldenBatch.sha256)).toString('utf8'));

    return {
      version: name,
      load: async () => {
        await makeReady();
      },
      predict: async (vectors) => (await makeReady())(vectors),
    };
  };
}

/** The same for whoever registers one: what its manifest says of how it is asked. */
export function onnxFileOf(
  { inputs, artifact, parameters }: Pick<PredictingModel['manifest'], 'inputs' | 'artifact' | 'parameters'>,
  bytes: Uint8Array,
  golden: unknown,
): OnnxFile {
  const { output, positive_column: positiveColumn } = parameters;
  return {
    sha256: artifact.sha256,
    bytes,
    contract: {
      columns: inputs.length,
      output: typeof output === 'string' ? output : undefined,
      positiveColumn: positiveColumn === 0 || positiveColumn === 1 ? positiveColumn : undefined,
    },
    golden,
  };
}

/** The numbers that a model reads of a vector, in its order. */
function rowsOf(names: readonly string[]): (vector: Vector) => readonly number[] {
  const entries: readonly string[] = vectorNames;
  const places = names.map((name) => entries.indexOf(name));
  return (vector) => places.map((place) => (vector[place] ?? 0) * unit);
}
