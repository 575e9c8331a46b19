import type { DeadLetterStore } from '../features/dead-letter-store.ts';
import type { EventStore, StoredEvent } from '../features/event-store.ts';
import { type Bus, BusError, type Delivery, type Durable } from '../platform/bus.ts';
import { type DeadLetter, putAside, unpublished } from './dead-letters.ts';
import type { Decode } from './decode.ts';
import { storeRows, type WaitDeps, waitOut } from './store-rows.ts';

export interface StoreBatchDeps extends WaitDeps {
  readonly bus: Bus;
  readonly eventStore: EventStore;
  readonly deadLetterStore: Pick<DeadLetterStore, 'store'>;
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
  const isBusError = (kind: BusError['kind']) => (error: unknown) => error instanceof BusError && error.kind === kind;
  try {
    await waitOut(deps, 'bus', () => putAside(deps.bus, durable, letter), isBusError('unavailable'));
  } catch (error) {
    if (!isBusError('refused')(error)) throw error;
    await storeAlone(deps, durable, letter);
  }
  const { reason, delivery } = letter;
  deps.log.warn(
    { durable: durable.name, subject: delivery.subject, sequence: delivery.sequence, reason },
    'dead letter',
  );
}

/**
 * A letter that the bus refuses, such as one that is too large for it with the headers that tell why, is in the table
 * alone. What that refuses too stays where it came from: others wait behind it.
 */
async function storeAlone(deps: StoreBatchDeps, durable: Durable, letter: DeadLetter): Promise<void> {
  const { delivery } = letter;
  const refused = await storeRows(deps, [unpublished(durable.stream, letter)], async (letters) => {
    await deps.deadLetterStore.store(letters);
  });
  for (const { error } of refused) {
    const message = { durable: durable.name, sequence: delivery.sequence, error: String(error) };
    deps.log.error(message, 'a dead letter is in the stream of its event alone');
  }
  delivery.terminate();
}
