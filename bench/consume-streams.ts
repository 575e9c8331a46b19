import { setTimeout as sleep } from 'node:timers/promises';
import { streams } from '../platform/streams.ts';
import type { Stack } from './stack.ts';

/** Where the events lie. */
export const sources = [streams.signals, streams.feedback];

const pollMs = 20;

/** Nothing stored, nothing read from the streams, and nothing left to write that would burden what comes next. */
export async function reset({ database, nats }: Stack): Promise<void> {
  for (const { name: stream } of sources) {
    for (const { name } of await nats.consumers.list(stream).next()) await nats.consumers.delete(stream, name);
  }
  await database.query('TRUNCATE event_ids, events, user_daily, user_hourly, tip_outcomes, tip_feedback, copied');
  await database.query('CHECKPOINT');
}

/** How many messages there are. */
export async function published({ nats }: Stack): Promise<number> {
  const infos = await Promise.all(sources.map(({ name }) => nats.streams.info(name)));
  return infos.reduce((sum, { state }) => sum + state.messages, 0);
}

export async function untilSettled(stack: Stack, events: number): Promise<void> {
  while ((await settled(stack)) < events) await sleep(pollMs);
}

/** How many messages the consumers are done with. */
export async function settled({ nats }: Stack): Promise<number> {
  const each = sources.map(async ({ name }) => {
    const [durable] = await nats.consumers.list(name).next();
    if (durable === undefined) return 0; // the process makes it when it starts
    const { state } = await nats.streams.info(name);
    return state.messages - durable.num_pending - durable.num_ack_pending;
  });
  return (await Promise.all(each)).reduce((sum, messages) => sum + messages, 0);
}
