import { join } from 'node:path';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { ratio, rounded, spread } from './figures.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';
import { type Stack, withStack } from './stack.ts';
import { lifeOf } from './training-events.ts';
import type { TrainingFigures, TrainingTask, Work } from './training-worker.ts';

const sizes = {
  full: { events: 1_000_000, rounds: 3 },
  quick: { events: 6_000, rounds: 1 },
} as const;

const storedAtOnce = 2_000;
const storesInFlight = 2;
const lookAt = [0.1, 0.5, 1];

const names: Readonly<Record<Work, string>> = {
  copy: 'COPY (…) TO STDOUT of the same events',
  build: 'a training set from the events, in Parquet',
  linear: 'training a linear model',
  logistic: 'training a logistic model',
};
const works = Object.keys(names) as Work[];

type Round = Readonly<Record<Work, TrainingFigures>>;

/** How fast training sets are made from events beside Postgres handing them out, and models from training sets. */
export async function benchTraining(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const events = Number(process.env.BENCH_EVENTS) || undefined;
  const size = options.quick ? sizes.quick : { ...sizes.full, ...(events && { events, rounds: 1 }) };
  return withStack({ signal: options.signal, maxConnections: storesInFlight }, async (stack) => {
    const machine = machineFacts(stack.versions);
    heading('training: how fast a training set is made, and a model of it');
    printMachine(machine);
    say(dim(`   storing ${size.events.toLocaleString('en')} events, a third of them decisions`));
    await storeLives(stack, size.events);
    const rounds: Round[] = [];
    for (let round = 1; round <= size.rounds; round++) {
      say(dim(`   round ${round} of ${size.rounds}`));
      rounds.push(await runRound(stack, size.events));
    }
    print(rounds);
    return { machine, settings: size, ratios: ratiosOf(rounds), rounds };
  });
}

/** Events alone: nothing else is read. */
async function storeLives({ database }: Stack, events: number): Promise<void> {
  const lives = lifeOf(events);
  const writers = Array.from({ length: storesInFlight }, async () => {
    for (;;) {
      const batch = Array.from({ length: storedAtOnce }, () => lives.next().value).filter(
        (event) => event !== undefined,
      );
      if (batch.length === 0) return;
      await database.query(insert, [
        batch.map(({ eventId }) => eventId),
        batch.map(({ type }) => type),
        batch.map(({ userId }) => userId),
        batch.map(({ occurredAtMs }) => new Date(occurredAtMs).toISOString()),
        batch.map(({ transactionId }) => String(transactionId)),
        batch.map(({ envelope }) => Buffer.from(envelope)),
      ]);
    }
  });
  await Promise.all(writers);
  await database.query('VACUUM (ANALYZE) events');
}

const insert = `
  INSERT INTO events (event_id, type, user_id, occurred_at, transaction_id, envelope, schema_version, producer)
  SELECT event_id, type, user_id, occurred_at, transaction_id::xid8, envelope, 'v1', 'bench@1'
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::bytea[])
    AS e(event_id, type, user_id, occurred_at, transaction_id, envelope)`;

async function runRound(stack: Stack, events: number): Promise<Round> {
  const path = join(stack.folder, 'rows.parquet');
  const copy = await measure(stack, { work: 'copy', path, events, lookAt });
  const build = await measure(stack, { work: 'build', path, events, lookAt });
  const linear = await measure(stack, { work: 'linear', path, events, lookAt });
  return { copy, build, linear, logistic: await measure(stack, { work: 'logistic', path, events, lookAt }) };
}

/** In a new process each time: memory that an earlier one has taken says nothing about this one. */
async function measure(stack: Stack, task: TrainingTask): Promise<TrainingFigures> {
  const worker = stack.start('bench/training-worker.ts');
  const figures = await worker.ask<TrainingFigures>(task);
  await worker.stop();
  return figures;
}

const eventsPerSecond = ({ events, seconds }: TrainingFigures) => rounded(events / seconds);
const of = (rounds: readonly Round[], work: Work, figureOf: (figures: TrainingFigures) => number) =>
  spread(rounds.map((round) => figureOf(round[work])));

const ratiosOf = (rounds: readonly Round[]) => ({
  ofCopy: ratio(
    rounds.map(({ build }) => eventsPerSecond(build)),
    rounds.map(({ copy }) => eventsPerSecond(copy)),
  ),
});

function print(rounds: readonly Round[]): void {
  heading(`Events per second as a multiple of COPY: median of ${rounds.length} rounds (lowest – highest)`);
  printRatios(['of COPY'], [[names.build, ratiosOf(rounds).ofCopy]]);
  heading('Speed and memory');
  table(
    [
      '',
      'events/s',
      'rows/s',
      's per million rows',
      'CPU s per million rows',
      'MiB at most',
      ...lookAt.map((share) => `MiB at ${share * 100} %`),
    ],
    works.map((work) => [
      names[work],
      work === 'copy' || work === 'build' ? figure(of(rounds, work, eventsPerSecond).median) : '–',
      work === 'copy' ? '–' : figure(of(rounds, work, ({ rows, seconds }) => rows / seconds).median),
      work === 'copy' ? '–' : figure(of(rounds, work, ({ rows, seconds }) => (seconds * 1e6) / rows).median),
      work === 'copy' ? '–' : figure(of(rounds, work, ({ rows, cpuSeconds }) => (cpuSeconds * 1e6) / rows).median),
      figure(of(rounds, work, ({ peakMib }) => peakMib).median),
      ...lookAt.map((_, i) => figure(of(rounds, work, ({ memoryMib }) => memoryMib[i] ?? Number.NaN).median)),
    ]),
  );
}
