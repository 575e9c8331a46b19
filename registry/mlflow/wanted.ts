// What MLflow should say of the registry. Pure: the mirror makes it so, and the drift report compares with it.
import { canonicalJson, contentHash } from '../../platform/content-hash.ts';
import type { Manifest, ModelVersion } from '../model.ts';
import { sha256Of } from '../model-store.ts';
import { type Rollouts, servingOf } from '../rollout.ts';
import { factLimits } from './batches.ts';
import type { Dataset } from './client.ts';

export const experimentName = 'oo-ml';
/** Before the names of our models there, so that one of theirs that is pulled in does not meet its own mirror. */
export const modelPrefix = 'oo-';
/** The digest of a version's manifest: by it, not by a name, a run is found again. */
export const runTag = 'oo.version_hash';
export const modelTag = 'oo.model';
export const versionTag = 'oo.hash';
/** On a run: the digest of what its artifacts were when they were read back. */
export const artifactsTag = 'oo.artifacts';
/** The aliases that are ours to give and to take. */
export const aliasNames = ['champion', 'challenger', 'shadow'] as const;
export type Alias = (typeof aliasNames)[number];

/** A version of the registry, and what people are to know of it. */
export interface Registered {
  readonly version: ModelVersion;
  readonly card: unknown;
  /** The card as a page. Undefined: there is no such page. */
  readonly page: string | undefined;
}

/** A file of a run. Bytes that are in the registry are named by their digest alone. */
export interface WantedFile {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Undefined: they are in the registry. */
  readonly text: string | undefined;
}

export interface WantedVersion {
  readonly hash: string;
  readonly model: string;
  readonly run: {
    readonly name: string;
    readonly startMs: number;
    readonly params: ReadonlyMap<string, string>;
    readonly metrics: ReadonlyMap<string, number>;
    readonly tags: ReadonlyMap<string, string>;
    readonly dataset: Dataset | undefined;
    readonly files: readonly WantedFile[];
    /** Of all files. */
    readonly filesDigest: string;
  };
  readonly tags: ReadonlyMap<string, string>;
  readonly description: string;
}

export interface Wanted {
  /** In the order in which they came. */
  readonly versions: readonly WantedVersion[];
  readonly models: readonly {
    readonly name: string;
    readonly model: string;
    readonly description: string;
    /** The hash of the version that has each alias. Absent: none has. */
    readonly aliases: ReadonlyMap<Alias, string>;
  }[];
  /** The same as long as all of it is. */
  readonly digest: string;
}

export function wantedOf(registered: readonly Registered[], rollouts: Rollouts): Wanted {
  const versions = registered.map(versionOf);
  const names = [...new Set(registered.map(({ version }) => version.model))];
  const models = names.map((model) => ({
    name: `${modelPrefix}${model}`,
    model,
    description: `The model ${model} of oO ml, whose registry is the truth: what is changed here is changed back.`,
    aliases: aliasesOf(
      registered.flatMap(({ version }) => (version.model === model ? [version] : [])),
      rollouts,
    ),
  }));
  return { versions, models, digest: contentHash(plain({ versions, models })) };
}

/** The active version, the canary, and the newest in the shadow. */
function aliasesOf(versions: readonly ModelVersion[], rollouts: Rollouts): ReadonlyMap<Alias, string> {
  const { active, canary, shadows } = servingOf(rollouts);
  const hashOf = (policy: string | undefined) => versions.find((each) => each.policy === policy)?.hash;
  const newest = shadows.toSorted((a, b) => b.number - a.number).find(({ policy }) => hashOf(policy) !== undefined);
  const holders: readonly (readonly [Alias, string | undefined])[] = [
    ['champion', hashOf(active?.policy)],
    ['challenger', hashOf(canary?.policy)],
    ['shadow', hashOf(newest?.policy)],
  ];
  return new Map(holders.flatMap(([alias, hash]) => (hash === undefined ? [] : [[alias, hash] as const])));
}

function versionOf({ version, card, page }: Registered): WantedVersion {
  const { manifest, hash, model, name } = version;
  const files = filesOf(version, card, page);
  const facts: readonly (readonly [string, string])[] = [
    [modelTag, model],
    ['oo.version', String(version.version)],
    ['oo.artifact_sha256', manifest.artifact.sha256],
    ['oo.data_sha256', manifest.data?.sha256 ?? 'unknown'],
    ['oo.code', manifest.code],
    ['oo.reward_version', manifest.rewardVersion],
  ];
  return {
    hash,
    model: `${modelPrefix}${model}`,
    run: {
      name,
      startMs: Math.floor(version.registeredAtMs),
      params: paramsOf(manifest),
      metrics: metricsOf(card),
      tags: new Map([[runTag, hash], ...facts, ['oo.actor', version.actor.slice(0, 256)]]),
      dataset: manifest.data
        ? { name: 'training-set', digest: manifest.data.sha256.slice(0, 32), source: `sha256:${manifest.data.sha256}` }
        : undefined,
      files,
      filesDigest: contentHash(files.map(({ path, sha256 }) => [path, sha256])),
    },
    tags: new Map([[versionTag, hash], ...facts, ['oo.card_sha256', contentHash(card ?? null)]]),
    description: `${name}, ${manifest.kind}, used as a ${manifest.use} by ${manifest.explorer.name}.`,
  };
}

/** Where the model lies below a run's artifacts. */
export const modelFolder = 'model';

function filesOf({ manifest }: ModelVersion, card: unknown, page: string | undefined): readonly WantedFile[] {
  const isOnnx = manifest.kind === 'onnx';
  const name = isOnnx ? 'model.onnx' : 'model.json';
  const kept = (path: string, { sha256, bytes }: { sha256: string; bytes: number }) => ({
    ...{ path, sha256, bytes, text: undefined },
  });
  return [
    textFile('manifest.json', canonicalJson(manifest)),
    textFile('card.json', canonicalJson(card ?? null)),
    ...(page === undefined ? [] : [textFile('card.md', page)]),
    kept(`${modelFolder}/${name}`, manifest.artifact),
    ...(manifest.goldenBatch ? [kept(`${modelFolder}/golden.json`, manifest.goldenBatch)] : []),
    // with it, MLflow's own tools load the model
    ...(isOnnx ? [textFile(`${modelFolder}/MLmodel`, `flavors:\n  onnx:\n    data: ${name}\n`)] : []),
  ];
}

function textFile(path: string, text: string): WantedFile {
  const bytes = new TextEncoder().encode(text);
  return { path, sha256: sha256Of(bytes), bytes: bytes.length, text };
}

function paramsOf(manifest: Manifest): ReadonlyMap<string, string> {
  const { kind, use, inputs, rewardVersion, explorer, data, weights, parameters } = manifest;
  const named: readonly (readonly [string, unknown])[] = [
    ...Object.entries({ kind, use, inputs: inputs.length, rewardVersion, explorer: explorer.name }),
    ...Object.entries(explorer.hyperparameters).map(([key, value]) => [`explorer.${key}`, value] as const),
    ...(data ? Object.entries({ 'data.rows': data.rows, 'data.asOf': data.asOf }) : []),
    ...(weights ? Object.entries({ 'weights.noise': weights.noise, 'weights.noiseCount': weights.noiseCount }) : []),
    ...Object.entries(parameters).map(([key, value]) => [`parameters.${key}`, value] as const),
  ];
  return new Map(named.map(([key, value]) => [keyOf(key), String(value)]));
}

/** No card has more. */
const metricsMax = 1_000;

/** Every number in a card's evaluation, under its path. */
function metricsOf(card: unknown): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  const walk = (value: unknown, path: readonly string[]): void => {
    if (typeof value === 'number' && Number.isFinite(value) && found.size < metricsMax)
      found.set(keyOf(path.join('.')), value);
    if (typeof value !== 'object' || value === null) return;
    for (const [key, each] of Object.entries(value)) walk(each, [...path, nameOf(each) ?? key]);
  };
  if (typeof card === 'object' && card !== null && 'evaluation' in card) walk(card.evaluation, []);
  return found;
}

/** What an entry of a list calls itself, which stays when the list changes. */
function nameOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('name' in value)) return undefined;
  return typeof value.name === 'string' && value.name !== '' ? value.name : undefined;
}

/** MLflow takes few characters, and reads slashes as folders. */
const keyOf = (text: string): string =>
  text
    .replace(/[^A-Za-z0-9_.\- ]/gu, (letter) => `_${letter.codePointAt(0)?.toString(16)}`)
    .slice(0, factLimits.keyLength);

/** Maps as pairs, for canonical JSON. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
