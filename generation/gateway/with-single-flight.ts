import { type LlmAnswer, LlmError, type LlmGateway, noUsage, tryMsMin, within } from './gateway.ts';
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

      const endMs = now() + options.timeoutMs;
      for (;;) {
        const timeoutMs = Math.max(0, endMs - now());
        const joined = flights.get(key);
        const flight = joined ?? takeOff(timeoutMs);
        flight.callers++;
        let reason: unknown = 'answered'; // why it ends, if this is the last one to leave; never undefined: that is slow
        try {
          const answer = await within({ signal: options.signal, timeoutMs }, () => flight.answer);
          return joined ? { ...answer, ...noUsage } : answer;
        } catch (error) {
          reason = options.signal.aborted ? options.signal.reason : error;
          const isOthersTime = joined && error instanceof LlmError && error.kind === 'timeout';
          if (!isOthersTime || options.signal.aborted || endMs - now() < tryMsMin) throw error;
        } finally {
          flight.callers--;
          if (flight.callers === 0) {
            land(key, flight);
            flight.landing.abort(reason);
          }
        }
      }
    },
  };

  function land(key: string, flight: Flight) {
    if (flights.get(key) === flight) flights.delete(key);
  }
}
