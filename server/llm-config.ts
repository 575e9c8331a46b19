import { z } from 'zod';
import type { GatewayOptions } from '../generation/gateway/create-gateway.ts';
import type { Price } from '../generation/gateway/price.ts';
import { integer, url } from '../platform/config.ts';

const limit = integer(1, 1_000_000_000_000_000).optional();

/** The variables of the language models. Unset is off, but for the cooldown. */
export const llmVariables = {
  LLM_BASE_URL: url('http', 'https').optional(),
  LLM_MODEL: z.string().transform(readModels).optional(),
  LLM_API_KEY: z.string().optional(),
  LLM_FALLBACK_BASE_URL: url('http', 'https').optional(),
  LLM_FALLBACK_MODEL: z.string().transform(readModels).optional(),
  LLM_FALLBACK_API_KEY: z.string().optional(),
  LLM_ADAPTER: z.enum(['fetch', 'ai-sdk'], 'must be fetch or ai-sdk').default('fetch'),
  LLM_CALLS_MAX: integer(1, 100_000).optional(),
  LLM_COOLDOWN_MS: integer(0, 60_000).default(10_000),
  LLM_CACHE_TTL_MS: integer(1, 3_600_000).optional(),
  LLM_PRICES: z.string().transform(readPrices).optional(),
  LLM_TOKENS_PER_DAY: limit,
  LLM_TOKENS_PER_PERSON_DAY: limit,
  LLM_MICRODOLLARS_PER_DAY: limit,
  LLM_MICRODOLLARS_PER_PERSON_DAY: limit,
};

export type LlmEnv = z.infer<z.ZodObject<typeof llmVariables>>;

type Name = keyof LlmEnv;

/** Variables that need another one: which, and why. */
export const llmNeeds: readonly { readonly given: Name; readonly needed: Name; readonly why: string }[] = [
  { given: 'LLM_BASE_URL', needed: 'LLM_MODEL', why: 'LLM_BASE_URL needs a model to ask' },
  { given: 'LLM_FALLBACK_BASE_URL', needed: 'LLM_FALLBACK_MODEL', why: 'LLM_FALLBACK_BASE_URL needs a model to ask' },
  { given: 'LLM_FALLBACK_BASE_URL', needed: 'LLM_BASE_URL', why: 'LLM_FALLBACK_BASE_URL is asked where it fails' },
  { given: 'LLM_MICRODOLLARS_PER_DAY', needed: 'LLM_PRICES', why: 'LLM_MICRODOLLARS_PER_DAY counts by them' },
  {
    given: 'LLM_MICRODOLLARS_PER_PERSON_DAY',
    needed: 'LLM_PRICES',
    why: 'LLM_MICRODOLLARS_PER_PERSON_DAY counts by them',
  },
];

/** The models that a budget in money could not count. */
export function unpricedModels(env: LlmEnv): readonly string[] {
  const hasBudget = env.LLM_MICRODOLLARS_PER_DAY ?? env.LLM_MICRODOLLARS_PER_PERSON_DAY;
  const prices = env.LLM_PRICES;
  if (hasBudget === undefined || !prices) return [];
  return [...(env.LLM_MODEL ?? []), ...(env.LLM_FALLBACK_MODEL ?? [])].filter((model) => !prices.has(model));
}

/** Undefined: no language model. */
export function toLlm(env: LlmEnv): GatewayOptions | undefined {
  const [first, ...fallbacks] = [
    ...upstreams(env.LLM_BASE_URL, env.LLM_MODEL, env.LLM_API_KEY),
    ...upstreams(env.LLM_FALLBACK_BASE_URL, env.LLM_FALLBACK_MODEL, env.LLM_FALLBACK_API_KEY),
  ];
  if (!first) return undefined;
  const budget = {
    tokensPerDay: env.LLM_TOKENS_PER_DAY,
    tokensPerPersonDay: env.LLM_TOKENS_PER_PERSON_DAY,
    microdollarsPerDay: env.LLM_MICRODOLLARS_PER_DAY,
    microdollarsPerPersonDay: env.LLM_MICRODOLLARS_PER_PERSON_DAY,
  };
  return {
    ...first,
    fallbacks,
    adapter: env.LLM_ADAPTER,
    callsMax: env.LLM_CALLS_MAX,
    cooldownMs: env.LLM_COOLDOWN_MS,
    cacheTtlMs: env.LLM_CACHE_TTL_MS,
    prices: env.LLM_PRICES,
    budget: Object.values(budget).some((each) => each !== undefined) ? budget : undefined,
  };
}

function upstreams(baseUrl: string | undefined, models: readonly string[] = [], apiKey: string | undefined) {
  return baseUrl ? models.map((model) => ({ baseUrl, model, apiKey })) : [];
}

/** Reads `first,second,…`. */
function readModels(text: string, context: z.RefinementCtx): readonly string[] {
  const models = text.split(',').map((model) => model.trim());
  for (const [i, model] of models.entries()) {
    if (!/^[ -~]{1,128}$/.test(model)) context.addIssue(`part ${i + 1} must be 1 to 128 printable ASCII characters`);
    else if (models.indexOf(model) < i) context.addIssue(`part ${i + 1} is the same model as an earlier one`);
  }
  return models;
}

/** Reads `model=prompt/completion,…`: micro-dollars per million tokens. Every bad part is an issue. */
function readPrices(text: string, context: z.RefinementCtx): ReadonlyMap<string, Price> {
  const prices = new Map<string, Price>();
  for (const [i, part] of text.split(',').entries()) {
    const [, model, prompt, completion] = /^\s*([ -~]{1,128}?)\s*=\s*(\d{1,12})\s*\/\s*(\d{1,12})\s*$/.exec(part) ?? [];
    if (model === undefined) {
      context.addIssue(`part ${i + 1} must be <model>=<prompt>/<completion> in micro-dollars per million tokens`);
    } else if (prices.has(model)) context.addIssue(`part ${i + 1} is for the same model as an earlier one`);
    else prices.set(model, { prompt: Number(prompt), completion: Number(completion) });
  }
  return prices;
}
