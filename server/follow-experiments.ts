import { setTimeout as sleep } from 'node:timers/promises';
import { type Choices, type ExperimentSource, noExperiments, parseExperiments } from '../experiments/experiment.ts';
import type { ExperimentStore, StoredSet } from '../experiments/experiment-store.ts';
import type { Log } from '../platform/log.ts';

/** The experiments in force, as this process knows them. None until they were read. */
export interface FollowedExperiments extends ExperimentSource {
  /** Reads what was put in force since. Never rejects: on an outage, and where a set is wrong, the last good one stays. */
  refresh(): Promise<void>;
  /** Refreshes again and again, until `signal`. */
  follow(signal: AbortSignal): Promise<void>;
}

export interface FollowExperimentsDeps {
  readonly store: Pick<ExperimentStore, 'readNewest'>;
  /** Of this build: a set may have been put by another one. */
  readonly choices: Choices;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Milliseconds between two looks. */
  readonly everyMs?: number;
}

/** Every replica looks for itself, with one look into an index, which no lost connection or message can keep it from. */
export function followExperiments({ store, choices, log, everyMs = 500 }: FollowExperimentsDeps): FollowedExperiments {
  let current = noExperiments;
  let seenId = 0;
  let isOut = false;

  const refresh = async () => {
    let newest: StoredSet | undefined;
    try {
      newest = await store.readNewest(seenId);
      isOut = false;
    } catch (error) {
      if (!isOut) log.warn({ error: String(error) }, 'experiments cannot be read, the last ones stay');
      isOut = true;
    }
    if (newest === undefined) return;
    seenId = newest.id; // also of a wrong one, which is told of once
    try {
      current = parseExperiments(newest.definitions, choices);
      log.info({ id: newest.id, version: current.version }, 'experiments in force');
    } catch (error) {
      log.error({ id: newest.id, error: String(error) }, 'experiments are wrong, the last good ones stay');
    }
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
