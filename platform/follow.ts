import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from './log.ts';

/** What is in force, as this process knows it. */
export interface Followed<Value> {
  current(): Value;
  /**
   * Reads what was put in force since. Never rejects: on an outage, and where the newest is wrong, the last good one stays.
   * Resolves with what is wrong with the newest, if it is new.
   */
  refresh(): Promise<unknown>;
  /** Refreshes again and again, until `signal`. */
  follow(signal: AbortSignal): Promise<void>;
}

export interface FollowOptions<Value> {
  /** In the log's words, for example `experiments`. */
  readonly what: string;
  /** In force until anything was read. */
  readonly initial: Value;
  /** The newest, unless that is the one of this id. `read` throws where it is wrong. */
  readonly readNewest: (knownId: number) => Promise<{ readonly id: number; readonly read: () => Value } | undefined>;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Milliseconds between two looks. */
  readonly everyMs?: number | undefined;
}

/** What never changes, for whoever follows. */
export function unchanging<Value>(value: Value): Followed<Value> {
  return { current: () => value, refresh: async () => undefined, follow: async () => {} };
}

/** Every process looks for itself, with one look into an index, which no lost connection or message can keep it from. */
export function follow<Value>({
  what,
  initial,
  readNewest,
  log,
  everyMs = 500,
}: FollowOptions<Value>): Followed<Value> {
  let current = initial;
  let seenId = 0;
  let isOut = false;
  let last: Promise<unknown> = Promise.resolve();

  const look = async () => {
    let newest: Awaited<ReturnType<typeof readNewest>>;
    try {
      newest = await readNewest(seenId);
      isOut = false;
    } catch (error) {
      if (!isOut) log.warn({ error: String(error) }, `${what} cannot be read, the last ones stay`);
      isOut = true;
    }
    if (newest === undefined) return undefined;
    seenId = newest.id; // also of a wrong one, which is told of once
    try {
      current = newest.read();
      log.info({ id: newest.id }, `${what} in force`);
      return undefined;
    } catch (error) {
      log.error({ id: newest.id, error: String(error) }, `${what} are wrong, the last good ones stay`);
      return error;
    }
  };

  /** One after the other, so that none puts in force what another one found to be replaced. */
  const refresh = () => {
    last = last.then(look);
    return last;
  };

  return {
    current: () => current,
    refresh,
    async follow(signal) {
      while (!signal.aborted) {
        await refresh();
        await sleep(everyMs, undefined, { signal }).catch(() => {});
      }
    },
  };
}
