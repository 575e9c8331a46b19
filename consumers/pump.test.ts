import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Bus, BusError, type Delivery } from '../platform/bus.ts';
import { createLog } from '../platform/log.ts';
import { type PumpOptions, pump } from './pump.ts';

const durable = { stream: 's', name: 'd', ackWaitMs: 60, maxAckPending: 100 };

/** A message, and how often it was said to be worked at. */
interface Message extends Delivery {
  heartbeats: number;
}

function message(sequence: number): Message {
  return {
    subject: 's.x',
    data: new Uint8Array(),
    headers: {},
    sequence,
    takenAtMs: 0,
    deliveries: 1,
    heartbeats: 0,
    ack() {},
    working() {
      this.heartbeats++;
    },
    terminate() {},
  };
}

/** Gives these messages to the first fetch; later fetches wait until they are stopped. */
function busOf(...messages: readonly Delivery[]): Pick<Bus, 'fetch'> {
  let rest = messages;
  return {
    async fetch(_durable, { signal }, take) {
      const now = rest;
      rest = [];
      for (const message of now) take(message);
      if (now.length === 0 && !signal.aborted) await once(signal, 'abort');
    },
  };
}

const failing = (error: Error): Pick<Bus, 'fetch'> => ({
  fetch: async () => {
    throw error;
  },
});

function run(options: Pick<PumpOptions, 'bus'> & Partial<PumpOptions>) {
  const stop = new AbortController();
  const done = pump({
    durable,
    batchSize: 1,
    batchesInFlight: 2,
    lingerMs: 1,
    handle: async () => {},
    log: createLog({ name: 'test', level: 'silent', pretty: false }),
    signal: stop.signal,
    ...options,
  });
  done.catch(() => {});
  return { done, stop: () => stop.abort() };
}

describe('the pump', () => {
  it('gives up once fetching has failed for too long', async () => {
    const { done } = run({ bus: failing(new BusError('unavailable', 'away')), giveUpAfterMs: 300 });
    await expect(done).rejects.toThrow('away');
  });

  it('gives up at once when the durable is gone', async () => {
    const { done } = run({ bus: failing(new BusError('refused', 'no such durable')) });
    await expect(done).rejects.toThrow('no such durable');
  });

  it('counts only failures in a row: long work in between is none', async () => {
    let fetches = 0;
    const bus: Pick<Bus, 'fetch'> = {
      async fetch(_durable, _options, take) {
        if (++fetches % 2 === 0) throw new BusError('unavailable', 'a moment');
        for (const sequence of fetches === 1 ? [1, 2, 3] : [fetches]) take(message(sequence)); // 3 waits for room
      },
    };
    const { done, stop } = run({ bus, giveUpAfterMs: 100, handle: () => sleep(300) });
    await sleep(1_500);
    stop();
    await expect(done).resolves.toBeUndefined();
    expect(fetches).toBeGreaterThan(3);
  });

  it('ends when handling fails', async () => {
    const handle = async () => {
      throw new Error('pointless');
    };
    await expect(run({ bus: busOf(message(1)), handle }).done).rejects.toThrow('pointless');
  });

  it.each([
    { what: 'a full one is handled at once', count: 6, lingerMs: 60_000, early: [3, 3], late: [3, 3] },
    { what: 'one that is not full lingers', count: 2, lingerMs: 50, early: [], late: [2] },
    { what: 'one that lingers is handled when the pump is stopped', count: 2, lingerMs: 60_000, early: [], late: [2] },
  ])('makes batches: $what', async ({ count, lingerMs, early, late }) => {
    const sizes: number[] = [];
    const handle = async (batch: readonly Delivery[]) => {
      sizes.push(batch.length);
    };
    const bus: Pick<Bus, 'fetch'> = {
      async fetch(_durable, { signal }, take) {
        for (let i = 0; i < count; i++) take(message(i));
        await once(signal, 'abort');
      },
    };
    const { done, stop } = run({ bus, batchSize: 3, lingerMs, handle });
    await sleep(10);
    expect(sizes).toEqual(early);
    if (lingerMs < 1_000) {
      await sleep(lingerMs * 2);
      expect(sizes).toEqual(late);
    }
    stop();
    await done;
    expect(sizes).toEqual(late);
  });

  it('fetches nothing while something waits for room, and says it is done only once all is settled', async () => {
    let fetches = 0;
    let isSettled = false;
    const finish = Promise.withResolvers<void>();
    const messages = busOf(...[1, 2].map(message));
    const { done, stop } = run({
      bus: {
        fetch: (...args) => {
          fetches++;
          return messages.fetch(...args);
        },
      },
      batchesInFlight: 1,
      handle: async () => {
        await finish.promise;
        await sleep(20);
        isSettled = true;
      },
    });
    await sleep(50);
    expect(fetches).toBe(1);
    stop();
    finish.resolve();
    await done;
    expect(isSettled).toBe(true);
  });

  it('does not ask without a pause a bus that fails', async () => {
    let fetches = 0;
    const fetch = async () => {
      fetches++;
      throw new BusError('unavailable', 'away');
    };
    const { done, stop } = run({ bus: { fetch } });
    await sleep(300);
    stop();
    await expect(done).resolves.toBeUndefined(); // in the midst of a pause
    expect(fetches).toBe(1);
  });

  it('handles a bounded number of batches at once, and one more where a batch has made room', async () => {
    const begun: number[] = [];
    const finish = Promise.withResolvers<void>();
    const rooms: (() => void)[] = [];
    const { done, stop } = run({
      bus: busOf(...[1, 2, 3, 4, 5].map(message)),
      handle: async ([first], makeRoom) => {
        begun.push(first?.sequence ?? 0);
        rooms.push(makeRoom);
        await finish.promise;
      },
    });
    await sleep(50);
    expect(begun).toEqual([1, 2]);
    rooms[0]?.();
    rooms[0]?.();
    await sleep(10);
    expect(begun).toEqual([1, 2, 3]);
    stop();
    finish.resolve();
    await done;
    expect(begun).toEqual([1, 2, 3, 4, 5]);
  });

  it('keeps what it holds from being delivered again, also while it waits for its turn, and no longer', async () => {
    const messages = [message(1), message(2), message(3)];
    const finish = Promise.withResolvers<void>();
    const { done, stop } = run({
      bus: busOf(...messages),
      handle: async ([first], makeRoom) => {
        if (first?.sequence === 1) return;
        makeRoom();
        await finish.promise;
      },
    });
    await sleep(200);
    const [first, ...held] = messages.map(({ heartbeats }) => heartbeats);
    expect(first).toBe(0);
    for (const heartbeats of held) expect(heartbeats).toBeGreaterThan(3);
    stop();
    await sleep(100);
    for (const { heartbeats } of messages.slice(1)) expect(heartbeats).toBeGreaterThan(held[0] ?? 0); // it still works at them
    finish.resolve();
    await done;
    const atEnd = messages.map(({ heartbeats }) => heartbeats);
    await sleep(100);
    expect(messages.map(({ heartbeats }) => heartbeats)).toEqual(atEnd);
  });
});
