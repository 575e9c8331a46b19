import type { EventStore } from '../features/event-store.ts';
import type { Bus, Durable } from '../platform/bus.ts';
import type { Log } from '../platform/log.ts';
import { streams } from '../platform/streams.ts';
import { batchesInFlight, batchSize, lingerMs } from './durables.ts';
import { pump } from './pump.ts';
import { storeBatch } from './store-batch.ts';

export interface ConsumersDeps {
  readonly bus: Bus;
  readonly eventStore: EventStore;
  readonly log: Log;
  /** Stops after what is in flight is stored. */
  readonly signal: AbortSignal;
  readonly durables: readonly Durable[];
}

/** Moves every event into the tables until `signal`. Rejects on what no waiting can mend; the process should end then. */
export async function runConsumers({ bus, eventStore, log, signal, durables }: ConsumersDeps): Promise<void> {
  await bus.ensureStreams(Object.values(streams));
  for (const durable of durables) await bus.ensureDurable(durable);
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const deps = { bus, eventStore, log, signal: stop, random: Math.random };
  const pumps = durables.map(async (durable) => {
    try {
      await pump({
        bus,
        durable,
        batchSize,
        batchesInFlight,
        lingerMs,
        log,
        signal: stop,
        handle: (batch) => storeBatch(deps, durable, batch),
      });
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  log.info({ durables: durables.map(({ name }) => name) }, 'reading events');
  const results = await Promise.allSettled(pumps);
  const rejected = results.find((result) => result.status === 'rejected');
  if (rejected && !signal.aborted) throw rejected.reason;
}
