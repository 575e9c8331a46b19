import { endedBy, LlmError, type LlmGateway, type LlmOptions, tryMsMin } from './gateway.ts';

export interface LimitOptions {
  /** Calls at the same time. */
  readonly callsMax: number;
  readonly now: () => number;
}

/**
 * Lets so many calls through at the same time. Others wait their turn, as long as they would still have the time to be
 * answered after it; the server's own limit on calls bounds how many can wait.
 */
export function withLimit(gateway: LlmGateway, { callsMax, now }: LimitOptions): LlmGateway {
  let free = callsMax;
  const waiting = new Set<() => void>(); // in the order of their coming

  const leave = () => {
    const [next] = waiting;
    if (next) next();
    else free++;
  };

  const enter = async ({ signal, timeoutMs }: LlmOptions): Promise<void> => {
    if (signal.aborted) throw endedBy(signal);
    if (free > 0) {
      free--;
      return;
    }
    const waitMs = timeoutMs - tryMsMin;
    if (waitMs <= 0) throw queueFull();
    const turn = Promise.withResolvers<void>();
    const start = () => {
      waiting.delete(start);
      turn.resolve();
    };
    const giveUp = (error: LlmError) => {
      waiting.delete(start); // at once, or a place could still go to one who has left, and be lost
      turn.reject(error);
    };
    const onAbort = () => giveUp(endedBy(signal));
    const timer = setTimeout(() => giveUp(queueFull()), waitMs);
    waiting.add(start);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await turn.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  };

  return {
    model: gateway.model,
    complete: async (request, options) => {
      const endMs = now() + options.timeoutMs;
      await enter(options);
      try {
        return await gateway.complete(request, { ...options, timeoutMs: Math.max(0, endMs - now()) });
      } finally {
        leave();
      }
    },
  };
}

function queueFull(): LlmError {
  const options = { retryable: false, notAsked: 'queue_full' } as const;
  return new LlmError('unavailable', 'Too many calls wait for the language model.', options);
}
