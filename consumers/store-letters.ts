import type { DeadLetterStore, SeenLetter } from '../features/dead-letter-store.ts';
import { type Bus, BusError, type Delivery } from '../platform/bus.ts';
import { streams } from '../platform/streams.ts';
import { readLetter } from './dead-letters.ts';
import { storeRows, type WaitDeps, waitOut } from './store-rows.ts';

export interface StoreLettersDeps extends WaitDeps {
  readonly bus: Pick<Bus, 'remove'>;
  readonly deadLetterStore: Pick<DeadLetterStore, 'store'>;
}

interface Item {
  readonly delivery: Delivery;
  readonly letter: SeenLetter;
}

/**
 * Adds a batch of dead letters to their table and acknowledges it after the commit. What the table cannot take stays in
 * the stream alone, with a line in the log: nothing may hold up the letters behind it. An outage of the database is
 * waited out with the batch in hand. Rejects only on what no waiting can mend.
 */
export async function storeLetters(deps: StoreLettersDeps, batch: readonly Delivery[]): Promise<void> {
  const items: Item[] = [];
  const left: { readonly delivery: Delivery; readonly error: string }[] = [];
  for (const delivery of batch) {
    const letter = readLetter(delivery);
    if (letter) items.push({ delivery, letter });
    else left.push({ delivery, error: 'its headers are not those of a dead letter' });
  }
  const refused = await storeRows(deps, items, async (some) => {
    const erased = await deps.deadLetterStore.store(some.map(({ letter }) => letter));
    if (erased.length > 0) deps.log.warn({ letters: erased.length }, 'refused dead letters of erased people');
    for (const sequence of erased) await removeLetter(deps, sequence);
    for (const { delivery } of some) delivery.ack();
  });
  for (const { item, error } of refused) left.push({ delivery: item.delivery, error: String(error) });
  for (const { delivery, error } of left) {
    deps.log.error({ sequence: delivery.sequence, error }, 'a dead letter is in its stream alone');
    delivery.ack();
  }
}

/** What the table must not hold, the stream must not either. */
function removeLetter(deps: StoreLettersDeps, sequence: number): Promise<void> {
  return waitOut(
    deps,
    'bus',
    () => deps.bus.remove(streams.deadletters.name, sequence),
    (error) => error instanceof BusError,
  );
}
