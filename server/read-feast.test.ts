import { describe, expect, it } from 'vitest';
import type { FeastReadings } from '../features/profile.ts';
import { createFeastReader, noFeast } from './read-feast.ts';

const readings: FeastReadings = new Map([['preferred_hour', { value: 9, asOfMs: undefined }]]);

/** A reader on a store that does as `feast` says, at a time that the test sets. */
function setUp() {
  const feast = { isUp: true, reads: 0 };
  const lines: unknown[][] = [];
  const clock = { nowMs: 0 };
  const store = {
    read: async () => {
      feast.reads++;
      if (!feast.isUp) throw new Error('Feast could not be reached: ECONNREFUSED');
      return readings;
    },
  };
  const log = {
    info: (...line: unknown[]) => lines.push(['info', ...line]),
    warn: (...line: unknown[]) => lines.push(['warn', ...line]),
  };
  return { feast, lines, clock, read: createFeastReader(store, { log, now: () => clock.nowMs }) };
}

describe('a read', () => {
  it('is what Feast says, or nothing at all where there is no Feast', async () => {
    const { read, lines } = setUp();
    expect(await read('anna')).toBe(readings);
    expect((await noFeast('anna'))?.size).toBe(0);
    expect(lines).toEqual([]);
  });

  it('that fails is undefined, and said once', async () => {
    const { feast, read, lines } = setUp();
    feast.isUp = false;
    expect(await Promise.all([read('anna'), read('ben')])).toEqual([undefined, undefined]);
    expect(lines).toEqual([
      ['warn', { error: 'Error: Feast could not be reached: ECONNREFUSED' }, 'Feast unavailable, deciding without it'],
    ]);
  });
});

describe('an outage', () => {
  it('is not asked about for a second, and then by one call at a time', async () => {
    const { feast, clock, read } = setUp();
    feast.isUp = false;
    await read('anna');
    clock.nowMs = 999;
    expect(await Promise.all([read('anna'), read('ben')])).toEqual([undefined, undefined]);
    expect(feast.reads).toBe(1);

    clock.nowMs = 1000;
    await Promise.all([read('anna'), read('ben'), read('carl')]);
    expect(feast.reads).toBe(2);
    clock.nowMs = 1999;
    await read('anna');
    expect(feast.reads).toBe(2);
  });

  it('ends with the first answer', async () => {
    const { feast, clock, read, lines } = setUp();
    feast.isUp = false;
    await read('anna');
    feast.isUp = true;
    clock.nowMs = 1000;
    expect(await read('anna')).toBe(readings);
    expect(await Promise.all([read('anna'), read('ben')])).toEqual([readings, readings]);
    expect(lines.map(([level]) => level)).toEqual(['warn', 'info']);
  });
});
