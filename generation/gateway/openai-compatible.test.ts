import { describe, expect, it } from 'vitest';
import {
  type Behaviour,
  completion,
  fails,
  floods,
  hangs,
  resets,
  says,
  sends,
  startUnrulyLlm,
  trickles,
  truncates,
} from '../../tests/_util/unruly-llm.ts';
import { LlmError, type LlmRequest } from './gateway.ts';
import { openAiCompatible } from './openai-compatible.ts';

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

async function ask(baseUrl: string, { signal = never, timeoutMs = 10_000 } = {}) {
  return await openAiCompatible({ baseUrl, model: 'asked-1', apiKey: secret }).complete(request, { signal, timeoutMs });
}

async function failure(work: Promise<unknown>): Promise<LlmError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof LlmError)) throw new Error(`not an LlmError: ${error}`);
  return error;
}

describe('what is sent', () => {
  it('is a chat completion with the schema, under the path of the base URL', async () => {
    await using llm = await startUnrulyLlm(says('{}'));
    await ask(`${llm.baseUrl}/`);
    expect(llm.requests).toHaveLength(1);
    expect(llm.requests[0]).toMatchObject({
      url: '/v1/chat/completions',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: {
        model: 'asked-1',
        messages: [
          { role: 'system', content: 'the system text' },
          { role: 'user', content: 'the user text' },
        ],
        temperature: 0.5,
        max_tokens: 100,
        stream: false,
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'tips', strict: true, schema: { type: 'object' } },
        },
      },
    });
  });

  it('holds no authorization without a key', async () => {
    await using llm = await startUnrulyLlm(says('{}'));
    const gateway = openAiCompatible({ baseUrl: llm.baseUrl, model: 'asked-1', apiKey: '' });
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
  const cases: readonly [name: string, Behaviour, kind: LlmError['kind'], retryable: boolean, retryAfterMs?: number][] =
    [
      ['429 with Retry-After', fails(429, { 'retry-after': '7' }), 'unavailable', true, 7000],
      ['429 with a date', fails(429, { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }), 'unavailable', true],
      ['500', fails(500), 'unavailable', true],
      ['503', fails(503), 'unavailable', true],
      ['401', fails(401), 'unavailable', false],
      ['400', fails(400), 'unavailable', false],
      ['a redirect', fails(302, { location: 'http://127.0.0.1:9/' }), 'unavailable', false],
      ['a connection reset', resets, 'unavailable', true],
      ['a truncated body', truncates(completion('hi')), 'unavailable', true],
      ['bad JSON', sends('{"choices": ['), 'bad_output', false],
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
    expect(`${error.stack} ${JSON.stringify(error)}`).not.toMatch(/sk-very-secret|the user text|log in|I cannot/);
    expect(error.cause).toBeUndefined();
    expect(llm.requests).toHaveLength(1);
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

describe('options that can never work', () => {
  it.each([
    ['no URL', { baseUrl: 'localhost:11434' }],
    ['another protocol', { baseUrl: 'file:///etc/passwd' }],
    ['a password in the URL', { baseUrl: 'http://me:secret@localhost/v1' }],
    ['no model', { model: '' }],
    ['a key with a line break', { apiKey: 'sk-secret\n' }],
  ])('are refused at once: %s', (_, options) => {
    const make = () => openAiCompatible({ baseUrl: 'http://localhost/v1', model: 'm', ...options });
    expect(make).toThrow(/^LLM_/);
    expect(make).not.toThrow(/secret/);
  });
});
