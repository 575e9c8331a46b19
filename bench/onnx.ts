import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { env, InferenceSession, Tensor } from 'onnxruntime-web';
import { createOnnxPool, type OnnxArtifact, type Predictor } from '../registry/onnx/pool.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { columns, fixture, netArtifact } from '../tests/_util/onnx.ts';
import { type Latency, latencyOf, ratio, rounded, type Spread, spread } from './figures.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';

const sizes = {
  full: { rounds: 5, calls: 200, loadMs: 2_000, swaps: 3 },
  quick: { rounds: 2, calls: 50, loadMs: 300, swaps: 2 },
} as const;
type Size = (typeof sizes)['full' | 'quick'];

const candidateCounts = [20, 100] as const;
const models = {
  'LightGBM, 20 trees': fixture('lightgbm'),
  'net 64-32-1': netArtifact(),
  'net 1024-512-1': netArtifact(1024),
} as const;
const callsPerSecond = 200;

type Predict = (rows: Float32Array) => Promise<Float32Array>;

/** What the pool's threads cost a call beside the runtime alone, what the event loop gets for it, and what a swap costs. */
export async function benchOnnx(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  const machine = machineFacts({ postgres: '–', nats: '–' });
  heading('onnx: models of others, in threads beside alone on the event loop');
  printMachine(machine);
  const series = [];
  for (const [name, artifact] of Object.entries(models)) {
    for (const candidates of candidateCounts) {
      say(dim(`   ${name}, ${candidates} candidates`));
      options.signal.throwIfAborted();
      series.push({ model: name, candidates, ...(await measure(artifact, candidates, size)) });
    }
  }
  say(
    dim(`   ${size.rounds} rounds of ${size.swaps} swaps of versions under ${callsPerSecond} calls/s at fixed times`),
  );
  const swap = await measureSwaps(size, options.signal);
  const result = { machine, settings: { ...size, callsPerSecond }, series, swap };
  print(result, size.rounds);
  return result;
}

async function measure(artifact: OnnxArtifact, candidates: number, size: Size) {
  await using pool = createOnnxPool();
  const predictor = await pool.load(artifact);
  const rows = Float32Array.from({ length: candidates * columns }, (_, i) => ((i * 977) % 4096) / 4096);
  const ways = { pool: (asked: Float32Array) => predictor.predict(asked), alone: await runAlone(artifact, predictor) };
  const rounds = { pool: [] as Round[], alone: [] as Round[] };
  for (let round = 0; round <= size.rounds; round++) {
    for (const way of round % 2 === 0 ? (['pool', 'alone'] as const) : (['alone', 'pool'] as const)) {
      const measured = await measureRound(ways[way], rows, size.calls);
      if (round > 0) rounds[way].push(measured); // the first warms up
    }
  }
  const of = (get: (round: Round) => number) => ratio(rounds.pool.map(get), rounds.alone.map(get));
  return {
    ratios: {
      p50: of(({ p50Ms }) => p50Ms),
      p99: of(({ p99Ms }) => p99Ms),
      busy: of(({ busyMicros }) => busyMicros),
    },
    rounds,
  };
}

type Round = Awaited<ReturnType<typeof measureRound>>;

/** One call after the other. */
async function measureRound(predict: Predict, rows: Float32Array, calls: number) {
  const latencies: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.threadCpuUsage();
  for (let i = 0; i < calls; i++) {
    const begunMs = performance.now();
    await predict(rows);
    latencies.push(performance.now() - begunMs);
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.threadCpuUsage(cpu);
  delay.disable();
  return {
    ...latencyOf(latencies),
    /** CPU of the main thread for one call. */
    busyMicros: rounded((user + system) / calls),
    loopP99Ms: rounded(delay.percentile(99) / 1e6),
    loopMaxMs: rounded(delay.max / 1e6),
  };
}

async function runAlone({ bytes }: OnnxArtifact, { model }: Predictor): Promise<Predict> {
  env.wasm.numThreads = 1;
  const session = await InferenceSession.create(bytes, { executionProviders: ['wasm'] });
  const { input, output } = model.score;
  return async (rows) => {
    const outputs = await session.run({ [input]: new Tensor('float32', rows, [rows.length / columns, columns]) }, [
      output,
    ]);
    return outputs[output]?.data as Float32Array;
  };
}

/** Calls at fixed times, first beside nothing, then while versions take each other's place. */
async function measureSwaps({ rounds, loadMs, swaps }: Size, signal: AbortSignal) {
  const rows = Float32Array.from({ length: 20 * columns }, (_, i) => ((i * 977) % 4096) / 4096);
  await using pool = createOnnxPool({ workers: 2 });
  const versions = [fixture('lightgbm'), fixture('boosting')];
  let current = await pool.load(fixture('lightgbm'));
  let errors = 0;
  /** Until `work` is done: a latency counts from when the call was due. */
  const underLoad = async (work: Promise<unknown>) => {
    const latencies: number[] = [];
    const calls: Promise<void>[] = [];
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    const begunMs = performance.now();
    for (let i = 0; !isDone; i++) {
      const dueMs = begunMs + (i * 1000) / callsPerSecond;
      await sleep(Math.max(0, dueMs - performance.now()));
      const call = current.predict(rows).then(
        () => void latencies.push(performance.now() - dueMs),
        () => void errors++,
      );
      calls.push(call);
    }
    await Promise.all([done, ...calls]);
    return latencyOf(latencies);
  };
  const swapAll = async () => {
    for (let i = 0; i < swaps; i++) {
      const next = await pool.load(versions[(i + 1) % 2] ?? fixture('lightgbm'));
      const old = current;
      current = next;
      await old.release();
    }
  };
  await underLoad(sleep(loadMs)); // warms up
  const before: Latency[] = [];
  const during: Latency[] = [];
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    before.push(await underLoad(sleep(loadMs)));
    during.push(await underLoad(swapAll()));
  }
  if (errors > 0) throw new Error(`${errors} calls failed while versions were swapped`);
  const of = (get: (round: Latency) => number) => ratio(during.map(get), before.map(get));
  return {
    errors,
    calls: [...before, ...during].reduce((sum, { count }) => sum + count, 0),
    ratios: { p50: of(({ p50Ms }) => p50Ms), p99: of(({ p99Ms }) => p99Ms) },
    rounds: { before, during },
  };
}

interface Printed {
  readonly series: readonly (Awaited<ReturnType<typeof measure>> & {
    readonly model: string;
    readonly candidates: number;
  })[];
  readonly swap: Awaited<ReturnType<typeof measureSwaps>>;
}

function print({ series, swap }: Printed, rounds: number): void {
  heading(`the pool as a multiple of the runtime alone: median of ${rounds} rounds (lowest – highest)`);
  const line = ({ model, candidates }: Printed['series'][number]) => `${model}, ${candidates} candidates`;
  printRatios(
    ['p50', 'p99', "main thread's CPU"],
    series.map((each): [string, ...(Spread | undefined)[]] => {
      const { p50, p99, busy } = each.ratios;
      return [line(each), p50, p99, busy];
    }),
  );
  heading('medians');
  const median = (all: readonly Round[], get: (round: Round) => number) => figure(spread(all.map(get)).median);
  table(
    ['', 'p50 ms', 'p99 ms', 'main thread µs', 'loop delay p99 ms', 'at most'],
    series.flatMap((each) =>
      (['pool', 'alone'] as const).map((way) => [
        `${line(each)}, ${way}`,
        ...(['p50Ms', 'p99Ms', 'busyMicros', 'loopP99Ms', 'loopMaxMs'] as const).map((name) =>
          median(each.rounds[way], (round) => round[name]),
        ),
      ]),
    ),
  );
  heading(`calls while versions are swapped, as a multiple of those before`);
  printRatios(['p50', 'p99'], [[`${swap.errors} errors in ${swap.calls} calls`, swap.ratios.p50, swap.ratios.p99]]);
}
