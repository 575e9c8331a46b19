import type { Circuit } from './circuit.ts';
import { hasLeft, LlmError, type LlmGateway, type LlmOptions, tryMsMin } from './gateway.ts';

/** Asks an upstream only as long as its circuit is not open; else fails at once. */
export function withCircuit(gateway: LlmGateway, circuit: Circuit): LlmGateway {
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
      try {
        const answer = await gateway.complete(request, options);
        call.succeeded();
        return answer;
      } catch (error) {
        if (isUpstreamsFault(error, options)) call.failed((error as LlmError).retryAfterMs);
        else if (isAnswer(error)) call.succeeded();
        else call.ended();
        throw error;
      }
    },
  };
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
