import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { Counter, Histogram, Registry } from 'prom-client';
import type { Decision } from '../experiments/decide.ts';
import type { Profile } from '../features/profile.ts';
import type { LlmCall } from '../generation/gateway/with-meter.ts';
import type { WrittenTips } from '../generation/write-tips.ts';

/** What a server counts, for whoever scrapes it. Each server has its own. */
export interface Metrics {
  /** All of it, in the text format of Prometheus. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Counts calls and their times. Outermost, so that it sees the code that the caller sees. */
  readonly interceptor: Interceptor;
  /** Counts how what the caller sent of a person differs from what our own tables say: once for each decision. */
  countSkew(profile: Profile): void;
  /** Counts by which policy people were decided about, and why that was not the one that was asked. */
  countDecision(decision: Pick<Decision, 'policy' | 'failure'>): void;
  /** Counts attempts at language models: how they ended, how long they took, what they cost. */
  countLlmCall(call: LlmCall): void;
  /** Counts by which prompt version tips were written, in which ways they are weaker than asked for, and what was dropped. */
  countGeneration(written: Pick<WrittenTips, 'promptVersion' | 'degradations' | 'dropped'>): void;
}

export type SkewResult = 'equal' | 'different' | 'only_caller' | 'only_store';

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const skew = new Counter({
    name: 'oo_feature_skew_total',
    help: 'Calls with profile_features, by how the value sent compares with that of our own tables',
    labelNames: ['feature', 'result'],
    registers,
  });
  const difference = new Histogram({
    name: 'oo_feature_skew_difference',
    help: "Absolute difference between the caller's value and our own where both are known, in the unit of the feature",
    labelNames: ['feature'],
    buckets: [0, 0.001, 0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    registers,
  });
  const decisions = new Counter({
    name: 'oo_decisions_total',
    help: "Decisions by the policy that made them. failure: why random did in another one's place, none otherwise",
    labelNames: ['policy', 'failure'],
    registers,
  });
  const calls = new Histogram({
    name: 'oo_rpc_duration_seconds',
    help: 'Time to answer a call, or to begin answering with a stream, by method and code',
    labelNames: ['method', 'code'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const generations = new Counter({
    name: 'oo_generations_total',
    help: 'Answers of Generate by the prompt version that wrote them and how they are weaker than asked for, none otherwise',
    labelNames: ['prompt_version', 'degradation'],
    registers,
  });
  const dropped = new Counter({
    name: 'oo_tips_dropped_total',
    help: 'Tips of language models that nobody was shown, by why',
    labelNames: ['prompt_version', 'reason'],
    registers,
  });
  const llmLabels = ['upstream', 'model'] as const;
  const llmCalls = new Counter({
    name: 'oo_llm_calls_total',
    help: 'Attempts at language models, by how they ended. circuit_open, queue_full, budget: not even asked',
    labelNames: [...llmLabels, 'outcome'],
    registers,
  });
  const llmTokens = new Counter({
    name: 'oo_llm_tokens_total',
    help: 'Tokens as language models counted them. direction: prompt or completion',
    labelNames: [...llmLabels, 'direction'],
    registers,
  });
  const llmCost = new Counter({
    name: 'oo_llm_cost_microdollars_total',
    help: 'What those tokens cost by LLM_PRICES, in millionths of a dollar',
    labelNames: llmLabels,
    registers,
  });
  const llmDurations = new Histogram({
    name: 'oo_llm_call_duration_seconds',
    help: 'Time of an attempt at a language model, waiting for its turn included',
    labelNames: llmLabels,
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    registers,
  });
  const timers = new Map<string, Histogram.Internal<'method' | 'code'>>(); // as many as methods have codes

  const observe = (method: string, code: string, startedAt: number) => {
    const key = `${method} ${code}`;
    const timer = timers.get(key) ?? calls.labels(method, code);
    timers.set(key, timer);
    timer.observe((performance.now() - startedAt) / 1000);
  };

  return {
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    interceptor: (next) => async (request) => {
      const startedAt = performance.now();
      try {
        const response = await next(request);
        observe(request.method.name, 'ok', startedAt);
        return response;
      } catch (error) {
        observe(request.method.name, codeName(ConnectError.from(error).code), startedAt);
        throw error;
      }
    },
    countDecision({ policy, failure }) {
      decisions.inc({ policy: policy.name, failure: failureName(failure) });
    },
    countGeneration({ promptVersion: prompt_version, degradations, dropped: counts }) {
      generations.inc({ prompt_version, degradation: degradations[0] ?? 'none' });
      for (const [reason, count] of Object.entries(counts)) dropped.inc({ prompt_version, reason }, count);
    },
    countLlmCall({ upstream, model, outcome, ms, promptTokens, completionTokens, microdollars }) {
      const labels = { upstream, model };
      llmCalls.inc({ ...labels, outcome });
      llmTokens.inc({ ...labels, direction: 'prompt' }, promptTokens);
      llmTokens.inc({ ...labels, direction: 'completion' }, completionTokens);
      llmCost.inc(labels, microdollars);
      llmDurations.observe(labels, ms / 1000);
    },
    countSkew(profile) {
      if (!profile.some(({ source }) => source === 'request')) return;
      for (const { name, value, storeValue, source } of profile) {
        const sent = source === 'request' ? value : undefined;
        const own = source === 'store' ? value : storeValue;
        const result = compare(sent, own);
        if (result === undefined) continue;
        skew.inc({ feature: name, result });
        if (sent !== undefined && own !== undefined) difference.observe({ feature: name }, Math.abs(sent - own));
      }
    },
  };
}

/** For example `person not_whole`: the person's sums are not what rewards can add up to. */
function failureName(failure: Decision['failure']): string {
  if (!failure) return 'none';
  return failure.kind === 'refused' ? `${failure.whose} ${failure.problem}` : failure.kind;
}

/** Undefined: nobody knows anything. */
function compare(sent: number | undefined, own: number | undefined): SkewResult | undefined {
  if (sent === undefined) return own === undefined ? undefined : 'only_store';
  if (own === undefined) return 'only_caller';
  return sent === own ? 'equal' : 'different';
}

/** As in gRPC's own words: `invalid_argument`. */
function codeName(code: Code): string {
  return Code[code].replace(/\B[A-Z]/g, '_$&').toLowerCase();
}
