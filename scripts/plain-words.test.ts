import { describe, expect, it } from 'vitest';
import { ago, duration, number, percentOf, printable, signed, when, wrap } from './plain-words.ts';

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];

describe('plain words', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1_500, '1.5 s'],
    [45 * second, '45 s'],
    [minute, '1 min'],
    [150 * second, '2 min 30 s'],
    [hour + minute, '1 h 1 min'],
    [day, '1 d'],
    [30 * day + 5 * hour, '30 d 5 h'],
  ])('measure %d ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it.each([
    [999, 'less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [minute, '1 minute'],
    [hour, '1 hour'],
    [47 * hour, '47 hours'],
    [49 * hour, '2 days'],
    [-2 * minute, 'minus 2 minutes'],
  ])('say that %d ms are %s', (ms, text) => {
    expect(ago(ms)).toBe(text);
  });

  it.each([
    [0.25, '+0.250'],
    [-0.25, '−0.250'],
    [0, '0.000'],
    [-0.0004, '0.000'],
    [1, '+1.000'],
  ])('sign %d as %s', (value, text) => {
    expect(signed(value)).toBe(text);
  });

  it.each([
    ['anna', 'anna'],
    ['a\u001b[2J\nb', 'a�[2J�b'],
    ['\u202eback', '�back'],
    ['x'.repeat(41), `${'x'.repeat(39)}…`],
  ])('print %j as %j', (text, printed) => {
    expect(printable(text)).toBe(printed);
  });

  it.each([
    ['one, two, three', 9, ['one, two,', 'three']],
    ['one, two, three', 8, ['one,', 'two,', 'three']],
    ['seventeen of them, two', 5, ['seventeen of them,', 'two']],
    ['', 5, ['']],
  ])('wrap %j at %d', (text, width, lines) => {
    expect(wrap(text, width)).toEqual(lines);
  });

  it('write shares, numbers and instants', () => {
    expect([0, 0.0002, 0.9333, 1].map(percentOf)).toEqual(['0.0 %', '0.020 %', '93.3 %', '100.0 %']);
    expect([2 / 3, 12].map(number)).toEqual(['0.666667', '12']);
    expect(when('2026-11-23T14:05:00.000Z', 'Europe/Amsterdam')).toBe(
      'Monday, 23 November 2026 at 15:05:00 in Europe/Amsterdam',
    );
    expect(when('2026-11-23T14:05:00.000Z', 'Moon/Base')).toBe('Monday, 23 November 2026 at 14:05:00 in UTC');
  });
});
