import { describe, expect, it } from 'vitest';
import { ConfigError } from '../platform/config.ts';
import { readServerConfig } from './config.ts';

const good = {
  DATABASE_URL: 'postgres://u@localhost/oo',
  NATS_URL: 'nats://localhost:4222',
  FEAST_URL: 'http://feast:6566',
  FEAST_FEATURES: 'completion_rate_30d=person_stats:done_rate',
};

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readServerConfig({ ...good, ...env });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('the language models', () => {
  const llm = { LLM_BASE_URL: 'http://ollama:11434/v1', LLM_MODEL: 'qwen2.5:7b' };

  it('are off unless there is a URL, and all that is not set is off but the cooldown', () => {
    expect(readServerConfig({ ...good, LLM_MODEL: 'm', LLM_TOKENS_PER_DAY: '5' }).llm).toBeUndefined();
    expect(readServerConfig({ ...good, ...llm }).llm).toEqual({
      baseUrl: 'http://ollama:11434/v1',
      model: 'qwen2.5:7b',
      fallbacks: [],
      adapter: 'fetch',
      cooldownMs: 10_000,
    });
  });

  it('are asked in the order in which they are named, each with the key of its place', () => {
    const { llm: read } = readServerConfig({
      ...good,
      LLM_BASE_URL: 'https://one/v1',
      LLM_MODEL: 'a, b',
      LLM_API_KEY: 'sk-one',
      LLM_FALLBACK_BASE_URL: 'https://other/v1',
      LLM_FALLBACK_MODEL: 'c',
      LLM_FALLBACK_API_KEY: 'sk-other',
    });
    expect([read, ...(read?.fallbacks ?? [])]).toMatchObject([
      { baseUrl: 'https://one/v1', model: 'a', apiKey: 'sk-one' },
      { baseUrl: 'https://one/v1', model: 'b', apiKey: 'sk-one' },
      { baseUrl: 'https://other/v1', model: 'c', apiKey: 'sk-other' },
    ]);
  });

  it('have limits, and prices to count by', () => {
    const env = {
      LLM_ADAPTER: 'ai-sdk',
      LLM_CALLS_MAX: '8',
      LLM_COOLDOWN_MS: '0',
      LLM_CACHE_TTL_MS: '60000',
      LLM_PRICES: 'qwen2.5:7b=0/0, gpt-5-mini = 250000/2000000',
      LLM_MICRODOLLARS_PER_DAY: '5000000',
      LLM_TOKENS_PER_PERSON_DAY: '20000',
    };
    expect(readServerConfig({ ...good, ...llm, ...env }).llm).toMatchObject({
      adapter: 'ai-sdk',
      callsMax: 8,
      cooldownMs: 0,
      cacheTtlMs: 60_000,
      prices: new Map([
        ['qwen2.5:7b', { prompt: 0, completion: 0 }],
        ['gpt-5-mini', { prompt: 250_000, completion: 2_000_000 }],
      ]),
      budget: { microdollarsPerDay: 5_000_000, tokensPerPersonDay: 20_000 },
    });
  });

  it.each<[string, NodeJS.ProcessEnv, readonly string[]]>([
    ['no model', { LLM_MODEL: '' }, ['LLM_MODEL: is not set: LLM_BASE_URL needs a model to ask']],
    ['an empty part', { LLM_MODEL: 'a,' }, ['LLM_MODEL: part 2 must be 1 to 128 printable ASCII characters']],
    ['a model twice', { LLM_MODEL: 'a,b,a' }, ['LLM_MODEL: part 3 is the same model as an earlier one']],
    [
      'another place without a model',
      { LLM_FALLBACK_BASE_URL: 'http://x/v1' },
      ['LLM_FALLBACK_MODEL: is not set: LLM_FALLBACK_BASE_URL needs a model to ask'],
    ],
    [
      'another place and no first one',
      { LLM_BASE_URL: '', LLM_FALLBACK_BASE_URL: 'http://x/v1', LLM_FALLBACK_MODEL: 'b' },
      ['LLM_BASE_URL: is not set: LLM_FALLBACK_BASE_URL is asked where it fails'],
    ],
    ['another adapter', { LLM_ADAPTER: 'openai' }, ['LLM_ADAPTER: must be fetch or ai-sdk']],
    ['no calls', { LLM_CALLS_MAX: '0' }, ['LLM_CALLS_MAX: must be a whole number from 1 to 100000']],
    ['a budget in dollars', { LLM_TOKENS_PER_DAY: '5.5' }, [expect.stringMatching(/^LLM_TOKENS_PER_DAY: must be/)]],
    [
      'money without prices',
      { LLM_MICRODOLLARS_PER_PERSON_DAY: '5' },
      ['LLM_PRICES: is not set: LLM_MICRODOLLARS_PER_PERSON_DAY counts by them'],
    ],
    [
      'money without the price of a model',
      { LLM_MODEL: 'a,b', LLM_MICRODOLLARS_PER_DAY: '5', LLM_PRICES: 'a=1/1' },
      ['LLM_PRICES: has no price of b'],
    ],
    [
      'bad prices',
      { LLM_PRICES: 'a=1/1,b,c=1,a=2/2,d=-1/1' },
      [
        expect.stringMatching(/^LLM_PRICES: part 2 must be <model>=<prompt>\/<completion>/),
        expect.stringMatching(/^LLM_PRICES: part 3 must be/),
        'LLM_PRICES: part 4 is for the same model as an earlier one',
        expect.stringMatching(/^LLM_PRICES: part 5 must be/),
      ],
    ],
  ])('are refused with %s', (_, env, problems) => {
    expect(problemsOf({ ...llm, ...env })).toEqual(problems);
  });
});

describe('Feast', () => {
  it('needs its URL and the features to read; the rest has defaults', () => {
    expect(readServerConfig(good).feast).toEqual({
      url: 'http://feast:6566',
      features: new Map([['completion_rate_30d', 'person_stats:done_rate']]),
      entityKey: 'user_id',
      timeoutMs: 25,
    });
  });

  it('can give several features, from any view and of any version of it', () => {
    const { feast } = readServerConfig({
      ...good,
      FEAST_FEATURES: ' completion_rate_30d = person_stats@v2:done_rate, preferred_hour=habits:hour ',
      FEAST_ENTITY_KEY: 'person',
      FEAST_TIMEOUT_MS: '40',
    });
    expect(feast).toMatchObject({ entityKey: 'person', timeoutMs: 40 });
    expect(Object.fromEntries(feast?.features ?? [])).toEqual({
      completion_rate_30d: 'person_stats@v2:done_rate',
      preferred_hour: 'habits:hour',
    });
  });

  it('is not used without a URL', () => {
    expect(readServerConfig({ ...good, FEAST_URL: '' }).feast).toBeUndefined();
  });

  it.each<[string, NodeJS.ProcessEnv, readonly string[]]>([
    ['no features', { FEAST_FEATURES: '' }, ['FEAST_FEATURES: is not set: FEAST_URL needs features to read']],
    ['a URL of another kind', { FEAST_URL: 'grpc://feast:6566' }, [expect.stringMatching(/^FEAST_URL: must be a URL/)]],
    [
      'a password in the URL',
      { FEAST_URL: 'http://me:secret@feast' },
      ['FEAST_URL: must not hold a user name or password'],
    ],
    ['no time', { FEAST_TIMEOUT_MS: '0' }, [expect.stringMatching(/^FEAST_TIMEOUT_MS: .* from 1 to 1000$/)]],
    ['too much time', { FEAST_TIMEOUT_MS: '1001' }, [expect.stringMatching(/^FEAST_TIMEOUT_MS: /)]],
  ])('is refused with %s', (_, env, problems) => {
    expect(problemsOf(env)).toEqual(problems);
  });

  it('is refused with every bad part of its features named', () => {
    const parts = [
      'completion_rate_30d=person_stats:done_rate',
      'secret=person_stats:secret',
      'preferred_hour',
      'preferred_hour=hour',
      'preferred_hour=habits:hour:minute',
      '',
      'completion_rate_30d=habits:rate',
    ];
    expect(problemsOf({ FEAST_FEATURES: parts.join(',') })).toEqual([
      expect.stringMatching(/^FEAST_FEATURES: part 2 names no profile feature; they are completion_rate_30d, /),
      'FEAST_FEATURES: part 3 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 4 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 5 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 6 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 7 is for the same feature as part 1',
    ]);
  });
});
