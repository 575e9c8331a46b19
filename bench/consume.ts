import { setTimeout as sleep } from 'node:timers/promises';
import { batchesInFlight, batchSize } from '../consumers/durables.ts';
import { createEventStore, type StoredEvent } from '../features/event-store.ts';
import { streams } from '../platform/streams.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { copyRows, encodeRows } from './copy-rows.ts';
import { decoded, type Message, publish, randomMessage } from './events.ts';
import { type Latency, latencyOf, ratio, rounded, spread } from './figures.ts';
import { cpuMicrosPer, cpuOf } from './processes.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';
import { type Stack, withStack } from './stack.ts';

const sizes = {
  full: { events: 40_000, rounds: 5, latencyMs: 8_000 },
  quick: { events: 4_000, rounds: 1, latencyMs: 2_000 },
} as const;

const eventsPerSecond = 5_000;
/** Events of this first while are published and not measured. */
const runInMs = 1_000;
const publishesInFlight = 1_000;
/** How far back the backlog reaches. It lies in the stream in the order in which it happened. */
const backlogMs = 24 * 3_600_000;
const pollMs = 20;

/** Where the events lie. */
const sources = [streams.signals, streams.feedback];

/** Events that are stored together. */
interface Batch {
  readonly events: readonly StoredEvent[];
  /** The same as COPY reads them. */
  readonly rows: Buffer;
}

/** The batches of one stream. The consumers work on the streams side by side, so all variants do. */
type Lane = readonly Batch[];

const variants = ['endToEnd', 'sql', 'copyBatches', 'copyOnce'] as const;
type Variant = (typeof variants)[number];

const names: Readonly<Record<Variant, string>> = {
  endToEnd: 'end to end: stream, checks, tables, acks',
  sql: 'the same SQL statement alone',
  copyBatches: `COPY of the events alone, ${batchSize} in a transaction`,
  copyOnce: 'COPY of the events alone, one transaction',
};

type Round = Readonly<Record<Variant, number>> & { readonly cpuMicros: Readonly<Record<string, number | undefined>> };

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
    const lanes = toLanes(await publishBacklog(stack, size.events));
    await createCopyTable(stack);

    const rounds: Round[] = [];
    for (let round = 0; round <= size.rounds; round++) {
      say(dim(round === 0 ? '   warming up' : `   draining them, round ${round} of ${size.rounds}`));
      const result = await runRound(stack, lanes, size.events);
      if (round > 0) rounds.push(result);
    }

    say(dim(`   ${eventsPerSecond.toLocaleString('en')} events/s at fixed times`));
    const latency = await measureLatency(stack, size.events, size.latencyMs);
    const ratios = ratiosOf(rounds);
    const cpuMicros = cpuMedians(rounds);
    print(ratios, rounds, cpuMicros, latency);
    const settings = { ...size, batchSize, batchesInFlight, eventsPerSecond };
    return { machine, settings, ratios, cpuMicros, latency, rounds };
  });
}

async function runRound(stack: Stack, lanes: readonly Lane[], events: number): Promise<Round> {
  const { database } = stack;
  await reset(stack);
  const { perSecond: endToEnd, cpuMicros } = await drain(stack, events);

  await reset(stack);
  const store = createEventStore(database);
  const sql = await timed(events, () => eachBatch(lanes, (batch) => store.store(batch.events)));

  await reset(stack);
  const copyBatches = await timed(events, () => eachBatch(lanes, ({ rows }) => copyRows(database, 'copied', [rows])));

  await reset(stack);
  const all = lanes.flatMap((lane) => lane.map(({ rows }) => rows));
  const copyOnce = await timed(events, () => copyRows(database, 'copied', all));
  return { endToEnd, sql, copyBatches, copyOnce, cpuMicros };
}

/** As many batches of each lane at once as the consumers take. */
async function eachBatch(lanes: readonly Lane[], work: (batch: Batch) => Promise<unknown>): Promise<void> {
  const workers = lanes.flatMap((lane) => {
    const waiting = lane.values(); // shared: each batch is taken once
    return Array.from({ length: batchesInFlight }, async () => {
      for (const batch of waiting) await work(batch);
    });
  });
  await Promise.all(workers);
}

async function timed(events: number, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return rounded(events / ((performance.now() - startedAt) / 1000));
}

/** Published once: every round drains the same messages with a durable made anew. */
async function publishBacklog({ bus }: Stack, count: number): Promise<readonly Message[]> {
  const nowMs = Date.now();
  const messages = Array.from({ length: count }, (_, i) =>
    randomMessage(nowMs - Math.floor(backlogMs * (1 - i / count))),
  );
  const waiting = messages.values();
  const publishers = Array.from({ length: publishesInFlight }, async () => {
    for (const message of waiting) await publish(bus, message);
  });
  await Promise.all(publishers);
  return messages;
}

function toLanes(messages: readonly Message[]): readonly Lane[] {
  return [...Map.groupBy(messages, ({ stream }) => stream).values()].map((ofStream) => {
    const events = ofStream.map(decoded);
    return Array.from({ length: Math.ceil(events.length / batchSize) }, (_, i): Batch => {
      const batch = events.slice(i * batchSize, (i + 1) * batchSize);
      return { events: batch, rows: encodeRows(batch) };
    });
  });
}

async function createCopyTable({ database }: Stack): Promise<void> {
  await database.query('CREATE TABLE copied (LIKE events INCLUDING DEFAULTS)');
  await database.query('ALTER TABLE copied ADD PRIMARY KEY (user_id, event_id, stored_on)');
}

/** Nothing stored, nothing read from the streams, and nothing left to write that would burden what comes next. */
async function reset({ database, nats }: Stack): Promise<void> {
  for (const { name: stream } of sources) {
    for (const { name } of await nats.consumers.list(stream).next()) await nats.consumers.delete(stream, name);
  }
  await database.query('TRUNCATE event_ids, events, user_daily, user_hourly, tip_outcomes, tip_feedback, copied');
  await database.query('CHECKPOINT');
}

/**
 * Lets a consumers process drain the streams. Counted are the batches that began after the first one, over the time
 * from the first to the last: the start of the process does not count, but that it is cold does.
 */
async function drain(stack: Stack, events: number) {
  const { database, pids } = stack;
  const consumers = stack.start('consumers/main.ts');
  const processes = { consumers: consumers.pid, ...pids };
  await untilSettled(stack, 1);
  const [before, settledBefore] = [cpuOf(processes), await settled(stack)];
  await untilSettled(stack, events);
  const after = cpuOf(processes);
  await consumers.stop();

  const { rows } = await database.query<{ stored: number; later: number; seconds: number }>(`
    WITH span AS (SELECT min(received_at) AS first, max(received_at) AS last FROM events)
    SELECT count(*)::int AS stored, (count(*) FILTER (WHERE received_at > first))::int AS later,
      extract(epoch FROM max(last) - min(first))::float8 AS seconds
    FROM events, span`);
  const [{ stored, later, seconds } = { stored: 0, later: 0, seconds: 0 }] = rows;
  if (stored !== events) throw new Error(`${events} events were published, but ${stored} are stored`);
  return { perSecond: rounded(later / seconds), cpuMicros: cpuMicrosPer(events - settledBefore, before, after) };
}

async function untilSettled(stack: Stack, events: number): Promise<void> {
  while ((await settled(stack)) < events) await sleep(pollMs);
}

/** How many messages the consumers are done with. */
async function settled({ nats }: Stack): Promise<number> {
  const each = sources.map(async ({ name }) => {
    const [durable] = await nats.consumers.list(name).next();
    if (durable === undefined) return 0; // the process makes it when it starts
    const { state } = await nats.streams.info(name);
    return state.messages - durable.num_pending - durable.num_ack_pending;
  });
  return (await Promise.all(each)).reduce((sum, messages) => sum + messages, 0);
}

/** From the moment an event is due to be published, cut to the millisecond, until its row can be read. */
async function measureLatency(stack: Stack, backlog: number, measureMs: number): Promise<Latency> {
  const { database, bus } = stack;
  await reset(stack);
  const consumers = stack.start('consumers/main.ts');
  await untilSettled(stack, backlog); // also so that the tables are not empty

  const startedAt = Date.now();
  const published: Promise<void>[] = [];
  const failed = new AbortController();
  const intervalMs = 1000 / eventsPerSecond;
  for (let dueAt = startedAt; dueAt < startedAt + runInMs + measureMs; await sleep(1)) {
    for (const now = Date.now(); dueAt <= now; dueAt += intervalMs) {
      published.push(publish(bus, randomMessage(Math.floor(dueAt))).catch((error: unknown) => failed.abort(error)));
    }
  }
  await Promise.all(published);
  failed.signal.throwIfAborted();
  await untilSettled(stack, backlog + published.length);
  await consumers.stop();
  const { rows } = await database.query<{ ms: number }>(
    `SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - occurred_at)::float8 * 1000 AS ms
    FROM events WHERE occurred_at >= to_timestamp($1 / 1000.0)`,
    [startedAt + runInMs],
  );
  return latencyOf(rows.map(({ ms }) => ms));
}

function ratiosOf(rounds: readonly Round[]) {
  const of = (variant: Variant, yardstick: Variant) =>
    ratio(
      rounds.map((round) => round[variant]),
      rounds.map((round) => round[yardstick]),
    );
  return (['endToEnd', 'sql'] as const).map((variant) => ({
    variant,
    ofSql: variant === 'sql' ? undefined : of(variant, 'sql'),
    ofCopyBatches: of(variant, 'copyBatches'),
    ofCopyOnce: of(variant, 'copyOnce'),
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
  latency: Latency,
): void {
  heading(
    `Events per second as a multiple of what Postgres alone can do: median of ${rounds.length} rounds (lowest – highest)`,
  );
  printRatios(
    ['of SQL alone', 'of COPY', 'of COPY in one go'],
    ratios.map(({ variant, ofSql, ofCopyBatches, ofCopyOnce }) => [names[variant], ofSql, ofCopyBatches, ofCopyOnce]),
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
  const { p50Ms, p99Ms, p999Ms } = latency;
  heading(`From publishing to a row that can be read, at ${eventsPerSecond.toLocaleString('en')} events/s`);
  table(['p50 ms', 'p99 ms', 'p99.9 ms'], [[p50Ms, p99Ms, p999Ms].map(figure)]);
}
