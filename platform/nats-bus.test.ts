import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'nats';
import { describe, expect, it } from 'vitest';
import { startTestNats } from '../tests/_util/servers.ts';
import { type Bus, BusError, type Delivery } from './bus.ts';
import { openBus } from './nats-bus.ts';

const stream = { name: 'letters', subjects: ['letters.>'], maxAgeMs: 3_600_000, maxMessageBytes: 1_000 };
const durable = { stream: stream.name, name: 'reader', ackWaitMs: 30_000, maxAckPending: 100 };

/** A bus with a stream and a durable, on a NATS of its own. */
async function startBus() {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await startTestNats());
  const bus: Bus = await openBus({ url: nats.url, name: 'test' });
  stack.defer(() => bus.close());
  await bus.ensureStreams([stream]);
  await bus.ensureDurable(durable);
  let messages = 0;
  return {
    nats,
    bus,
    publish: () => bus.publish('letters.a', new Uint8Array([1]), { id: `m${messages++}`, timeoutMs: 5_000 }),
    async removeDurable() {
      const connection = await connect({ servers: nats.url });
      await (await connection.jetstreamManager()).consumers.delete(durable.stream, durable.name);
      await connection.close();
    },
    /** What a fetch ends with, and what it gave. */
    async fetch({ max = 10, expiresMs = 1_000, signal = new AbortController().signal } = {}) {
      const from = performance.now();
      const given: Delivery[] = [];
      const ended = await bus
        .fetch(durable, { max, expiresMs, signal }, (delivery) => given.push(delivery))
        .then(
          () => 'well',
          (error: unknown) => (error instanceof BusError ? error.kind : String(error)),
        );
      return { ended, given, tookMs: performance.now() - from };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe.concurrent('a fetch', { timeout: 60_000 }, () => {
  it('gives what is there and what comes, each message once, in their order', async () => {
    await using one = await startBus();
    await one.publish();
    const fetching = one.fetch({ max: 3, expiresMs: 20_000 });
    await sleep(200);
    await one.publish();
    await one.publish();
    const { ended, given, tookMs } = await fetching;
    expect([ended, ...given.map(({ sequence }) => sequence)]).toEqual(['well', 1, 2, 3]);
    expect(tookMs).toBeLessThan(10_000); // full, so it waits no longer
    expect(await one.fetch()).toMatchObject({ ended: 'well', given: [] });
  });

  it('ends as soon as it is told to, or does not begin', async () => {
    await using one = await startBus();
    const stop = new AbortController();
    const fetching = one.fetch({ expiresMs: 20_000, signal: stop.signal });
    await sleep(300);
    stop.abort();
    expect(await fetching).toMatchObject({ ended: 'well', given: [] });
    const late = await one.fetch({ expiresMs: 20_000, signal: stop.signal });
    expect((await fetching).tookMs).toBeLessThan(10_000);
    expect(late.tookMs).toBeLessThan(10_000);
  });

  it('of a durable that is deleted under it, or between two of it, says so', async () => {
    await using one = await startBus();
    await one.publish();
    expect(await one.fetch({ max: 1 })).toMatchObject({ ended: 'well' });
    const fetching = one.fetch({ expiresMs: 20_000 });
    await sleep(300);
    await one.removeDurable();
    expect(await fetching).toMatchObject({ ended: 'unavailable' });
    expect(await one.fetch()).toMatchObject({ ended: 'refused' });

    await one.bus.ensureDurable(durable);
    expect(await one.fetch({ max: 1 })).toMatchObject({ ended: 'well', given: [{ sequence: 1 }] });
    await one.removeDurable();
    expect(await one.fetch()).toMatchObject({ ended: 'unavailable' });
    expect(await one.fetch()).toMatchObject({ ended: 'refused' });
  });

  it('of a server that answers nothing is no fetch without messages', async () => {
    await using one = await startBus();
    await one.publish();
    expect(await one.fetch({ max: 1 })).toMatchObject({ ended: 'well' });
    one.nats.pause();
    await one.fetch();
    expect(await one.fetch()).toMatchObject({ ended: 'unavailable' });
    one.nats.resume();
    await one.publish();
    expect(await one.fetch({ max: 1 })).toMatchObject({ ended: 'well', given: [{ sequence: 2 }] });
  });
});

describe.concurrent('a publish', { timeout: 60_000 }, () => {
  const send = { id: 'm', timeoutMs: 1_000 };

  it('to no stream fails, and says that no stream listens', async () => {
    await using one = await startBus();
    await expect(one.bus.publish('nobody.listens', new Uint8Array(), send)).rejects.toMatchObject({
      kind: 'unavailable',
      message: 'no stream listens on the subject',
    });
  });

  it('of more than its stream takes is refused, with what the stream said, and stores nothing', async () => {
    await using one = await startBus();
    await expect(one.bus.publish('letters.a', new Uint8Array(1_001), send)).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/message size exceeds/),
    });
    expect(await one.bus.inspect(stream.name)).toMatchObject({ messages: 0 });
  });

  it('under an id that the stream has stores nothing, and tells where the first is', async () => {
    await using one = await startBus();
    expect(await one.bus.publish('letters.a', new Uint8Array([1]), send)).toEqual({ sequence: 1, duplicate: false });
    expect(await one.bus.publish('letters.b', new Uint8Array([2]), send)).toEqual({ sequence: 1, duplicate: true });
    expect(await one.bus.inspect(stream.name)).toMatchObject({ messages: 1 });
  });
});
