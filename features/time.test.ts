import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMoment } from './moment.ts';
import { localTime, toMs, toTimestamp, wallClock } from './time.ts';

describe('localTime', () => {
  it.each([
    ['UTC', Date.UTC(2026, 10, 23, 0, 30), 0, 1],
    ['Europe/Amsterdam', Date.UTC(2026, 10, 23, 23, 30), 0, 2],
    ['America/New_York', Date.UTC(2026, 10, 23, 3), 22, 7],
    ['Asia/Kolkata', Date.UTC(2026, 10, 23, 18, 29), 23, 1],
    ['Asia/Kolkata', Date.UTC(2026, 10, 23, 18, 30), 0, 2],
    ['Europe/Amsterdam', Date.UTC(2026, 2, 29, 1), 3, 7], // the hour that summer time skips
  ])('%s at %d is hour %d of day %d', (zone, instant, hourOfDay, dayOfWeek) => {
    expect(localTime(instant, zone)).toEqual({ hourOfDay, dayOfWeek });
  });

  it('knows no time in a zone that does not exist', () => {
    expect(localTime(0, 'Mars/Olympus')).toBeUndefined();
  });
});

describe('a wall clock', () => {
  it('shows what a calendar shows, in every zone and century', () => {
    const zones = ['UTC', ...Intl.supportedValuesOf('timeZone')];
    const instants = fc.integer({ min: Date.UTC(1000, 0), max: Date.UTC(9000, 0) });
    fc.assert(
      fc.property(fc.constantFrom(...zones), instants, (timeZone, instant) => {
        const clock = wallClock(timeZone)?.(instant);
        if (!clock) throw new Error(`There is no zone ${timeZone}.`);
        const { year, month, day, hourOfDay, minute, dayOfWeek } = clock;
        const shown = Date.UTC(year, month - 1, day, hourOfDay, minute);
        expect(Math.abs(shown - instant)).toBeLessThan(86_400_000);
        expect(new Date(shown).getUTCDay()).toBe(dayOfWeek % 7);
        expect(new Date(shown).getUTCDate()).toBe(day);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('readMoment', () => {
  const nowMs = Date.UTC(2026, 10, 23, 23, 30);

  it('takes what the caller sent, and says which came from the clock', () => {
    const moment = readMoment({ timeZone: 'Europe/Amsterdam', hourOfDay: 9 }, nowMs);
    expect(moment).toMatchObject({ hourOfDay: 9, dayOfWeek: 2, timeZone: 'Europe/Amsterdam' });
    expect(moment.readings.map(({ name, source }) => [name, source])).toEqual([
      ['hour_of_day', 'request'],
      ['day_of_week', 'clock'],
    ]);
  });

  it('is UTC where nothing is said', () => {
    expect(readMoment(undefined, nowMs)).toMatchObject({ hourOfDay: 23, dayOfWeek: 1, timeZone: 'UTC' });
  });

  it('names the field of an unknown zone', () => {
    expect(() => readMoment({ timeZone: 'Mars/Olympus' }, nowMs)).toThrow(/^context.time_zone: /);
  });
});

describe('timestamps', () => {
  it.each([0, 1, 999, 1000, 1_700_000_000_123])('%d ms survive the way there and back', (ms) => {
    expect(toMs(toTimestamp(ms))).toBe(ms);
  });
});
