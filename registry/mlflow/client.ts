import { z } from 'zod';
import { batchesOf, type Entry, type Facts } from './batches.ts';
import { type Call, connect, jsonBytesMax, type MlflowOptions, parseJson } from './connection.ts';
import { isMissing, isTaken, MlflowError } from './error.ts';

// What is read of answers. Everything else in them is not looked at. MLflow leaves out empty lists and empty texts, and
// writes large numbers as text or not.

const int64 = z.union([
  z.int(),
  z
    .string()
    .regex(/^-?\d{1,19}$/)
    .transform(Number),
]);
const entries = z
  .array(z.object({ key: z.string(), value: z.string().default('') }))
  .default([])
  .transform((all): ReadonlyMap<string, string> => new Map(all.map(({ key, value }) => [key, value])));
// JSON has no word for it, so MLflow writes some as text
const double = z.union([z.number(), z.string().transform(Number)]);

const experiment = z.object({
  experiment_id: z.string(),
  name: z.string(),
  lifecycle_stage: z.string().default('active'),
  creation_time: int64.optional(),
});
const run = z.object({
  info: z.object({
    run_id: z.string(),
    artifact_uri: z.string(),
    status: z.string(),
    lifecycle_stage: z.string(),
    start_time: int64.optional(),
  }),
  data: z
    .object({
      metrics: z.array(z.object({ key: z.string(), value: double, step: int64.default(0) })).default([]),
      params: entries,
      tags: entries,
    })
    .default({ metrics: [], params: new Map(), tags: new Map() }),
  inputs: z
    .object({
      dataset_inputs: z.array(z.object({ dataset: z.object({ name: z.string(), digest: z.string() }) })).default([]),
    })
    .default({ dataset_inputs: [] }),
});
const registeredModel = z.object({ name: z.string(), description: z.string().default(''), tags: entries });
const modelVersion = z.object({
  name: z.string(),
  version: int64.transform(String),
  status: z.string(),
  source: z.string().default(''),
  run_id: z.string().default(''),
  description: z.string().default(''),
  tags: entries,
});
const file = z.object({ path: z.string(), is_dir: z.boolean().default(false), file_size: int64.optional() });
const page = { next_page_token: z.string().optional() };

export type MlflowExperiment = z.infer<typeof experiment>;
export type MlflowRun = z.infer<typeof run>;
export type MlflowModel = z.infer<typeof registeredModel>;
export type MlflowVersion = z.infer<typeof modelVersion>;
export type MlflowFile = z.infer<typeof file>;

/** Data that a run read. */
export interface Dataset {
  readonly name: string;
  /** At most 36 characters. */
  readonly digest: string;
  readonly source: string;
}

export type RunStatus = 'RUNNING' | 'FINISHED';

/**
 * The calls of MLflow's REST API that are needed here. Each throws an MlflowError; `find…` give undefined where there is
 * nothing. Calls that may be done twice without harm are tried again where waiting may help; to create is not one of them.
 */
export interface MlflowClient {
  findExperiment(name: string): Promise<MlflowExperiment | undefined>;
  /** Somebody else may have done so in the meantime. */
  createExperiment(name: string): Promise<void>;

  createRun(run: {
    readonly experimentId: string;
    readonly name: string;
    readonly startMs: number;
    readonly tags: readonly Entry[];
  }): Promise<MlflowRun>;
  /** All of an experiment, deleted ones among them. */
  listRuns(experimentId: string): Promise<readonly MlflowRun[]>;
  findRun(runId: string): Promise<MlflowRun | undefined>;
  restoreRun(runId: string): Promise<void>;
  endRun(runId: string, status: RunStatus, endMs: number): Promise<void>;
  /** In as many calls as it takes. */
  logFacts(runId: string, facts: Partial<Facts>): Promise<void>;
  logDataset(runId: string, dataset: Dataset): Promise<void>;

  /** What lies in a folder of the server's artifacts, with names relative to it. Empty: there is no such folder. */
  listArtifacts(folder: string): Promise<readonly MlflowFile[]>;
  putArtifact(path: string, bytes: Uint8Array): Promise<void>;
  /** Refuses more than `bytesMax` bytes. */
  findArtifact(path: string, bytesMax: number): Promise<Uint8Array | undefined>;

  findModel(name: string): Promise<MlflowModel | undefined>;
  /** Those whose names begin so. */
  listModels(prefix: string): Promise<readonly MlflowModel[]>;
  /** Somebody else may have done so in the meantime. */
  createModel(model: {
    readonly name: string;
    readonly description: string;
    readonly tags: readonly Entry[];
  }): Promise<void>;
  describeModel(name: string, description: string): Promise<void>;

  listVersions(model: string): Promise<readonly MlflowVersion[]>;
  createVersion(version: {
    readonly name: string;
    readonly source: string;
    readonly runId: string;
    readonly description: string;
    readonly tags: readonly Entry[];
  }): Promise<MlflowVersion>;
  describeVersion(name: string, version: string, description: string): Promise<void>;
  tagVersion(name: string, version: string, tag: Entry): Promise<void>;
  /** Where a version's files are, as MLflow's own URI. */
  readVersionUri(name: string, version: string): Promise<string>;

  /** Who has an alias. Never read from lists of models or versions: there it is missing at times. */
  findAlias(name: string, alias: string): Promise<MlflowVersion | undefined>;
  /** Takes it from whoever had it. */
  putAlias(name: string, alias: string, version: string): Promise<void>;
  deleteAlias(name: string, alias: string): Promise<void>;
}

export function createMlflowClient(options: MlflowOptions): MlflowClient {
  const send = connect(options);

  const ask = async <Answer extends z.ZodType>(
    schema: Answer,
    call: Omit<Call, 'bytesMax' | 'isRepeatable'> & { readonly isRepeatable?: boolean },
  ): Promise<z.infer<Answer>> => {
    const path = `mlflow/${call.path}`;
    const bytes = await send({ isRepeatable: call.method === 'GET', ...call, path, bytesMax: jsonBytesMax });
    const answer = schema.safeParse(parseJson(bytes));
    if (answer.success) return answer.data;
    throw new MlflowError(
      `${call.method} ${call.path}`,
      'answered with something else than MLflow does: is the URL right?',
      'NOT_UNDERSTOOD',
      200,
    );
  };
  const post = (path: string, body: unknown, isRepeatable: boolean) =>
    ask(z.unknown(), { method: 'POST', path, body, isRepeatable });

  /** Every page, one after the other. A server that never ends is refused. */
  const all = async <Each>(
    path: string,
    read: (
      pageToken: string | undefined,
    ) => Promise<{ readonly found: readonly Each[]; readonly next: string | undefined }>,
  ): Promise<readonly Each[]> => {
    const found: Each[] = [];
    let token: string | undefined;
    for (let pages = 0; pages < pagesMax; pages++) {
      const answer = await read(token);
      found.push(...answer.found);
      if (!answer.next) return found;
      token = answer.next;
    }
    throw new MlflowError(path, `has more than ${pagesMax} pages`, 'TOO_LARGE');
  };

  return {
    findExperiment: (name) =>
      orMissing(async () => {
        const query = { experiment_name: name };
        return (await ask(z.object({ experiment }), { method: 'GET', path: 'experiments/get-by-name', query }))
          .experiment;
      }),
    createExperiment: (name) => orTaken(() => post('experiments/create', { name }, false)),

    async createRun({ experimentId, name, startMs, tags }) {
      const body = { experiment_id: experimentId, run_name: name, start_time: startMs, tags };
      return (await ask(z.object({ run }), { method: 'POST', path: 'runs/create', body })).run;
    },
    listRuns: (experimentId) =>
      all('runs/search', async (page_token) => {
        const body = { experiment_ids: [experimentId], run_view_type: 'ALL', max_results: 100, page_token };
        const schema = z.object({ runs: z.array(run).default([]), ...page });
        const answer = await ask(schema, { method: 'POST', path: 'runs/search', body, isRepeatable: true });
        return { found: answer.runs, next: answer.next_page_token };
      }),
    findRun: (runId) =>
      orMissing(async () => {
        const query = { run_id: runId };
        return (await ask(z.object({ run }), { method: 'GET', path: 'runs/get', query })).run;
      }),
    async restoreRun(runId) {
      await post('runs/restore', { run_id: runId }, true);
    },
    async endRun(runId, status, endMs) {
      await post('runs/update', { run_id: runId, status, end_time: endMs }, true);
    },
    async logFacts(runId, { metrics = [], params = [], tags = [] }) {
      for (const batch of batchesOf({ metrics, params, tags }))
        await post('runs/log-batch', { run_id: runId, ...batch }, true);
    },
    async logDataset(runId, { name, digest, source }) {
      const dataset = { name, digest, source_type: 'oo', source };
      const tags = [{ key: 'mlflow.data.context', value: 'training' }];
      await post('runs/log-inputs', { run_id: runId, datasets: [{ dataset, tags }] }, true);
    },

    async listArtifacts(folder) {
      const path = 'mlflow-artifacts/artifacts';
      const bytes = await send({
        method: 'GET',
        path,
        query: { path: folder },
        isRepeatable: true,
        bytesMax: jsonBytesMax,
      });
      const answer = z.object({ files: z.array(file).default([]) }).safeParse(parseJson(bytes));
      if (!answer.success)
        throw new MlflowError(
          `GET ${path}`,
          'answered with something else than a list of files',
          'NOT_UNDERSTOOD',
          200,
        );
      return answer.data.files;
    },
    async putArtifact(path, body) {
      await send({ method: 'PUT', path: artifactPath(path), body, isRepeatable: true, bytesMax: jsonBytesMax });
    },
    findArtifact: (path, bytesMax) =>
      orMissing(() => send({ method: 'GET', path: artifactPath(path), isRepeatable: true, bytesMax })),

    findModel: (name) =>
      orMissing(async () => {
        const schema = z.object({ registered_model: registeredModel });
        return (await ask(schema, { method: 'GET', path: 'registered-models/get', query: { name } })).registered_model;
      }),
    listModels: (prefix) =>
      all('registered-models/search', async (page_token) => {
        const query = { filter: `name LIKE '${prefix}%'`, max_results: 100, page_token };
        const schema = z.object({ registered_models: z.array(registeredModel).default([]), ...page });
        const answer = await ask(schema, { method: 'GET', path: 'registered-models/search', query });
        return { found: answer.registered_models, next: answer.next_page_token };
      }),
    createModel: (model) => orTaken(() => post('registered-models/create', model, false)),
    async describeModel(name, description) {
      await ask(z.unknown(), {
        method: 'PATCH',
        path: 'registered-models/update',
        body: { name, description },
        isRepeatable: true,
      });
    },

    listVersions: (model) =>
      all('model-versions/search', async (page_token) => {
        const query = { filter: `name = '${model}'`, max_results: 200, page_token };
        const schema = z.object({ model_versions: z.array(modelVersion).default([]), ...page });
        const answer = await ask(schema, { method: 'GET', path: 'model-versions/search', query });
        return { found: answer.model_versions, next: answer.next_page_token };
      }),
    async createVersion({ name, source, runId, description, tags }) {
      const body = { name, source, run_id: runId, description, tags };
      const schema = z.object({ model_version: modelVersion });
      return (await ask(schema, { method: 'POST', path: 'model-versions/create', body })).model_version;
    },
    async describeVersion(name, version, description) {
      const body = { name, version, description };
      await ask(z.unknown(), { method: 'PATCH', path: 'model-versions/update', body, isRepeatable: true });
    },
    async tagVersion(name, version, tag) {
      await post('model-versions/set-tag', { name, version, ...tag }, true);
    },
    async readVersionUri(name, version) {
      const schema = z.object({ artifact_uri: z.string() });
      const path = 'model-versions/get-download-uri';
      return (await ask(schema, { method: 'GET', path, query: { name, version } })).artifact_uri;
    },

    findAlias: (name, alias) =>
      orMissing(async () => {
        // of a model that is there, the server calls an alias that is not a wrong parameter
        const schema = z.object({ model_version: modelVersion });
        return (await ask(schema, { method: 'GET', path: 'registered-models/alias', query: { name, alias } }))
          .model_version;
      }),
    async putAlias(name, alias, version) {
      await post('registered-models/alias', { name, alias, version }, true);
    },
    async deleteAlias(name, alias) {
      await ask(z.unknown(), {
        method: 'DELETE',
        path: 'registered-models/alias',
        body: { name, alias },
        isRepeatable: true,
      });
    },
  };
}

const pagesMax = 1_000;

async function orMissing<Found>(find: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await find();
  } catch (error) {
    if (isMissing(error) || isNoAlias(error)) return undefined;
    throw error;
  }
}

const isNoAlias = (error: unknown): boolean =>
  error instanceof MlflowError && error.status === 400 && /model alias .* not found/i.test(error.message);

async function orTaken(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
}

const artifactPath = (path: string) =>
  `mlflow-artifacts/artifacts/${path.split('/').map(encodeURIComponent).join('/')}`;

/**
 * The path, in the server's artifacts, of one of MLflow's URIs. Throws where they are elsewhere: then only programs with
 * that storage's own keys reach them.
 */
export function pathOfUri(uri: string): string {
  const path = /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.+?)\/*$/.exec(uri)?.[1];
  if (path !== undefined) return path;
  const scheme = /^[a-z0-9+.-]+(?=:)/i.exec(uri)?.[0] ?? 'a folder';
  const what = `keeps these artifacts in ${scheme}, not behind itself: start it with --artifacts-destination, without --no-serve-artifacts`;
  throw new MlflowError('artifacts', what, 'NOT_SERVED');
}
