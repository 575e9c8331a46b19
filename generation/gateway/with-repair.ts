import { type LlmGateway, tryMsMin, usageOf, withUsage } from './gateway.ts';

/** Added to the question. The answer that was wrong is not repeated: it may be long, and may be anything. */
const reminder =
  'Your previous answer was not of the agreed form. Answer again, with nothing but one JSON object of that form.';

/**
 * Asks once more where the text is not of the form that the caller accepts, if there is as much time left as the first
 * answer took. If that fails, or is no better, the caller gets a text that it does not accept, and sees so itself.
 */
export function withRepair(gateway: LlmGateway, { now }: { readonly now: () => number }): LlmGateway {
  return {
    model: gateway.model,
    complete: async (request, options) => {
      const startMs = now();
      const first = await gateway.complete(request, options);
      if (!options.accepts || options.accepts(first.text)) return first;
      const tookMs = now() - startMs;
      const timeoutMs = options.timeoutMs - tookMs;
      if (options.signal.aborted || timeoutMs < Math.max(tryMsMin, tookMs)) return first;
      const again = { ...request, user: `${request.user}\n\n${reminder}` };
      try {
        return withUsage(await gateway.complete(again, { ...options, timeoutMs }), first);
      } catch (error) {
        return withUsage(first, usageOf(error));
      }
    },
  };
}
