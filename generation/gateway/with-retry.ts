import { setTimeout as sleep } from 'node:timers/promises';
import { LlmError, type LlmGateway, tryMsMin } from './gateway.ts';

const jitterMs = { least: 50, most: 400 } as const;
/** The first try's share of the time, so that one that hangs leaves room for another. */
const firstShare = 2 / 3;

export interface RetrySources {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Milliseconds of a clock that never runs back. */
  readonly now: () => number;
}

/**
 * Asks at most twice within the time of the call. Only errors that may pass are tried again, after 50 to 400 ms or as
 * long as the provider asks; where that leaves no time for a try, the error is passed on at once.
 */
export function withRetry(gateway: LlmGateway, { random, now }: RetrySources): LlmGateway {
  return {
    model: gateway.model,
    complete: async (request, options) => {
      const { signal, timeoutMs } = options;
      const endMs = now() + timeoutMs;
      try {
        return await gateway.complete(request, { ...options, timeoutMs: firstTryMs(timeoutMs) });
      } catch (error) {
        const waitMs = waitBeforeRetryMs(error, endMs - now(), random());
        if (waitMs === undefined || !(await slept(waitMs, signal))) throw error;
        return await gateway
          .complete(request, { ...options, timeoutMs: Math.max(0, endMs - now()) })
          .catch((again: unknown) => {
            // a second try that nobody was asked by says nothing of why the first one failed
            throw again instanceof LlmError && again.notAsked ? error : again;
          });
      }
    },
  };
}

/** How much of the time the first try gets: all of it where the rest would be too short for another. */
export function firstTryMs(timeoutMs: number): number {
  const restMs = timeoutMs * (1 - firstShare);
  return restMs < tryMsMin + jitterMs.most ? timeoutMs : timeoutMs - restMs;
}

/** How long to wait before the second try. Undefined: do not try again. */
export function waitBeforeRetryMs(error: unknown, leftMs: number, random: number): number | undefined {
  if (!(error instanceof LlmError) || !error.retryable) return undefined;
  const drawnMs = jitterMs.least + random * (jitterMs.most - jitterMs.least);
  const waitMs = Math.max(drawnMs, error.retryAfterMs ?? 0);
  return leftMs - waitMs >= tryMsMin ? waitMs : undefined;
}

async function slept(ms: number, signal: AbortSignal): Promise<boolean> {
  return await sleep(ms, true, { signal }).catch(() => false);
}
