import { failedPrecondition, notFound } from '../../platform/errors.ts';
import { artifactBytesMax } from '../model.ts';
import { sha256Of } from '../model-store.ts';
import { type MlflowClient, type MlflowFile, pathOfUri } from './client.ts';
import { onnxFileOf, refuse, refuseExternalData } from './ml-model.ts';

/** A model of somebody else's, as it came. Nobody has looked into its bytes yet. */
export interface PulledModel {
  readonly name: string;
  readonly alias: string;
  /** MLflow's number, which the alias had when it was asked. */
  readonly version: string;
  /** Empty: no run made it. */
  readonly runId: string;
  readonly model: Uint8Array;
  readonly sha256: string;
  /** Inputs with the outputs that whoever made it got for them, as a file. */
  readonly golden: Uint8Array;
}

export interface PullOptions {
  readonly name: string;
  readonly alias: string;
  /** In the place of MLflow's own. */
  readonly golden?: Uint8Array | undefined;
  readonly modelBytesMax?: number;
}

type Reader = Pick<MlflowClient, 'findAlias' | 'readVersionUri' | 'findRun' | 'listArtifacts' | 'findArtifact'>;

const mlModelName = 'MLmodel';
const goldenName = 'golden.json';
const mlModelBytesMax = 1_048_576;

/**
 * Takes the ONNX model that has an alias, with its golden batch: `golden.json` beside the model, or among the artifacts of
 * its run. Throws a DomainError that names what is missing or not taken, and an MlflowError.
 */
export async function pull(client: Reader, options: PullOptions): Promise<PulledModel> {
  const { name, alias, modelBytesMax = artifactBytesMax } = options;
  const found = await client.findAlias(name, alias);
  if (!found) throw notFound('MODEL_UNKNOWN', `MLflow has no ${name}@${alias}`);
  const { version, status, run_id: runId } = found;
  if (status !== 'READY')
    throw failedPrecondition('MODEL_NOT_READY', `version ${version} of ${name} is ${status}: wait until it is READY`);

  const folder = pathOfUri(await client.readVersionUri(name, version));
  const files = await client.listArtifacts(folder);
  const read = (file: MlflowFile, bytesMax: number) => readFile(client, folder, file, bytesMax);
  const mlModel = files.find(({ path }) => path === mlModelName);
  if (!mlModel) throw refuse(mlModelName, "is not there: log the model by one of MLflow's flavors");
  const file = onnxFileOf(new TextDecoder().decode(await read(mlModel, mlModelBytesMax)));
  const listed = files.find(({ path, is_dir }) => path === file && !is_dir);
  if (!listed) throw refuse(file, 'is named by MLmodel, and is not there');

  const golden = options.golden ?? (await findGolden(client, { folder, files, runId }));
  if (!golden)
    throw refuse(goldenName, 'is not there, beside the model or in its run: log it, or give a file by --golden');
  const model = await read(listed, modelBytesMax);
  const siblings = files.filter(({ path, is_dir }) => path !== file && !is_dir).map(({ path }) => path);
  refuseExternalData(model, siblings);
  const sha256 = sha256Of(model);
  const told = found.tags.get('oo.artifact_sha256');
  if (told !== undefined && told !== sha256) throw refuse(file, `is ${sha256}, and its version says ${told}`);
  return { name, alias, version, runId, model, sha256, golden };
}

/** A golden batch has at most some thousand rows. */
const goldenBytesMax = 16 * 2 ** 20;

async function findGolden(
  client: Reader,
  { folder, files, runId }: { readonly folder: string; readonly files: readonly MlflowFile[]; readonly runId: string },
): Promise<Uint8Array | undefined> {
  const beside = files.find(({ path }) => path === goldenName);
  if (beside) return await readFile(client, folder, beside, goldenBytesMax);
  if (runId === '') return undefined;
  const run = await client.findRun(runId);
  if (!run) return undefined;
  const root = pathOfUri(run.info.artifact_uri);
  const inRun = (await client.listArtifacts(root)).find(({ path }) => path === goldenName);
  return inRun && (await readFile(client, root, inRun, goldenBytesMax));
}

/** Throws where it is larger, or not as long as it was listed. */
async function readFile(
  client: Reader,
  folder: string,
  { path, file_size: size }: MlflowFile,
  bytesMax: number,
): Promise<Uint8Array> {
  if (size !== undefined && size > bytesMax) throw refuse(path, `has ${size} bytes, and ${bytesMax} are taken`);
  const bytes = await client.findArtifact(`${folder}/${path}`, bytesMax);
  if (!bytes) throw refuse(path, 'was listed, and is not there');
  if (size !== undefined && bytes.length !== size)
    throw refuse(path, `came with ${bytes.length} bytes of ${size}: try again`);
  return bytes;
}
