import { setTimeout as sleep } from 'node:timers/promises';

export interface RetryOptions {
  /** Milliseconds before the first retry. Each later wait is at most twice the one before. */
  readonly firstMs: number;
  /** No wait is longer. */
  readonly maxMs: number;
  /** Ends the waiting, by rejecting with its reason. */
  readonly signal: AbortSignal;
  readonly random: () => number;
  /** Whether this failure can pass by itself. Others are thrown at once. */
  readonly shouldRetry: (error: unknown) => boolean;
  readonly onRetry?: (error: unknown, attempt: number) => void;
}

/** Repeats `work` until it succeeds, with growing, jittered waits between tries. Bounded only by `signal`. */
export async function retry<Result>(work: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!options.shouldRetry(error)) throw error;
      options.onRetry?.(error, attempt);
      const ceilingMs = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt - 1, 30));
      await sleep(ceilingMs * (0.5 + options.random() / 2), undefined, { signal: options.signal });
    }
  }
}
