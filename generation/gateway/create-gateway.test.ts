import { describe, expect, it } from 'vitest';
import { fails, hangs, late, says, startUnrulyLlm } from '../../tests/_util/unruly-llm.ts';
import { createGateway, type GatewayOptions } from './create-gateway.ts';
import { handClock, options, request } from './gateway.fixture.ts';
import type { LlmGateway } from './gateway.ts';
import type { LlmCall } from './with-meter.ts';

const anna = { person: 'anna', questionHash: 'q' };

async function create(gateway: GatewayOptions) {
  const calls: LlmCall[] = [];
  const clock = handClock(Date.UTC(2026, 10, 24));
  const onCall = (call: LlmCall) => calls.push(call);
  const created = await createGateway(gateway, {
    random: () => 0,
    now: () => performance.now(),
    clock: clock.now,
    onCall,
  });
  const outcomes = () => calls.map(({ model, outcome }) => `${model} ${outcome}`);
  return { gateway: created, calls, outcomes, clock };
}

const settled = async (gateway: LlmGateway, over = {}) =>
  await gateway.complete(request, options(over)).then(
    ({ model, askedModel, promptTokens }) => ({ model, askedModel, promptTokens }),
    ({ kind }: { kind: string }) => kind,
  );

describe('createGateway', () => {
  it('asks the models of one server in order, and tells of every attempt without any text', async () => {
    await using llm = await startUnrulyLlm(fails(500), fails(401), says('hi'));
    const { baseUrl } = llm;
    const prices = new Map([['c', { prompt: 1_000_000, completion: 2_000_000 }]]);
    const fallbacks = [
      { baseUrl, model: 'b' },
      { baseUrl, model: 'c' },
    ];
    const { gateway, calls, outcomes } = await create({ baseUrl, model: 'a', apiKey: 'sk-secret', fallbacks, prices });
    expect(await settled(gateway)).toEqual({ model: 'unruly-1', askedModel: 'c', promptTokens: 321 });
    expect(llm.requests.map(({ body }) => (body as { model: string }).model)).toEqual(['a', 'b', 'c']);
    expect(outcomes()).toEqual(['a unavailable', 'b unavailable', 'c answered']);
    expect(calls[2]).toEqual({
      upstream: new URL(baseUrl).host,
      model: 'c',
      outcome: 'answered',
      ms: expect.any(Number),
      promptTokens: 321,
      completionTokens: 54,
      microdollars: 429,
    });
    expect(JSON.stringify(calls)).not.toMatch(/sk-secret|text|hi"/);
  });

  it('is done with its time whatever hangs, and leaves nothing behind', async () => {
    await using one = await startUnrulyLlm(hangs);
    await using other = await startUnrulyLlm(late(300, says('prose')));
    const fallbacks = [{ baseUrl: other.baseUrl, model: 'b' }];
    const { gateway, outcomes } = await create({ baseUrl: one.baseUrl, model: 'a', fallbacks, callsMax: 1 });
    const timeouts = [100, 400, 900, 1200, 1500, 2500];
    const lateMs = await Promise.all(
      timeouts.map(async (timeoutMs, i) => {
        const startMs = performance.now();
        await settled(gateway, { timeoutMs, person: `p${i % 2}`, questionHash: 'q', accepts: () => false });
        return performance.now() - startMs - timeoutMs;
      }),
    );
    expect(Math.max(...lateMs)).toBeLessThan(100);
    await expect.poll(() => one.openAnswers() + other.openAnswers()).toBe(0);
    expect(new Set(outcomes())).toContain('a timeout');
  });

  it('sends a key only where it belongs', async () => {
    await using one = await startUnrulyLlm(fails(500));
    await using other = await startUnrulyLlm(says('hi'));
    const fallbacks = [{ baseUrl: other.baseUrl, model: 'b', apiKey: 'sk-other' }];
    const { gateway } = await create({ baseUrl: one.baseUrl, model: 'a', apiKey: 'sk-one', fallbacks });
    await settled(gateway);
    expect(one.requests[0]?.headers.authorization).toBe('Bearer sk-one');
    expect(other.requests[0]?.headers.authorization).toBe('Bearer sk-other');
  });

  it('leaves an upstream alone that keeps failing, and asks the next at once', async () => {
    await using broken = await startUnrulyLlm(fails(500));
    await using well = await startUnrulyLlm(says('hi'));
    const fallbacks = [{ baseUrl: well.baseUrl, model: 'b' }];
    const { gateway, outcomes } = await create({ baseUrl: broken.baseUrl, model: 'a', fallbacks });
    for (let i = 0; i < 8; i++) expect(await settled(gateway)).toMatchObject({ askedModel: 'b' });
    expect(broken.requests).toHaveLength(5);
    expect(outcomes().slice(-2)).toEqual(['a circuit_open', 'b answered']);
  });

  it('a cooldown of 0 asks it always', async () => {
    await using llm = await startUnrulyLlm(fails(401));
    const { gateway } = await create({ baseUrl: llm.baseUrl, model: 'a', cooldownMs: 0 });
    for (let i = 0; i < 8; i++) expect(await settled(gateway)).toBe('unavailable');
    expect(llm.requests).toHaveLength(8);
  });

  it('ends the call upstream when the last caller leaves, and not before', async () => {
    await using llm = await startUnrulyLlm(hangs);
    const { gateway, outcomes } = await create({ baseUrl: llm.baseUrl, model: 'a' });
    const callers = [new AbortController(), new AbortController()];
    const all = callers.map(({ signal }) => settled(gateway, { ...anna, signal }));
    await expect.poll(() => llm.openAnswers()).toBe(1);
    callers[0]?.abort();
    expect(await all[0]).toBe('timeout');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(llm.openAnswers()).toBe(1);
    callers[1]?.abort();
    await expect.poll(() => llm.openAnswers()).toBe(0);
    expect(await all[1]).toBe('timeout');
    expect(outcomes()).toEqual(['a cancelled']);
  });

  it('keeps to the limit of calls, and says which did not get through', async () => {
    await using llm = await startUnrulyLlm(late(100, says('hi')));
    const { gateway, outcomes } = await create({ baseUrl: llm.baseUrl, model: 'a', callsMax: 2 });
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, llm.openAnswers());
    }, 5);
    const results = await Promise.all(Array.from({ length: 8 }, () => settled(gateway, { timeoutMs: 500 })));
    clearInterval(watch);
    expect(most).toBe(2);
    expect(results.filter((result) => result === 'unavailable').length).toBeGreaterThan(0);
    expect(outcomes().filter((outcome) => outcome === 'a queue_full').length).toBe(
      results.filter((result) => result === 'unavailable').length,
    );
  });

  it('turns to a model that the rest of the budget covers, and is spent until tomorrow', async () => {
    await using llm = await startUnrulyLlm(says('hi'));
    const { baseUrl } = llm;
    const prices = new Map([
      ['dear', { prompt: 10_000_000, completion: 10_000_000 }],
      ['cheap', { prompt: 1_000_000, completion: 1_000_000 }],
    ]);
    const fallbacks = [{ baseUrl, model: 'cheap' }];
    const budget = { microdollarsPerDay: 4500 };
    const { gateway, outcomes, clock } = await create({ baseUrl, model: 'dear', fallbacks, prices, budget });
    const results = [await settled(gateway), await settled(gateway), await settled(gateway), await settled(gateway)];
    expect(results.map((result) => (typeof result === 'string' ? result : (result.askedModel ?? 'dear')))).toEqual([
      'dear', // 3750
      'cheap', // 4125
      'cheap', // 4500
      'budget',
    ]);
    expect(outcomes().slice(-2)).toEqual(['dear budget', 'cheap budget']);
    clock.pass(86_400_000);
    expect(await settled(gateway)).toMatchObject({ promptTokens: 321 });
  });

  it('repairs before it keeps, and keeps what is good', async () => {
    await using llm = await startUnrulyLlm(says('prose'), says('hi'));
    const { gateway } = await create({ baseUrl: llm.baseUrl, model: 'a', cacheTtlMs: 10_000 });
    const over = { ...anna, accepts: (text: string) => text === 'hi' };
    expect(await settled(gateway, over)).toMatchObject({ promptTokens: 642 });
    expect(await settled(gateway, over)).toMatchObject({ promptTokens: 0 });
    expect(await settled(gateway, { ...over, person: 'bob' })).toMatchObject({ promptTokens: 321 });
    expect(llm.requests).toHaveLength(3);
  });

  it('gives the same with either adapter, and does not start on options that cannot work', async () => {
    await using llm = await startUnrulyLlm(fails(500), says('hi'));
    const { gateway } = await create({ baseUrl: llm.baseUrl, model: 'a', adapter: 'ai-sdk' });
    expect(await settled(gateway)).toEqual({ model: 'unruly-1', promptTokens: 321 });
    const fallbacks = [{ baseUrl: 'nowhere', model: 'b' }];
    await expect(create({ baseUrl: llm.baseUrl, model: 'a', fallbacks })).rejects.toThrow(/^LLM_BASE_URL/);
  });
});
