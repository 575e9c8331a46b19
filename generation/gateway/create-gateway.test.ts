import { describe, expect, it } from 'vitest';
import { fails, hangs, late, says, startUnrulyLlm, truncates } from '../../tests/_util/unruly-llm.ts';
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

  const tips = (text: string) => text === 'hi';

  it('turns to the next model where one keeps to another form, once it was told so', async () => {
    await using prose = await startUnrulyLlm(says('prose'));
    await using well = await startUnrulyLlm(says('hi'));
    const fallbacks = [{ baseUrl: well.baseUrl, model: 'b' }];
    const { gateway, outcomes } = await create({ baseUrl: prose.baseUrl, model: 'a', fallbacks, cacheTtlMs: 10_000 });
    expect(await settled(gateway, { ...anna, accepts: tips })).toMatchObject({ askedModel: 'b', promptTokens: 963 });
    expect(outcomes()).toEqual(['a answered', 'a answered', 'b answered']);
    expect(await settled(gateway, { ...anna, accepts: tips })).toMatchObject({ askedModel: 'b', promptTokens: 0 });
    expect(prose.requests).toHaveLength(2); // none of them for the second question
  });

  it.each([
    ['both keep to another form', [says('prose')], [says('prose')], ['a', 'a', 'b', 'b'], 1284],
    ['the last one first fails', [fails(503)], [fails(503), says('prose')], ['a', 'b', 'b', 'b'], 642],
    ['a repair fails', [says('prose'), fails(503)], [says('prose'), fails(503)], ['a', 'a', 'b', 'b'], 642],
    ['the last one fails twice', [says('prose')], [fails(503)], ['a', 'a', 'b', 'b'], 642],
    ['it is cut off', [truncates('{"choices":[]}')], [says('prose')], ['a', 'b', 'b'], 642],
  ])(
    'where %s, asks each twice at most, the last three times, and tells what all of it cost',
    async (_, one, other, asked, promptTokens) => {
      await using first = await startUnrulyLlm(...one);
      await using second = await startUnrulyLlm(...other);
      const { gateway, calls } = await create({
        baseUrl: first.baseUrl,
        model: 'a',
        fallbacks: [{ baseUrl: second.baseUrl, model: 'b' }],
        budget: { tokensPerDay: 1_000_000 },
      });
      const error = await gateway
        .complete(request, options({ accepts: tips, timeoutMs: 10_000 }))
        .catch((error: unknown) => error);
      expect(error).toMatchObject({ kind: /b fails/.test(asked.join()) ? 'unavailable' : expect.any(String) });
      expect(error).toMatchObject({ usage: { promptTokens } });
      expect(calls.map(({ model }) => model)).toEqual(asked);
      expect(first.requests.length + second.requests.length).toBe(asked.length);
    },
  );

  it('a repair has a place and a budget of its own, and answers of another form leave the circuit closed', async () => {
    await using llm = await startUnrulyLlm(says('prose'));
    const budget = { tokensPerDay: 375 * 12 + 100 };
    const { gateway, outcomes } = await create({ baseUrl: llm.baseUrl, model: 'a', callsMax: 1, budget });
    const results = [];
    for (let i = 0; i < 7; i++) results.push(await settled(gateway, { accepts: tips }));
    expect(results).toEqual([...Array.from({ length: 6 }, () => 'bad_output'), 'budget']);
    expect(outcomes()).toEqual([...Array.from({ length: 12 }, () => 'a answered'), 'a budget']);
  });

  it('asks the next model while there is time for it, however slow the first one is at the wrong form', async () => {
    await using slow = await startUnrulyLlm(late(700, says('prose')));
    await using well = await startUnrulyLlm(says('hi'));
    const fallbacks = [{ baseUrl: well.baseUrl, model: 'b' }];
    const { gateway, outcomes } = await create({ baseUrl: slow.baseUrl, model: 'a', fallbacks });
    expect(await settled(gateway, { accepts: tips, timeoutMs: 1500 })).toMatchObject({ askedModel: 'b' });
    expect(outcomes()).toEqual(['a answered', 'b answered']); // 1000 ms were its own: a repair would not fit
  });

  it('ends those who wait when a model that hangs is given up, and asks the next for them at once', async () => {
    await using one = await startUnrulyLlm(hangs);
    await using other = await startUnrulyLlm(says('hi'));
    const fallbacks = [{ baseUrl: other.baseUrl, model: 'b' }];
    const { gateway, outcomes } = await create({ baseUrl: one.baseUrl, model: 'a', fallbacks, callsMax: 6 });
    const startMs = performance.now();
    const all = Array.from({ length: 12 }, async (_, i) => {
      const result = await settled(gateway, { timeoutMs: i < 5 ? 3000 : 5900 });
      return { result, tookMs: performance.now() - startMs };
    });
    const ends = await Promise.all(all);
    expect(ends.every(({ result }) => typeof result === 'object' && result.askedModel === 'b')).toBe(true);
    const lastOf = (some: typeof ends) => Math.max(...some.map(({ tookMs }) => tookMs));
    expect(lastOf(ends.slice(5)) - lastOf(ends.slice(0, 5))).toBeLessThan(1000); // not the 1900 ms more that they had
    expect(new Set(outcomes())).toEqual(new Set(['a timeout', 'a circuit_open', 'b answered']));
    expect(outcomes()).toHaveLength(24);
    await expect.poll(() => one.openAnswers()).toBe(0);
  });

  it('gives the same with either adapter, and does not start on options that cannot work', async () => {
    await using llm = await startUnrulyLlm(fails(500), says('hi'));
    const { gateway } = await create({ baseUrl: llm.baseUrl, model: 'a', adapter: 'ai-sdk' });
    expect(await settled(gateway)).toEqual({ model: 'unruly-1', promptTokens: 321 });
    const fallbacks = [{ baseUrl: 'nowhere', model: 'b' }];
    await expect(create({ baseUrl: llm.baseUrl, model: 'a', fallbacks })).rejects.toThrow(/^LLM_BASE_URL/);
  });
});
