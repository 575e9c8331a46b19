import { type BudgetLimits, createBudget } from './budget.ts';
import { createCircuit } from './circuit.ts';
import type { LlmGateway } from './gateway.ts';
import { openAiCompatible } from './openai-compatible.ts';
import type { Price } from './price.ts';
import type { Upstream } from './upstream.ts';
import { withBudget } from './with-budget.ts';
import { withCache } from './with-cache.ts';
import { withCircuit } from './with-circuit.ts';
import { withFallbacks } from './with-fallbacks.ts';
import { withLimit } from './with-limit.ts';
import { type LlmCall, withMeter } from './with-meter.ts';
import { withRepair } from './with-repair.ts';
import { withRetry } from './with-retry.ts';
import { withSingleFlight } from './with-single-flight.ts';

export type AdapterName = 'fetch' | 'ai-sdk';

/** The upstream that is asked first, and how. What is left out is off. */
export interface GatewayOptions extends Upstream {
  /** Asked in this order where those before give no answer. */
  readonly fallbacks?: readonly Upstream[] | undefined;
  /** Default `fetch`. */
  readonly adapter?: AdapterName | undefined;
  /** Calls at the same time to each upstream. */
  readonly callsMax?: number | undefined;
  /** For how long an upstream that fails is left alone. Default 10 s; 0 is off. */
  readonly cooldownMs?: number | undefined;
  readonly cacheTtlMs?: number | undefined;
  readonly budget?: BudgetLimits | undefined;
  /** By the model's name as it is configured. */
  readonly prices?: ReadonlyMap<string, Price> | undefined;
}

export interface GatewaySources {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Milliseconds of a clock that never runs back. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly onCall?: (call: LlmCall) => void;
}

const cooldownMsDefault = 10_000;
const failuresMax = 5;
const restMsMax = 60_000;

/**
 * The gateway that the service asks, from the outside in: cache, single flight, upstreams in order; of each upstream one
 * repair, of the last also a second try; of each of these attempts the meter, the budget, the limit on calls and the
 * circuit. So an upstream is asked at most twice, and the last one three times.
 * Rejects on options that no call could succeed with.
 */
export async function createGateway(options: GatewayOptions, sources: GatewaySources): Promise<LlmGateway> {
  const { random, now, clock, onCall = () => undefined } = sources;
  const { adapter = 'fetch', callsMax, cooldownMs = cooldownMsDefault, cacheTtlMs = 0, prices } = options;
  const adapt = adapter === 'fetch' ? openAiCompatible : (await import('./ai-sdk.ts')).aiSdk; // loaded only where used
  const budget = options.budget && createBudget(options.budget, { clock });

  const guard = (upstream: Upstream): LlmGateway => {
    const price = prices?.get(upstream.model);
    let gateway = adapt(upstream);
    if (cooldownMs > 0) {
      gateway = withCircuit(gateway, createCircuit({ failuresMax, cooldownMs, restMsMax, now }));
    }
    if (callsMax) gateway = withLimit(gateway, { callsMax, now });
    if (budget) gateway = withBudget(gateway, { budget, price });
    return withMeter(gateway, { upstream: new URL(upstream.baseUrl).host, price, now, onCall });
  };

  const [first, ...others] = [options, ...(options.fallbacks ?? [])].map((upstream, at, { length }) => {
    const once = guard(upstream);
    const isLast = at === length - 1;
    return withRepair(isLast ? withRetry(once, { random, now }) : once, { again: once, now });
  });
  if (!first) throw new TypeError('there is no upstream');
  const chain = others.length > 0 ? withFallbacks([first, ...others], { now }) : first;
  const shared = withSingleFlight(chain, { now });
  return cacheTtlMs > 0 ? withCache(shared, { ttlMs: cacheTtlMs, now }) : shared;
}
