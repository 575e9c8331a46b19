import type { Circuit } from './circuit.ts';
import { hasLeft, LlmError, type LlmGateway, type LlmOptions, tryMsMin } from './gateway.ts';

/** Whoever waits for up to so many times as long as those who were not answered is not answered either. */
const patience = 2;

/** A call that is under way. */
interface Waiting {
  readonly timeoutMs: number;
  readonly giveUp: AbortController;
}

/**
 * Asks an upstream only as long as its circuit is not open; else fails at once. So do, when a timeout opens it, those who
 * wait: their time is better spent elsewhere, and they would all end at the worst of times, when others ask in vain. Only
 * who has far more patience than the one whose time was up keeps waiting, as the upstream may be no more than slow.
 */
export function withCircuit(gateway: LlmGateway, circuit: Circuit): LlmGateway {
  const waiting = new Set<Waiting>();

  const endThoseLike = ({ timeoutMs }: LlmOptions) => {
    for (const other of waiting) {
      if (other.timeoutMs <= patience * timeoutMs) other.giveUp.abort(stoppedAnswering());
    }
  };

  return {
    model: gateway.model,
    complete: async (request, options) => {
      const call = circuit.enter();
      if (!call) {
        const options = { retryable: false, notAsked: 'circuit_open' } as const;
        throw new LlmError(
          'unavailable',
          'The language model failed too often and is left alone for a while.',
          options,
        );
      }
      const { signal, timeoutMs } = options;
      const own: Waiting = { timeoutMs, giveUp: new AbortController() };
      const onAbort = () => own.giveUp.abort(signal.reason);
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.add(own);
      const settle = () => {
        waiting.delete(own);
        signal.removeEventListener('abort', onAbort);
      };
      try {
        const answer = await gateway.complete(request, { ...options, signal: own.giveUp.signal }).finally(settle);
        call.succeeded();
        return answer;
      } catch (error) {
        if (isUpstreamsFault(error, options)) {
          call.failed((error as LlmError).retryAfterMs);
          if (circuit.state() === 'open' && (error as LlmError).kind === 'timeout') endThoseLike(options);
        } else if (isAnswer(error)) call.succeeded();
        else call.ended();
        throw error;
      }
    },
  };
}

/** Of a call that was asked, and may have to be paid for; another try would find the circuit open. */
function stoppedAnswering(): LlmError {
  return new LlmError('timeout', 'The language model stopped answering while this call waited.', { retryable: false });
}

/** What may pass and is no fault of the question. A caller with no patience says nothing about the upstream. */
function isUpstreamsFault(error: unknown, { signal, timeoutMs }: LlmOptions): boolean {
  if (!(error instanceof LlmError) || !error.retryable || hasLeft(signal)) return false;
  return error.kind === 'unavailable' || (error.kind === 'timeout' && timeoutMs >= tryMsMin);
}

/** Useless to the caller, but a sign of life. */
function isAnswer(error: unknown): boolean {
  return error instanceof LlmError && (error.kind === 'bad_output' || error.kind === 'refused');
}
