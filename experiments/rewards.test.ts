import { describe, expect, it } from 'vitest';
import { rewardMilli } from './rewards.ts';

describe('rewardMilli', () => {
  it.each([
    ['dismiss', undefined, -1000],
    ['snooze', undefined, 100],
    ['helpful', undefined, 500],
    ['not_helpful', undefined, -500],
    ['done', 0, -300],
    ['done', 14_999, -300],
    ['done', 15_000, 1000],
    ['done', 119_999, 1000],
    ['done', 120_000, 600],
    ['done', 599_999, 600],
    ['done', 600_000, 300],
    ['done', 2_592_000_000, 300],
    ['done', undefined, 1000],
  ] as const)('%s after %s ms is worth %d thousandths', (reaction, dwellMs, expected) => {
    expect(rewardMilli(reaction, dwellMs)).toBe(expected);
  });
});
