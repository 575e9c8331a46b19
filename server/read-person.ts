import type { Learnt } from '../experiments/decide.ts';
import type { PopulationReader } from '../experiments/population-store.ts';
import { unpackStatistics } from '../experiments/statistics.ts';
import type { Person, PersonStore } from '../features/person-store.ts';
import { DomainError } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';

/** A person, and what was learnt that helps to decide about them. */
export interface KnownPerson extends Person {
  readonly learnt: Learnt;
}

/** A person as far as the stores know them in time. Undefined: they could not say. */
export type PersonReader = (...asked: Parameters<PersonStore['read']>) => Promise<KnownPerson | undefined>;

/** A person's features are worth this wait, in milliseconds, and no longer: a decision without them beats none. */
const patienceMs = 250;

/**
 * Reads a person within `patienceMs`. A store that is slow or gone makes the answer weaker, not late. Throws
 * FAILED_PRECONDITION for a person who was erased, as what is decided about them would never be stored.
 */
export function createPersonReader(store: PersonStore, populations: PopulationReader, log: Log): PersonReader {
  const read = async (...asked: Parameters<PersonStore['read']>): Promise<KnownPerson> => {
    const person = await store.read(...asked);
    const population = await populations.read(person.populationId);
    if (!population) throw new Error(`policy_population has lost ${person.populationId}`);
    return { ...person, learnt: { person: unpackStatistics(person.statistics), population } };
  };
  const readInTime: PersonReader = async (userId, eventId, nowMs) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${patienceMs} ms`)), patienceMs);
    });
    try {
      return await Promise.race<KnownPerson>([read(userId, eventId, nowMs), late]);
    } catch (error) {
      log.warn({ error: String(error) }, 'profile unavailable, deciding without it');
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  };
  return async (...asked) => {
    const person = await readInTime(...asked);
    if (person?.isErased) throw personErased();
    return person;
  };
}

function personErased(): DomainError {
  const violation = { field: 'user_id', description: 'the person was erased' };
  return new DomainError({
    code: 'failed_precondition',
    reason: 'PERSON_ERASED',
    message: `${violation.field}: ${violation.description}`,
    violations: [violation],
  });
}
