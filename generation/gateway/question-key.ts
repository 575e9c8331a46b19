import type { LlmOptions } from './gateway.ts';

/** The same for the same question of the same person, never for two people. Undefined: it must not be shared. */
export function questionKey({ person, questionHash }: LlmOptions): string | undefined {
  return person !== undefined && questionHash !== undefined ? JSON.stringify([person, questionHash]) : undefined;
}
