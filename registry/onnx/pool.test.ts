import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { DomainError } from '../../platform/errors.ts';
import { badModels } from '../../tests/_util/bad-onnx.ts';
import {
  artifact,
  columns,
  fixture,
  fixtureBytes,
  fixtureColumns,
  floats,
  greedyModel,
  hangingModel,
  linearGolden,
  model,
  netArtifact,
  node,
  weights,
} from '../../tests/_util/onnx.ts';
import { createOnnxPool, type OnnxPool, type OnnxPoolOptions } from './pool.ts';

/** Short enough for a test of what hangs, and long enough for a busy machine. */
const runMs = 1_000;

const pools: OnnxPool[] = [];
const newPool = (options: Partial<OnnxPoolOptions> = {}) => {
  const pool = createOnnxPool({ runMs, ...options });
  pools.push(pool);
  return pool;
};
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

const fixtures = Object.keys(fixtureColumns) as (keyof typeof fixtureColumns)[];
const goldenOf = (name: keyof typeof fixtureColumns) =>
  fixture(name).golden as { readonly inputs: number[][]; readonly outputs: number[] };
const hot = [Array(columns).fill(1)];
const { inputs: cool, outputs: coolScores } = linearGolden;
const close = (scores: Float32Array) => [...scores].every((score, i) => Math.abs(score - (coolScores[i] ?? 0)) < 1e-5);
const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
const failure = async (promise: Promise<unknown>): Promise<DomainError> => {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(DomainError);
  return error as DomainError;
};

describe('a model', () => {
  const pool = newPool({ workers: 2 });

  it.each(fixtures)('of a real exporter (%s) scores as the library it comes from', async (name) => {
    const predictor = await pool.load(fixture(name));
    const { inputs, outputs } = goldenOf(name);
    const scores = await predictor.predict(inputs);
    for (const [i, score] of scores.entries()) expect(score).toBeCloseTo(outputs[i] ?? Number.NaN, 6);
    await predictor.release();
  });

  it('by its other column says the opposite', async () => {
    const { inputs, outputs } = goldenOf('classifier');
    const golden = { inputs, outputs: outputs.map((output) => 1 - output) };
    const predictor = await pool.load(artifact(fixtureBytes('classifier'), golden, { positiveColumn: 0 }));
    expect((await predictor.predict(inputs.slice(0, 1)))[0]).toBeCloseTo(1 - (outputs[0] ?? 0), 6);
    await predictor.release();
  });

  it.each([...fixtures, 'net'] as const)('(%s) gives a row the same bits whatever rows are beside it', async (name) => {
    const { inputs } = goldenOf('linear');
    const predictor = await pool.load(name === 'net' ? netArtifact() : fixture(name));
    const all = await predictor.predict(inputs);
    for (const size of [1, 2, 3, 5, 7, 8, 15, 16, 31]) {
      for (let from = 0; from + size <= inputs.length; from += size) {
        const some = await predictor.predict(inputs.slice(from, from + size));
        expect(some, `${size} from ${from}`).toEqual(all.slice(from, from + size));
      }
    }
    await predictor.release();
  });

  it('takes rows as floats or as lists, none of them, and none that are wrong', async () => {
    const predictor = await pool.load(artifact(model()));
    expect(await predictor.predict(Float32Array.from(cool.flat()))).toEqual(await predictor.predict(cool));
    expect(await predictor.predict([])).toEqual(new Float32Array());
    for (const [rows, field] of [
      [[[1, 2]], 'rows[0]'],
      [[...cool, [1]], 'rows[8]'],
      [new Float32Array(columns + 1), 'rows'],
      [[Array(columns).fill(Number.NaN)], 'rows[0][0]'],
      [[...cool, [...Array(columns - 1).fill(0), 1e300]], 'rows[8][11]'],
    ] as const) {
      const error = await failure(predictor.predict(rows));
      expect(error).toMatchObject({ code: 'invalid_argument', reason: 'ONNX_ROWS_INVALID', violations: [{ field }] });
    }
    await predictor.release();
  });

  it('is not what its bytes became after they were given', async () => {
    const given = artifact(model());
    const loading = pool.load(given);
    given.bytes.fill(0);
    expect(close(await (await loading).predict(cool))).toBe(true);
  });
});

describe('a bad artifact', () => {
  const pool = newPool();
  const good = pool.load(artifact(model()));

  const batchMean = model({
    node: [
      node('MatMul', ['features', 'weights'], 'first'),
      node('ReduceMean', ['first'], 'mean', [{ name: 'axes', type: 7, ints: [0] }]),
      node('Sub', ['first', 'mean'], 'score'),
    ],
  });
  const mean = coolScores.reduce((sum, score) => sum + score, 0) / coolScores.length;
  const wrong = (outputs: readonly unknown[], inputs: readonly unknown[] = cool) => ({ inputs, outputs });
  const hanging = artifact(hangingModel(), { inputs: hot, outputs: [0] });

  it.each([
    ['of another digest', { ...artifact(model()), sha256: '0'.repeat(64) }, 'DIGEST_DIFFERS', /send the file that was/],
    ['without a golden batch', artifact(model(), null), 'GOLDEN_INVALID', /as docs\/models.md says/],
    ['with no golden row', artifact(model(), wrong([], [])), 'GOLDEN_INVALID', /golden.inputs: it has 0 rows/],
    [
      'that scores otherwise',
      artifact(model(), wrong(coolScores.map((s, i) => (i === 5 ? s + 0.01 : s)))),
      'GOLDEN_DIFFERS',
      /golden.outputs\[5\]: expected \S+, got \S+ in one batch: train on float32/,
    ],
    [
      'that scores by the rows beside',
      artifact(batchMean, wrong(coolScores.map((s) => s - mean))),
      'GOLDEN_DIFFERS',
      /got \S+ alone/,
    ],
    [
      'that gives NaN',
      artifact(model({ node: [node('MatMul', ['features', 'weights'], 'first'), node('Log', ['first'], 'score')] })),
      'NOT_FINITE',
      /it gave NaN for row \d/,
    ],
    [
      'that gives one score for all',
      artifact(
        model({
          node: [
            node('MatMul', ['features', 'weights'], 'first'),
            node('ReduceMean', ['first'], 'score', [{ name: 'axes', type: 7, ints: [0] }]),
          ],
        }),
      ),
      'OUTPUT_SHAPE',
      /float32 \[1,1\] for 8 rows/,
    ],
    [
      'of an operator that is none',
      artifact(model({ node: [node('Magic', ['features'], 'score')] })),
      'RUNTIME_REFUSED',
      /ONNX Runtime says .*check_model/,
    ],
    [
      'of a graph that is none',
      artifact(model({ node: [node('MatMul', ['features', 'nothing'], 'score')] })),
      'RUNTIME_REFUSED',
      /ONNX Runtime says/,
    ],
    [
      'of operators to come',
      artifact(model({}, { opsetImport: [{ domain: '', version: 999 }] })),
      'RUNTIME_REFUSED',
      /opset/i,
    ],
    ['that never ends', hanging, 'TOO_SLOW', /did not answer within 1000 ms: make it smaller/],
    ['that wants 800 MB', artifact(greedyModel(), { inputs: hot, outputs: [0] }), 'RUNTIME_REFUSED', /bad_alloc/],
    [
      'with a ZipMap',
      artifact(fixtureBytes('classifier-zipmap'), linearGolden, { positiveColumn: 1 }),
      'OUTPUT_NOT_TENSOR',
      /zipmap=False/,
    ],
  ] as const)('%s is refused, and whoever serves goes on', async (_, bad, reason, message) => {
    const error = await failure(pool.load(bad));
    expect(error).toMatchObject({ code: 'invalid_argument', reason: `ONNX_${reason}` });
    expect(error.message).toMatch(message);
    expect(close(await (await good).predict(cool))).toBe(true);
  });

  it('of the table is refused by its bytes, before a runtime sees it', async () => {
    for (const [name, bytes, reason, , contract] of badModels.filter((_, i) => i % 9 === 0)) {
      const error = await failure(pool.load(artifact(bytes, linearGolden, contract)));
      expect(error.reason, name).toBe(`ONNX_${reason}`);
    }
  });

  it('that was anything, or a good one changed anywhere, harms nothing and nobody', async () => {
    const names = ['linear', 'classifier', 'boosting'] as const;
    const change = fc.tuple(fc.noBias(fc.nat(100_000)), fc.nat(255));
    const changes = fc.record({
      name: fc.constantFrom(...names),
      places: fc.array(change, { minLength: 1, maxLength: 3 }),
    });
    const ends: string[] = [];
    await fc.assert(
      fc.asyncProperty(fc.array(changes, { minLength: 4, maxLength: 4 }), async (several) => {
        const loads = several.map(async ({ name, places }) => {
          const bytes = Buffer.from(fixtureBytes(name));
          for (const [at, byte] of places) bytes[at % bytes.length] = byte;
          const { contract, golden } = fixture(name);
          const predictor = await pool.load(artifact(bytes, golden, contract));
          await predictor.release();
        });
        for (const load of await Promise.allSettled(loads)) {
          const error: unknown = load.status === 'rejected' ? load.reason : undefined;
          if (error) expect(error).toMatchObject({ code: 'invalid_argument', reason: expect.stringMatching(/^ONNX_/) });
          ends.push(error instanceof DomainError ? error.reason : 'taken');
        }
      }),
      { numRuns: 15 },
    );
    expect(close(await (await good).predict(cool))).toBe(true);
    const reached = ['taken', 'ONNX_GOLDEN_DIFFERS', 'ONNX_RUNTIME_REFUSED'];
    expect(ends.some((end) => reached.includes(end))).toBe(true); // else the runtime was never asked
  }, 120_000);
});

describe('calls', () => {
  it('of many models at once are each answered by theirs, with fewer sessions than models', async () => {
    const pool = newPool({ workers: 2, sessionsMax: 2, queueMax: 1_000, runMs: 10_000 });
    const predictors = await Promise.all(fixtures.map((name) => pool.load(fixture(name))));
    const calls = Array.from({ length: 240 }, async (_, i) => {
      const which = (i * 7) % fixtures.length;
      const { inputs, outputs } = goldenOf(fixtures[which] ?? 'linear');
      const row = (i * 5) % inputs.length;
      const scores = await predictors[which]?.predict([inputs[row] ?? []]);
      expect(scores?.[0]).toBeCloseTo(outputs[row] ?? Number.NaN, 6);
    });
    await Promise.all(calls);
    expect(pool.sessions()).toBe(4); // two threads of two
    await Promise.all(predictors.map((predictor) => predictor.release()));
    expect(pool.sessions()).toBe(0);
  });

  it('of one that hangs are rejected, and nobody else’s; its thread is replaced', async () => {
    const pool = newPool();
    const [hanging, other] = await Promise.all([pool.load(artifact(hangingModel())), pool.load(artifact(model()))]);
    const answers = [hanging.predict(hot, { timeoutMs: 60_000 }), other.predict(cool, { timeoutMs: 60_000 })] as const;
    expect(await failure(answers[0])).toMatchObject({ code: 'unavailable', reason: 'ONNX_WORKER_LOST' });
    expect(close(await answers[1])).toBe(true);
    expect(close(await hanging.predict(cool, { timeoutMs: 60_000 }))).toBe(true);
  });

  it('that want more memory than there is are rejected, and the next one is answered', async () => {
    const pool = newPool({ runMs: 20_000 });
    const greedy = await pool.load(artifact(greedyModel()));
    expect(await failure(greedy.predict(hot))).toMatchObject({ reason: 'ONNX_RUN_FAILED' });
    expect(close(await greedy.predict(cool))).toBe(true);
  });

  it('that give no number are errors, never scores', async () => {
    const pool = newPool();
    const steep = model({
      node: [node('MatMul', ['features', 'steep'], 'first'), node('Exp', ['first'], 'score')],
      initializer: [
        floats(
          'steep',
          [columns, 1],
          weights.map((weight) => weight * 100),
        ),
      ],
    });
    const rows = [Array(columns).fill(0)];
    const predictor = await pool.load(artifact(steep, { inputs: rows, outputs: [1] }));
    const error = await failure(predictor.predict([...rows, Array(columns).fill(100)]));
    expect(error).toMatchObject({
      reason: 'ONNX_SCORE_INVALID',
      message: expect.stringContaining('Infinity for row 1'),
    });
    expect(await predictor.predict(rows)).toEqual(Float32Array.of(1));
  });

  it('beyond what may wait are refused at once, and those that wait too long are given up', async () => {
    const pool = newPool({ queueMax: 2, runMs: 3_000 });
    const predictor = await pool.load(artifact(hangingModel()));
    const running = failure(predictor.predict(hot, { timeoutMs: 60_000 }));
    const waiting = [
      predictor.predict(cool, { timeoutMs: 60_000 }),
      predictor.predict(cool, { timeoutMs: 50 }),
    ] as const;
    expect(await failure(predictor.predict(cool))).toMatchObject({ code: 'resource_exhausted', reason: 'ONNX_BUSY' });
    expect(await failure(waiting[1])).toMatchObject({ code: 'deadline_exceeded', reason: 'ONNX_DEADLINE' });
    const again = predictor.predict(cool, { timeoutMs: 60_000 }); // its place is free
    expect((await running).reason).toBe('ONNX_WORKER_LOST');
    expect(close(await waiting[0])).toBe(true);
    expect(close(await again)).toBe(true);
  });

  it('all go well while one version takes the place of another', async () => {
    const pool = newPool({ workers: 2, sessionsMax: 2, runMs: 10_000 });
    let current = await pool.load(artifact(model()));
    let isDone = false;
    let answered = 0;
    const caller = async () => {
      while (!isDone) {
        expect(close(await current.predict(cool))).toBe(true);
        answered++;
      }
    };
    const callers = [caller(), caller(), caller(), caller()];
    for (let version = 1; version <= 4; version++) {
      const next = await pool.load(artifact(model({}, { modelVersion: version })));
      const old = current;
      current = next;
      await old.release();
      expect(await failure(old.predict(cool))).toMatchObject({ reason: 'ONNX_RELEASED' });
    }
    isDone = true;
    await Promise.all(callers);
    expect(answered).toBeGreaterThan(10);
  });

  it('that were taken are answered after a release', async () => {
    const pool = newPool();
    const predictor = await pool.load(artifact(model()));
    const answers = Array.from({ length: 20 }, () => predictor.predict(cool));
    await predictor.release();
    expect((await Promise.all(answers)).every(close)).toBe(true);
    expect(pool.sessions()).toBe(0); // and none was made anew for them
  });

  it('of a model that two have are answered until both have released it', async () => {
    const pool = newPool();
    const [one, two] = await Promise.all([pool.load(artifact(model())), pool.load(artifact(model()))]);
    await one.release();
    await one.release();
    expect(pool.sessions()).toBe(1);
    expect(close(await two.predict(cool))).toBe(true);
  });
});

describe('a pool', () => {
  it('starts no thread before there is a model, and leaves none behind', async () => {
    const before = threads();
    const pool = createOnnxPool({ workers: 2, runMs });
    expect(threads()).toBe(before);
    const predictor = await pool.load(artifact(hangingModel()));
    expect(threads()).toBeGreaterThan(before);
    const running = Array.from({ length: 3 }, () => failure(predictor.predict(hot, { timeoutMs: 60_000 })));
    const loading = failure(pool.load(artifact(model())));
    await pool.close();
    expect(threads()).toBe(before);
    for (const error of await Promise.all([...running, loading])) expect(error.reason).toBe('ONNX_CLOSED');
    expect(await failure(predictor.predict(cool))).toMatchObject({ reason: 'ONNX_CLOSED' });
    expect(await failure(pool.load(artifact(model())))).toMatchObject({ reason: 'ONNX_CLOSED' });
    await pool.close();
  });

  it('takes no more artifacts to try than it can hold', async () => {
    const pool = newPool();
    const loads = Array.from({ length: 9 }, (_, i) => pool.load(artifact(model({}, { modelVersion: i }))));
    expect(await failure(loads[8] as Promise<unknown>)).toMatchObject({ reason: 'ONNX_BUSY' });
    expect((await Promise.all(loads.slice(0, 8))).length).toBe(8);
  });
});
