import type { Person, PersonStore } from '../features/person-store.ts';
import type { Log } from '../platform/log.ts';
import type { PersonReader } from './routes/score.ts';

/** A person's features are worth this wait, in milliseconds, and no longer: a decision without them beats none. */
const patienceMs = 250;

/** Reads a person within `patienceMs`. A store that is slow or gone makes the answer weaker, not late. */
export function createPersonReader(store: PersonStore, log: Log): PersonReader {
  return async (userId, eventId, nowMs) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${patienceMs} ms`)), patienceMs);
    });
    try {
      return await Promise.race<Person>([store.read(userId, eventId, nowMs), late]);
    } catch (error) {
      log.warn({ error: String(error) }, 'profile unavailable, deciding without it');
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  };
}
