import type { FeastStore } from '../features/feast-store.ts';
import type { FeastReadings } from '../features/profile.ts';
import type { Log } from '../platform/log.ts';

/** What Feast knows of a person. Undefined: it could not say. */
export type FeastReader = (userId: string) => Promise<FeastReadings | undefined>;

/** How long Feast is left alone after a failure, in milliseconds. */
const restMs = 1000;

export interface FeastReaderDeps {
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/** For a service that has no Feast: there is nothing to know. */
export const noFeast: FeastReader = async () => new Map();

/**
 * Reads from Feast as long as it answers. After a failure everybody goes without for `restMs`; then one call tries, and
 * the others still go without until it succeeds. So an outage costs one Score a second its wait, not each of them.
 */
export function createFeastReader(store: FeastStore, { log, now }: FeastReaderDeps): FeastReader {
  /** When a call may try again. Undefined: Feast answers. */
  let triesAtMs: number | undefined;

  return async (userId) => {
    if (triesAtMs !== undefined) {
      if (now() < triesAtMs) return undefined;
      triesAtMs = now() + restMs;
    }
    try {
      const readings = await store.read(userId);
      if (triesAtMs !== undefined) log.info('Feast answers again');
      triesAtMs = undefined;
      return readings;
    } catch (error) {
      if (triesAtMs === undefined) log.warn({ error: String(error) }, 'Feast unavailable, deciding without it');
      triesAtMs = now() + restMs;
      return undefined;
    }
  };
}
