import type { LlmUsage } from './gateway.ts';

/** What a million tokens cost, in whole micro-dollars: 250000 is 25 cents. */
export interface Price {
  readonly prompt: number;
  readonly completion: number;
}

/** In micro-dollars, rounded up. Without a price: nothing. */
export function costOf({ promptTokens, completionTokens }: LlmUsage, price: Price | undefined): number {
  if (!price) return 0;
  // whole numbers of any size: tokens times prices can exceed what a double counts exactly
  const parts = BigInt(promptTokens) * BigInt(price.prompt) + BigInt(completionTokens) * BigInt(price.completion);
  return Number((parts + 999_999n) / 1_000_000n);
}
