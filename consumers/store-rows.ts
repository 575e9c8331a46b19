import { classifyFailure } from '../platform/database.ts';
import type { Log } from '../platform/log.ts';
import { retry } from '../platform/retry.ts';

export interface WaitDeps {
  readonly log: Log;
  /** Gives up waiting for an outage to end. */
  readonly signal: AbortSignal;
  readonly random: () => number;
}

/** What the database will never take, and what it said. */
export interface Refused<Item> {
  readonly item: Item;
  readonly error: unknown;
}

/**
 * Stores all items and returns those that the database refuses: they are found by halving. An outage is waited out.
 * Rejects only on what no waiting can mend.
 */
export async function storeRows<Item>(
  deps: WaitDeps,
  items: readonly Item[],
  store: (items: readonly Item[]) => Promise<void>,
): Promise<readonly Refused<Item>[]> {
  const [first] = items;
  if (first === undefined) return [];
  try {
    await waitOut(deps, 'database', () => store(items), isDatabaseOutage);
    return [];
  } catch (error) {
    if (classifyFailure(error) !== 'row_refused') throw error;
    if (items.length === 1) return [{ item: first, error }];
    const middle = items.length / 2;
    const refused = await storeRows(deps, items.slice(0, middle), store);
    return [...refused, ...(await storeRows(deps, items.slice(middle), store))];
  }
}

const isDatabaseOutage = (error: unknown): boolean => classifyFailure(error) === 'outage';

/** Tries again for as long as a failure may pass by itself. */
export function waitOut<Result>(
  { signal, random, log }: WaitDeps,
  what: string,
  work: () => Promise<Result>,
  shouldRetry: (error: unknown) => boolean,
): Promise<Result> {
  const onRetry = (error: unknown, attempt: number) =>
    log.warn({ what, attempt, error: String(error) }, 'waiting for it to come back');
  return retry(work, { firstMs: 100, maxMs: 5_000, signal, random, shouldRetry, onRetry });
}
