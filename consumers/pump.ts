import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, BusError, type Delivery, type Durable } from '../platform/bus.ts';
import type { Log } from '../platform/log.ts';

export interface PumpOptions {
  readonly bus: Pick<Bus, 'fetch'>;
  readonly durable: Durable;
  readonly batchSize: number;
  readonly batchesInFlight: number;
  readonly lingerMs: number;
  /**
   * Settles every message of a batch. Rejecting means that going on is pointless. Where the rest of its work may take
   * for ever, it calls `makeRoom`: the next batch then need not wait for this one.
   */
  readonly handle: (batch: readonly Delivery[], makeRoom: () => void) => Promise<void>;
  readonly log: Log;
  /** Stops fetching; what is in flight is finished first. */
  readonly signal: AbortSignal;
  /** After this long of fetches that fail the process gives up, loudly, rather than idle for ever. Default: 2 minutes. */
  readonly giveUpAfterMs?: number;
}

const expiresMs = 5_000;
const pauseAfterFailureMs = 500;

/**
 * Moves messages from a durable to `handle`: batches that are full or have lingered long enough, a bounded number at
 * once. At most `batchSize` messages wait beyond those. Messages that are held are kept from being delivered again.
 * Returns after `signal` once all is settled; rejects when `handle` does, when the durable is gone, and when the bus
 * stays away.
 */
export async function pump({
  bus,
  durable,
  batchSize,
  batchesInFlight,
  lingerMs,
  handle,
  log,
  signal,
  giveUpAfterMs = 120_000,
}: PumpOptions): Promise<void> {
  const waiting: Delivery[] = [];
  const held = new Set<Delivery>();
  let open = 0;
  let inFlight = 0;
  let linger: NodeJS.Timeout | undefined;
  let changed = Promise.withResolvers<void>();
  const failure = new AbortController();
  const ends = AbortSignal.any([signal, failure.signal]);

  function dispatch() {
    clearTimeout(linger);
    linger = undefined;
    while (waiting.length > 0 && inFlight < batchesInFlight && !failure.signal.aborted) {
      const batch = waiting.splice(0, batchSize);
      const makeRoom = countIn();
      handle(batch, makeRoom)
        .catch((error: unknown) => failure.abort(error))
        .finally(() => {
          for (const delivery of batch) held.delete(delivery);
          open--;
          makeRoom();
        });
    }
  }

  /** Counts a batch as open and in flight; what it returns ends its flight, once. */
  function countIn(): () => void {
    let isFlying = true;
    open++;
    inFlight++;
    return () => {
      if (isFlying) inFlight--;
      isFlying = false;
      dispatch();
      changed.resolve();
      changed = Promise.withResolvers();
    };
  }

  function add(delivery: Delivery) {
    held.add(delivery);
    waiting.push(delivery);
    if (waiting.length >= batchSize) dispatch();
    else linger ??= setTimeout(dispatch, lingerMs);
  }

  const heartbeat = setInterval(() => {
    for (const delivery of held) delivery.working();
  }, durable.ackWaitMs / 3);

  try {
    let failingSince: number | undefined;
    while (!ends.aborted) {
      if (waiting.length > 0) {
        await changed.promise;
        continue;
      }
      try {
        await bus.fetch(durable, { max: batchSize, expiresMs, signal: ends }, add);
        failingSince = undefined;
      } catch (error) {
        failingSince ??= performance.now();
        const isGone = error instanceof BusError && error.kind === 'refused';
        if (isGone || performance.now() - failingSince > giveUpAfterMs) throw error;
        log.warn({ durable: durable.name, error: String(error) }, 'cannot fetch, trying again');
        await sleep(pauseAfterFailureMs, undefined, { signal }).catch(() => {});
      }
    }
    dispatch();
    while (open > 0 && !failure.signal.aborted) await changed.promise;
    failure.signal.throwIfAborted();
  } finally {
    clearTimeout(linger);
    clearInterval(heartbeat);
  }
}
