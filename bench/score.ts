import { fromBinary } from '@bufbuild/protobuf';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { ScoreResponseSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { freePort } from '../platform/embedded/free-port.ts';
import { streams } from '../platform/streams.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import type { BareAddress, BareTask } from './bare-server.ts';
import { latencyOf, ratio, rounded, spread } from './figures.ts';
import type { LoadResult, LoadTask } from './load.ts';
import { storePeople } from './people.ts';
import type { Script } from './processes.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';
import { type Protocol, requestSource, scorePath } from './requests.ts';
import { type Stack, withStack } from './stack.ts';

const inFlight = 64;
const callsPerSecond = 500;

const sizes = {
  full: { warmUpMs: 2_500, rounds: 5, runInMs: 300, measureMs: 3_000, fixedRounds: 3, fixedMs: 5_000 },
  quick: { warmUpMs: 300, rounds: 2, runInMs: 100, measureMs: 400, fixedRounds: 1, fixedMs: 500 },
} as const;

interface Variant {
  readonly name: string;
  readonly protocol: Protocol;
  readonly server: Script;
  readonly url: string;
}

type Round = Omit<LoadResult, 'latenciesMs'> & ReturnType<typeof latencyOf>;

/** How much a Score costs beside the bare transport, and how long it takes. Counts that every answer was logged. */
export async function benchScore(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  return withStack({ signal: options.signal, maxConnections: 2 }, async (stack) => {
    const machine = machineFacts(stack.versions);
    heading('score: what one decision costs beside the bare transport');
    printMachine(machine);
    await storePeople(stack.database);
    const variants = await startVariants(stack);
    const load = stack.start('bench/load.ts');
    const loggedBefore = await countDecisions(stack);
    let answered = 0;

    const call = async (
      variant: Variant,
      task: Pick<LoadTask, 'pace' | 'runInMs' | 'measureMs'>,
    ): Promise<LoadResult> => {
      const { protocol, url, server } = variant;
      const pids = { server: server.pid, ...stack.pids };
      const result = await load.ask<LoadResult>({ protocol, url, pids, ...task } satisfies LoadTask);
      if (variant !== variants[0]) answered += result.answered;
      return result;
    };

    say(dim('   warming up'));
    for (const variant of variants) await call(variant, { pace: { inFlight }, runInMs: 0, measureMs: size.warmUpMs });

    const closed = variants.map((): Round[] => []);
    for (let round = 1; round <= size.rounds; round++) {
      say(dim(`   ${inFlight} calls in flight, round ${round} of ${size.rounds}`));
      for (const [i, variant] of variants.entries()) {
        closed[i]?.push(
          toRound(await call(variant, { pace: { inFlight }, runInMs: size.runInMs, measureMs: size.measureMs })),
        );
      }
    }

    const timed = variants.slice(0, 2); // fixed times tell about gRPC; the others add little to the closed loop
    const fixed = timed.map((): LoadResult[] => []);
    for (let round = 1; round <= size.fixedRounds; round++) {
      say(dim(`   ${callsPerSecond} calls/s at fixed times, round ${round} of ${size.fixedRounds}`));
      for (const [i, variant] of timed.entries()) {
        fixed[i]?.push(
          await call(variant, { pace: { perSecond: callsPerSecond }, runInMs: 500, measureMs: size.fixedMs }),
        );
      }
    }

    const logged = (await countDecisions(stack)) - loggedBefore;
    if (logged !== answered) throw new Error(`${answered} Scores were answered, but ${logged} decisions were logged`);
    const results = {
      ratios: ratiosOf(variants, closed),
      closedLoop: variants.map((variant, i) => ({ variant: variant.name, ...summary(closed[i] ?? []) })),
      fixedTimes: timed.map((variant, i) => fixedSummary(variant.name, fixed[i] ?? [])),
      answered,
      logged,
      degraded: await sampleDegraded(stack, logged),
      rounds: {
        closedLoop: variants.map((variant, i) => ({ variant: variant.name, rounds: closed[i] ?? [] })),
        fixedTimes: timed.map((variant, i) => ({ variant: variant.name, rounds: (fixed[i] ?? []).map(toRound) })),
      },
    };
    print(results, size.rounds);
    return { machine, settings: { ...size, inFlight, callsPerSecond }, ...results };
  });
}

/** The yardstick first, then the ways to the real server. */
async function startVariants(stack: Stack): Promise<readonly Variant[]> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = stack.start('server/main.ts', { PORT: String(port) });
  await waitFor('the server to answer', () =>
    fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  const bare = stack.start('bench/bare-server.ts');
  const { url: bareUrl } = await bare.ask<BareAddress>({ answer: await exampleAnswer(url) } satisfies BareTask);
  return [
    { name: 'bare HTTP/2', protocol: 'grpc', server: bare, url: bareUrl },
    { name: 'gRPC', protocol: 'grpc', server, url },
    { name: 'Connect, HTTP/2', protocol: 'connect', server, url },
    { name: 'JSON, HTTP/1.1', protocol: 'json', server, url },
  ];
}

/** One with the person in it. The first call of all may be too slow for that. */
function exampleAnswer(url: string): Promise<Uint8Array> {
  const nextRequest = requestSource('connect');
  return waitFor('an answer that knows the person', async () => {
    const headers = { 'content-type': 'application/proto' };
    const response = await fetch(url + scorePath, { method: 'POST', headers, body: new Uint8Array(nextRequest()) });
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (!response.ok) throw new Error(`the first Score failed: ${Buffer.from(bytes)}`);
    return fromBinary(ScoreResponseSchema, bytes).degradations.length === 0 && bytes;
  });
}

async function countDecisions({ nats }: Stack): Promise<number> {
  return (await nats.streams.info(streams.decisions.name)).state.messages;
}

/**
 * Of some of the decisions, how many were made without the person: the server answers so rather than late, and such
 * answers are cheaper.
 */
async function sampleDegraded({ nats }: Stack, logged: number) {
  const { last_seq: last } = (await nats.streams.info(streams.decisions.name)).state;
  const sampled = Math.min(500, logged);
  let degraded = 0;
  for (let i = 0; i < sampled; i++) {
    const seq = last - Math.floor((i * logged) / sampled);
    const { data } = await nats.streams.getMessage(streams.decisions.name, { seq });
    const { payload } = fromBinary(EnvelopeSchema, data);
    if (payload.case === 'tipScored' && payload.value.degradations.length > 0) degraded++;
  }
  return { sampled, degraded };
}

function toRound({ latenciesMs, perSecond, ...round }: LoadResult): Round {
  return { perSecond: rounded(perSecond), ...round, ...latencyOf(latenciesMs) };
}

function ratiosOf(variants: readonly Variant[], closed: readonly Round[][]) {
  const [bare = []] = closed;
  const of = (rounds: readonly Round[], get: (round: Round) => number | undefined) =>
    ratio(rounds.map(get), bare.map(get));
  return variants.slice(1).map(({ name }, i) => {
    const rounds = closed[i + 1] ?? [];
    return {
      variant: name,
      serverCpu: of(rounds, ({ cpuMicros }) => cpuMicros.server),
      perSecond: of(rounds, ({ perSecond }) => perSecond),
    };
  });
}

function summary(rounds: readonly Round[]) {
  const median = (get: (round: Round) => number | undefined) => {
    const values = rounds.map(get).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : rounded(spread(values).median);
  };
  const cpu = (name: string) => median(({ cpuMicros }) => cpuMicros[name]);
  return {
    perSecond: median(({ perSecond }) => perSecond),
    serverMicros: cpu('server'),
    postgresMicros: cpu('postgres'),
    natsMicros: cpu('nats'),
    loadMicros: cpu('load'),
    p50Ms: median(({ p50Ms }) => p50Ms),
    p99Ms: median(({ p99Ms }) => p99Ms),
  };
}

/** All rounds together: one round alone has too few calls for its slowest thousandth. */
function fixedSummary(variant: string, results: readonly LoadResult[]) {
  const { serverMicros, postgresMicros, natsMicros } = summary(results.map(toRound));
  return {
    variant,
    serverMicros,
    postgresMicros,
    natsMicros,
    ...latencyOf(results.flatMap(({ latenciesMs }) => [...latenciesMs])),
  };
}

interface Printed {
  readonly ratios: ReturnType<typeof ratiosOf>;
  readonly closedLoop: readonly ({ readonly variant: string } & ReturnType<typeof summary>)[];
  readonly fixedTimes: readonly ReturnType<typeof fixedSummary>[];
  readonly answered: number;
  readonly degraded: { readonly sampled: number; readonly degraded: number };
}

function print(
  { ratios, closedLoop, fixedTimes, answered, degraded: { sampled, degraded } }: Printed,
  rounds: number,
): void {
  heading(`Score as a multiple of bare HTTP/2: median of ${rounds} rounds (lowest – highest)`);
  printRatios(
    ['server CPU', 'calls/s'],
    ratios.map(({ variant, serverCpu, perSecond }) => [variant, serverCpu, perSecond]),
  );
  heading(`${inFlight} calls in flight (medians; µs of CPU per call)`);
  table(
    ['', 'calls/s', 'server µs', 'postgres µs', 'nats µs', 'load µs', 'p50 ms', 'p99 ms'],
    closedLoop.map(({ variant, ...figures }) => [variant, ...Object.values(figures).map(figure)]),
  );
  heading(`${callsPerSecond} calls/s at fixed times (all rounds together)`);
  table(
    ['', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'server µs', 'postgres µs', 'nats µs'],
    fixedTimes.map(({ variant, p50Ms, p99Ms, p999Ms, maxMs, serverMicros, postgresMicros, natsMicros }) => [
      variant,
      ...[p50Ms, p99Ms, p999Ms, maxMs, serverMicros, postgresMicros, natsMicros].map(figure),
    ]),
  );
  say();
  say(`   ${answered.toLocaleString('en')} Scores were answered, and as many decisions are in the stream.`);
  if (degraded > 0)
    say(`   ${degraded} of ${sampled} decisions looked at were made without the person, and are cheaper for it.`);
}
