import type { EventStore, StoredEvent } from '../features/event-store.ts';
import { type Bus, BusError, type Delivery, type Durable } from '../platform/bus.ts';
import { type DeadLetter, putAside } from './dead-letters.ts';
import type { Decode } from './decode.ts';
import { storeRows, type WaitDeps, waitOut } from './store-rows.ts';

export interface StoreBatchDeps extends WaitDeps {
  readonly bus: Bus;
  readonly eventStore: EventStore;
  readonly decode: Decode;
}

interface Item {
  readonly delivery: Delivery;
  readonly event: StoredEvent;
}

/**
 * Stores a batch and acknowledges it after the commit, then says so. What can never be stored is put aside, message by
 * message; an outage of the database or the bus is waited out with the batch in hand. Rejects only on what no waiting
 * can mend.
 */
export async function storeBatch(
  deps: StoreBatchDeps,
  durable: Durable,
  batch: readonly Delivery[],
  onStored: () => void,
): Promise<void> {
  const items: Item[] = [];
  const letters: DeadLetter[] = [];
  for (const delivery of batch) {
    const decoded = deps.decode(delivery);
    if (decoded.kind === 'event') items.push({ delivery, event: decoded.event });
    else letters.push({ delivery, reason: decoded.reason, error: decoded.error });
  }
  const refused = await storeRows(deps, items, async (some) => {
    const { refused } = await deps.eventStore.store(some.map(({ event }) => event));
    if (refused > 0) deps.log.warn({ durable: durable.name, events: refused }, 'refused events of erased people');
    for (const { delivery } of some) delivery.ack();
  });
  for (const { item, error } of refused)
    letters.push({ delivery: item.delivery, reason: 'row_refused', error: String(error) });
  onStored(); // a dead letter that finds no room must not keep good events waiting
  for (const letter of letters) await bury(deps, durable, letter);
  deps.log.debug({ durable: durable.name, messages: batch.length, deadLetters: letters.length }, 'stored a batch');
}

async function bury(deps: StoreBatchDeps, durable: Durable, letter: DeadLetter): Promise<void> {
  await waitOut(
    deps,
    'bus',
    () => putAside(deps.bus, durable, letter),
    (error) => error instanceof BusError,
  );
  const { reason, delivery } = letter;
  deps.log.warn(
    { durable: durable.name, subject: delivery.subject, sequence: delivery.sequence, reason },
    'dead letter',
  );
}
