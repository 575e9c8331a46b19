// When a person does things, in their own time.
import { namesOfReaction } from '../../gen/proto/oo/contract.ts';
import { utcDay } from '../../platform/clock.ts';
import type { BucketOf } from '../buckets.ts';
import { type FeatureGroup, type FeatureOf, newest, type Reading } from './feature.ts';

type Hour = BucketOf<'user_hourly'>;

export const habits = {
  entity: 'user_id',
  contributes: {
    tipFeedback({ userId, atMs }, { reaction, hourOfDay, dayOfWeek }) {
      if (namesOfReaction[reaction] !== 'done') return [];
      const day = utcDay(atMs);
      const hour = hourOfDay ?? new Date(atMs).getUTCHours();
      const weekday = dayOfWeek ?? weekdayOf(day);
      return [{ table: 'user_hourly', row: { user_id: userId, day, hour, done: 1, weekday, last_done_at: atMs } }];
    },
  },
  features: {
    preferred_hour: overDays((hours) => {
      const byHour = histogram(hours, 24, ({ hour }) => hour);
      return { value: byHour.indexOf(Math.max(...byHour)), asOfMs: newest(hours, 'last_done_at') };
    }),
    done_by_hour_30d: overDays((hours) => ({
      value: histogram(hours, 24, ({ hour }) => hour),
      asOfMs: newest(hours, 'last_done_at'),
    })),
    done_by_weekday_30d: overDays((hours) => ({
      value: histogram(hours, 7, ({ weekday, day }) => (weekday ?? weekdayOf(day)) - 1),
      asOfMs: newest(hours, 'last_done_at'),
    })),
  },
} as const satisfies FeatureGroup;

/** Reads the hours of the last 30 days in which anything was done, if there are any. */
function overDays(read: (hours: readonly Hour[]) => Reading): FeatureOf<'user_hourly'> {
  return {
    table: 'user_hourly',
    days: 30,
    read(rows) {
      const hours = rows.filter(({ done = 0 }) => done > 0);
      return hours.length === 0 ? undefined : read(hours);
    },
  };
}

function histogram(hours: readonly Hour[], bins: number, binOf: (hour: Hour) => number): readonly number[] {
  const counts = new Array<number>(bins).fill(0);
  for (const hour of hours) counts[binOf(hour)] = (counts[binOf(hour)] ?? 0) + (hour.done ?? 0);
  return counts;
}

/** 1 (Monday) to 7 (Sunday) of a UTC day: day 0, 1970-01-01, was a Thursday. */
function weekdayOf(day: number): number {
  return ((day + 3) % 7) + 1;
}
