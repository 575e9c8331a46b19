import { batchesInFlight, batchSize, durablesOf } from '../consumers/durables.ts';
import { createEventStore, type StoredEvent } from '../features/event-store.ts';
import { reset, settled, sources, untilSettled } from './consume-streams.ts';
import { copyRows, encodeRows } from './copy-rows.ts';
import { decoded, type Message, publish, randomMessage } from './events.ts';
import { rounded } from './figures.ts';
import { cpuMicrosPer, cpuOf } from './processes.ts';
import type { Stack } from './stack.ts';

const publishesInFlight = 1_000;
/** How far back the backlog reaches. It lies in the stream in the order in which it happened. */
const backlogMs = 24 * 3_600_000;
/** A consumers process works for weeks: of what it drains, this first share is not counted. */
const warmUpShare = 0.25;
const ackWaitMs = 30_000;
const expiresMs = 5_000;

/** Events that are stored together. */
interface Batch {
  readonly events: readonly StoredEvent[];
  /** The same as COPY reads them. */
  readonly rows: Buffer;
}

/** The batches of one stream. The consumers work on the streams side by side, so all variants do. */
interface Lane {
  readonly stream: string;
  readonly batches: readonly Batch[];
}

export const variants = ['endToEnd', 'sql', 'stream', 'copyBatches', 'copyOnce'] as const;
export type Variant = (typeof variants)[number];

/** Events per second, and the CPU time of the processes end to end, in microseconds for each event. */
export type Round = Readonly<Record<Variant, number>> & {
  readonly cpuMicros: Readonly<Record<string, number | undefined>>;
};

/** Publishes a backlog, which every round then works through anew. */
export async function prepareRounds(stack: Stack, events: number): Promise<() => Promise<Round>> {
  const lanes = toLanes(await publishBacklog(stack, events));
  await stack.database.query('CREATE TABLE copied (LIKE events INCLUDING DEFAULTS)');
  await stack.database.query('ALTER TABLE copied ADD PRIMARY KEY (user_id, event_id, stored_on)');
  return () => runRound(stack, lanes, events);
}

async function runRound(stack: Stack, lanes: readonly Lane[], events: number): Promise<Round> {
  const { database } = stack;
  const timed = async (work: () => Promise<void>): Promise<number> => {
    await reset(stack);
    const startedAt = performance.now();
    await work();
    return rounded(events / ((performance.now() - startedAt) / 1000));
  };
  const store = createEventStore(database);
  const all = lanes.flatMap(({ batches }) => batches.map(({ rows }) => rows));
  await reset(stack);
  const { perSecond: endToEnd, cpuMicros } = await drain(stack, events);
  return {
    endToEnd,
    sql: await timed(() => eachBatch(lanes, (batch) => store.store(batch.events))),
    stream: await timed(() => fetchAlone(stack, lanes)),
    copyBatches: await timed(() => eachBatch(lanes, ({ rows }) => copyRows(database, 'copied', [rows]))),
    copyOnce: await timed(() => copyRows(database, 'copied', all)),
    cpuMicros,
  };
}

/** As many batches of each lane at once as the consumers take. */
async function eachBatch(lanes: readonly Lane[], work: (batch: Batch) => Promise<unknown>): Promise<void> {
  const workers = lanes.flatMap(({ batches }) => {
    const waiting = batches.values(); // shared: each batch is taken once
    return Array.from({ length: batchesInFlight }, async () => {
      for (const batch of waiting) await work(batch);
    });
  });
  await Promise.all(workers);
}

/** What no consumer of the streams can do without. */
async function fetchAlone({ bus, signal }: Stack, lanes: readonly Lane[]): Promise<void> {
  const drains = durablesOf(ackWaitMs).map(async (durable) => {
    const batches = lanes.find(({ stream }) => stream === durable.stream)?.batches ?? [];
    let left = batches.reduce((sum, { events }) => sum + events.length, 0);
    if (left > 0) await bus.ensureDurable(durable);
    while (left > 0)
      await bus.fetch(durable, { max: Math.min(batchSize, left), expiresMs, signal }, (delivery) => {
        delivery.ack();
        left--;
      });
  });
  await Promise.all(drains);
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
  return sources.map(({ name: stream }) => {
    const events = messages.filter((message) => message.stream === stream).map(decoded);
    const batches = Array.from({ length: Math.ceil(events.length / batchSize) }, (_, i): Batch => {
      const batch = events.slice(i * batchSize, (i + 1) * batchSize);
      return { events: batch, rows: encodeRows(batch) };
    });
    return { stream, batches };
  });
}

/** Lets a consumers process drain the streams. Counted are the batches that began after its first share of the events. */
async function drain(stack: Stack, events: number) {
  const { database, pids } = stack;
  const consumers = stack.start('consumers/main.ts');
  const processes = { consumers: consumers.pid, ...pids };
  await untilSettled(stack, events * warmUpShare);
  const [before, settledBefore] = [cpuOf(processes), await settled(stack)];
  await untilSettled(stack, events);
  const after = cpuOf(processes);
  await consumers.stop();

  const { rows } = await database.query<{ stored: number; later: number; seconds: number }>(
    `WITH span AS (
      SELECT percentile_disc($1::float8) WITHIN GROUP (ORDER BY received_at) AS first, max(received_at) AS last FROM events
    )
    SELECT count(*)::int AS stored, (count(*) FILTER (WHERE received_at > first))::int AS later,
      extract(epoch FROM max(last) - min(first))::float8 AS seconds
    FROM events, span`,
    [warmUpShare],
  );
  const [{ stored, later, seconds } = { stored: 0, later: 0, seconds: 0 }] = rows;
  if (stored !== events) throw new Error(`${events} events were published, but ${stored} are stored`);
  return { perSecond: rounded(later / seconds), cpuMicros: cpuMicrosPer(events - settledBefore, before, after) };
}
