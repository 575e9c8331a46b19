import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { mergeCalls } from './merge-calls.ts';

/** Batches that wait until the test settles them. */
function merged(maxBatch: number, maxInFlight: number) {
  const batches: {
    readonly asked: readonly number[];
    readonly done: PromiseWithResolvers<readonly { n: number }[]>;
  }[] = [];
  const call = mergeCalls<number, { n: number }>({
    maxBatch,
    maxInFlight,
    work: (asked) => {
      const done = Promise.withResolvers<readonly { n: number }[]>();
      batches.push({ asked, done });
      return done.promise;
    },
  });
  const answer = (i: number) => batches[i]?.done.resolve((batches[i]?.asked ?? []).map((n) => ({ n })));
  return { call, batches, answer, asked: () => batches.map(({ asked }) => asked) };
}

describe('calls', () => {
  it('of one turn are one batch, each with its own answer', async () => {
    const { call, asked, answer } = merged(10, 1);
    const calls = [call(1), call(2), call(3)];
    await nextTurn();
    expect(asked()).toEqual([[1, 2, 3]]);
    answer(0);
    expect(await Promise.all(calls)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('beyond a batch, or while enough are at work, wait for their turn', async () => {
    const { call, asked, answer } = merged(2, 2);
    const calls = [1, 2, 3, 4, 5].map(call);
    for (let i = 0; i < 5; i++) await nextTurn();
    expect(asked()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    answer(1);
    for (let i = 0; i < 5; i++) await nextTurn();
    expect(asked()[2]).toEqual([5]);
    answer(0);
    answer(2);
    expect(await Promise.all(calls)).toEqual([1, 2, 3, 4, 5].map((n) => ({ n })));
  });

  it('fail together, and the next ones go on', async () => {
    const { call, batches, answer } = merged(10, 1);
    const failed = Promise.allSettled([call(1), call(2)]);
    await nextTurn();
    batches[0]?.done.reject(new Error('no'));
    expect(await failed).toMatchObject([{ reason: { message: 'no' } }, { reason: { message: 'no' } }]);
    const next = call(3);
    await nextTurn();
    answer(1);
    expect(await next).toEqual({ n: 3 });
  });

  it('without an answer fail, the others of their batch do not', async () => {
    const { call, batches } = merged(10, 1);
    const calls = Promise.allSettled([call(1), call(2)]);
    await nextTurn();
    batches[0]?.done.resolve([{ n: 1 }]);
    expect(await calls).toMatchObject([{ value: { n: 1 } }, { reason: { message: /fewer answers/ } }]);
  });
});
