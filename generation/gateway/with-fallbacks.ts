import { type LlmGateway, noUsage, tryMsMin, usageOf, withUsage } from './gateway.ts';

/** The share of the time that a gateway may take where others come after it. */
const share = 2 / 3;

/**
 * Asks one after the other until one answers, whatever the one before failed with: another model need not be down, spent
 * or squeamish too. Rejects as the last one did that there was time for.
 */
export function withFallbacks(
  gateways: readonly [LlmGateway, ...LlmGateway[]],
  { now }: { readonly now: () => number },
): LlmGateway {
  const [first] = gateways;
  return {
    model: first.model,
    complete: async (request, options) => {
      const endMs = now() + options.timeoutMs;
      let spent = noUsage;
      for (const [at, gateway] of gateways.entries()) {
        const leftMs = Math.max(0, endMs - now());
        const timeoutMs = at === gateways.length - 1 ? leftMs : shareMs(leftMs);
        try {
          const answer = withUsage(await gateway.complete(request, { ...options, timeoutMs }), spent);
          return at === 0 ? answer : { askedModel: gateway.model, ...answer };
        } catch (error) {
          const isLast = at === gateways.length - 1 || options.signal.aborted || endMs - now() < tryMsMin;
          if (isLast) throw withUsage(error, spent);
          spent = usageOf(withUsage(error, spent));
        }
      }
      throw new TypeError('there is no gateway to ask');
    },
  };
}

/** All of the time where the rest would be too short for another. */
export function shareMs(leftMs: number): number {
  return leftMs * (1 - share) < tryMsMin ? leftMs : leftMs * share;
}
