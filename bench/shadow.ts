import { setTimeout as sleep } from 'node:timers/promises';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { linThompson } from '../experiments/policies/lin-thompson.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { reportShadows } from '../pipelines/shadow-report.ts';
import type { Database } from '../platform/database.ts';
import { freePort } from '../platform/embedded/free-port.ts';
import { foldRollouts, moveRollout, type Stage } from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { latencyOf, ratio, rounded, spread } from './figures.ts';
import type { LoadResult, LoadTask } from './load.ts';
import { storePeople } from './people.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';
import { withStack } from './stack.ts';

const callsPerSecond = 100;

const sizes = {
  full: { rounds: 6, runInMs: 1_000, measureMs: 8_000, warmUpMs: 4_000 },
  quick: { rounds: 2, runInMs: 200, measureMs: 1_000, warmUpMs: 500 },
} as const;

/** What the consumers have in the shadow. The dearest of those that draw samples is among the three. */
const variants = [
  { name: 'no shadow', shadows: [] },
  { name: '3 shadows', shadows: [random, softmax, linThompson] },
] as const satisfies readonly { readonly name: string; readonly shadows: readonly Policy[] }[];

/** Whether a Score notices that its decision is scored in the shadow: the same server, the consumers with and without. */
export async function benchShadow(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  return withStack({ signal: options.signal, maxConnections: 2 }, async (stack) => {
    const machine = machineFacts(stack.versions);
    heading('shadow: what a Score notices of shadows');
    printMachine(machine);
    await storePeople(stack.database);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const server = stack.start('server/main.ts', { PORT: String(port), DEFAULT_POLICY: egreedyV2.name });
    await waitFor('the server to answer', () =>
      fetch(`${url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const load = stack.start('bench/load.ts');
    const task = { protocol: 'grpc', url, pace: { perSecond: callsPerSecond } } as const;

    const ask = async (shadows: readonly Policy[], times: Pick<LoadTask, 'runInMs' | 'measureMs'>) => {
      await putInShadow(stack.database, shadows);
      const consumers = stack.start('consumers/main.ts');
      await sleep(1_000); // its start is none of what is measured
      if (shadows.length > 0) await waitForShadows(); // nor is what was logged while nobody scored
      const pids = { server: server.pid, consumers: consumers.pid, ...stack.pids };
      const { latenciesMs, ...result } = await load.ask<LoadResult>({ ...task, pids, ...times } satisfies LoadTask);
      const behind = (await reportShadows(stack.database, { replicates: 10 })).map((report) => report.behind ?? 0);
      if (shadows.length > 0) await waitForShadows();
      await consumers.stop();
      return { ...result, ...latencyOf(latenciesMs), behind: Math.max(0, ...behind) };
    };
    const waitForShadows = async () => {
      const isDone = async () =>
        (await reportShadows(stack.database, { replicates: 10 })).every(({ behind }) => behind === 0);
      await waitFor('the shadows to be done', isDone, 120_000);
    };

    say(dim('   warming up'));
    for (const { shadows } of variants) await ask(shadows, { runInMs: 0, measureMs: size.warmUpMs });
    const rounds = variants.map((): Awaited<ReturnType<typeof ask>>[] => []);
    for (let round = 1; round <= size.rounds; round++) {
      say(dim(`   ${callsPerSecond} calls/s at fixed times, round ${round} of ${size.rounds}`));
      // the first in turn changes: the later ones find a larger stream and fuller tables
      const order = round % 2 === 1 ? [0, 1] : [1, 0];
      for (const i of order) rounds[i]?.push(await ask(variants[i]?.shadows ?? [], size));
    }

    const reports = await reportShadows(stack.database, { replicates: 10 });
    const [without = [], beside = []] = rounds;
    type Round = (typeof without)[number];
    const of = (get: (round: Round) => number | undefined) => ratio(beside.map(get), without.map(get));
    const median = (all: readonly Round[], get: (round: Round) => number | undefined) =>
      rounded(spread(all.flatMap((round) => get(round) ?? [])).median);
    const results = {
      ratios: {
        serverCpu: of(({ cpuMicros }) => cpuMicros.server),
        p50: of(({ p50Ms }) => p50Ms),
        p99: of(({ p99Ms }) => p99Ms),
      },
      medians: variants.map(({ name }, i) => ({
        variant: name,
        serverMicros: median(rounds[i] ?? [], ({ cpuMicros }) => cpuMicros.server),
        consumersMicros: median(rounds[i] ?? [], ({ cpuMicros }) => cpuMicros.consumers),
        postgresMicros: median(rounds[i] ?? [], ({ cpuMicros }) => cpuMicros.postgres),
        p50Ms: median(rounds[i] ?? [], ({ p50Ms }) => p50Ms),
        p99Ms: median(rounds[i] ?? [], ({ p99Ms }) => p99Ms),
      })),
      /** Decisions that wait to be scored when the load ends. */
      behind: spread(beside.map(({ behind }) => behind)),
      shadows: reports.map(({ policy, counters, cpuMicros }) => ({ policy, ...counters, cpuMicrosEach: cpuMicros })),
      rounds: variants.map(({ name }, i) => ({ variant: name, rounds: rounds[i] ?? [] })),
    };
    const { serverCpu, p50, p99 } = results.ratios;
    heading(`3 shadows as a multiple of none: median of ${size.rounds} rounds (lowest – highest)`);
    printRatios(['server CPU', 'p50', 'p99'], [['a Score', serverCpu, p50, p99]]);
    heading(`${callsPerSecond} calls/s at fixed times (medians; µs of CPU per call)`);
    table(
      ['', 'server µs', 'consumers µs', 'postgres µs', 'p50 ms', 'p99 ms'],
      results.medians.map(({ variant, ...figures }) => [variant, ...Object.values(figures).map(figure)]),
    );
    heading('in the shadow');
    table(
      ['', 'decisions', 'errors', 'µs of CPU'],
      reports.map(({ policy, counters, cpuMicros }) => [
        policy,
        ...[counters.decisions, counters.errors].map((count) => count.toLocaleString('en')),
        figure(cpuMicros),
      ]),
    );
    say();
    say(`   ${results.behind.median} decisions wait to be scored when a round ends, ${results.behind.max} at most.`);
    return { machine, settings: { ...size, callsPerSecond }, ...results };
  });
}

/** Leaves these in the shadow, and no others. */
async function putInShadow(database: Database, wanted: readonly Policy[]): Promise<void> {
  const store = createRolloutStore(database);
  for (const policy of [random, softmax, linThompson]) {
    const subject = { policy: policy.name, version: policy.version };
    const ways: readonly Stage[] = wanted.includes(policy) ? ['registered', 'shadow'] : ['retired'];
    for (const to of ways) {
      const rollouts = foldRollouts((await store.readSteps(0)) ?? []);
      const by = { atMs: Date.now(), actor: 'bench', caller: '', reason: 'a measurement' };
      const moved = moveRollout(rollouts, { ...subject, ...by, to, expectedNumber: undefined });
      if (moved.kind === 'appended') await store.append(moved.steps); // else it is there already
    }
  }
}
