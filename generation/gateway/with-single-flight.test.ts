import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answer, heldGateway, options, request } from './gateway.fixture.ts';
import { hasLeft, LlmError } from './gateway.ts';
import { withSingleFlight } from './with-single-flight.ts';

const now = () => performance.now();
const asked = { person: 'anna', questionHash: 'q' };
const setUp = () => {
  const { gateway, calls } = heldGateway();
  return { calls, shared: withSingleFlight(gateway, { now }) };
};

describe('withSingleFlight', () => {
  it('asks once for any number of callers, and tells the tokens once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 50 }), async (n) => {
        const { calls, shared } = setUp();
        const all = Promise.all(Array.from({ length: n }, () => shared.complete(request, options(asked))));
        await turn();
        expect(calls).toHaveLength(1);
        calls[0]?.resolve(answer);
        const answers = await all;
        expect(answers.every(({ text, model }) => text === 'hi' && model === 'm-2026')).toBe(true);
        expect(answers.reduce((sum, { promptTokens }) => sum + promptTokens, 0)).toBe(10);
      }),
    );
  });

  it('tells what a failure cost once, too', async () => {
    const { calls, shared } = setUp();
    const all = Promise.allSettled(Array.from({ length: 3 }, () => shared.complete(request, options(asked))));
    const usage = { promptTokens: 10, completionTokens: 5 };
    calls[0]?.reject(new LlmError('bad_output', 'prose', { usage }));
    const reasons = (await all).map((result) => (result.status === 'rejected' ? result.reason : result));
    expect(reasons).toMatchObject(Array.from({ length: 3 }, () => ({ kind: 'bad_output', message: 'prose' })));
    expect(reasons.map((reason) => reason.usage)).toEqual([usage, undefined, undefined]);
  });

  it('gives everyone who stays the answer, whoever leaves, and ends the call with the last who does', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }), async (leaves) => {
        const { calls, shared } = setUp();
        const callers = leaves.map((leaves) => ({ leaves, abort: new AbortController() }));
        const results = callers.map(({ abort }) =>
          shared.complete(request, options({ ...asked, signal: abort.signal })).then(
            ({ text }) => text,
            (error: unknown) => (error instanceof LlmError ? error.kind : error),
          ),
        );
        for (const { leaves, abort } of callers) if (leaves) abort.abort();
        await turn();
        expect(calls).toHaveLength(1);
        expect(calls[0]?.options.signal.aborted).toBe(leaves.every((each) => each));
        calls[0]?.resolve(answer);
        expect(await Promise.all(results)).toEqual(leaves.map((leaves) => (leaves ? 'timeout' : 'hi')));
      }),
    );
  });

  it.each([
    ['two people', { person: 'anna', questionHash: 'q' }, { person: 'bob', questionHash: 'q' }],
    ['two questions', { person: 'anna', questionHash: 'q' }, { person: 'anna', questionHash: 'r' }],
    ['names that run into each other', { person: 'a', questionHash: 'b,c' }, { person: 'a,b', questionHash: 'c' }],
    ['nobody', { questionHash: 'q' }, { questionHash: 'q' }],
    ['no known question', { person: 'anna' }, { person: 'anna' }],
  ])('shares nothing between %s', async (_, one, other) => {
    const { calls, shared } = setUp();
    const both = Promise.all([one, other].map((each) => shared.complete(request, options(each))));
    await turn();
    expect(calls).toHaveLength(2);
    calls[0]?.resolve({ ...answer, text: 'one' });
    calls[1]?.resolve({ ...answer, text: 'other' });
    expect((await both).map(({ text }) => text)).toEqual(['one', 'other']);
  });

  it('asks anew after an answer, after a failure, and after everybody left', async () => {
    const { calls, shared } = setUp();
    const ask = (signal = new AbortController().signal) => shared.complete(request, options({ ...asked, signal }));
    const first = ask();
    calls[0]?.resolve(answer);
    await first;
    const second = ask();
    const error = new LlmError('refused', 'no');
    calls[1]?.reject(error);
    await expect(second).rejects.toBe(error);
    const leaving = new AbortController();
    const third = ask(leaving.signal);
    leaving.abort();
    await expect(third).rejects.toMatchObject({ kind: 'timeout' });
    const fourth = ask();
    expect(calls).toHaveLength(4);
    calls[3]?.resolve(answer);
    expect(await fourth).toBe(answer);
  });

  it('lets the call know whether the last one left, or its time was up', async () => {
    const { calls, shared } = setUp();
    const left = new AbortController();
    const all = [
      shared.complete(request, options({ ...asked, timeoutMs: 20 })),
      shared.complete(request, options({ person: 'bob', questionHash: 'q', signal: left.signal })),
    ];
    left.abort();
    await Promise.allSettled(all);
    expect(calls.map(({ options }) => options.signal.aborted)).toEqual([true, true]);
    expect(calls.map(({ options }) => hasLeft(options.signal))).toEqual([false, true]);
  });

  it('lets who has more time ask again where the time of the one who began is over', async () => {
    const { calls, shared } = setUp();
    const hasty = shared.complete(request, options({ ...asked, timeoutMs: 30 }));
    const patient = shared.complete(request, options({ ...asked, timeoutMs: 5000 }));
    const others = [6000, 7000].map((timeoutMs) => shared.complete(request, options({ ...asked, timeoutMs })));
    await expect(hasty).rejects.toMatchObject({ kind: 'timeout' });
    calls[0]?.reject(new LlmError('timeout', 'slow'));
    await expect.poll(() => calls.length).toBe(2);
    expect(calls[1]?.options.timeoutMs).toBeGreaterThan(4000);
    calls[1]?.resolve(answer);
    expect(await patient).toMatchObject({ text: 'hi', promptTokens: 10 });
    expect(await Promise.all(others)).toMatchObject([{ promptTokens: 0 }, { promptTokens: 0 }]);
    expect(calls).toHaveLength(2);
  });
});
