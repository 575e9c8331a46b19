import { setTimeout as sleep } from 'node:timers/promises';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { type Latency, latencyOf, ratio, rounded } from './figures.ts';
import type { GenerateLoadTask } from './generate-load.ts';
import type { LoadResult, LoadTask } from './load.ts';
import { residentMib } from './processes.ts';
import { figure, printRatios } from './report.ts';
import type { Model } from './serve-generate.ts';

export interface SlowSize {
  readonly rounds: number;
  /** Generations under way; each takes `delayMs`, and the next one begins when one ends. */
  readonly inFlight: number;
  readonly delayMs: number;
  readonly scoresPerSecond: number;
  readonly measureMs: number;
}

const lookMs = 50;

/** What generations that wait for a slow model cost their server: memory, and the Scores beside them. */
export async function slowBeside(model: Model, { rounds, inFlight, delayMs, scoresPerSecond, measureMs }: SlowSize) {
  const { url, script } = await model.serve(delayMs);
  const scores = model.stack.start('bench/load.ts');
  const pids = { server: script.pid };
  const score = async (ms: number) => {
    const pace = { perSecond: scoresPerSecond };
    const task: LoadTask = { url, protocol: 'grpc', pace, runInMs: 300, measureMs: ms, pids };
    const { latenciesMs, cpuMicros } = await scores.ask<LoadResult>(task);
    return { ...latencyOf(latenciesMs), serverMicros: cpuMicros.server };
  };
  /** Scores, from `afterMs` after the first generation on. */
  const beside = async (
    afterMs: number,
    ms: number,
    task: Pick<GenerateLoadTask, 'spreadMs' | 'measureMs' | 'callsMax'>,
  ) => {
    const before = residentMib(script.pid);
    const memory = watch(script.pid);
    const load = model.load({ target: { generateAt: url }, inFlight, runInMs: 0, pids, ...task });
    await sleep(afterMs);
    const scored = await score(ms);
    const { problems, perSecond } = await load;
    const peak = memory.end();
    if (problems.length > 0) throw new Error(`${problems.length} generations failed: ${problems[0]}`);
    await sleep(1_000);
    return {
      ...scored,
      generationsPerSecond: rounded(perSecond),
      memoryMib: { before, peak, after: residentMib(script.pid) },
    };
  };
  const waitMs = delayMs * 0.7; // of a model's time, when all wait and none begins or ends
  const beginMs = delayMs * 0.2;

  await score(measureMs);
  const all: Round[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(dim(`   ${inFlight} slow generations beside Scores, round ${round} of ${rounds}`));
    const alone = await score(measureMs);
    const waiting = await beside(beginMs, waitMs - 300, { spreadMs: beginMs / 2, measureMs: 0, callsMax: inFlight });
    // Spread, so that as many begin at any time as end. They go on for longer than the Scores are measured.
    const turning = await beside(delayMs, measureMs, { spreadMs: delayMs, measureMs: measureMs + 500 });
    all.push({ alone, waiting, turning });
  }
  await script.stop();

  const over = (kind: 'waiting' | 'turning', get: (figures: Latency) => number) =>
    ratio(
      all.map((round) => get(round[kind])),
      all.map(({ alone }) => get(alone)),
    );
  const ratiosOf = (kind: 'waiting' | 'turning') => ({
    p50: over(kind, ({ p50Ms }) => p50Ms),
    p99: over(kind, ({ p99Ms }) => p99Ms),
  });
  const ratios = { waiting: ratiosOf('waiting'), turning: ratiosOf('turning') };
  const perSecond = inFlight / (delayMs / 1000);
  heading(`${scoresPerSecond} Scores/s beside ${inFlight} generations of ${delayMs} ms, as a multiple of Scores alone`);
  printRatios(
    ['p50', 'p99'],
    [
      ['while they wait', ratios.waiting.p50, ratios.waiting.p99],
      [`while ${perSecond} begin and end each second`, ratios.turning.p50, ratios.turning.p99],
    ],
  );
  table(
    ['round', '', 'p50 ms', 'p99 ms', 'generations/s', 'MiB before', 'at most', 'after'],
    all.flatMap(({ alone, waiting, turning }, i) => [
      [String(i + 1), 'alone', figure(alone.p50Ms), figure(alone.p99Ms), '–', '–', '–', '–'],
      ...Object.entries({ waiting, turning }).map(([name, { p50Ms, p99Ms, generationsPerSecond, memoryMib }]) => [
        '',
        name,
        ...[p50Ms, p99Ms, name === 'waiting' ? undefined : generationsPerSecond].map(figure),
        ...[memoryMib.before, memoryMib.peak, memoryMib.after].map(figure),
      ]),
    ]),
  );
  return { ratios, rounds: all };
}

interface Scored extends Latency {
  readonly serverMicros: number | undefined;
}

interface Beside extends Scored {
  readonly generationsPerSecond: number;
  readonly memoryMib: Readonly<Record<'before' | 'peak' | 'after', number | undefined>>;
}

interface Round {
  readonly alone: Scored;
  readonly waiting: Beside;
  readonly turning: Beside;
}

/** Looks at a process's memory until `end`, which says what the most was. */
function watch(pid: number): { end(): number | undefined } {
  let most = residentMib(pid);
  const timer = setInterval(() => {
    const now = residentMib(pid);
    if (now !== undefined && now > (most ?? 0)) most = now;
  }, lookMs);
  return {
    end: () => {
      clearInterval(timer);
      return most;
    },
  };
}
