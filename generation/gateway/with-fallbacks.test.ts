import { describe, expect, it } from 'vitest';
import { answer, handClock, heldGateway, options, request, scriptedGateway, unavailable } from './gateway.fixture.ts';
import { LlmError, type LlmGateway } from './gateway.ts';
import { shareMs, withFallbacks } from './with-fallbacks.ts';

const now = () => 0;

describe('withFallbacks', () => {
  it('asks the first, and says nothing of others where it answers', async () => {
    const [a, b] = [scriptedGateway([answer], 'a'), scriptedGateway([answer], 'b')];
    const chain = withFallbacks([a.gateway, b.gateway], { now });
    expect(chain.model).toBe('a');
    expect(await chain.complete(request, options())).toBe(answer);
    expect(b.calls).toHaveLength(0);
  });

  it.each([
    ['is down', unavailable],
    ['has no right to', new LlmError('unavailable', '401', { retryable: false })],
    ['is slow', new LlmError('timeout', 'slow')],
    ['refuses', new LlmError('refused', 'no')],
    ['answers nonsense', new LlmError('bad_output', 'html')],
    ['is too dear for today', new LlmError('budget', 'spent')],
    ['breaks', new TypeError('bug')],
  ])('asks the next in order where one %s, and says which one answered', async (_, error) => {
    const gateways = ['a', 'b', 'c', 'd'].map((model) => scriptedGateway([model === 'c' ? answer : error], model));
    const [first, ...others] = gateways.map(({ gateway }) => gateway) as [LlmGateway, ...LlmGateway[]];
    const result = await withFallbacks([first, ...others], { now }).complete(request, options());
    expect(result).toEqual({ ...answer, askedModel: 'c' });
    expect(gateways.map(({ calls }) => calls.length)).toEqual([1, 1, 1, 0]);
  });

  it('rejects as the last one did, and tells what all of them spent', async () => {
    const usage = { promptTokens: 100, completionTokens: 50 };
    const [a, b] = [
      scriptedGateway([new LlmError('refused', 'no', { usage })], 'a'),
      scriptedGateway([new LlmError('bad_output', 'cut', { usage })], 'b'),
    ];
    const asked = withFallbacks([a.gateway, b.gateway], { now }).complete(request, options());
    const both = { promptTokens: 200, completionTokens: 100 };
    await expect(asked).rejects.toMatchObject({ kind: 'bad_output', message: 'cut', usage: both });
  });

  it('adds what was spent in vain to the answer', async () => {
    const usage = { promptTokens: 100, completionTokens: 50 };
    const a = scriptedGateway([new LlmError('refused', 'no', { usage })], 'a');
    const b = scriptedGateway([answer], 'b');
    const result = await withFallbacks([a.gateway, a.gateway, b.gateway], { now }).complete(request, options());
    expect(result).toMatchObject({ promptTokens: 210, completionTokens: 105, askedModel: 'b' });
  });

  it('asks nobody else once the caller has left, or no time is left', async () => {
    const [a, b] = [heldGateway('a'), scriptedGateway([answer], 'b')];
    const clock = handClock();
    const chain = withFallbacks([a.gateway, b.gateway], { now: clock.now });
    const caller = new AbortController();
    const left = chain.complete(request, options({ signal: caller.signal }));
    caller.abort();
    a.calls[0]?.reject(unavailable);
    await expect(left).rejects.toBe(unavailable);
    const late = chain.complete(request, options());
    clock.pass(2751);
    a.calls[1]?.reject(unavailable);
    await expect(late).rejects.toBe(unavailable);
    expect(b.calls).toHaveLength(0);
  });

  it('leaves time for the others, and the last one all there is', async () => {
    const gateways = ['a', 'b', 'c'].map((model) => scriptedGateway([unavailable], model));
    const [first, ...others] = gateways.map(({ gateway }) => gateway) as [LlmGateway, ...LlmGateway[]];
    const chain = withFallbacks([first, ...others], { now });
    await chain.complete(request, options({ timeoutMs: 9000 })).catch(() => undefined);
    expect(gateways.map(({ calls }) => calls[0]?.options.timeoutMs)).toEqual([6000, 6000, 9000]);
  });
});

it.each([
  [9000, 6000],
  [751, 500.7],
  [749, 749],
])('of %d ms, one with others after it gets %d', (leftMs, expected) => {
  expect(shareMs(leftMs)).toBeCloseTo(expected, 0);
});
