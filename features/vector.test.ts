import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noBuckets } from './buckets.ts';
import { readProfile } from './profile.ts';
import { encodeVectors, unit, vectorNames } from './vector.ts';

const unknown = readProfile({ buckets: noBuckets }, 0);
const moment = { hourOfDay: 6, dayOfWeek: 7 };
const entry = (vector: readonly number[] | undefined, name: (typeof vectorNames)[number]) =>
  (vector?.[vectorNames.indexOf(name)] ?? Number.NaN) * unit;

describe('encodeVectors', () => {
  it('puts the hour and the weekday on a circle, and unknown features at their null fallback', () => {
    const [vector] = encodeVectors([{ isOverdue: true, taskAgeDays: 60, priority: 4 }], unknown, moment);
    expect(vector).toEqual([4096, 0, 4096, 4096, 4096, 0, 4096, 0, 0, 0, 2048, 0]);
  });

  it.each([
    ['priority_norm', { isOverdue: false, taskAgeDays: 0, priority: 1 }, 0],
    ['priority_norm', { isOverdue: false, taskAgeDays: 0, priority: 4 }, 1],
    ['task_age_norm', { isOverdue: false, taskAgeDays: 15, priority: 1 }, 0.5],
    ['task_age_norm', { isOverdue: false, taskAgeDays: 36500, priority: 1 }, 1],
    ['is_overdue', { isOverdue: false, taskAgeDays: 0, priority: 1 }, 0],
  ] as const)('%s of %o is %d', (name, candidate, expected) => {
    expect(entry(encodeVectors([candidate], unknown, moment)[0], name)).toBe(expected);
  });

  it.each([
    ['preferredHour', 6, 'preferred_hour', 1],
    ['preferredHour', 18, 'preferred_hour', 0],
    ['meanDwellMs30d', 300_000, 'mean_dwell_ms_30d', 0.5],
    ['meanDwellMs30d', 9_000_000, 'mean_dwell_ms_30d', 1],
    ['tipVolume30d', 100, 'tip_volume_30d', 1],
    ['tipVolume30d', 0, 'tip_volume_30d', 0],
    ['completionRate30d', 0.25, 'completion_rate_30d', 0.25],
  ] as const)('%s = %d becomes %s = %d', (property, value, name, expected) => {
    const supplied = { $typeName: 'oo.features.v1.ProfileFeatures', [property]: value } as const;
    const profile = readProfile({ supplied, buckets: noBuckets }, 0);
    expect(
      entry(encodeVectors([{ isOverdue: false, taskAgeDays: 0, priority: 1 }], profile, moment)[0], name),
    ).toBeCloseTo(expected, 3);
  });

  it('gives whole numbers within one unit of -1..1, so that sums of products are exact', () => {
    const candidate = fc.record({
      isOverdue: fc.boolean(),
      taskAgeDays: fc.double({ min: 0, max: 36500, noNaN: true }),
      priority: fc.integer({ min: 1, max: 4 }),
    });
    const moments = fc.record({
      hourOfDay: fc.integer({ min: 0, max: 23 }),
      dayOfWeek: fc.integer({ min: 1, max: 7 }),
    });
    fc.assert(
      fc.property(fc.array(candidate, { minLength: 1, maxLength: 5 }), moments, (candidates, at) => {
        for (const vector of encodeVectors(candidates, unknown, at)) {
          expect(vector).toHaveLength(vectorNames.length);
          for (const value of vector) {
            expect(Number.isInteger(value) && !Object.is(value, -0)).toBe(true);
            expect(Math.abs(value)).toBeLessThanOrEqual(4096);
          }
        }
      }),
    );
  });
});
