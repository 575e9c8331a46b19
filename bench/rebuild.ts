import { createEventStore } from '../features/event-store.ts';
import { tableNames } from '../features/tables.ts';
import { dayMs } from '../platform/clock.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { decoded, randomMessage } from './events.ts';
import { ratio, rounded, spread } from './figures.ts';
import { people, personId } from './people.ts';
import type { RebuildFigures, RebuildTask } from './rebuild-worker.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';
import { type Stack, withStack } from './stack.ts';

const sizes = {
  full: { events: 500_000, rounds: 3 },
  quick: { events: 10_000, rounds: 1 },
} as const;

const storedAtOnce = 2_000;
const storesInFlight = 4;
const spanDays = 60;
const lookAt = [0.1, 0.5, 1];

const variants = ['empty', 'healthy', 'read'] as const;
type Variant = (typeof variants)[number];

const names: Readonly<Record<Variant, string>> = {
  empty: 'a rebuild of everything into empty tables',
  healthy: 'a rebuild of tables that are right',
  read: 'reading and decoding the events alone',
};

type Round = Readonly<Record<Variant, RebuildFigures>>;

/** How fast tables are made from events beside reading the events, and whether memory grows with them. */
export async function benchRebuild(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  return withStack({ signal: options.signal, maxConnections: storesInFlight }, async (stack) => {
    const machine = machineFacts(stack.versions);
    heading('rebuild: how fast tables are made anew from the events');
    printMachine(machine);
    say(dim(`   storing ${size.events.toLocaleString('en')} events`));
    await storeEvents(stack, size.events);
    const rounds: Round[] = [];
    for (let round = 1; round <= size.rounds; round++) {
      say(dim(`   rebuilding, round ${round} of ${size.rounds}`));
      rounds.push(await runRound(stack, size.events));
    }
    print(rounds);
    return { machine, settings: { ...size, people, spanDays }, ratios: ratiosOf(rounds), rounds };
  });
}

async function storeEvents({ database }: Stack, count: number): Promise<void> {
  const store = createEventStore(database);
  const nowMs = Date.now();
  let left = count;
  const writers = Array.from({ length: storesInFlight }, async () => {
    while (left > 0) {
      const length = Math.min(storedAtOnce, left);
      left -= length;
      const atMs = () => nowMs - Math.floor(Math.random() * spanDays * dayMs);
      await store.store(Array.from({ length }, () => decoded(randomMessage(atMs()))));
    }
  });
  await Promise.all(writers);
  await database.query('VACUUM (ANALYZE)');
}

async function runRound(stack: Stack, events: number): Promise<Round> {
  await stack.database.query(`TRUNCATE ${tableNames.join(', ')}`);
  await stack.database.query('CHECKPOINT');
  const empty = await measure(stack, 'rebuild', events);
  await stack.database.query('VACUUM (ANALYZE)');
  const healthy = await measure(stack, 'rebuild', events);
  if (healthy.rowsChanged > 0) throw new Error(`${healthy.rowsChanged} rows were wrong after a rebuild`);
  return { empty, healthy, read: await measure(stack, 'read', events) };
}

/** In a new process each time: memory that an earlier one has taken says nothing about this one. */
async function measure(stack: Stack, work: RebuildTask['work'], events: number): Promise<RebuildFigures> {
  const worker = stack.start('bench/rebuild-worker.ts');
  const ids = Array.from({ length: people }, (_, i) => personId(i));
  const task: RebuildTask = { work, people: ids, events, lookAt };
  const figures = await worker.ask<RebuildFigures>(task);
  await worker.stop();
  if (figures.events !== events) throw new Error(`${events} events are stored, but ${figures.events} were read`);
  return figures;
}

const speed = ({ events, seconds }: RebuildFigures): number => rounded(events / seconds);
const speeds = (rounds: readonly Round[], variant: Variant) => rounds.map((round) => speed(round[variant]));

function ratiosOf(rounds: readonly Round[]) {
  return (['empty', 'healthy'] as const).map((variant) => ({
    variant,
    ofRead: ratio(speeds(rounds, variant), speeds(rounds, 'read')),
  }));
}

function print(rounds: readonly Round[]): void {
  heading(`Events per second as a multiple of reading them: median of ${rounds.length} rounds (lowest – highest)`);
  printRatios(
    ['of reading alone'],
    ratiosOf(rounds).map(({ variant, ofRead }) => [names[variant], ofRead]),
  );
  heading('Events per second');
  const lines = variants.map((variant) => [names[variant], spread(speeds(rounds, variant))] as const);
  table(
    ['', 'median', 'lowest', 'highest'],
    lines.map(([name, { median, min, max }]) => [name, ...[median, min, max].map(figure)]),
  );
  heading('Memory of the process in MiB');
  table(
    ['', ...lookAt.map((share) => `at ${share * 100} %`)],
    variants.map((variant) => [
      names[variant],
      ...lookAt.map((_, i) => figure(spread(rounds.map((round) => round[variant].memoryMib[i] ?? 0)).median)),
    ]),
  );
}
