/** The time in milliseconds since 1970, UTC. Pure code takes an instant; only edges hold a clock. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

export const dayMs = 86_400_000;

/** The UTC day of an instant, counted from 1970-01-01. */
export function utcDay(instantMs: number): number {
  return Math.floor(instantMs / dayMs);
}
