import { describe, expect, it } from 'vitest';
import {
  type Behaviour,
  chunk,
  completion,
  fails,
  finale,
  floods,
  floodsWith,
  hangs,
  late,
  resets,
  says,
  sends,
  startUnrulyLlm,
  streams,
  trickles,
  truncates,
  writesOn,
} from '../../tests/_util/unruly-llm.ts';
import { aiSdk } from './ai-sdk.ts';
import { LlmError, type LlmGateway, type LlmListener, type LlmRequest } from './gateway.ts';
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

  describe('an answer that is listened to', () => {
    const text = '{"tips":["Grüße 👋"]}';
    const all = [chunk('{"tips":'), chunk('["Grüße '), chunk('👋"]}')];
    const bytes = Buffer.from([...all, finale()].join(''));

    const listenTo = async (baseUrl: string, { timeoutMs = 10_000 } = {}) => {
      const heard: { pieces: string[]; models: Set<string>; ends: unknown[] } = {
        pieces: [],
        models: new Set(),
        ends: [],
      };
      const listen = (askedModel: string): LlmListener => ({
        onText: (piece, model) => {
          heard.pieces.push(piece);
          heard.models.add(`${askedModel} ${model}`);
        },
        onEnd: (result) => heard.ends.push(result),
      });
      const options = { signal: never, timeoutMs, listen };
      const result = await adapter({ baseUrl, model: 'asked-1', apiKey: secret })
        .complete(request, options)
        .catch((error: unknown) => error);
      expect(heard.ends).toEqual([result]); // once, and before anyone else knows
      return { result, ...heard };
    };

    it('is asked for as a stream that says what it cost', async () => {
      await using llm = await startUnrulyLlm(streams(...all, finale()));
      await listenTo(llm.baseUrl);
      await ask(llm.baseUrl).catch(() => undefined);
      expect(llm.requests[0]?.body).toMatchObject({
        stream: true,
        stream_options: { include_usage: true },
        messages: [
          { role: 'system', content: 'the system text' },
          { role: 'user', content: 'the user text' },
        ],
        temperature: 0.5,
        max_tokens: 100,
        response_format: { json_schema: { name: 'tips', strict: true, schema: { type: 'object' } } },
      });
      expect(llm.requests[1]?.body).not.toMatchObject({ stream: true });
      expect(llm.requests[1]?.body).not.toHaveProperty('stream_options');
    });

    it('is heard before the next piece is written', async () => {
      const goOn = Promise.withResolvers<void>();
      await using llm = await startUnrulyLlm(streams(chunk('one '), goOn.promise, chunk('two'), finale()));
      const pieces: string[] = [];
      const onText = (piece: string) => {
        pieces.push(piece);
        goOn.resolve();
      };
      const listen = () => ({ onText, onEnd: () => undefined });
      const options = { signal: never, timeoutMs: 10_000, listen };
      await adapter({ baseUrl: llm.baseUrl, model: 'm' }).complete(request, options);
      expect(pieces).toEqual(['one ', 'two']);
    });

    const stop = chunk('', { choices: [{ delta: {}, finish_reason: 'stop' }] });
    const goods: readonly [name: string, Behaviour][] = [
      ['in events', streams(...all, finale())],
      ['at once', streams(bytes)],
      ['byte by byte', streams(...Array.from(bytes, (byte) => Uint8Array.of(byte)))],
      ['with CRLF', streams(bytes.toString().replaceAll('\n', '\r\n'))],
      [
        'with CRLF, byte by byte',
        streams(
          ...Array.from(Buffer.from(bytes.toString().replaceAll('\n', '\r\n'))).map((byte) => Uint8Array.of(byte)),
        ),
      ],
      ['with CR', streams(bytes.toString().replaceAll('\n', '\r'))],
      [
        'with comments and other fields',
        streams(': hi\n\n', ...all.map((each) => `:\nevent: x\nid: 1\nretry: 5\n${each}: keep-alive\n\n`), finale()),
      ],
      ['without a space', streams(bytes.toString().replaceAll('data: ', 'data:'))],
      ['with data in several lines', streams(bytes.toString().replaceAll('"choices":', '\ndata: "choices":'))],
      ['without [DONE]', streams(...all, finale().replace('data: [DONE]\n\n', ''))],
      ['without the last blank line', streams(...all, finale().replace('data: [DONE]\n\n', '').trimEnd())],
      ['with [DONE], and no end after it', streams(...all, finale(), hangs)],
      [
        'with roles and nothing in them',
        streams(
          chunk('', { choices: [{ delta: { role: 'assistant', content: null } }] }),
          chunk('', { choices: [] }),
          ...all,
          finale(),
        ),
      ],
      ['with no error', streams(...all.map((each) => each.replace('{', '{"error":null,')), finale())],
      ['by a server that knows no streams', says(text)],
    ];
    it.each(goods)('may come %s', async (_, behaviour) => {
      await using llm = await startUnrulyLlm(behaviour);
      const { result, pieces, models } = await listenTo(llm.baseUrl);
      expect(result).toEqual({ text, model: 'unruly-1', promptTokens: 321, completionTokens: 54 });
      expect(pieces.join('')).toBe(text);
      expect([...models]).toEqual(['asked-1 unruly-1']);
    });

    const bare = chunk('hi', { model: null });
    it.each([
      [
        'without usage and name',
        [bare, chunk('', { ...{ choices: [{ finish_reason: 'stop' }] }, model: '' }), 'data: [DONE]\n\n'],
      ],
      [
        'with nonsense as usage',
        [
          bare,
          chunk('', { choices: [], model: 7, usage: { prompt_tokens: -1, completion_tokens: '12' } }),
          stop.replace('unruly-1', ''),
          'data: [DONE]\n\n',
        ],
      ],
      [
        'with usage that is no object',
        [bare, chunk('', { choices: [], model: 7, usage: 'much' }), stop.replace('unruly-1', '')],
      ],
      ['without a reason, but with [DONE]', [bare, 'data: [DONE]\n\n']],
      ['with a name that comes after its first word', [bare, stop]],
      ['with a model name that no event could hold', [chunk('hi', { model: 'é'.repeat(200) }), 'data: [DONE]']],
    ])('may come %s', async (_, parts) => {
      await using llm = await startUnrulyLlm(streams(...parts));
      const { result, models } = await listenTo(llm.baseUrl);
      expect(result).toEqual({ text: 'hi', model: 'asked-1', promptTokens: 0, completionTokens: 0 });
      expect([...models]).toEqual(['asked-1 asked-1']);
    });

    const refusal = (delta: object) => chunk('', { choices: [{ delta, finish_reason: null }] });
    const heard = text.slice(0, 8);
    const faults: readonly [name: string, Behaviour, kind: LlmError['kind'], retryable: boolean, pieces: string][] = [
      ['429', fails(429), 'unavailable', true, ''],
      ['HTML', sends('<html>log in</html>', 'text/html'), 'bad_output', false, ''],
      ['JSON of another shape', sends('{"error": "no"}'), 'bad_output', false, ''],
      ['an error', streams('event: error\ndata: {"error":{"message":"log in"}}\n\n'), 'unavailable', true, ''],
      [
        'an error in the middle',
        streams(...all.slice(0, 1), 'data: {"error":{"message":"log in"}}\n\n', finale()),
        'unavailable',
        true,
        heard,
      ],
      ['a reset in the middle', streams(...all.slice(0, 1), resets), 'unavailable', true, heard],
      ['an end in the middle', streams(...all.slice(0, 1)), 'unavailable', true, heard],
      [
        'bad JSON in the middle',
        streams(...all.slice(0, 1), 'data: {"choices": [\n\n', finale()),
        'bad_output',
        false,
        heard,
      ],
      [
        'another shape in the middle',
        streams(...all.slice(0, 1), 'data: {"choices": 7}\n\n', finale()),
        'bad_output',
        false,
        heard,
      ],
      ['no text', streams(finale()), 'bad_output', false, ''],
      ['nothing', streams(), 'unavailable', true, ''],
      ['its maximum length', streams(...all, finale('length')), 'bad_output', false, text],
      ['a filter', streams(...all.slice(0, 1), finale('content_filter')), 'refused', false, heard],
      ['a filter of the whole', sends(completion('no', { finish_reason: 'content_filter' })), 'refused', false, ''],
      ['a refusal', streams(refusal({ refusal: 'I cannot' }), chunk('more'), finale()), 'refused', false, ''],
      ['a line without end', streams('data: ', writesOn(' ')), 'bad_output', false, ''],
      ['a silence', streams(...all.slice(0, 1), hangs), 'timeout', true, heard],
      ['comments without end', streams(...all.slice(0, 1), writesOn(':\n\n')), 'bad_output', false, heard],
    ];
    it.each(faults)('ends with %s, which is told apart', async (_, behaviour, kind, retryable, text) => {
      await using llm = await startUnrulyLlm(behaviour);
      const { result, pieces } = await listenTo(llm.baseUrl, { timeoutMs: kind === 'timeout' ? 300 : 10_000 });
      if (!(result instanceof LlmError)) throw new Error(`not an LlmError: ${JSON.stringify(result)}`);
      expect(result).toMatchObject({ kind, retryable });
      expect(`${result.stack} ${JSON.stringify(result)}`).not.toMatch(
        /sk-very-secret|the (user|system) text|log in|I cannot|Grüße/,
      );
      expect(result.cause).toBeUndefined();
      expect(pieces.join('')).toBe(text);
      expect(llm.requests).toHaveLength(1);
      await expect.poll(() => llm.openAnswers(), { timeout: 5000 }).toBe(0);
    });

    it('that is longer than 1 MiB ends there', async () => {
      const long = chunk('x'.repeat(65_536));
      await using llm = await startUnrulyLlm(streams(...Array.from({ length: 17 }, () => long), finale()));
      const { result, pieces } = await listenTo(llm.baseUrl);
      expect(result).toMatchObject({ kind: 'bad_output', message: expect.stringContaining('more than 1048576 bytes') });
      expect(pieces).toHaveLength(16);
    });

    it('tells with the error what it cost', async () => {
      await using llm = await startUnrulyLlm(streams(...all, finale('length')));
      const { result } = await listenTo(llm.baseUrl);
      expect(result).toMatchObject({ usage: { promptTokens: 321, completionTokens: 54 } });
    });

    it('leaves the connection to the next one, also where it ends a little later', async () => {
      const endsLater = late(10, (response) => response.end());
      await using llm = await startUnrulyLlm(streams(...all, finale(), endsLater));
      for (let i = 0; i < 5; i++) await listenTo(llm.baseUrl);
      expect(llm.connections()).toBeLessThan(5);
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
