import { describe, expect, it } from 'vitest';
import { dayMs } from '../platform/clock.ts';
import { letterId, readReplay, replayHeaders, seenAt, withoutReplay } from './dead-letter.ts';

const origin = { stream: 'signals', streamSequence: 7 };
const data = new Uint8Array([1, 2]);

describe('the id of a letter', () => {
  it('is the same for the same message, and another where anything differs', () => {
    const ids = [
      letterId(origin, 'signals.a', data),
      letterId({ ...origin, stream: 'feedback' }, 'signals.a', data),
      letterId({ ...origin, streamSequence: 8 }, 'signals.a', data),
      letterId(origin, 'signals.b', data),
      letterId(origin, 'signals.a', new Uint8Array([1, 3])),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(letterId({ ...origin }, 'signals.a', Uint8Array.from(data))).toBe(ids[0]);
  });
});

describe('the headers of a replay', () => {
  it('say where the letter comes from', () => {
    const headers = { 'Content-Type': 'x', ...replayHeaders(origin, 123) };
    expect(readReplay(headers)).toEqual({ origin, atMs: 123 });
    expect(withoutReplay(headers)).toEqual({ 'Content-Type': 'x' });
  });

  it.each([
    [{}],
    [{ 'Oo-Dead-Letter': 'signals/7' }],
    [{ 'Oo-Replayed-At': '123' }],
    [{ 'Oo-Dead-Letter': 'signals', 'Oo-Replayed-At': '123' }],
    [{ 'Oo-Dead-Letter': 'signals/x', 'Oo-Replayed-At': '123' }],
    [{ 'Oo-Dead-Letter': 'Sig nals/7', 'Oo-Replayed-At': '123' }],
    [{ 'Oo-Dead-Letter': `signals/${'9'.repeat(16)}`, 'Oo-Replayed-At': '123' }],
    [{ 'Oo-Dead-Letter': 'signals/7', 'Oo-Replayed-At': '-1' }],
    [{ 'Oo-Dead-Letter': 'signals/7', 'Oo-Replayed-At': 'now' }],
  ])('are none in %j', (headers) => {
    expect(readReplay(headers)).toBeUndefined();
  });
});

describe('when a letter was seen', () => {
  it.each([
    ['by the clock of its stream', 1_000, undefined, 1_000],
    ['after its replay', 1_000, 900, 1_000],
    ['after its replay, though the clocks differ', 1_000, 5_000, 5_001],
    ['by the clock of its stream, if the replay is made up', 1_000, 1_000 + dayMs + 1, 1_000],
  ])('is %s', (_, takenAtMs, atMs, expected) => {
    expect(seenAt(takenAtMs, atMs === undefined ? undefined : { origin, atMs })).toBe(expected);
  });
});
