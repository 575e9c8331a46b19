import { hash } from 'node:crypto';

/**
 * What a person is called in a training set: the first 128 bits of a SHA-256 of their id, the same in every file, so that
 * files can be split and joined by person. A pseudonym and no more: whoever can guess an id can compute it.
 */
export function pseudonymOf(userId: string): string {
  return hash('sha256', `oo training set\0${userId}`).slice(0, 32);
}

/** Whether a person is among a share that is held out: always the same people, and those of a smaller share. */
export function isHeldOut(person: string, share: number): boolean {
  return Number.parseInt(person.slice(0, 12), 16) < share * 2 ** 48;
}

/** The fold of a person, 0 to `folds` - 1, by other bits than those that hold people out. */
export function foldOf(person: string, folds: number): number {
  return Number.parseInt(person.slice(12, 24), 16) % folds;
}

/** The share of the people that training never sees, and evaluation sees alone. */
export const heldOutShare = 0.2;
