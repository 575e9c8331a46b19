import {
  endedBy,
  type LlmAnswer,
  LlmError,
  type LlmGateway,
  noUsage,
  tryMsMin,
  within,
  withoutUsage,
} from './gateway.ts';
import { questionKey } from './question-key.ts';

/** A call that is under way, and how many wait for it. */
interface Flight {
  readonly answer: Promise<LlmAnswer>;
  readonly landing: AbortController;
  callers: number;
}

/**
 * Asks once for all who ask the same question for the same person at the same time. Each keeps its own deadline; who
 * leaves does not take the answer from the others, and when the last one leaves the call ends. Tokens are told to the
 * one who began it. If it ends with that one's time, those who have more begin another.
 */
export function withSingleFlight(gateway: LlmGateway, { now }: { readonly now: () => number }): LlmGateway {
  const flights = new Map<string, Flight>();

  return {
    model: gateway.model,
    complete: async (request, options) => {
      const key = questionKey(options);
      if (key === undefined) return await gateway.complete(request, options);

      const takeOff = (timeoutMs: number): Flight => {
        const landing = new AbortController();
        const ask = async () => await gateway.complete(request, { ...options, timeoutMs, signal: landing.signal });
        // It ends for everybody at once: one that is over could else be joined again and again by those who have time.
        const flight: Flight = { answer: ask().finally(() => land(key, flight)), landing, callers: 0 };
        flight.answer.catch(() => undefined); // there may be nobody left to hear of it
        flights.set(key, flight);
        return flight;
      };

      if (options.signal.aborted) throw endedBy(options.signal);
      const endMs = now() + options.timeoutMs;
      for (;;) {
        const timeoutMs = Math.max(0, endMs - now());
        const joined = flights.get(key);
        const flight = joined ?? takeOff(timeoutMs);
        flight.callers++;
        const leave = (reason: unknown) => {
          flight.callers--;
          if (flight.callers > 0) return;
          land(key, flight);
          flight.landing.abort(reason);
        };
        try {
          const answer = await within({ signal: options.signal, timeoutMs }, (signal) => {
            // at the very moment that it is over: who has heard enough leaves before the call is tried again
            signal.addEventListener('abort', () => leave(signal.reason), { once: true });
            return flight.answer;
          });
          return joined ? { ...answer, ...noUsage } : answer;
        } catch (error) {
          const isOthersTime = joined && error instanceof LlmError && error.kind === 'timeout';
          if (!isOthersTime || options.signal.aborted || endMs - now() < tryMsMin)
            throw joined ? withoutUsage(error) : error;
        }
      }
    },
  };

  function land(key: string, flight: Flight) {
    if (flights.get(key) === flight) flights.delete(key);
  }
}
