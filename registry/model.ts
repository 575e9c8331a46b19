// What a registered model is: an artifact, and a manifest that says all it was made of. A version never changes: whatever
// differs is another version.
import { z } from 'zod';
import { contentHash } from '../platform/content-hash.ts';
import { type FieldViolation, invalidArgument } from '../platform/errors.ts';
import { violationsOf } from '../platform/violations.ts';

/** `linear`, `logistic`: ours, as JSON. `onnx`: anybody's, run by ONNX Runtime. */
export const modelKinds = ['linear', 'logistic', 'onnx'] as const;
export type ModelKind = (typeof modelKinds)[number];

/** One number that a model reads, as whoever made it defined it. */
export interface ModelInput {
  readonly name: string;
  readonly type: string;
  /** Changes with how the number is made. */
  readonly encoding: string;
}

/** A normal distribution of weights, one for each of the first entries of a vector. */
export interface LinearWeights {
  readonly mean: readonly number[];
  /** The expected variance of a reward around its estimate, and how many rewards that is worth. */
  readonly noise: number;
  readonly noiseCount: number;
}

/** Bytes, by what is in them. */
export interface Content {
  /** Lower-case hexadecimal SHA-256. */
  readonly sha256: string;
  readonly bytes: number;
}

/** All that a version is made of. Its canonical JSON is what the version's hash is of. */
export interface Manifest {
  readonly schema: 1;
  readonly model: string;
  readonly kind: ModelKind;
  /** In the order in which the model reads them. */
  readonly inputs: readonly ModelInput[];
  /** Of the rewards that it expects. */
  readonly rewardVersion: string;
  readonly artifact: Content;
  /** Inputs with the outputs that whoever exported the model got for them. Null: the model is ours. */
  readonly goldenBatch: Content | null;
  /** The model itself where it is linear, else the linear model closest to it. Null: there is none. */
  readonly weights: LinearWeights | null;
  /** How the model is used: `prior`, its weights, moved by each person's own rewards; `prediction`, it is asked each time. */
  readonly use: 'prior' | 'prediction';
  readonly explorer: { readonly name: string; readonly hyperparameters: Readonly<Record<string, number>> };
  /** What it was trained on. Null: that is not known here. */
  readonly data: (Content & { readonly rows: number; readonly asOf: string }) | null;
  /** Digest of the code that made it, or whatever else names it. */
  readonly code: string;
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
}

/** One version, as it is registered. */
export interface ModelVersion {
  readonly model: string;
  /** Counted from 1 without gaps. */
  readonly version: number;
  /** Model and version, as they are logged with decisions. */
  readonly name: string;
  /** The name of the policy that decides by it. Those of the build have no dot in their names. */
  readonly policy: string;
  readonly hash: string;
  readonly manifest: Manifest;
  readonly registeredAtMs: number;
  /** Who says to have registered it. */
  readonly actor: string;
}

/** A model that is larger is not taken. */
export const artifactBytesMax = 32 * 2 ** 20;

export const versionHash = (manifest: Manifest): string => contentHash(manifest);

const finite = z.number('must be a finite number');
const name = z
  .string('must be a string')
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 of a-z 0-9 -, beginning with a letter');
const word = (max: number) =>
  z
    .string('must be a string')
    .min(1, 'must not be empty')
    .max(max, `must have at most ${max} characters`)
    .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII');
const count = z.int('must be a whole number').min(0, 'must not be negative');
const content = {
  sha256: z.string('must be a string').regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hexadecimal'),
  bytes: count.min(1, 'must not be 0').max(artifactBytesMax, `must be at most ${artifactBytesMax}`),
};

const manifest = z.strictObject(
  {
    schema: z.literal(1, 'must be 1'),
    model: name,
    kind: z.enum(modelKinds, `must be one of ${modelKinds.join(', ')}`),
    inputs: z
      .array(
        z.strictObject({ name: word(64), type: word(64), encoding: word(64) }, 'must be an object'),
        'must be a list',
      )
      .min(1, 'must not be empty')
      .max(1024, 'must have at most 1024'),
    rewardVersion: word(64),
    artifact: z.strictObject(content, 'must be an object'),
    goldenBatch: z.strictObject(content, 'must be an object').nullable(),
    weights: z
      .strictObject(
        {
          mean: z.array(finite, 'must be a list').min(1, 'must not be empty').max(1024, 'must have at most 1024'),
          noise: finite.positive('must be more than 0'),
          noiseCount: finite.min(0, 'must not be negative'),
        },
        'must be an object',
      )
      .nullable(),
    use: z.enum(['prior', 'prediction'], 'must be prior or prediction'),
    explorer: z.strictObject({ name: word(64), hyperparameters: z.record(word(64), finite) }, 'must be an object'),
    data: z
      .strictObject(
        {
          ...content,
          bytes: count,
          rows: count,
          asOf: z.iso.datetime({ offset: false, error: 'must be an instant in UTC, as 2026-11-23T08:00:00Z' }),
        },
        'must be an object',
      )
      .nullable(),
    code: word(128),
    parameters: z.record(
      word(64),
      z.union([z.string().max(256), z.number(), z.boolean()], 'must be a string, a number or a boolean'),
    ),
  },
  'must be an object',
);

/** What this build feeds models with. */
export interface ModelFeed {
  readonly inputs: readonly ModelInput[];
  readonly rewardVersion: string;
}

/**
 * Reads a manifest, and holds it against what this build feeds models with. The same check is made at registration and each
 * time a version is loaded: a model that would read something else than it was made for is never used. Throws
 * `invalid_argument` with every problem under its full path.
 */
export function parseManifest(input: unknown, feed: ModelFeed): Manifest {
  const result = manifest.safeParse(input);
  if (!result.success) throw invalid(violationsOf(result.error));
  const violations = [...checkInputs(result.data, feed.inputs), ...checkUse(result.data, feed.inputs)];
  if (result.data.rewardVersion !== feed.rewardVersion) {
    const description = `is ${result.data.rewardVersion}, and rewards are of version ${feed.rewardVersion} by now: train it anew`;
    violations.push({ field: 'rewardVersion', description });
  }
  if (violations.length > 0) throw invalid(violations);
  return result.data;
}

export function invalid(violations: readonly FieldViolation[]) {
  return invalidArgument(violations, { reason: 'INVALID_MODEL' });
}

function checkInputs({ inputs }: Manifest, known: readonly ModelInput[]): FieldViolation[] {
  return inputs.flatMap(({ name, type, encoding }, i): FieldViolation[] => {
    const ours = known.find((each) => each.name === name);
    const field = `inputs[${i}]`;
    if (!ours) {
      const description = `is ${name}, which vectors do not have; they have ${known.map((each) => each.name).join(', ')}`;
      return [{ field: `${field}.name`, description }];
    }
    if (inputs.findIndex((each) => each.name === name) !== i)
      return [{ field: `${field}.name`, description: `is ${name} once more` }];
    if (type !== ours.type)
      return [{ field: `${field}.type`, description: `is ${type}, and ${name} is ${ours.type} here` }];
    if (encoding !== ours.encoding) {
      const description = `is ${encoding}, and ${name} is encoded as ${ours.encoding} by now: train the model anew`;
      return [{ field: `${field}.encoding`, description }];
    }
    return [];
  });
}

function checkUse({ kind, use, weights, goldenBatch }: Manifest, known: readonly ModelInput[]): FieldViolation[] {
  const violations: FieldViolation[] = [];
  if (use === 'prior' && !weights)
    violations.push({ field: 'weights', description: 'must be there for a model that is used as a prior' });
  if (use === 'prediction' && kind === 'linear')
    violations.push({ field: 'use', description: 'must be prior: a linear model is nothing but its weights' });
  if (weights && weights.mean.length > known.length) {
    const description = `has ${weights.mean.length} entries, and vectors have ${known.length}`;
    violations.push({ field: 'weights.mean', description });
  }
  if (kind === 'onnx' && !goldenBatch) {
    const description = 'must be there for a model from elsewhere: it shows that it says here what it said there';
    violations.push({ field: 'goldenBatch', description });
  }
  return violations;
}
