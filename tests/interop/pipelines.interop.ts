// The same DAGs under our own runner, Prefect and Airflow: the same order, retries, skips and answers.

import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { egreedyV2 } from '../../experiments/policies/egreedy-v2.ts';
import { openArtifacts } from '../../pipelines/artifacts.ts';
import { dagOf } from '../../pipelines/dag.ts';
import { runDag } from '../../pipelines/run-dag.ts';
import { openRun } from '../../pipelines/step-store.ts';
import { openDatabase } from '../../platform/database.ts';
import { firstStep } from '../../registry/rollout.ts';
import { createRolloutStore } from '../../registry/rollout-store.ts';
import { silent } from '../_util/loop.ts';
import { lettersOf, testDags } from '../_util/pipelines/dags.ts';
import { storeWorld } from '../_util/pipelines/logged-world.ts';
import { createTestProject } from '../_util/pipelines/project.ts';
import { createTestDatabase } from '../_util/servers.ts';
import { runSql } from '../_util/sql.ts';

const asOf = '2026-11-01T00:00:00.000Z';
const dags = ['letters', 'hopeless', 'train'];
const deploy = fileURLToPath(new URL('../../deploy', import.meta.url));
const minutes = 60_000;

/** What is left of the runs of all DAGs under one runner. */
interface Left {
  /** Rows of `pipeline_steps` as text. */
  readonly steps: readonly string[];
  readonly asOf: readonly unknown[];
  /** Models that were registered, and where their policies stand. */
  readonly models: readonly unknown[];
  readonly trace: readonly string[];
  readonly printed: string;
}

/** What there is before: a log to learn from, and a server that has begun. The same for every runner. */
async function prepare(url: string): Promise<void> {
  const database = openDatabase({ url, applicationName: 'test', maxConnections: 2 });
  const people = { seen: 60, heldOut: 40 };
  await storeWorld(database, { name: 'world', people, decisionsEach: 2, beforeMs: Date.parse(asOf) });
  const by = { atMs: Date.parse(asOf), actor: 'test', caller: '', reason: 'a test' };
  const { name: policy, version } = egreedyV2;
  await createRolloutStore(database).append([firstStep({ policy, version }, by)]);
  await database.end();
}

type Runner = (project: ReturnType<typeof createTestProject>, url: string) => Promise<string>;

const runners: Readonly<Record<string, Runner>> = {
  async embedded({ env }, url) {
    const database = openDatabase({ url, applicationName: 'test', maxConnections: 10 });
    const artifacts = openArtifacts(env.ARTIFACTS_DIR ?? '');
    const deps = { database, artifacts, log: silent, signal: new AbortController().signal, random: Math.random };
    for (const id of dags) {
      await runDag(deps, dagOf(testDags(env), id), await openRun(database, id, 'r', asOf), { workers: 2 });
    }
    await database.end();
    return '';
  },
  prefect({ folder, env }) {
    const script = fileURLToPath(new URL('prefect-run.py', import.meta.url));
    const own = {
      PREFECT_HOME: join(folder, 'prefect'),
      PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: 'true',
      PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: '180', // it makes its tables first
      PREFECT_SERVER_ANALYTICS_ENABLED: 'false',
      DO_NOT_TRACK: '1',
      PREFECT_LOGGING_LEVEL: 'ERROR',
    };
    const python = join(inject('prefect'), 'python');
    return outputOf(python, [script, 'r', asOf, ...dags], folder, { ...env, ...own });
  },
  async airflow({ folder, env }) {
    const home = join(folder, 'airflow');
    mkdirSync(home);
    const own = {
      AIRFLOW_HOME: home,
      AIRFLOW__CORE__DAGS_FOLDER: join(deploy, 'airflow'),
      AIRFLOW__CORE__LOAD_EXAMPLES: 'False',
      AIRFLOW__USAGE_DATA_COLLECTION__ENABLED: 'False',
    };
    const airflow = (...args: readonly string[]) =>
      outputOf(join(inject('airflow'), 'airflow'), args, folder, { ...env, ...own });
    await airflow('db', 'migrate');
    let printed = '';
    for (const dag of dags) printed += await airflow('dags', 'test', dag, asOf);
    return `${printed}${await airflow('dags', 'list-import-errors')}`;
  },
};

/** All that a program prints, however it ends. */
function outputOf(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  const options = { cwd, env: { ...process.env, ...env }, timeout: 5 * minutes, maxBuffer: 64 << 20 };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, out, err) => resolve(`${error ?? ''}${err}\n${out}`));
  });
}

const left: Record<string, Left> = {};
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  await Promise.all(
    Object.entries(runners).map(async ([name, runner]) => {
      const { url } = stack.use(await createTestDatabase());
      const project = createTestProject(url);
      await prepare(url);
      const printed = await runner(project, url);
      const rows = await runSql(
        url,
        `SELECT dag, step, status, attempt, input_hash, output::text, reason FROM pipeline_steps ORDER BY dag, step`,
      );
      const runs = await runSql(url, 'SELECT dag, as_of FROM pipeline_runs ORDER BY dag');
      const steps = rows.map((row) => JSON.stringify(Object.values(row)));
      const models = await runSql(
        url,
        `SELECT model, v.version, hash, policy_version, to_stage FROM model_versions AS v
        LEFT JOIN rollouts ON policy = model || '.' || v.version ORDER BY v.number, rollouts.number`,
      );
      left[name] = { steps, asOf: runs.map(({ as_of: at }) => at), models, trace: project.trace(), printed };
    }),
  );
}, 10 * minutes);
afterAll(() => stack.disposeAsync());

describe.each(Object.keys(runners))('under %s', (name) => {
  const of = () => left[name] ?? { steps: [], asOf: [], models: [], trace: [], printed: '' };

  it('steps answer the same', () => {
    expect(of().steps).toHaveLength(13);
    expect(of().steps).toEqual(left.embedded?.steps);
    expect(of().steps.join()).toContain(lettersOf(asOf).longest);
  });

  it('runs are as of the logical date', () => {
    expect(of().asOf).toEqual(dags.map(() => new Date(asOf)));
  });

  it('the same log makes the same version of a model, which goes into the shadow', () => {
    const version = { model: 'reward', version: 1, hash: expect.stringMatching(/^[0-9a-f]{64}$/) };
    expect(of().models).toMatchObject([
      { ...version, to_stage: 'registered' },
      { ...version, to_stage: 'shadow' },
    ]);
    expect(of().models).toEqual(left.embedded?.models);
  });

  it('steps begin after those they need, a failed one again, and a skipped one’s dependents never', () => {
    const begun = of().trace.filter((line) => line.startsWith('begin words'));
    expect(begun.toSorted()).toEqual(['count', 'count', 'read', 'report', 'sort'].map((step) => `begin words:${step}`));
    const { trace } = of();
    const before: readonly [string, string][] = [
      ['end words:read', 'begin words:count'],
      ['end words:read', 'begin words:sort'],
      ['end words:count', 'begin words:report'],
    ];
    for (const [first, then] of before) expect(trace.indexOf(first)).toBeLessThan(trace.indexOf(then));
  });

  it('what can never succeed is tried once, and what needs it is not', () => {
    expect(of().trace.filter((line) => !line.includes('words:'))).toEqual(['begin refuse']);
  });
});

it('Prefect sees skipped steps as skipped, and a failed flow as failed', () => {
  const [letters, hopeless, train] =
    left.prefect?.printed
      .trim()
      .split('\n')
      .slice(-dags.length)
      .map((line) => JSON.parse(line)) ?? [];
  expect(letters).toMatchObject({
    ...{ dag: 'letters', state: 'COMPLETED' },
    results: {
      'words:read': { status: 'done', output: { bytes: 36 } },
      'words:index': { status: 'skipped', reason: 'words:sort was skipped' },
    },
  });
  expect(hopeless).toMatchObject({ dag: 'hopeless', state: 'FAILED' });
  expect(train).toMatchObject({ dag: 'train', state: 'COMPLETED', results: { shadow: { status: 'done' } } });
});

it('Airflow imports every DAG, sees skipped steps as skipped, and a failed run as failed', () => {
  const { printed = '' } = left.airflow ?? {};
  expect(printed).toContain('No data found'); // of import errors
  expect(printed.match(/new_state=skipped/g)).toHaveLength(2);
  expect(printed).toMatch(/DagRun Finished: dag_id=letters.*state=success/);
  expect(printed).toMatch(/DagRun Finished: dag_id=hopeless.*state=failed/);
  expect(printed).toMatch(/DagRun Finished: dag_id=train.*state=success/);
});
