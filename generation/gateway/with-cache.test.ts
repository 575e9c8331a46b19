import { describe, expect, it } from 'vitest';
import { answer, handClock, options, request, scriptedGateway, unavailable } from './gateway.fixture.ts';
import type { LlmAnswer } from './gateway.ts';
import { withCache } from './with-cache.ts';

const anna = { person: 'anna', questionHash: 'q' };

function setUp(outcomes: readonly (LlmAnswer | Error)[] = [answer], entriesMax = 2) {
  const clock = handClock();
  const { gateway, calls } = scriptedGateway(outcomes);
  const cached = withCache(gateway, { ttlMs: 1000, now: clock.now, entriesMax });
  return { clock, calls, ask: (over = {}) => cached.complete(request, options({ ...anna, ...over })) };
}

describe('withCache', () => {
  it('gives the same person the same answer to the same question, at no cost, for a while', async () => {
    const { ask, calls, clock } = setUp();
    expect(await ask()).toBe(answer);
    clock.pass(999);
    expect(await ask()).toEqual({ ...answer, promptTokens: 0, completionTokens: 0 });
    clock.pass(1);
    await ask();
    expect(calls).toHaveLength(2);
  });

  it.each([
    ['another person', { person: 'bob' }],
    ['another question', { questionHash: 'r' }],
    ['nobody', { person: undefined }],
    ['no known question', { questionHash: undefined }],
  ])('gives it to nobody else: %s', async (_, over) => {
    const { ask, calls } = setUp();
    await ask();
    await ask(over);
    await ask(over);
    expect(calls.length).toBeGreaterThanOrEqual(2);
    expect((await ask()).promptTokens).toBe(0);
  });

  it('keeps no failure, no text of a wrong form and none of a great length', async () => {
    const long = { ...answer, text: 'x'.repeat(16_385) };
    const { ask, calls } = setUp([unavailable, { ...answer, text: 'prose' }, long, answer]);
    await expect(ask()).rejects.toBe(unavailable);
    const accepts = (text: string) => text !== 'prose';
    await ask({ accepts });
    await ask({ accepts });
    await ask({ accepts });
    await ask({ accepts });
    expect(calls).toHaveLength(4);
  });

  it('forgets what was asked for longest ago', async () => {
    const { ask, calls } = setUp();
    for (const questionHash of ['a', 'b', 'a', 'c', 'a']) await ask({ questionHash });
    expect(calls).toHaveLength(3);
    await ask({ questionHash: 'b' });
    expect(calls).toHaveLength(4);
  });
});
