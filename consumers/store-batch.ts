import type { EventStore, StoredEvent } from '../features/event-store.ts';
import { type Bus, BusError, type Delivery, type Durable } from '../platform/bus.ts';
import { classifyFailure } from '../platform/database.ts';
import type { Log } from '../platform/log.ts';
import { retry } from '../platform/retry.ts';
import { type DeadLetter, putAside } from './dead-letters.ts';
import { decode } from './decode.ts';

export interface StoreBatchDeps {
  readonly bus: Bus;
  readonly eventStore: EventStore;
  readonly log: Log;
  /** Gives up waiting for an outage to end. The messages come again. */
  readonly signal: AbortSignal;
  readonly random: () => number;
}

interface Item {
  readonly delivery: Delivery;
  readonly event: StoredEvent;
}

/**
 * Stores a batch and acknowledges it after the commit. What can never be stored is put aside, message by message; an
 * outage of the database or the bus is waited out with the batch in hand. Rejects only on what no waiting can mend.
 */
export async function storeBatch(deps: StoreBatchDeps, durable: Durable, batch: readonly Delivery[]): Promise<void> {
  const items: Item[] = [];
  const letters: DeadLetter[] = [];
  for (const delivery of batch) {
    const decoded = decode(delivery);
    if (decoded.kind === 'event') items.push({ delivery, event: decoded.event });
    else letters.push({ delivery, reason: decoded.reason, error: decoded.error });
  }
  await storeItems(deps, items, letters);
  for (const letter of letters) await bury(deps, durable, letter);
  deps.log.debug({ durable: durable.name, messages: batch.length, deadLetters: letters.length }, 'stored a batch');
}

/** Stores all items; halves the batch until the rows that the database refuses stand alone and go to `letters`. */
async function storeItems(deps: StoreBatchDeps, items: readonly Item[], letters: DeadLetter[]): Promise<void> {
  if (items.length === 0) return;
  try {
    await waitOut(deps, 'database', () => deps.eventStore.store(items.map(({ event }) => event)), isDatabaseOutage);
    for (const { delivery } of items) delivery.ack();
  } catch (error) {
    if (classifyFailure(error) !== 'row_refused') throw error;
    const [only] = items;
    if (items.length === 1 && only) {
      letters.push({ delivery: only.delivery, reason: 'row_refused', error: String(error) });
      return;
    }
    const middle = items.length / 2;
    await storeItems(deps, items.slice(0, middle), letters);
    await storeItems(deps, items.slice(middle), letters);
  }
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

const isDatabaseOutage = (error: unknown): boolean => classifyFailure(error) === 'outage';

function waitOut<Result>(
  { signal, random, log }: StoreBatchDeps,
  what: string,
  work: () => Promise<Result>,
  shouldRetry: (error: unknown) => boolean,
): Promise<Result> {
  const onRetry = (error: unknown, attempt: number) =>
    log.warn({ what, attempt, error: String(error) }, 'waiting for it to come back');
  return retry(work, { firstMs: 100, maxMs: 5_000, signal, random, shouldRetry, onRetry });
}
