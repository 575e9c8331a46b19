// Runs of DAGs on a real Postgres: in this process, as single steps, and by workers that are killed.

import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensurePartitions } from '../features/partitions-store.ts';
import { type Artifacts, openArtifacts } from '../pipelines/artifacts.ts';
import { type Dag, dagOf, defineDag, type Json, type RunStep, Skipped } from '../pipelines/dag.ts';
import { createDags } from '../pipelines/dags/index.ts';
import { performStep, type StepDeps } from '../pipelines/perform-step.ts';
import { type RunEvent, runDag } from '../pipelines/run-dag.ts';
import { lockStep, openRun, readRuns, readSteps } from '../pipelines/step-store.ts';
import { aborted } from '../platform/abort.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { failedPrecondition } from '../platform/errors.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { silent } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { lettersOf, testDags } from './_util/pipelines/dags.ts';
import { createTestProject, type TestProject } from './_util/pipelines/project.ts';
import { createTestDatabase, newFolder, type TestDatabase } from './_util/servers.ts';
import { isWaitedFor } from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
let artifacts: Artifacts;
/** Of the run of the test. */
let runId = '';
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 20 });
  artifacts = openArtifacts(newFolder('artifacts'));
});
afterAll(async () => {
  await database.end();
  await testDatabase.drop();
});
let tests = 0;
beforeEach(() => {
  runId = `r${++tests}`;
});

const asOf = '2026-11-01T00:00:00.000Z';
const never = new AbortController().signal;
const deps = (signal = never): StepDeps & { random: () => number } => ({
  ...{ database, artifacts, log: silent, signal, random: () => 0 },
});
const retries = { limit: 2, afterSeconds: 1 };
const open = (dag: Dag, id = runId) => openRun(database, dag.id, id, asOf);
const perform = async (dag: Dag, step: string, id = runId) => performStep(deps(), dag, step, await open(dag, id));
const stored = async (dag: Dag, id = runId) => readSteps(database, await open(dag, id));
const one = (run: RunStep): Dag => defineDag({ id: 'one', retries, steps: { a: { run } } });

describe('a run', () => {
  it('is about one instant, for whoever asks', async () => {
    expect(await openRun(database, 'd', runId, '2026-11-01T02:00:00.123456+02:00')).toEqual({
      ...{ dag: 'd', id: runId, asOf: '2026-11-01T00:00:00.123Z' },
    });
    expect((await openRun(database, 'd', runId, undefined)).asOf).toBe('2026-11-01T00:00:00.123Z');
    await expect(openRun(database, 'd', runId, asOf)).rejects.toMatchObject({ code: 'already_exists' });
    expect((await openRun(database, 'other', runId, asOf)).asOf).toBe(asOf);
  });

  it('is of now without an instant, and then stays so', async () => {
    const begun = await openRun(database, 'd', runId, undefined);
    expect(Math.abs(Date.parse(begun.asOf) - Date.now())).toBeLessThan(60_000);
    expect(await openRun(database, 'd', runId, undefined)).toEqual(begun);
  });

  it('is begun once by two at the same moment', async () => {
    const first = await database.connect();
    await first.query('BEGIN');
    await first.query("INSERT INTO pipeline_runs (dag, run_id, as_of) VALUES ('d', $1, $2)", [runId, asOf]);
    const second = openRun(database, 'd', runId, undefined);
    await waitFor('the second to wait', () => isWaitedFor(database));
    await first.query('COMMIT');
    first.release();
    expect((await second).asOf).toBe(asOf);
  });

  it.each([
    ['run-id', '', asOf],
    ['run-id', '--as-of', asOf],
    ['run-id', 'a b', asOf],
    ['run-id', "a'; DROP TABLE events", asOf],
    ['run-id', 'a'.repeat(251), asOf],
    ['as-of', 'r', 'yesterday'],
    ['as-of', 'r', '2026-11-01'],
    ['as-of', 'r', '2026-11-01T00:00:00'],
    ['as-of', 'r', '2026-13-01T00:00:00Z'],
    ['as-of', 'r', '2100-01-01T00:00:00Z'],
  ])('is refused for its %s: %j as of %j', async (field, id, instant) => {
    await expect(openRun(database, 'refused', id, instant)).rejects.toMatchObject({ violations: [{ field }] });
    expect(await readRuns(database, 'refused', 10)).toEqual([]);
  });
});

describe('a step', () => {
  it('is done once, and answers the same ever after', async () => {
    let begun = 0;
    const dag = one(async () => ({ z: ++begun, a: [null, 'ü', 0.1] }));
    const outcome = { status: 'done', output: { z: 1, a: [null, 'ü', 0.1] } };
    expect(await perform(dag, 'a')).toEqual(outcome);
    expect(await perform(dag, 'a')).toEqual(outcome);
    expect(await perform(dag, 'a', `${runId}-another`)).toMatchObject({ output: { z: 2 } });
  });

  it('is done by one of many who ask at the same time; the others wait and answer the same', async () => {
    let [begun, atOnce, mostAtOnce] = [0, 0, 0];
    const dag = one(async () => {
      mostAtOnce = Math.max(mostAtOnce, ++atOnce);
      await sleep(20);
      atOnce--;
      return ++begun;
    });
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => perform(dag, 'a')));
    expect([begun, mostAtOnce]).toEqual([1, 1]);
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome)))).toEqual(
      new Set(['{"status":"done","output":1}']),
    );
  });

  it('gets what its needs answered and nothing else, and runs again when that is another answer', async () => {
    let first: Json = 1;
    const seen: Json[] = [];
    const dag = defineDag({
      id: 'two',
      steps: {
        a: { run: async () => first },
        b: { run: async () => 'b' },
        c: { needs: ['a'], run: async (_, inputs) => seen.push(inputs) },
      },
    });
    for (const step of ['a', 'b', 'c', 'c']) await perform(dag, step);
    expect(seen).toEqual([{ a: 1 }]);
    first = 2;
    await database.query("DELETE FROM pipeline_steps WHERE dag = 'two' AND step = 'a'");
    for (const step of ['a', 'c', 'c']) await perform(dag, step);
    expect(seen).toEqual([{ a: 1 }, { a: 2 }]);
    expect((await stored(dag)).get('c')).toMatchObject({ attempt: 2, status: 'done', output: 2 });
  });

  it('is not begun before all it needs is done, and says what that is', async () => {
    const fails = async () => Promise.reject(new Error('broken'));
    const steps = { a: { run: fails }, b: { run: async () => 1 }, c: { run: async () => 1 } };
    const dag = defineDag({ id: 'needy', steps: { ...steps, d: { needs: ['a', 'b', 'c'], run: async () => 1 } } });
    await perform(dag, 'b');
    await expect(perform(dag, 'a')).rejects.toThrow('broken');
    await expect(perform(dag, 'd')).rejects.toMatchObject({
      reason: 'NEEDS_NOT_DONE',
      message: 'needy d needs what is not done: a (failed), c (not begun)',
    });
    expect((await stored(dag)).has('d')).toBe(false);
  });

  it('that has nothing to do is skipped, and so is what needs it', async () => {
    const steps = { a: { run: async () => new Skipped('nothing new') }, b: { run: async () => 1 } };
    const dag = defineDag({ id: 'idle', steps: { ...steps, c: { needs: ['b', 'a'], run: async () => 1 } } });
    expect(await perform(dag, 'a')).toEqual({ status: 'skipped', reason: 'nothing new' });
    await perform(dag, 'b');
    expect(await perform(dag, 'c')).toEqual({ status: 'skipped', reason: 'a was skipped' });
  });

  it('that fails says why, and may be tried again', async () => {
    let tries = 0;
    const dag = one(async () => {
      if (++tries < 3) throw new Error(`try ${tries}\0${'!'.repeat(1_000)}`);
      return tries;
    });
    await expect(perform(dag, 'a')).rejects.toThrow('try 1');
    expect((await stored(dag)).get('a')).toMatchObject({
      status: 'failed',
      attempt: 1,
      reason: expect.stringMatching(/^Error: try 1!{400}/),
    });
    await expect(perform(dag, 'a')).rejects.toThrow('try 2');
    expect(await perform(dag, 'a')).toEqual({ status: 'done', output: 3 });
    expect((await stored(dag)).get('a')).toMatchObject({ status: 'done', attempt: 3, reason: undefined });
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'output'],
    ['no number', { a: { b: Number.NaN } }, 'output.a.b'],
    ['a date', [new Date(0)], 'output.0'],
    ['a function', { f: () => 1 }, 'output.f'],
    ['half a character', 'a\ud800', 'output'],
    ['a zero character', { a: '\0' }, 'output.a'],
    ['more than fits', 'x'.repeat(50_000), 'output'],
  ])('that answers %s fails for good', async (_, answer, field) => {
    const dag = one(async () => answer as Json);
    await expect(perform(dag, 'a')).rejects.toMatchObject({ reason: 'BAD_OUTPUT', violations: [{ field }] });
    expect((await stored(dag)).get('a')?.status).toBe('failed');
  });

  it('loses its word when its connection breaks and somebody else begins it', async () => {
    const run = await open(one(async () => 1));
    let lost: AbortSignal | undefined;
    let attempts = 0;
    const dag = one(async ({ signal }) => {
      if (++attempts === 2) return 'second';
      lost = signal;
      await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      await waitFor('the lock to be lost', async () => signal.aborted);
      expect(await performStep(deps(), dag, 'a', run)).toMatchObject({ output: 'second' });
      return 'first';
    });
    await expect(performStep(deps(), dag, 'a', run)).rejects.toThrow('broke');
    expect(lost?.aborted).toBe(true);
    expect((await stored(dag)).get('a')).toMatchObject({ status: 'done', output: 'second', attempt: 2 });
  });

  it('stops when it is asked to, and waits for nobody then', async () => {
    const stop = new AbortController();
    const dag = one(async ({ signal }) => sleep(60_000, 1, { signal }));
    const run = await open(dag);
    await using lock = await lockStep(database, run, 'a', never);
    expect(lock.lost.aborted).toBe(false);
    const asked = performStep(deps(stop.signal), dag, 'a', run);
    stop.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    expect((await stored(dag)).size).toBe(0);
  });
});

describe('a whole run', () => {
  it('does each step once after its needs, whatever the DAG, the workers, the crashes and the retries', async () => {
    const names = Array.from({ length: 7 }, (_, i) => `s${i}`);
    const anyStep = (i: number) =>
      fc.record({
        needs: fc.subarray(names.slice(0, i)),
        failures: fc.constantFrom(0, 0, 0, 1, 2),
        isSkipped: fc.constantFrom(false, false, false, true),
      });
    const anyCase = fc.record({
      steps: fc.tuple(...names.map((_, i) => anyStep(i))),
      workers: fc.integer({ min: 1, max: 4 }),
      processes: fc.integer({ min: 1, max: 3 }),
    });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(anyCase, async ({ steps, workers, processes }) => {
        const id = `${runId}-${runs++}`;
        const successes = new Map<string, number>();
        const begun = new Map<string, number>();
        const dag = defineDag({
          id: 'random',
          retries: { limit: 9, afterSeconds: 1 },
          steps: Object.fromEntries(
            steps.map(({ needs, failures, isSkipped }, i): [string, Dag['steps'][number]] => {
              const name = names[i] ?? '';
              const run: RunStep = async (_, inputs) => {
                expect(Object.keys(inputs).sort()).toEqual([...needs].sort());
                for (const need of needs) expect(successes.get(need)).toBe(1);
                begun.set(name, (begun.get(name) ?? 0) + 1);
                if ((begun.get(name) ?? 0) <= failures) throw new Error('not yet');
                successes.set(name, (successes.get(name) ?? 0) + 1);
                return isSkipped ? new Skipped('so') : [name, inputs];
              };
              return [name, { name, needs, run }];
            }),
          ),
        });
        const run = await open(dag, id);
        // A process that gives up on a failure is one that crashed: it is begun anew, as its supervisor would.
        const process = async () => {
          for (;;) {
            const { outcomes } = await runDag(deps(), { ...dag, retries: { limit: 0, afterSeconds: 1 } }, run, {
              workers,
            });
            if (outcomes.size === names.length) return [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1));
          }
        };
        const all = await Promise.all(Array.from({ length: processes }, process));
        for (const outcomes of all) expect(outcomes).toEqual(all[0]);
        const skipped = (name: string): boolean => {
          const step = steps[names.indexOf(name)];
          return step !== undefined && (step.isSkipped || step.needs.some(skipped));
        };
        for (const [i, name] of names.entries()) {
          const ran = !(steps[i]?.needs.some(skipped) ?? false);
          expect(successes.get(name) ?? 0).toBe(ran ? 1 : 0);
          expect(all[0]?.find(([each]) => each === name)?.[1].status).toBe(skipped(name) ? 'skipped' : 'done');
        }
        const attempts = await stored(dag, id);
        for (const [name, count] of begun) expect(attempts.get(name)?.attempt).toBe(count);
      }),
      { numRuns: 20 },
    );
  }, 120_000);

  it('tries again after waits that grow, then gives up and does all that does not need it', async () => {
    const steps = { bad: { run: async () => Promise.reject(new Error('broken')) }, good: { run: async () => 1 } };
    const dag = defineDag({
      id: 'half',
      retries: { limit: 2, afterSeconds: 1 },
      steps: { ...steps, after: { needs: ['bad', 'good'], run: async () => 1 } },
    });
    const events: RunEvent[] = [];
    const result = await runDag(deps(), dag, await open(dag), { workers: 1, onEvent: (event) => events.push(event) });
    expect([...result.outcomes.keys(), ...result.failures.keys()]).toEqual(['good', 'bad']);
    expect(events.flatMap((event) => (event.kind === 'failed' ? [event.retryInMs] : []))).toEqual([
      500,
      1_000,
      undefined,
    ]);
    expect([...(await stored(dag)).keys()]).toEqual(['bad', 'good']);
  });

  it('does not try again what can never succeed', async () => {
    let tries = 0;
    const dag = one(async () => {
      tries++;
      throw failedPrecondition('NEVER', 'never');
    });
    const { failures } = await runDag(deps(), dag, await open(dag), { workers: 1 });
    expect([tries, failures.size]).toEqual([1, 1]);
  });

  it('does as many steps at once as there are workers, and no more', async () => {
    const letGo = new AbortController();
    let [begun, running] = [0, 0];
    const run: RunStep = async () => {
      running++;
      await aborted(letGo.signal);
      return 1;
    };
    const dag = defineDag({
      id: 'wide',
      retries,
      steps: { a: { run }, b: { run }, c: { run }, d: { run }, e: { run } },
    });
    const onEvent = ({ kind }: RunEvent) => {
      if (kind === 'begun') begun++;
    };
    const done = runDag(deps(), dag, await open(dag), { workers: 3, onEvent });
    await waitFor('three to run', async () => running === 3);
    expect(begun).toBe(3);
    letGo.abort();
    expect((await done).outcomes.size).toBe(5);
  });

  it('is shown, newest first, with what was interrupted', async () => {
    const dag = defineDag({ id: 'shown', steps: { a: { run: async () => 1 } } });
    await perform(dag, 'a', 'r');
    const run = await open(dag, 's');
    await database.query(
      `INSERT INTO pipeline_steps (dag, run_id, step, status, attempt, input_hash, started_at) VALUES ('shown', 's', 'a', 'running', 1, '', now())`,
    );
    const statuses = async () =>
      (await readRuns(database, 'shown', 5)).map(({ id, steps }) => [id, ...steps.map(({ status }) => status)]);
    expect(await statuses()).toEqual([
      ['s', 'interrupted'],
      ['r', 'done'],
    ]);
    await using _ = await lockStep(database, run, 'a', never);
    expect((await statuses())[0]).toEqual(['s', 'running']);
    expect(await readRuns(database, 'none', 5)).toEqual([]);
  });
});

describe('npm run step', () => {
  const script = fileURLToPath(new URL('_util/pipelines/step.ts', import.meta.url));
  let project: TestProject;
  beforeEach(() => {
    project = createTestProject(testDatabase.url);
  });

  const start = (...args: readonly string[]) => startNode(script, { ...process.env, ...project.env }, args);
  const step = async (...args: readonly string[]) => {
    const running = start(...args);
    const code = await running.ended;
    return { code, lines: running.output().trimEnd().split('\n') };
  };
  const letters = (name: string) => step('letters', name, '--run-id', runId, '--as-of', asOf);
  const [dag] = testDags({});

  it('prints the outcome as its last line, and exits with what schedulers understand', async () => {
    const read = await letters('words:read');
    expect(read.code).toBe(0);
    const { output } = JSON.parse(read.lines.at(-1) ?? '') as { output: { sha256: string; bytes: number } };
    expect(output.bytes).toBe(lettersOf(asOf).words.join('\n').length);
    expect(await letters('words:count')).toMatchObject({
      code: 1,
      lines: expect.arrayContaining([expect.stringContaining('not the first time')]),
    });
    const counted = await letters('words:count');
    expect([counted.code, counted.lines.at(-1)]).toEqual([
      0,
      `{"output":{"longest":"${asOf}","words":3},"status":"done"}`,
    ]);
    expect(await letters('words:sort')).toMatchObject({
      code: 99,
      lines: ['{"reason":"they are sorted","status":"skipped"}'],
    });
    expect(await letters('words:index')).toMatchObject({
      code: 99,
      lines: ['{"reason":"words:sort was skipped","status":"skipped"}'],
    });
    const again = await letters('words:read');
    expect(again).toMatchObject({ code: 0, lines: [read.lines.at(-1)] });
    if (dag) expect((await stored(dag)).size).toBe(4);
  });

  it.each<[string, readonly string[], string]>([
    ['no step', ['letters'], 'name a DAG and a step'],
    ['no run', ['letters', 'words:read'], '--run-id is missing'],
    ['an unknown option', ['letters', 'words:read', '--run-id', 'r', '--force'], '--force'],
    ['an unknown DAG', ['nope', 'words:read', '--run-id', 'r'], 'choose from letters, endless, hopeless'],
    ['an unknown step', ['letters', 'nope', '--run-id', 'r'], 'choose from words:read, words:count'],
    [
      'a need that is not done',
      ['letters', 'words:report', '--run-id', 'r'],
      'words:read (not begun), words:count (not begun)',
    ],
    ['another instant', ['letters', 'words:read', '--run-id', 'taken', '--as-of', asOf], 'as of 2026-10-01'],
    ['what never succeeds', ['hopeless', 'refuse', '--run-id', 'r'], 'this can never succeed'],
  ])('exits with 2 for %s', async (_, args, words) => {
    await openRun(database, 'letters', 'taken', '2026-10-01T00:00:00Z');
    const { code, lines } = await step(...args);
    expect(lines.join('\n')).toContain(words);
    expect(code).toBe(2);
  });

  it('writes its outcome to stdout and nothing else', async () => {
    const options = { env: { ...process.env, ...project.env } };
    const args = [script, 'letters', 'words:read', '--run-id', runId, '--as-of', asOf];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options);
    expect(stdout).toMatch(/^\{"output":.*\}\n$/);
    expect(stderr).toContain('a line of the log');
  });

  it('that is killed leaves the step to the next one, who waits for nothing', async () => {
    const first = start('endless', 'wait', '--run-id', runId);
    await waitFor('the step to begin', async () => project.trace().length === 1);
    await first.kill();
    const [run] = await waitFor('the lock to go', async () => {
      const runs = await readRuns(database, 'endless', 1);
      return runs[0]?.steps[0]?.status === 'interrupted' && runs;
    });
    expect(run?.steps[0]).toMatchObject({ status: 'interrupted', attempt: 1 });
    project.say('let go');
    expect(await step('endless', 'wait', '--run-id', runId)).toMatchObject({ code: 0 });
    expect((await readRuns(database, 'endless', 1))[0]?.steps[0]).toMatchObject({
      status: 'done',
      attempt: 2,
      output: 'let go',
    });
  });

  it('that is asked to stop ends soon, and may be tried again', async () => {
    const running = start('endless', 'wait', '--run-id', runId);
    await waitFor('the step to begin', async () => project.trace().length === 1);
    expect(await running.stop()).toBe(1);
    expect((await readRuns(database, 'endless', 1))[0]?.steps[0]).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('AbortError'),
    });
  });
});

describe('the DAGs of this project', () => {
  const dagNamed = (id: string, keepMonths: number | undefined) =>
    dagOf(createDags({ deltas: () => [], judge: async () => [], owner: 'somebody', keepMonths }), id);

  it('backfill and retention run, again and again', async () => {
    const dags = [dagNamed('backfill', 2), dagNamed('retention', 2)];
    for (const id of [`${runId}-1`, `${runId}-1`, `${runId}-2`]) {
      for (const dag of dags) {
        const { outcomes } = await runDag(deps(), dag, await open(dag, id), { workers: 2 });
        expect([...outcomes.values()].map(({ status }) => status)).toEqual(['done']);
      }
    }
  });

  it('retention drops what is old as of the run, and nothing where all is to be kept', async () => {
    await ensurePartitions(database, Date.parse('2026-01-15T00:00:00Z'));
    const [keeping, dropping] = [dagNamed('retention', undefined), dagNamed('retention', 6)];
    const outcomeOf = async (dag: Dag, instant: string) => {
      const run = await openRun(database, dag.id, `${runId}-${instant}`, instant);
      return performStep(deps(), dag, 'events:drop', run);
    };
    expect(await outcomeOf(keeping, '2026-09-01T00:00:00Z')).toMatchObject({ status: 'skipped' });
    const dropped = [{ name: 'events_2026_01', events: 0 }];
    expect(await outcomeOf(dropping, '2026-08-31T00:00:00Z')).toEqual({ status: 'done', output: { dropped } });
  });
});
