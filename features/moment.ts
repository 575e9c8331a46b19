import { invalidArgument } from '../platform/errors.ts';
import type { FeatureReading } from './profile.ts';
import { type LocalTime, localTime } from './time.ts';

/** The moment of a request, in the person's own time. */
export interface Moment extends LocalTime {
  readonly nowMs: number;
  readonly timeZone: string;
  /** `hour_of_day` and `day_of_week`, with where each came from. */
  readonly readings: readonly FeatureReading[];
}

interface SentMoment {
  readonly timeZone: string;
  readonly hourOfDay?: number | undefined;
  readonly dayOfWeek?: number | undefined;
}

/** What the caller sent of the moment wins; the rest comes from the clock. Throws INVALID_ARGUMENT on an unknown zone. */
export function readMoment(sent: SentMoment | undefined, nowMs: number): Moment {
  const timeZone = sent?.timeZone || 'UTC';
  const clock = localTime(nowMs, timeZone);
  if (!clock) throw invalidArgument([{ field: 'context.time_zone', description: 'is no IANA time zone' }]);
  const hourOfDay = sent?.hourOfDay ?? clock.hourOfDay;
  const dayOfWeek = sent?.dayOfWeek ?? clock.dayOfWeek;
  const reading = (name: string, value: number, wasSent: boolean): FeatureReading => ({
    name,
    value,
    status: 'present',
    source: wasSent ? 'request' : 'clock',
    asOfMs: wasSent ? undefined : nowMs,
  });
  return {
    nowMs,
    timeZone,
    hourOfDay,
    dayOfWeek,
    readings: [
      reading('hour_of_day', hourOfDay, sent?.hourOfDay !== undefined),
      reading('day_of_week', dayOfWeek, sent?.dayOfWeek !== undefined),
    ],
  };
}
