import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { anyPersonEvent } from '../tests/_util/arbitraries.ts';
import { sorted } from '../tests/_util/buckets.ts';
import { type Buckets, bucketColumns, bucketTables, fold, unpack } from './buckets.ts';
import { definitions, type FeatureName, readFeature } from './definitions.ts';
import { personDeltas } from './deltas.ts';

const foldEvents = (events: readonly Parameters<typeof personDeltas>[0][]) => fold(events.flatMap(personDeltas));

/** Buckets as deltas: each row adds what it holds. */
const asDeltas = (buckets: Buckets) =>
  bucketTables.flatMap((table) => buckets[table].map((row) => ({ table, row: { user_id: 'u', ...row } })));

describe('the algebra', () => {
  it('adds up to the same buckets in any order', () => {
    const orders = fc
      .array(anyPersonEvent(), { maxLength: 40 })
      .chain((events) => fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })));
    fc.assert(
      fc.property(orders, ([events, shuffled]) => {
        expect(sorted(foldEvents(shuffled))).toEqual(sorted(foldEvents(events)));
      }),
    );
  });

  it('adds up to the same buckets in any split: the sum of the parts is the whole', () => {
    const splits = fc.tuple(fc.array(anyPersonEvent(), { maxLength: 40 }), fc.nat(40));
    fc.assert(
      fc.property(splits, ([events, at]) => {
        const parts = [foldEvents(events.slice(0, at)), foldEvents(events.slice(at))];
        const again = parts.flatMap(asDeltas);
        expect(sorted(fold(again))).toEqual(sorted(foldEvents(events)));
      }),
    );
  });

  it('reads every feature out of any buckets as a finite number or nothing', () => {
    fc.assert(
      fc.property(
        fc.array(anyPersonEvent(), { maxLength: 40 }),
        fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2026, 11) }),
        (events, nowMs) => {
          const buckets = foldEvents(events);
          for (const name of Object.keys(definitions) as FeatureName[]) {
            const reading = readFeature(name, buckets, nowMs);
            if (!reading) continue;
            for (const value of [reading.value].flat()) {
              expect(value, name).toBeGreaterThanOrEqual(0);
              expect(Number.isFinite(value), name).toBe(true);
              if (/_rate_\d+d$/.test(name)) expect(value, name).toBeLessThanOrEqual(1);
            }
            expect(reading.asOfMs, name).toBeGreaterThan(0);
          }
        },
      ),
    );
  });

  it('lets an event that no feature reads add nothing', () => {
    const event = create(EnvelopeSchema, {
      userId: 'u',
      payload: { case: 'calendarSynced', value: { provider: 'google_calendar' } },
    });
    expect(personDeltas(event)).toEqual([]);
  });
});

describe('unpack', () => {
  it('reads what the database packs, with empty entries for columns without a value', () => {
    expect(bucketColumns('user_hourly').map(({ name }) => name)).toEqual([
      'day',
      'hour',
      'done',
      'weekday',
      'last_done_at',
    ]);
    expect(unpack('user_hourly', '20000,20001;9,0;2,0;5,;1728000000000,')).toEqual([
      { day: 20000, hour: 9, done: 2, weekday: 5, last_done_at: 1728000000000 },
      { day: 20001, hour: 0, done: 0 },
    ]);
    expect(unpack('user_daily', null)).toEqual([]);
  });
});
