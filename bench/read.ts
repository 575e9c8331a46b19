import { statisticsVersion } from '../experiments/statistics.ts';
import { createPersonStore } from '../features/person-store.ts';
import { newId } from '../platform/ids.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { latencyOf, ratio, rounded, spread } from './figures.ts';
import { type History, people, personId, storePeople } from './people.ts';
import { cpuSeconds } from './processes.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';
import { type Stack, withStack } from './stack.ts';

const sizes = {
  full: {
    rounds: 5,
    measureMs: 1_500,
    histories: [
      { days: 31, events: 100_000 },
      { days: 365, events: 100_000 },
      { days: 365, events: 10_000_000 },
    ],
  },
  quick: {
    rounds: 1,
    measureMs: 300,
    histories: [
      { days: 31, events: 10_000 },
      { days: 60, events: 20_000 },
    ],
  },
} as const;

const inFlight = 32;

const variants = ['key', 'person'] as const;
type Variant = (typeof variants)[number];

const names: Readonly<Record<Variant, string>> = {
  key: 'one row by its primary key',
  person: 'a person: 31 days, hours, and the decision',
};

interface Reads {
  readonly perSecond: number;
  readonly postgresMicros: number | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Round = Readonly<Record<Variant, Reads>>;

/** What reading a person costs a Score beside the cheapest read there is, and whether it grows with what is stored. */
export async function benchRead(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  return withStack({ signal: options.signal, maxConnections: 2 }, async (stack) => {
    const machine = machineFacts(stack.versions);
    heading('read: what a Score reads beside one row by its key');
    printMachine(machine);
    const histories: { readonly history: History; readonly rounds: readonly Round[] }[] = [];
    for (const history of size.histories) {
      say(dim(`   storing ${history.days} days of ${people} people and ${history.events.toLocaleString('en')} events`));
      await storePeople(stack.database, history);
      histories.push({ history, rounds: await measure(stack, size) });
    }
    const ratios = histories.map(({ history, rounds }) => ({ history, ofKey: ratioOf(rounds, 'perSecond') }));
    print(histories);
    return { machine, settings: { ...size, inFlight }, ratios, histories };
  });
}

async function measure(stack: Stack, size: { readonly rounds: number; readonly measureMs: number }) {
  const store = createPersonStore(stack.database, { statisticsVersion });
  const reads: Readonly<Record<Variant, (userId: string) => Promise<unknown>>> = {
    key: (userId) =>
      stack.database.query({
        name: 'read-key',
        text: 'SELECT served, done FROM user_daily WHERE user_id = $1 AND day = current_date',
        values: [userId],
      }),
    person: (userId) => store.read(userId, newId(Date.now()), Date.now()),
  };
  const rounds: Round[] = [];
  for (let round = 0; round <= size.rounds; round++) {
    const key = await timed(stack, reads.key, size.measureMs);
    const person = await timed(stack, reads.person, size.measureMs);
    if (round > 0) rounds.push({ key, person }); // the first warms up
  }
  return rounds;
}

async function timed({ pids }: Stack, read: (userId: string) => Promise<unknown>, measureMs: number): Promise<Reads> {
  const latenciesMs: number[] = [];
  const cpuBefore = cpuSeconds(pids.postgres);
  const startedAt = performance.now();
  const readers = Array.from({ length: inFlight }, async () => {
    for (let begunAt = performance.now(); begunAt < startedAt + measureMs; begunAt = performance.now()) {
      await read(personId(Math.floor(Math.random() * people)));
      latenciesMs.push(performance.now() - begunAt);
    }
  });
  await Promise.all(readers);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuAfter = cpuSeconds(pids.postgres);
  const cpu = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore;
  const { p50Ms, p99Ms, count } = latencyOf(latenciesMs);
  return {
    perSecond: rounded(count / seconds),
    postgresMicros: cpu === undefined ? undefined : rounded((cpu / count) * 1e6),
    p50Ms,
    p99Ms,
  };
}

function ratioOf(rounds: readonly Round[], what: 'perSecond' | 'postgresMicros') {
  return ratio(
    rounds.map(({ person }) => person[what]),
    rounds.map(({ key }) => key[what]),
  );
}

function print(histories: readonly { readonly history: History; readonly rounds: readonly Round[] }[]): void {
  const nameOf = ({ days, events }: History) => `${days} days, ${events.toLocaleString('en')} events`;
  heading(`Reading a person as a multiple of reading one row, ${inFlight} at once: median (lowest – highest)`);
  printRatios(
    ['reads a second', 'Postgres CPU'],
    histories.map(({ history, rounds }) => [
      nameOf(history),
      ratioOf(rounds, 'perSecond'),
      ratioOf(rounds, 'postgresMicros'),
    ]),
  );
  heading('Reads');
  table(
    ['', 'stored', 'a second', 'postgres µs', 'p50 ms', 'p99 ms'],
    histories.flatMap(({ history, rounds }) =>
      variants.map((variant) => {
        const median = (what: keyof Reads) =>
          figure(spread(rounds.flatMap((round) => round[variant][what] ?? [])).median);
        return [
          names[variant],
          nameOf(history),
          median('perSecond'),
          median('postgresMicros'),
          median('p50Ms'),
          median('p99Ms'),
        ];
      }),
    ),
  );
}
