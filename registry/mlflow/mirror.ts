import { sha256Of } from '../model-store.ts';
import { type MlflowClient, type MlflowExperiment, type MlflowRun, pathOfUri } from './client.ts';
import { MlflowError } from './error.ts';
import type { MirrorSource } from './source.ts';
import { findOurExperiment, isDeleted, readTheirs, type Theirs, versionOfHash } from './theirs.ts';
import {
  aliasNames,
  artifactsTag,
  experimentName,
  modelFolder,
  modelTag,
  type Wanted,
  type WantedFile,
  type WantedVersion,
} from './wanted.ts';

export interface MirrorOptions {
  /** What `mirror` gave the last time it was done. Where nothing changed since, one call finds so. */
  readonly known?: string | undefined;
  /** Reads every artifact back, also those that were read back before. */
  readonly everyByte?: boolean;
  /** Asked before each version: throws where another one may mirror by now. */
  readonly stillOurs?: () => Promise<void>;
}

export interface Mirrored {
  /** Of what was mirrored, and of the MLflow it was mirrored to. */
  readonly state: string;
  /** What was written, in words. Empty: all was there. */
  readonly changes: readonly string[];
  /** What could not be mirrored although MLflow answers, and why. The rest is. */
  readonly problems: readonly string[];
}

/**
 * Makes MLflow say what the registry says. Looks at what is there and adds what is missing, one version after the other, so
 * that it may end anywhere and be done again. A version is registered once its artifacts were read back, and gets its
 * aliases last. Deletes nothing but aliases. Throws an MlflowError where MLflow is away, and errors of the database.
 */
export async function mirror(
  source: MirrorSource,
  client: MlflowClient,
  options: MirrorOptions = {},
): Promise<Mirrored> {
  const wanted = await source.readWanted();
  const changes: string[] = [];
  const experiment = await ourExperiment(client, wanted, changes);
  if (!experiment) return { state: wanted.digest, changes, problems: [] };
  const state = `${wanted.digest} ${experiment.experiment_id} ${experiment.creation_time}`;
  if (options.known === state) return { state, changes, problems: [] };

  const theirs = await readTheirs(client, experiment);
  const problems: string[] = [];
  const work: Work = { source, client, changes, everyByte: options.everyByte ?? false };
  for (const version of wanted.versions) {
    if (theirs.strangers.has(version.model)) continue;
    await options.stillOurs?.();
    const run = await mirrorRun(work, version, experiment, theirs, problems);
    if (run) await mirrorVersion(work, version, run, theirs, problems);
  }
  for (const name of new Set(wanted.versions.map(({ model }) => model)))
    if (theirs.strangers.has(name)) problems.push(`${name} is there, and not of oO: rename it in MLflow`);
  await options.stillOurs?.();
  await mirrorModels(work, wanted, problems);
  return { state: problems.length === 0 ? state : '', changes, problems };
}

interface Work {
  readonly source: Pick<MirrorSource, 'readContent'>;
  readonly client: MlflowClient;
  readonly changes: string[];
  readonly everyByte: boolean;
}

/** Undefined: there is nothing to put there yet. */
async function ourExperiment(
  client: MlflowClient,
  { versions }: Wanted,
  changes: string[],
): Promise<MlflowExperiment | undefined> {
  let found = await findOurExperiment(client);
  if (!found && versions.length === 0) return undefined;
  if (!found) {
    await client.createExperiment(experimentName);
    changes.push(`experiment ${experimentName}`);
    found = await findOurExperiment(client);
  }
  if (found?.lifecycle_stage !== 'active')
    throw new MlflowError(
      'experiments/get-by-name',
      `has the experiment ${experimentName} deleted: restore it`,
      'DELETED',
    );
  return found;
}

/** Undefined: it cannot be as it should, see `problems`. */
async function mirrorRun(
  { source, client, changes, everyByte }: Work,
  { hash, run: wanted }: WantedVersion,
  experiment: MlflowExperiment,
  theirs: Theirs,
  problems: string[],
): Promise<MlflowRun | undefined> {
  let run = theirs.runs.get(hash);
  if (!run) {
    const { name, startMs, tags } = wanted;
    run = await client.createRun({ experimentId: experiment.experiment_id, name, startMs, tags: entriesOf(tags) });
    changes.push(`run ${name}`);
  } else if (isDeleted(run)) {
    await client.restoreRun(run.info.run_id);
    changes.push(`run ${wanted.name} restored`);
  }
  const { run_id: runId } = run.info;

  const changed = [...wanted.params].filter(([key, value]) => (run.data.params.get(key) ?? value) !== value);
  if (changed.length > 0) {
    const keys = changed.map(([key]) => key).join(', ');
    problems.push(`run ${wanted.name} has other parameters, which MLflow lets nobody change: ${keys}`);
    return undefined;
  }
  const params = entriesOf(wanted.params).filter(({ key }) => !run.data.params.has(key));
  const tags = entriesOf(wanted.tags).filter(({ key, value }) => run.data.tags.get(key) !== value);
  const metrics = [...wanted.metrics].flatMap(([key, value]) => {
    const known = run.data.metrics.find((each) => each.key === key);
    if (known?.value === value) return [];
    return [{ key, value, timestamp: wanted.startMs, step: known ? known.step + 1 : 0 }];
  });
  if (params.length + tags.length + metrics.length > 0) {
    await client.logFacts(runId, { params, tags, metrics });
    changes.push(`facts of run ${wanted.name}`);
  }
  const { dataset } = wanted;
  if (dataset && !run.inputs.dataset_inputs.some((each) => each.dataset.digest === dataset.digest)) {
    await client.logDataset(runId, dataset);
    changes.push(`data of run ${wanted.name}`);
  }

  const isKnown = run.data.tags.get(artifactsTag) === wanted.filesDigest;
  if (!isKnown || everyByte) {
    for (const file of wanted.files)
      if (await mirrorFile({ source, client }, pathOfUri(run.info.artifact_uri), file))
        changes.push(`${file.path} of run ${wanted.name}`);
  }
  if (!isKnown) {
    await client.logFacts(runId, { tags: [{ key: artifactsTag, value: wanted.filesDigest }] });
    changes.push(`digest of run ${wanted.name}`);
  }
  if (run.info.status !== 'FINISHED') {
    await client.endRun(runId, 'FINISHED', wanted.startMs);
    changes.push(`end of run ${wanted.name}`);
  }
  return run;
}

/** Whether it had to be sent. Throws where it is not what was sent once it is read back. */
async function mirrorFile(
  { source, client }: Pick<Work, 'source' | 'client'>,
  root: string,
  { path, sha256, bytes, text }: WantedFile,
): Promise<boolean> {
  const target = `${root}/${path}`;
  const isThere = async () => {
    const found = await client.findArtifact(target, bytes).catch((error: unknown) => {
      if (error instanceof MlflowError && error.code === 'TOO_LARGE') return undefined; // another one, which is replaced
      throw error;
    });
    return found !== undefined && sha256Of(found) === sha256;
  };
  if (await isThere()) return false;
  await client.putArtifact(
    target,
    text === undefined ? await source.readContent(sha256) : new TextEncoder().encode(text),
  );
  if (await isThere()) return true;
  throw new MlflowError('artifacts', `gives back other bytes than it was sent for ${path}`, 'CORRUPT');
}

async function mirrorVersion(
  { client, changes }: Work,
  { hash, model: name, run: { name: title }, tags, description }: WantedVersion,
  run: MlflowRun,
  theirs: Theirs,
  problems: string[],
): Promise<void> {
  const found = versionOfHash(theirs.models.get(name)?.versions, hash);
  if (!found) {
    if (!theirs.models.has(name) && !(await client.findModel(name))) await createModel(client, name, tags, changes);
    const source = `${run.info.artifact_uri}/${modelFolder}`;
    await client.createVersion({ name, source, runId: run.info.run_id, description, tags: entriesOf(tags) });
    changes.push(`version ${title}`);
    return;
  }
  if (found.run_id !== run.info.run_id)
    problems.push(
      `version ${title} is of another run, which MLflow lets nobody change: delete version ${found.version} of ${name}`,
    );
  for (const tag of entriesOf(tags)) {
    if (found.tags.get(tag.key) === tag.value) continue;
    await client.tagVersion(name, found.version, tag);
    changes.push(`${tag.key} of version ${title}`);
  }
  if (found.description !== description) {
    await client.describeVersion(name, found.version, description);
    changes.push(`description of version ${title}`);
  }
}

async function createModel(
  client: MlflowClient,
  name: string,
  tags: ReadonlyMap<string, string>,
  changes: string[],
): Promise<void> {
  // with its tag at once: without it, it would not be ours the next time
  await client.createModel({ name, description: '', tags: [{ key: modelTag, value: tags.get(modelTag) ?? '' }] });
  changes.push(`model ${name}`);
}

/** Descriptions and aliases, given what is there by now. */
async function mirrorModels({ client, changes }: Work, { models }: Wanted, problems: string[]): Promise<void> {
  for (const { name, description, aliases } of models) {
    const model = await client.findModel(name);
    if (!model?.tags.has(modelTag)) continue;
    if (model.description !== description) {
      await client.describeModel(name, description);
      changes.push(`description of ${name}`);
    }
    const versions = await client.listVersions(name);
    for (const alias of aliasNames) {
      const hash = aliases.get(alias);
      const version = hash === undefined ? undefined : versionOfHash(versions, hash);
      const holder = await client.findAlias(name, alias);
      if (holder?.version === version?.version) continue;
      if (hash !== undefined && !version) {
        problems.push(`${name}@${alias} waits for its version`);
        continue;
      }
      if (version) await client.putAlias(name, alias, version.version);
      else await client.deleteAlias(name, alias);
      changes.push(`${name}@${alias}`);
    }
  }
}

const entriesOf = (all: ReadonlyMap<string, string>) => [...all].map(([key, value]) => ({ key, value }));
