import { describe, expect, it } from 'vitest';
import { createProgress, progressLine } from './progress.ts';

describe('progressLine', () => {
  it.each([
    [{ done: 0, inAll: 10, doneByUs: 0, secondsOfUs: 0 }, `${'░'.repeat(30)}  0 %   0 of about 10 things   0/s`],
    [
      { done: 500_000, inAll: 1_000_000, doneByUs: 100_000, secondsOfUs: 10 },
      `${'█'.repeat(15)}${'░'.repeat(15)}  50 %   500,000 of about 1,000,000 things   10,000/s   50 s left`,
    ],
    [
      { done: 1, inAll: 100_000, doneByUs: 1, secondsOfUs: 1 },
      `${'░'.repeat(30)}  0 %   1 of about 100,000 things   1/s   27 h 46 min left`,
    ],
    [
      { done: 120, inAll: 100, doneByUs: 120, secondsOfUs: 1 },
      `${'█'.repeat(30)}  100 %   120 of about 100 things   120/s   0 s left`,
    ],
    [{ done: 7, inAll: undefined, doneByUs: 7, secondsOfUs: 2 }, '7 things   4/s'],
  ])('of %j', (standing, expected) => {
    expect(progressLine(standing, 'things')).toBe(expected);
  });
});

describe('progress', () => {
  const record = (isTTY: boolean) => {
    let text = '';
    let nowMs = 0;
    const write = (more: string) => {
      text += more;
    };
    const progress = createProgress({ isTTY, columns: 8, write }, () => nowMs);
    const showAt = (ms: number, line: string) => {
      nowMs = ms;
      progress.show(line);
    };
    return { showAt, end: progress.end, text: () => text };
  };

  it('redraws one line on a terminal, not too often, and no wider than it is', () => {
    const { showAt, end, text } = record(true);
    showAt(0, 'a'.repeat(20));
    showAt(50, 'b');
    showAt(100, 'c');
    end();
    expect(text()).toBe('\r\u001b[Kaaaaaaa\r\u001b[Kc\r\u001b[Kc\n');
  });

  it('prints a line now and then elsewhere', () => {
    const { showAt, end, text } = record(false);
    showAt(0, 'a');
    showAt(4_999, 'b');
    showAt(5_000, 'c');
    showAt(6_000, 'd');
    end();
    end();
    expect(text()).toBe('a\nc\nd\n');
  });
});
