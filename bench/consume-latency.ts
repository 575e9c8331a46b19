import { setTimeout as sleep } from 'node:timers/promises';
import { published, reset, untilSettled } from './consume-streams.ts';
import { type Message, publish, randomMessage } from './events.ts';
import { type Latency, latencyOf } from './figures.ts';
import type { Stack } from './stack.ts';

export const eventsPerSecond = 5_000;
/** Events of this first while are published and not measured. */
const runInMs = 1_000;

/** The legs of an event's way, and the whole of it. */
export const legs = ['whole', 'publishing', 'consuming'] as const;
type Leg = (typeof legs)[number];
export type Latencies = Readonly<Record<Leg, Latency>>;

export const legNames: Readonly<Record<Leg, string>> = {
  whole: 'from when it is due until its row can be read',
  publishing: 'of that, until its publisher hears that the stream has it',
  consuming: 'of that, from then on',
};

/**
 * How long events take that are due, cut to the millisecond, at an even pace. What the streams hold is drained first, so that
 * neither the process is cold nor the tables are empty.
 */
export async function measureLatency(stack: Stack, measureMs: number): Promise<Latencies> {
  const { database, bus } = stack;
  await reset(stack);
  const consumers = stack.start('consumers/main.ts');
  await untilSettled(stack, await published(stack));

  const startedAt = Date.now();
  const sending: Promise<void>[] = [];
  const heardAt = new Map<string, number>();
  const failed = new AbortController();
  const send = async (message: Message) => {
    await publish(bus, message);
    heardAt.set(message.id, Date.now());
  };
  const intervalMs = 1000 / eventsPerSecond;
  for (let dueAt = startedAt; dueAt < startedAt + runInMs + measureMs; await sleep(1)) {
    for (const now = Date.now(); dueAt <= now; dueAt += intervalMs)
      sending.push(send(randomMessage(Math.floor(dueAt))).catch((error: unknown) => failed.abort(error)));
  }
  await Promise.all(sending);
  failed.signal.throwIfAborted();
  await untilSettled(stack, await published(stack));
  await consumers.stop();

  const { rows } = await database.query<{ id: string; dueAt: number; readableAt: number }>(
    `SELECT event_id AS id, extract(epoch FROM occurred_at)::float8 * 1000 AS "dueAt",
      extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 * 1000 AS "readableAt"
    FROM events WHERE occurred_at >= to_timestamp($1 / 1000.0)`,
    [startedAt + runInMs],
  );
  const events = rows.map((row) => ({ ...row, heardAt: heardAt.get(row.id) ?? Number.NaN }));
  return {
    whole: latencyOf(events.map(({ dueAt, readableAt }) => readableAt - dueAt)),
    publishing: latencyOf(events.map(({ dueAt, heardAt }) => heardAt - dueAt)),
    consuming: latencyOf(events.map(({ heardAt, readableAt }) => readableAt - heardAt)),
  };
}
