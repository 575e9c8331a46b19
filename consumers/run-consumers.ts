import type { DeadLetterStore } from '../features/dead-letter-store.ts';
import type { EventStore } from '../features/event-store.ts';
import type { Bus, Durable } from '../platform/bus.ts';
import type { Log } from '../platform/log.ts';
import { streams } from '../platform/streams.ts';
import { type Decode, decode } from './decode.ts';
import { batchesInFlight, batchSize, lettersBatchSize, lingerMs } from './durables.ts';
import { pump } from './pump.ts';
import { storeBatch } from './store-batch.ts';
import { storeLetters } from './store-letters.ts';

export interface ConsumersDeps {
  readonly bus: Bus;
  readonly eventStore: EventStore;
  readonly deadLetterStore: Pick<DeadLetterStore, 'store'>;
  readonly log: Log;
  /** Stops after what is in flight is stored. */
  readonly signal: AbortSignal;
  readonly durables: readonly Durable[];
  /** Default: by the versions of the contract. */
  readonly decode?: Decode;
}

/**
 * Moves every event, and every dead letter, into the tables until `signal`. Rejects on what no waiting can mend; the
 * process should end then.
 */
export async function runConsumers(options: ConsumersDeps): Promise<void> {
  const { bus, log, signal, durables } = options;
  await bus.ensureStreams(Object.values(streams));
  for (const durable of durables) await bus.ensureDurable(durable);
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const deps = { decode, ...options, signal: stop, random: Math.random };
  const pumps = durables.map(async (durable) => {
    const areLetters = durable.stream === streams.deadletters.name;
    try {
      await pump({
        bus,
        durable,
        batchSize: areLetters ? lettersBatchSize : batchSize,
        batchesInFlight,
        lingerMs,
        log,
        signal: stop,
        handle: (batch, makeRoom) =>
          areLetters ? storeLetters(deps, batch) : storeBatch(deps, durable, batch, makeRoom),
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
