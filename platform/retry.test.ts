import { describe, expect, it } from 'vitest';
import { retry } from './retry.ts';

const options = {
  firstMs: 1,
  maxMs: 2,
  signal: new AbortController().signal,
  random: () => 1,
  shouldRetry: () => true,
};
const failing = (times: number, error = new Error('down')) => {
  let left = times;
  return async () => {
    if (left-- > 0) throw error;
    return 'up';
  };
};

describe('retry', () => {
  it('goes on until it works, and tells of every failure', async () => {
    const seen: number[] = [];
    await expect(retry(failing(3), { ...options, onRetry: (_, attempt) => seen.push(attempt) })).resolves.toBe('up');
    expect(seen).toEqual([1, 2, 3]);
  });

  it('waits longer each time, but never longer than it may', async () => {
    const at: number[] = [];
    const work = failing(6);
    const noting = () => {
      at.push(performance.now());
      return work();
    };
    await retry(noting, { ...options, firstMs: 20, maxMs: 80 });
    const waits = at.slice(1).map((ms, i) => ms - (at[i] ?? 0));
    for (const [i, leastMs] of [20, 40, 80, 80, 80, 80].entries()) expect(waits[i]).toBeGreaterThan(leastMs - 2);
    expect(waits.reduce((sum, ms) => sum + ms)).toBeLessThan(1_000); // 1,260 if they went on growing
  });

  it('throws at once what no waiting can mend', async () => {
    await expect(retry(failing(1, new Error('wrong')), { ...options, shouldRetry: () => false })).rejects.toThrow(
      'wrong',
    );
  });

  it('ends when it is told to, while it waits', async () => {
    const stop = new AbortController();
    const waiting = retry(failing(99), { ...options, firstMs: 60_000, maxMs: 60_000, signal: stop.signal });
    setImmediate(() => stop.abort());
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });
});
