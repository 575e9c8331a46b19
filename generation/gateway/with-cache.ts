import { type LlmAnswer, type LlmGateway, noUsage } from './gateway.ts';
import { questionKey } from './question-key.ts';

export interface CacheOptions {
  readonly ttlMs: number;
  readonly now: () => number;
  /** Default 2000. */
  readonly entriesMax?: number;
}

/** Longer ones are not kept. Tips need a few kilobytes. */
const textCharsMax = 16_384;

/**
 * Gives the answer that a person's same question got a short while ago, at no cost. Keeps only texts of the form that
 * the caller accepts, for one person each, in the memory of this process; who was asked for longest ago goes first.
 */
export function withCache(gateway: LlmGateway, { ttlMs, now, entriesMax = 2000 }: CacheOptions): LlmGateway {
  const entries = new Map<string, { readonly answer: LlmAnswer; readonly untilMs: number }>();

  const find = (key: string): LlmAnswer | undefined => {
    const entry = entries.get(key);
    entries.delete(key);
    if (!entry || now() >= entry.untilMs) return undefined;
    entries.set(key, entry);
    return entry.answer;
  };
  const keep = (key: string, answer: LlmAnswer) => {
    entries.delete(key);
    entries.set(key, { answer: { ...answer, ...noUsage }, untilMs: now() + ttlMs });
    const [oldest] = entries.keys();
    if (entries.size > entriesMax && oldest !== undefined) entries.delete(oldest);
  };

  return {
    model: gateway.model,
    complete: async (request, options) => {
      const key = questionKey(options);
      const found = key === undefined ? undefined : find(key);
      if (found) return found;
      const answer = await gateway.complete(request, options);
      const isGood = answer.text.length <= textCharsMax && (options.accepts?.(answer.text) ?? true);
      if (key !== undefined && isGood) keep(key, answer);
      return answer;
    },
  };
}
