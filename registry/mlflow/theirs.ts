import type { MlflowClient, MlflowExperiment, MlflowModel, MlflowRun, MlflowVersion } from './client.ts';
import { type Alias, aliasNames, experimentName, modelPrefix, modelTag, runTag, versionTag } from './wanted.ts';

/** A model in MLflow that is ours, with all its versions. */
export interface TheirModel {
  readonly model: MlflowModel;
  readonly versions: readonly MlflowVersion[];
  /** The version that has each of our aliases. */
  readonly aliases: ReadonlyMap<Alias, string>;
}

/** What MLflow has of ours, and in the places where ours should be. */
export interface Theirs {
  /** By the digest that they are of; of several the one that was first, and it is what everything is written to. */
  readonly runs: ReadonlyMap<string, MlflowRun>;
  /** Runs that are of the same as one in `runs`. */
  readonly duplicates: readonly MlflowRun[];
  readonly models: ReadonlyMap<string, TheirModel>;
  /** Models of names that should be ours, and were made by somebody else. */
  readonly strangers: ReadonlySet<string>;
}

export const findOurExperiment = (client: Pick<MlflowClient, 'findExperiment'>) =>
  client.findExperiment(experimentName);

type Reader = Pick<MlflowClient, 'listRuns' | 'listModels' | 'listVersions' | 'findAlias'>;

export async function readTheirs(client: Reader, experiment: MlflowExperiment): Promise<Theirs> {
  const runs = new Map<string, MlflowRun>();
  const duplicates: MlflowRun[] = [];
  for (const run of (await client.listRuns(experiment.experiment_id)).toSorted(byAge)) {
    const hash = run.data.tags.get(runTag);
    if (hash === undefined) continue;
    if (runs.has(hash)) duplicates.push(run);
    else runs.set(hash, run);
  }
  const models = new Map<string, TheirModel>();
  const strangers = new Set<string>();
  for (const model of await client.listModels(modelPrefix)) {
    if (!model.tags.has(modelTag)) strangers.add(model.name);
    else models.set(model.name, await readModel(client, model));
  }
  return { runs, duplicates, models, strangers };
}

/** The same whoever asks, so that two that made a run each go on with the same one. Deleted ones last. */
const byAge = (a: MlflowRun, b: MlflowRun): number =>
  Number(isDeleted(a)) - Number(isDeleted(b)) || (a.info.run_id < b.info.run_id ? -1 : 1);

export const isDeleted = ({ info }: MlflowRun): boolean => info.lifecycle_stage === 'deleted';

async function readModel(client: Reader, model: MlflowModel): Promise<TheirModel> {
  const versions = await client.listVersions(model.name);
  const aliases = new Map<Alias, string>();
  for (const alias of aliasNames) {
    const holder = await client.findAlias(model.name, alias);
    if (holder) aliases.set(alias, holder.version);
  }
  return { model, versions, aliases };
}

/** Of several the first. */
export const versionOfHash = (versions: readonly MlflowVersion[] = [], hash: string): MlflowVersion | undefined =>
  versions.toSorted((a, b) => Number(a.version) - Number(b.version)).find(({ tags }) => tags.get(versionTag) === hash);
