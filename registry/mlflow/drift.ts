import { sha256Of } from '../model-store.ts';
import { type MlflowClient, type MlflowRun, pathOfUri } from './client.ts';
import { MlflowError } from './error.ts';
import type { MirrorSource } from './source.ts';
import { findOurExperiment, isDeleted, readTheirs, type Theirs, versionOfHash } from './theirs.ts';
import { aliasNames, experimentName, versionTag, type Wanted, type WantedVersion } from './wanted.ts';

/** One thing on which the registry and MLflow do not agree. */
export interface Drift {
  readonly kind: 'only here' | 'only there' | 'differs';
  /** What it is, and of which: `version reward/3`, `oo-reward@champion`. */
  readonly what: string;
  /** Null: it is not there. */
  readonly here: string | null;
  readonly there: string | null;
}

type Reader = Pick<
  MlflowClient,
  'findExperiment' | 'listRuns' | 'listModels' | 'listVersions' | 'findAlias' | 'findArtifact'
>;

/**
 * All on which both sides differ, in the registry's order. Reads every artifact of every version and changes nothing. Throws
 * an MlflowError where MLflow is away, and errors of the database.
 */
export async function findDrift(source: Pick<MirrorSource, 'readWanted'>, client: Reader): Promise<readonly Drift[]> {
  const wanted = await source.readWanted();
  const experiment = await findOurExperiment(client);
  if (!experiment) {
    return wanted.versions.length === 0 ? [] : [onlyHere(`experiment ${experimentName}`, experimentName)];
  }
  const theirs = await readTheirs(client, experiment);
  const drifts: Drift[] = [];
  for (const version of wanted.versions) {
    const run = theirs.runs.get(version.hash);
    drifts.push(...(await compareRun(client, version, run)), ...compareVersion(version, run, theirs));
  }
  return [...drifts, ...compareModels(wanted, theirs), ...onlyThere(wanted, theirs)];
}

async function compareRun(
  client: Pick<MlflowClient, 'findArtifact'>,
  { hash, run: wanted }: WantedVersion,
  run: MlflowRun | undefined,
): Promise<readonly Drift[]> {
  const name = `run ${wanted.name}`;
  if (!run || isDeleted(run)) return [onlyHere(name, hash)];
  const metrics = new Map(run.data.metrics.map(({ key, value }) => [key, String(value)]));
  const wantedMetrics = new Map([...wanted.metrics].map(([key, value]) => [key, String(value)]));
  const drifts = [
    ...compareAll(`parameter of ${name}`, wanted.params, run.data.params),
    ...compareAll(`metric of ${name}`, wantedMetrics, metrics),
    ...compareAll(`tag of ${name}`, wanted.tags, run.data.tags),
    ...compare(`status of ${name}`, 'FINISHED', run.info.status),
  ];
  for (const { path, sha256, bytes } of wanted.files) {
    const there = await digestOf(client, `${pathOfUri(run.info.artifact_uri)}/${path}`, bytes);
    drifts.push(...compare(`artifact ${path} of ${name}`, sha256, there));
  }
  return drifts;
}

/** Undefined: it is not there. */
async function digestOf(
  client: Pick<MlflowClient, 'findArtifact'>,
  path: string,
  bytesMax: number,
): Promise<string | undefined> {
  try {
    const found = await client.findArtifact(path, bytesMax);
    return found && sha256Of(found);
  } catch (error) {
    if (error instanceof MlflowError && error.code === 'TOO_LARGE') return `more than ${bytesMax} bytes`;
    throw error;
  }
}

function compareVersion(
  { hash, model, run: { name }, tags, description }: WantedVersion,
  run: MlflowRun | undefined,
  theirs: Theirs,
): readonly Drift[] {
  const version = versionOfHash(theirs.models.get(model)?.versions, hash);
  if (!version) return [onlyHere(`version ${name}`, hash)];
  return [
    ...compareAll(`tag of version ${name}`, tags, version.tags),
    ...compare(`description of version ${name}`, description, version.description),
    ...compare(`status of version ${name}`, 'READY', version.status),
    ...(run ? compare(`run of version ${name}`, run.info.run_id, version.run_id) : []),
  ];
}

function compareModels({ models }: Wanted, theirs: Theirs): readonly Drift[] {
  return models.flatMap(({ name, description, aliases }) => {
    if (theirs.strangers.has(name))
      return [{ kind: 'differs', what: `model ${name}`, here: 'ours', there: "somebody's" } as const];
    const their = theirs.models.get(name);
    if (!their) return [onlyHere(`model ${name}`, name)];
    const hashOf = (version: string | undefined) =>
      their.versions.find((each) => each.version === version)?.tags.get(versionTag) ??
      (version && `version ${version}`);
    return [
      ...compare(`description of ${name}`, description, their.model.description),
      ...aliasNames.flatMap((alias) =>
        compare(`${name}@${alias}`, aliases.get(alias), hashOf(their.aliases.get(alias))),
      ),
    ];
  });
}

/** What is among ours, and not of ours. */
function onlyThere({ versions, models }: Wanted, theirs: Theirs): readonly Drift[] {
  const hashes = new Set(versions.map(({ hash }) => hash));
  const there = (what: string, name: string): Drift => ({ kind: 'only there', what, here: null, there: name });
  const strangeRuns = [...theirs.runs].filter(([hash, run]) => !hashes.has(hash) && !isDeleted(run));
  const strangeModels = [...theirs.models.keys()].filter((name) => !models.some((each) => each.name === name));
  const strangeVersions = [...theirs.models].flatMap(([name, their]) =>
    their.versions
      .filter(({ tags, version }) => {
        const hash = tags.get(versionTag);
        return hash === undefined || !hashes.has(hash) || versionOfHash(their.versions, hash)?.version !== version;
      })
      .map(({ version }) => there(`version ${version} of ${name}`, version)),
  );
  return [
    ...strangeRuns.map(([hash, { info }]) => there(`run ${info.run_id}`, hash)),
    ...theirs.duplicates
      .filter((run) => !isDeleted(run))
      .map(({ info }) => there(`run ${info.run_id}`, 'a second run of the same')),
    ...strangeModels.map((name) => there(`model ${name}`, name)),
    ...strangeVersions,
  ];
}

/** Of what is wanted. Whatever else is there does no harm. */
function compareAll(
  what: string,
  here: ReadonlyMap<string, string>,
  there: ReadonlyMap<string, string>,
): readonly Drift[] {
  return [...here].flatMap(([key, value]) => compare(`${key}, ${what}`, value, there.get(key)));
}

function compare(what: string, here: string | undefined, there: string | undefined): readonly Drift[] {
  if (here === there) return [];
  if (there === undefined) return [onlyHere(what, here ?? '')];
  return [{ kind: here === undefined ? 'only there' : 'differs', what, here: here ?? null, there }];
}

const onlyHere = (what: string, here: string): Drift => ({ kind: 'only here', what, here, there: null });
