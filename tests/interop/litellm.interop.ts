import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Degradation, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { outputSchema } from '../../generation/output.ts';
import { readServerConfig } from '../../server/config.ts';
import { type Loop, startLoop } from '../_util/loop.ts';
import { newFolder } from '../_util/servers.ts';
import { completion, says, startUnrulyLlm, type UnrulyLlm } from '../_util/unruly-llm.ts';
import { type LitellmServer, startLitellm } from './litellm-server.ts';

const { LLM_BAD_OUTPUT, LLM_TIMEOUT, LLM_UNAVAILABLE } = Degradation;

const saying = (content: string, signalIds: readonly string[] = []) =>
  JSON.stringify({ tips: [{ content, kind: 'task', signal_ids: signalIds }] });
const mocked = (model: string, answer: string) => ({
  model: `openai/${model}`,
  api_key: 'none',
  mock_response: answer,
});
const closed = (model: string) => ({ model: `openai/${model}`, api_key: 'none', api_base: 'http://127.0.0.1:9/v1' });

let upstream: UnrulyLlm;
let litellm: LitellmServer;
let loop: Loop;
beforeAll(async () => {
  upstream = await startUnrulyLlm(says(saying('Ring the dentist before lunch', ['task-1'])));
  litellm = await startLitellm({
    bin: inject('litellm'),
    folder: newFolder('litellm'),
    models: {
      good: mocked('good-1', saying('Ring the dentist before lunch', ['task-1'])),
      spare: mocked('spare-1', saying('Put the dentist first', ['task-1'])),
      first: closed('first-1'),
      second: mocked('second-1', 'litellm.InternalServerError'),
      third: mocked('third-1', saying('Call the dentist in the next break', ['task-1'])),
      broken: closed('broken-1'),
      limited: mocked('limited-1', 'litellm.RateLimitError'),
      chatty: mocked('chatty-1', 'Here are your tips!'),
      slow: { ...mocked('slow-1', saying('Too late')), mock_delay: 20 },
      real: { model: 'openai/real-1', api_key: 'none', api_base: upstream.baseUrl },
    },
    fallbacks: { first: ['second', 'third'] },
  });
  loop = await startLoop();
});
afterAll(async () => {
  await loop?.[Symbol.asyncDispose]();
  await litellm?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

/** The variables of a server that asks these models of the proxy. */
const asking = (model: string, fallback?: string) => ({
  LLM_BASE_URL: litellm.baseUrl,
  LLM_MODEL: model,
  LLM_API_KEY: litellm.apiKey,
  ...(fallback && {
    LLM_FALLBACK_BASE_URL: litellm.baseUrl,
    LLM_FALLBACK_MODEL: fallback,
    LLM_FALLBACK_API_KEY: litellm.apiKey,
  }),
});

const signals = [{ id: 'task-1', detail: { case: 'task' as const, value: { title: 'Call the dentist' } } }];

/** A server with these variables, and a way to ask it that also says how long the answer took. */
async function serverWith(variables: Readonly<Record<string, string>>) {
  const needed = { DATABASE_URL: loop.databaseUrl, NATS_URL: loop.nats.url };
  const { client, baseUrl } = await loop.startReplica({ llm: readServerConfig({ ...needed, ...variables }).llm });
  await client.generate({ userId: 'first', promptVersion: 'fallback' }); // connections are there
  const generate = async (userId: string, timeoutMs = 10_000) => {
    const begunMs = performance.now();
    const answer = await client.generate({ userId, context: { signals }, promptVersion: 'v1' }, { timeoutMs });
    return { answer, tookMs: performance.now() - begunMs };
  };
  const metrics = async () => await (await fetch(`${baseUrl}/metrics`)).text();
  return { generate, metrics };
}

/** Templates wrote it, and it says why. */
const byTemplates = (why: Degradation) => ({
  model: '',
  promptVersion: 'fallback',
  degradations: [why],
  candidates: [{ source: TipSource.FALLBACK }, { source: TipSource.FALLBACK }, { source: TipSource.FALLBACK }],
});

describe('a Generate through LiteLLM', () => {
  it.each(['fetch', 'ai-sdk'])('is written by its model, with the adapter %s', async (adapter) => {
    const { generate } = await serverWith({ ...asking('good'), LLM_ADAPTER: adapter });
    const { answer } = await generate(`good-${adapter}`);
    expect(answer).toMatchObject({ model: 'good', promptVersion: 'v1', degradations: [] });
    expect(answer.candidates).toMatchObject([
      { content: 'Ring the dentist before lunch', source: TipSource.LLM, model: 'good', signalIds: ['task-1'] },
    ]);
    expect([answer.promptTokens, answer.completionTokens].every((tokens) => tokens > 0)).toBe(true);
  });

  it('says which model answered where LiteLLM fell back, and logs the one that we asked', async () => {
    const { generate } = await serverWith(asking('first'));
    const { answer } = await generate('fell-back');
    expect(answer).toMatchObject({ model: 'third-1', promptVersion: 'v1', degradations: [] });
    expect(answer.candidates).toMatchObject([{ source: TipSource.LLM, model: 'third-1' }]);
    await loop.drained();
    const { rows } = await loop.database.query('SELECT llm_model FROM generated_tips WHERE event_id = $1', [
      answer.generationId,
    ]);
    expect(rows).toEqual([{ llm_model: 'first' }]);
  });

  it('reaches the model with its schema, and brings back its name and its tokens', async () => {
    const { generate } = await serverWith(asking('real'));
    const { answer } = await generate('real');
    const { usage } = JSON.parse(completion(''));
    expect(answer).toMatchObject({ degradations: [], promptTokens: usage.prompt_tokens, completionTokens: 54 });
    expect(upstream.requests.at(-1)?.body).toMatchObject({
      model: 'real-1',
      messages: [{ role: 'system' }, { role: 'user', content: expect.stringContaining('Call the dentist') }],
      response_format: { type: 'json_schema', json_schema: { strict: true, schema: outputSchema } },
      max_tokens: expect.any(Number),
    });
  });

  it.each([
    ['broken', 'good'],
    ['limited', 'spare'],
    ['unknown', 'good'],
  ])('from a model that is %s goes to our own fallback', async (model, fallback) => {
    const { generate } = await serverWith(asking(model, fallback));
    expect((await generate(`own-${model}`)).answer).toMatchObject({ model: fallback, degradations: [] });
  });

  it.each([
    ['broken', 'limited', LLM_UNAVAILABLE],
    ['limited', 'broken', LLM_UNAVAILABLE],
    ['broken', 'unknown', LLM_UNAVAILABLE],
    ['broken', 'chatty', LLM_BAD_OUTPUT],
    ['broken', 'slow', LLM_TIMEOUT],
  ])('from models that are %s and %s is written by templates, and says why', async (model, fallback, why) => {
    const { generate } = await serverWith(asking(model, fallback));
    const { answer, tookMs } = await generate(`none-${model}`, 2_000);
    expect(answer).toMatchObject(byTemplates(why));
    expect(tookMs).toBeLessThan(2_000);
  });

  // Without a database LiteLLM cannot look a key up, and says 400 where it would say 401.
  it.each([
    ['no key', '', 401],
    ['a wrong key', 'sk-wrong', 400],
  ])('with %s is written by templates, and asks only once', async (_, key, status) => {
    const body = JSON.stringify({ model: 'good', messages: [{ role: 'user', content: 'hi' }] });
    const headers = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) };
    const refused = await fetch(`${litellm.baseUrl}/chat/completions`, { method: 'POST', headers, body });
    expect(refused.status).toBe(status);

    const { generate, metrics } = await serverWith({ ...asking('good'), LLM_API_KEY: key });
    expect((await generate('locked-out')).answer).toMatchObject(byTemplates(LLM_UNAVAILABLE));
    expect(await metrics()).toMatch(/oo_llm_calls_total\{[^}]*outcome="unavailable"\} 1\n/);
  });

  it('is answered in time when LiteLLM hangs or dies, and by the model again when it is back', async () => {
    const { generate, metrics } = await serverWith({ ...asking('good'), LLM_COOLDOWN_MS: '1000' });
    const { generate: generateSlowly } = await serverWith(asking('slow'));
    const timeoutMs = 1_200;
    const written = async () => (await generate('back', timeoutMs)).answer.model;
    expect(await written()).toBe('good');

    litellm.pause();
    const hung = await generate('hung', timeoutMs);
    expect(hung.answer).toMatchObject(byTemplates(LLM_TIMEOUT));
    litellm.resume();
    await expect.poll(written, { timeout: 20_000 }).toBe('good');

    const inTheMiddle = generateSlowly('killed');
    await new Promise((resolve) => setTimeout(resolve, 300)); // for it to be on its way
    await litellm.kill();
    const killed = await inTheMiddle;
    expect(killed.answer).toMatchObject(byTemplates(LLM_UNAVAILABLE));

    const gone = await Promise.all(Array.from({ length: 20 }, (_, i) => generate(`gone-${i}`, timeoutMs)));
    for (const { answer } of gone) expect(answer).toMatchObject(byTemplates(LLM_UNAVAILABLE));
    expect(await metrics()).toMatch(/oo_llm_calls_total\{[^}]*outcome="circuit_open"\} [1-9]/);
    for (const { tookMs } of [hung, ...gone]) expect(tookMs).toBeLessThan(timeoutMs);
    expect(killed.tookMs).toBeLessThan(5_000);

    await litellm.restart();
    await expect.poll(written, { timeout: 20_000 }).toBe('good');
  });
});
