import { LlmError, type LlmGateway, tryMsMin, usageOf, withUsage } from './gateway.ts';

/** Added to the question. The answer that was wrong is not repeated: it may be long, and may be anything. */
const reminder =
  'Your previous answer was not of the agreed form. Answer again, with nothing but one JSON object of that form.';

/** Of the time that is left, so that a second answer that does not come leaves some for what comes after. */
const share = 2 / 3;

export interface RepairOptions {
  /** Who is asked again: the same model, without any tries of its own. */
  readonly again: LlmGateway;
  readonly now: () => number;
}

/**
 * Asks once more where the text is not of the form that the caller accepts, if there is as much time left as the first
 * answer took. Every text it answers with is accepted: where there is none, it rejects with `bad_output`.
 */
export function withRepair(gateway: LlmGateway, { again, now }: RepairOptions): LlmGateway {
  return {
    model: gateway.model,
    complete: async (request, options) => {
      const accepts = options.accepts ?? (() => true);
      const startMs = now();
      const first = await gateway.complete(request, options);
      if (accepts(first.text)) return first;
      const tookMs = now() - startMs;
      const leftMs = options.timeoutMs - tookMs;
      const leastMs = Math.max(tryMsMin, tookMs);
      if (options.signal.aborted || leftMs < leastMs) throw withUsage(notOfTheForm(), first);
      const timeoutMs = Math.max(leastMs, leftMs * share);
      const reminded = { ...request, user: `${request.user}\n\n${reminder}` };
      const second = await again
        .complete(reminded, { ...options, timeoutMs })
        .catch((error: unknown) => Promise.reject(withUsage(notOfTheForm(), withUsage(first, usageOf(error)))));
      if (!accepts(second.text)) throw withUsage(notOfTheForm(), withUsage(second, first));
      return withUsage(second, first);
    },
  };
}

/** Whatever became of the second try: the first one is why there was one. */
function notOfTheForm(): LlmError {
  return new LlmError('bad_output', 'The language model sent an answer that was not of the agreed form.');
}
