import { batchesInFlight, batchSize } from '../consumers/durables.ts';
import { streams } from '../platform/streams.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { eventsPerSecond, type Latencies, legNames, legs, measureLatency } from './consume-latency.ts';
import { prepareRounds, type Round, type Variant, variants } from './consume-rounds.ts';
import { sources } from './consume-streams.ts';
import { ratio, rounded, spread } from './figures.ts';
import { figure, machineFacts, printMachine, printRatios, spreadCell } from './report.ts';
import { withStack } from './stack.ts';

const sizes = {
  full: { events: 80_000, rounds: 5, latencyRounds: 3, latencyMs: 8_000 },
  quick: { events: 4_000, rounds: 1, latencyRounds: 1, latencyMs: 2_000 },
} as const;

const names: Readonly<Record<Variant, string>> = {
  endToEnd: 'end to end: stream, checks, tables, acks',
  sql: 'the same SQL statement alone',
  stream: 'the stream alone: fetched and acknowledged',
  copyBatches: `COPY of the events alone, ${batchSize} in a transaction`,
  copyOnce: 'COPY of the events alone, one transaction',
};

/** How fast events become rows beside what the database alone can do, and how soon one event does under modest load. */
export async function benchConsume(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  const stackOptions = {
    signal: options.signal,
    maxConnections: sources.length * batchesInFlight,
    postgresSettings: { track_commit_timestamp: 'on' }, // says when a row became visible
  };
  return withStack(stackOptions, async (stack) => {
    const machine = machineFacts(stack.versions);
    heading('consume: how fast events become rows beside the database alone');
    printMachine(machine);
    await stack.bus.ensureStreams(Object.values(streams));
    say(dim(`   publishing ${size.events.toLocaleString('en')} events`));
    const runRound = await prepareRounds(stack, size.events);

    const rounds: Round[] = [];
    for (let round = 0; round <= size.rounds; round++) {
      say(dim(round === 0 ? '   warming up' : `   draining them, round ${round} of ${size.rounds}`));
      const result = await runRound();
      if (round > 0) rounds.push(result);
    }

    const latencies: Latencies[] = [];
    while (latencies.length < size.latencyRounds) {
      const round = `round ${latencies.length + 1} of ${size.latencyRounds}`;
      say(dim(`   ${eventsPerSecond.toLocaleString('en')} events/s at fixed times, ${round}`));
      latencies.push(await measureLatency(stack, size.latencyMs));
    }
    const ratios = ratiosOf(rounds);
    const cpuMicros = cpuMedians(rounds);
    print(ratios, rounds, cpuMicros, latencies);
    const settings = { ...size, batchSize, batchesInFlight, eventsPerSecond };
    return { machine, settings, ratios, cpuMicros, latencies, rounds };
  });
}

/** What is left where the stream and the statement take turns on the same cores, and nothing else costs anything. */
const oneAfterTheOther = ({ stream, sql }: Round): number => 1 / (1 / stream + 1 / sql);

function ratiosOf(rounds: readonly Round[]) {
  const of = (variant: Variant, yardstick: (round: Round) => number) =>
    ratio(
      rounds.map((round) => round[variant]),
      rounds.map(yardstick),
    );
  return (['endToEnd', 'sql'] as const).map((variant) => ({
    variant,
    ofStreamAndSql: variant === 'sql' ? undefined : of(variant, oneAfterTheOther),
    ofSql: variant === 'sql' ? undefined : of(variant, ({ sql }) => sql),
    ofCopyBatches: of(variant, ({ copyBatches }) => copyBatches),
    ofCopyOnce: of(variant, ({ copyOnce }) => copyOnce),
  }));
}

function cpuMedians(rounds: readonly Round[]): Record<string, number> {
  const processes = Object.keys(rounds[0]?.cpuMicros ?? {});
  const medians = processes.map((name): [string, number] => {
    const values = rounds.map(({ cpuMicros }) => cpuMicros[name]).filter((value) => value !== undefined);
    return [name, rounded(spread(values).median)];
  });
  return Object.fromEntries(medians);
}

function print(
  ratios: ReturnType<typeof ratiosOf>,
  rounds: readonly Round[],
  cpuMicros: Readonly<Record<string, number>>,
  latencies: readonly Latencies[],
): void {
  heading(
    `Events per second as a multiple of what others can do alone: median of ${rounds.length} rounds (lowest – highest)`,
  );
  printRatios(
    ['of stream, then SQL', 'of SQL', 'of COPY', 'of COPY in one go'],
    ratios.map(({ variant, ofStreamAndSql, ofSql, ofCopyBatches, ofCopyOnce }) => [
      names[variant],
      ofStreamAndSql,
      ofSql,
      ofCopyBatches,
      ofCopyOnce,
    ]),
  );
  heading('Events per second');
  const speeds = variants.map((variant) => [names[variant], spread(rounds.map((round) => round[variant]))] as const);
  table(
    ['', 'median', 'lowest', 'highest'],
    speeds.map(([name, { median, min, max }]) => [name, ...[median, min, max].map(figure)]),
  );
  say();
  const cpu = Object.entries(cpuMicros).map(([name, micros]) => `${name} ${figure(micros)}`);
  say(`   µs of CPU per event, end to end: ${cpu.join(', ')}`);
  const events = `${eventsPerSecond.toLocaleString('en')} events/s`;
  heading(`An event at ${events}, in milliseconds: median of ${latencies.length} rounds (lowest – highest)`);
  const cell = (leg: (typeof legs)[number], key: 'p50Ms' | 'p99Ms' | 'p999Ms') =>
    spreadCell(spread(latencies.map((latency) => latency[leg][key])));
  table(
    ['', 'p50', 'p99', 'p99.9'],
    legs.map((leg) => [legNames[leg], cell(leg, 'p50Ms'), cell(leg, 'p99Ms'), cell(leg, 'p999Ms')]),
  );
}
