import { expect, it } from 'vitest';
import { createLogReserve } from './log-reserve.ts';

function setUp() {
  let nowMs = 0;
  const reserve = createLogReserve({ now: () => nowMs });
  const append = async (tookMs: number, outcome = Promise.resolve('logged')) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watched = reserve.watch(promise.then(() => outcome));
    nowMs += tookMs;
    resolve();
    return await watched;
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { reserve, append, pass };
}

it.each([
  ['nothing is known', 0, 800, 750],
  ['the log is quick', 10, 800, 750],
  ['it was slow', 80, 800, 640],
  ['it was very slow', 1000, 800, 600],
  ['it was very slow, and there is much time', 1000, 20_000, 18_000],
  ['there is little time', 1000, 100, 50],
  ['there is no deadline', 80, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
])('where %s (%d ms), of %d ms it leaves %d', async (_, tookMs, deadlineMs, leftMs) => {
  const { reserve, append } = setUp();
  expect(await append(tookMs)).toBe('logged');
  expect(reserve.before(deadlineMs)).toBe(leftMs);
});

it('learns from an append that fails, passes its error on, and forgets', async () => {
  const { reserve, append, pass } = setUp();
  await expect(append(80, Promise.reject(new Error('no stream')))).rejects.toThrow('no stream');
  expect(reserve.before(800)).toBe(640);
  pass(5_000);
  expect(reserve.before(800)).toBe(720);
  pass(60_000);
  expect(reserve.before(800)).toBe(750);
});
