import {
  hasLeft,
  LlmError,
  type LlmErrorKind,
  type LlmErrorOptions,
  type LlmGateway,
  noUsage,
  usageOf,
} from './gateway.ts';
import { costOf, type Price } from './price.ts';

export type LlmOutcome = 'answered' | 'cancelled' | 'failed' | LlmErrorKind | NonNullable<LlmErrorOptions['notAsked']>;

/** One attempt at one upstream, for counters: no text, nobody's id. */
export interface LlmCall {
  /** Host and port. */
  readonly upstream: string;
  /** As it is configured, so that there are only so many. */
  readonly model: string;
  readonly outcome: LlmOutcome;
  /** Waiting for a free place included. */
  readonly ms: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Zero: free, or without a price. */
  readonly microdollars: number;
}

export interface MeterOptions {
  readonly upstream: string;
  readonly price: Price | undefined;
  readonly now: () => number;
  readonly onCall: (call: LlmCall) => void;
}

/** Tells of every attempt, however it ends. */
export function withMeter(gateway: LlmGateway, { upstream, price, now, onCall }: MeterOptions): LlmGateway {
  const { model } = gateway;
  return {
    model,
    complete: async (request, options) => {
      const startMs = now();
      let outcome: LlmOutcome = 'answered';
      let usage = noUsage;
      try {
        const answer = await gateway.complete(request, options);
        usage = answer;
        return answer;
      } catch (error) {
        outcome = hasLeft(options.signal) ? 'cancelled' : outcomeOf(error);
        usage = usageOf(error);
        throw error;
      } finally {
        const { promptTokens, completionTokens } = usage;
        const ms = now() - startMs;
        onCall({ upstream, model, outcome, ms, promptTokens, completionTokens, microdollars: costOf(usage, price) });
      }
    },
  };
}

function outcomeOf(error: unknown): LlmOutcome {
  return error instanceof LlmError ? (error.notAsked ?? error.kind) : 'failed';
}
