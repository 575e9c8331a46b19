import { createRecentPeak } from '../platform/recent-peak.ts';

/** What is kept back of a deadline for appending to the decision log. */
export interface LogReserve {
  /** The time until a decision must be ready. */
  before(deadlineMs: number): number;
  /** Learns how long an append takes. */
  watch<Result>(append: Promise<Result>): Promise<Result>;
}

const halfLifeMs = 5_000;
const leastMs = 50;
const times = 2;
const shareMost = 0.25;

/**
 * Keeps back twice what appending took lately, at the most: whatever makes it slow, in this process or on its machine, makes
 * the rest of an answer slow as well. Bounded, so that one bad moment of the log leaves most of the time to the decision.
 */
export function createLogReserve({ now }: { readonly now: () => number }): LogReserve {
  const tookMs = createRecentPeak({ halfLifeMs, now });
  return {
    before: (deadlineMs) => deadlineMs - Math.max(leastMs, Math.min(times * tookMs.current(), shareMost * deadlineMs)),
    watch: (append) => {
      const startMs = now();
      return append.finally(() => tookMs.observe(now() - startMs));
    },
  };
}
