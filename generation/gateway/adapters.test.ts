import { describe, expect, it } from 'vitest';
import {
  type Behaviour,
  completion,
  fails,
  floods,
  floodsWith,
  hangs,
  resets,
  says,
  sends,
  startUnrulyLlm,
  trickles,
  truncates,
} from '../../tests/_util/unruly-llm.ts';
import { aiSdk } from './ai-sdk.ts';
import { LlmError, type LlmGateway, type LlmRequest } from './gateway.ts';
import { openAiCompatible } from './openai-compatible.ts';
import type { Upstream } from './upstream.ts';

const request: LlmRequest = {
  system: 'the system text',
  user: 'the user text',
  schemaName: 'tips',
  schema: { type: 'object' },
  temperature: 0.5,
  maxOutputTokens: 100,
};
const never = new AbortController().signal;
const secret = 'sk-very-secret';

/** One contract for all adapters: which of them is used makes no difference to anyone. */
const adapters: readonly (readonly [name: string, (upstream: Upstream) => LlmGateway])[] = [
  ['plain fetch', openAiCompatible],
  ['the AI SDK', aiSdk],
];

async function failure(work: Promise<unknown>): Promise<LlmError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof LlmError)) throw new Error(`not an LlmError: ${error}`);
  return error;
}

it('no model can be asked by name alone, which would be at the vendor of the SDK', () => {
  aiSdk({ baseUrl: 'http://localhost/v1', model: 'm' });
  expect(() => globalThis.AI_SDK_DEFAULT_PROVIDER?.languageModel('gpt-5')).toThrow(/without saying where/);
});

describe.each(adapters)('%s', (_, adapter) => {
  const ask = async (baseUrl: string, { signal = never, timeoutMs = 10_000 } = {}) =>
    await adapter({ baseUrl, model: 'asked-1', apiKey: secret }).complete(request, { signal, timeoutMs });

  describe('what is sent', () => {
    it('is a chat completion with the schema, under the path of the base URL', async () => {
      await using llm = await startUnrulyLlm(says('{}'));
      await ask(`${llm.baseUrl}/`);
      expect(llm.requests).toHaveLength(1);
      expect(llm.requests[0]).toMatchObject({
        url: '/v1/chat/completions',
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        body: {
          model: 'asked-1',
          messages: [
            { role: 'system', content: 'the system text' },
            { role: 'user', content: 'the user text' },
          ],
          temperature: 0.5,
          max_tokens: 100,
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'tips', strict: true, schema: { type: 'object' } },
          },
        },
      });
    });

    it('holds no authorization without a key', async () => {
      await using llm = await startUnrulyLlm(says('{}'));
      const gateway = adapter({ baseUrl: llm.baseUrl, model: 'asked-1', apiKey: '' });
      await gateway.complete(request, { signal: never, timeoutMs: 10_000 });
      expect(llm.requests[0]?.headers).not.toHaveProperty('authorization');
    });
  });

  describe('a good answer', () => {
    it('is its text, the model that wrote it and what it cost', async () => {
      await using llm = await startUnrulyLlm(says('{"tips":[]}'));
      expect(await ask(llm.baseUrl)).toEqual({
        text: '{"tips":[]}',
        model: 'unruly-1',
        promptTokens: 321,
        completionTokens: 54,
      });
    });

    const message = { content: 'hi' };
    it.each([
      ['without usage', { choices: [{ message }] }],
      ['with nonsense as usage', { choices: [{ message }], usage: { prompt_tokens: -1, completion_tokens: '12' } }],
      ['with more tokens than a uint32', { choices: [{ message }], usage: { prompt_tokens: 2 ** 33 } }],
      ['with a model name that no event could hold', { choices: [{ message }], model: `x${'é'.repeat(200)}` }],
      ['with null everywhere', { choices: [{ message, finish_reason: null }], usage: null, model: null }],
    ])('may come %s', async (_, body) => {
      await using llm = await startUnrulyLlm(sends(JSON.stringify(body)));
      expect(await ask(llm.baseUrl)).toEqual({ text: 'hi', model: 'asked-1', promptTokens: 0, completionTokens: 0 });
    });
  });

  describe('a fault', () => {
    const cases: readonly [
      name: string,
      Behaviour,
      kind: LlmError['kind'],
      retryable: boolean,
      retryAfterMs?: number,
    ][] = [
      ['429 with Retry-After', fails(429, { 'retry-after': '7' }), 'unavailable', true, 7000],
      ['429 with a date', fails(429, { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }), 'unavailable', true],
      ['500', fails(500), 'unavailable', true],
      ['503', fails(503), 'unavailable', true],
      ['401', fails(401), 'unavailable', false],
      ['400', fails(400), 'unavailable', false],
      ['a redirect', fails(302, { location: 'http://127.0.0.1:9/' }), 'unavailable', false],
      ['a connection reset', resets, 'unavailable', true],
      ['a truncated body', truncates(completion('hi')), 'unavailable', true],
      ['a redirect back to itself', fails(307, { location: '/v1/chat/completions' }), 'unavailable', false],
      ['an error page without end', floodsWith(500), 'unavailable', true],
      ['bad JSON', sends('{"choices": ['), 'bad_output', false],
      ['JSON that is no object', sends('"hi"'), 'bad_output', false],
      ['null', sends('null'), 'bad_output', false],
      ['no content at all', sends(completion('', { message: {} })), 'bad_output', false],
      ['JSON of another shape', sends('{"error": "no"}'), 'bad_output', false],
      ['empty choices', sends('{"choices": []}'), 'bad_output', false],
      ['an empty text', says(''), 'bad_output', false],
      ['HTML', sends('<html>log in</html>', 'text/html'), 'bad_output', false],
      ['JSON that says it is HTML', sends(completion('hi'), 'text/html'), 'bad_output', false],
      ['more than 1 MiB', floods, 'bad_output', false],
      ['a cut answer', sends(completion('{"ti', { finish_reason: 'length' })), 'bad_output', false],
      ['a filter', sends(completion('no', { finish_reason: 'content_filter' })), 'refused', false],
      ['a refusal', sends(completion('', { message: { content: null, refusal: 'I cannot' } })), 'refused', false],
    ];

    it.each(cases)('%s is told apart', async (_, behaviour, kind, retryable, retryAfterMs) => {
      await using llm = await startUnrulyLlm(behaviour);
      const error = await failure(ask(llm.baseUrl));
      expect(error).toMatchObject({ kind, retryable, retryAfterMs });
      expect(`${error.stack} ${JSON.stringify(error)}`).not.toMatch(
        /sk-very-secret|the (user|system) text|log in|I cannot/,
      );
      expect(error.cause).toBeUndefined();
      expect(llm.requests).toHaveLength(1);
    });

    it('is told with the tokens it cost', async () => {
      const filtered = completion('no', { finish_reason: 'content_filter' });
      await using llm = await startUnrulyLlm(sends(completion('{"ti', { finish_reason: 'length' })), sends(filtered));
      for (const kind of ['bad_output', 'refused']) {
        const usage = { promptTokens: 321, completionTokens: 54 };
        expect(await failure(ask(llm.baseUrl))).toMatchObject({ kind, usage });
      }
    });

    it('leaves no connection open', async () => {
      await using llm = await startUnrulyLlm(hangs, floods, fails(500), sends('<html>', 'text/html'), says('{}'));
      for (let i = 0; i < 5; i++) await ask(llm.baseUrl, { timeoutMs: 300 }).catch(() => undefined);
      await expect.poll(() => llm.openAnswers(), { timeout: 5000 }).toBe(0);
    });

    it.each([
      ['hanging', hangs],
      ['trickling', trickles(completion('hi'))],
    ])('%s ends with the time', async (_, behaviour) => {
      await using llm = await startUnrulyLlm(behaviour);
      expect(await failure(ask(llm.baseUrl, { timeoutMs: 200 }))).toMatchObject({ kind: 'timeout', retryable: true });
    });

    it('hanging ends with the signal', async () => {
      await using llm = await startUnrulyLlm(hangs);
      const caller = new AbortController();
      const asked = failure(ask(llm.baseUrl, { signal: caller.signal }));
      setTimeout(() => caller.abort(), 50);
      expect(await asked).toMatchObject({ kind: 'timeout' });
      expect(await failure(ask(llm.baseUrl, { signal: caller.signal }))).toMatchObject({ kind: 'timeout' });
      expect(llm.requests.length).toBeLessThanOrEqual(1);
    });

    it('nobody listening is unavailable', async () => {
      const llm = await startUnrulyLlm(hangs);
      await llm[Symbol.asyncDispose]();
      const error = await failure(ask(llm.baseUrl));
      expect(error).toMatchObject({ kind: 'unavailable', retryable: true });
      expect(error.message).toContain('ECONNREFUSED');
    });
  });

  it('a query in the base URL stays', async () => {
    await using llm = await startUnrulyLlm(says('{}'));
    await ask(`${llm.baseUrl}?api-version=7`);
    expect(llm.requests[0]?.url).toBe('/v1/chat/completions?api-version=7');
  });

  describe('options that can never work', () => {
    it.each([
      ['no URL', { baseUrl: 'localhost:11434' }],
      ['another protocol', { baseUrl: 'file:///etc/passwd' }],
      ['a password in the URL', { baseUrl: 'http://me:secret@localhost/v1' }],
      ['no model', { model: '' }],
      ['a key with a line break', { apiKey: 'sk-secret\n' }],
    ])('are refused at once: %s', (_, options) => {
      const make = () => adapter({ baseUrl: 'http://localhost/v1', model: 'm', ...options });
      expect(make).toThrow(/^LLM_/);
      expect(make).not.toThrow(/secret/);
    });
  });
});
