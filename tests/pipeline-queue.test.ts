// The queue of steps on a real Postgres: workers that share it, fail, are killed and stop.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PgBoss } from 'pg-boss';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openArtifacts } from '../pipelines/artifacts.ts';
import { type Dag, dagOf, defineDag } from '../pipelines/dag.ts';
import { createDags } from '../pipelines/dags/index.ts';
import { lastDue, openStepQueue, type StepQueue } from '../pipelines/step-queue.ts';
import { openRun, readRuns } from '../pipelines/step-store.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { migrate } from '../platform/migrations.ts';
import { openSchemaEngine } from '../platform/schema-engine.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { silent } from './_util/loop.ts';
import { type NodeProcess, startNode } from './_util/node-process.ts';
import { testDags } from './_util/pipelines/dags.ts';
import { createTestProject, type TestProject } from './_util/pipelines/project.ts';
import { createTestDatabase, MIGRATIONS, newFolder, type TestDatabase } from './_util/servers.ts';

let testDatabase: TestDatabase;
let database: Database;
let queue: StepQueue;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 12 });
  queue = await openStepQueue(testDatabase.url, () => {});
});
afterAll(async () => {
  await queue?.[Symbol.asyncDispose]();
  await database?.end();
  await testDatabase?.drop();
});

const script = fileURLToPath(new URL('_util/pipelines/worker.ts', import.meta.url));
let project: TestProject;
let workers: NodeProcess[] = [];
beforeEach(() => {
  project = createTestProject(testDatabase.url);
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  workers = [];
});

function startWorker(): NodeProcess {
  const worker = startNode(script, { ...process.env, ...project.env });
  workers.push(worker);
  return worker;
}

const asOf = '2026-11-01T00:00:00.000Z';
const dagCalled = (id: string) => dagOf(testDags({ TRACE: '' }), id);
const enqueue = async (dag: Dag, id: string) => queue.enqueue(dag, await openRun(database, dag.id, id, asOf));

async function stepsOf(dag: string, id: string) {
  const run = (await readRuns(database, dag, 100)).find((each) => each.id === id);
  return Object.fromEntries(run?.steps.map(({ name, status, attempt }) => [name, `${status} ${attempt}`]) ?? []);
}

const slow = { timeout: 180_000 };
const patienceMs = 120_000;

/** Waits until the steps of a run stand so. */
const until = (dag: string, id: string, steps: Record<string, string>) =>
  waitFor(
    `${dag} ${id} to stand at ${JSON.stringify(steps)}`,
    async () =>
      JSON.stringify(Object.entries(await stepsOf(dag, id)).sort()) === JSON.stringify(Object.entries(steps).sort()),
    patienceMs,
  );

const lettersDone = {
  ...{ 'words:count': 'done 2', 'words:index': 'skipped 1', 'words:read': 'done 1' },
  ...{ 'words:report': 'done 1', 'words:sort': 'skipped 1' },
};

describe('workers', () => {
  it('do each step once, however many they are and however often a run is asked for', slow, async () => {
    const letters = dagCalled('letters');
    await Promise.all([enqueue(letters, 'r'), enqueue(letters, 'r')]);
    startWorker();
    startWorker();
    await until('letters', 'r', lettersDone);
    await enqueue(letters, 'r');
    const begun = project.trace().filter((line) => line.startsWith('begin'));
    expect(begun.toSorted()).toEqual(['count', 'count', 'read', 'report', 'sort'].map((name) => `begin words:${name}`));
    expect(begun.indexOf('begin words:report')).toBe(4);
    expect(await queue.listDead()).toEqual([]);
  });

  it('take over the step of one that was killed', slow, async () => {
    const first = startWorker();
    await enqueue(dagCalled('endless'), 'killed');
    await until('endless', 'killed', { wait: 'running 1' });
    await first.kill();
    await until('endless', 'killed', { wait: 'interrupted 1' });
    project.say('let go');
    startWorker();
    await until('endless', 'killed', { after: 'done 1', wait: 'done 2' });
  });

  it('stop when they are asked to, and leave the rest to others', slow, async () => {
    const first = startWorker();
    await enqueue(dagCalled('endless'), 'stopped');
    await until('endless', 'stopped', { wait: 'running 1' });
    expect(await first.stop()).toBe(0);
    expect(await stepsOf('endless', 'stopped')).toEqual({ wait: 'failed 1' });
    project.say('let go');
    startWorker();
    await until('endless', 'stopped', { after: 'done 1', wait: 'done 2' });
  });

  it('put aside what can never succeed at once, until somebody has it tried again', slow, async () => {
    const hopeless = dagCalled('hopeless');
    await enqueue(hopeless, 'r');
    startWorker();
    const [dead] = await waitFor('a dead step', async () => {
      const all = await queue.listDead();
      return all.length > 0 && all;
    });
    expect(dead).toMatchObject({
      dag: 'hopeless',
      run: 'r',
      asOf,
      step: 'refuse',
      error: expect.stringContaining('never succeed'),
    });
    expect(await stepsOf('hopeless', 'r')).toEqual({ refuse: 'failed 1' });
    project.say('let go');
    expect(await queue.redrive(dagCalled('letters'))).toBe(0);
    expect(await queue.redrive(hopeless)).toBe(1);
    await until('hopeless', 'r', { after: 'done 1', refuse: 'done 2' });
    expect(await queue.listDead()).toEqual([]);
  });
});

describe('a schedule', () => {
  const at = (instant: string) => new Date(instant);

  it.each([
    ['* * * * *', '2026-11-23T12:34:56Z', '2026-11-23T12:34:00Z'],
    ['20 3 * * *', '2026-11-23T03:20:00Z', '2026-11-23T03:20:00Z'],
    ['20 3 * * *', '2026-11-23T03:19:59Z', '2026-11-22T03:20:00Z'],
    ['0 0 29 2 *', '2026-11-23T00:00:00Z', '2024-02-29T00:00:00Z'],
    ['* * * * 1', '2026-11-29T12:00:00Z', '2026-11-23T23:59:00Z'],
  ])('%s was due last before %s at %s', (cron, now, due) => {
    expect(lastDue(new PgBoss(testDatabase.url), cron, at(now))).toEqual(at(due));
  });

  it('of each DAG is one that can be due', () => {
    const boss = new PgBoss(testDatabase.url);
    for (const { schedule } of createDags({
      deltas: () => [],
      judge: async () => [],
      owner: 'somebody',
      keepMonths: 2,
    })) {
      if (schedule) expect(boss.previewSchedule(schedule, { count: 2 })).toHaveLength(2);
    }
  });

  it('begins a run as of the instant that was due, and ends with the DAG that had it', slow, async () => {
    const boss = new PgBoss(testDatabase.url);
    await boss.start();
    const hourly = (schedule?: string) =>
      defineDag({
        id: 'hourly',
        ...(schedule && { schedule }),
        steps: { a: { run: async (context) => context.asOf } },
      });
    const log = silent;
    const work = async (dag: Dag, during: () => Promise<unknown>) => {
      const stop = new AbortController();
      const deps = { database, artifacts: openArtifacts(newFolder('artifacts')), log, signal: stop.signal };
      const working = queue.work(deps, [dag], { workers: 1, lostAfterSeconds: 10 });
      await during();
      stop.abort();
      await working;
    };
    const schedules = async () => (await boss.getSchedules('pipeline-runs')).map(({ key, cron }) => [key, cron]);
    await work(hourly('0 * * * *'), async () => {
      await waitFor('the schedule', async () => (await schedules()).length > 0);
      await boss.send('pipeline-runs', { dag: 'hourly' }); // as pg-boss does when it is due
      await boss.send('pipeline-runs', { dag: 'gone' });
      await waitFor('the run', async () => (await readRuns(database, 'hourly', 1))[0]?.steps[0]?.status === 'done');
    });
    const [run] = await readRuns(database, 'hourly', 9);
    expect(run?.asOf).toMatch(/:00:00\.000Z$/);
    expect(run?.id).toBe(`scheduled__${run?.asOf}`);
    expect(run?.steps[0]?.output).toBe(run?.asOf);
    await work(hourly(), async () => waitFor('no schedule', async () => (await schedules()).length === 0));
    await boss.stop({ graceful: false });
  });
});

it('the schema of the queue leaves that of the tables as it was', async () => {
  const path = fileURLToPath(new URL('../prisma/schema.prisma', import.meta.url));
  const files = [{ path, content: readFileSync(path, 'utf8') }];
  const live = { tag: 'schemaDatasource', files, configDir: join(path, '..', '..') } as const;
  const filters = { externalTables: [], externalEnums: [] };
  await using opened = await openSchemaEngine(testDatabase.url);
  const asked = { from: { tag: 'schemaDatamodel', files }, to: live, script: true, exitCode: true, filters } as const;
  expect((await opened.engine.diff(asked)).exitCode).toBe(0);
  expect(await migrate(testDatabase.url, { migrationsDir: MIGRATIONS })).toEqual([]);
});
