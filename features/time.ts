import type { Timestamp } from '@bufbuild/protobuf/wkt';

/** Milliseconds since 1970; finer digits are cut, as the tables keep milliseconds. An absent timestamp is 1970. */
export function toMs(timestamp: Pick<Timestamp, 'seconds' | 'nanos'> | undefined): number {
  return timestamp === undefined ? 0 : Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1_000_000);
}

/** The reverse of `toMs`, as the fields of a Timestamp message. */
export function toTimestamp(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 };
}

/** The moment in a person's own time. */
export interface LocalTime {
  readonly hourOfDay: number;
  /** 1 (Monday) to 7 (Sunday), as in ISO 8601. */
  readonly dayOfWeek: number;
}

/** What a clock and a calendar on the wall show. */
export interface WallClock extends LocalTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly minute: number;
}

/** The local time at an instant in an IANA time zone. Undefined: there is no such zone. */
export function localTime(instantMs: number, timeZone: string): LocalTime | undefined {
  const clock = wallClock(timeZone)?.(instantMs);
  return clock && { hourOfDay: clock.hourOfDay, dayOfWeek: clock.dayOfWeek };
}

const clocks = new Map<string, (instantMs: number) => WallClock>(); // making one takes 50 µs

/** The clock of an IANA time zone. Undefined: there is no such zone. */
export function wallClock(timeZone: string): ((instantMs: number) => WallClock) | undefined {
  const known = clocks.get(timeZone);
  if (known) return known;
  try {
    const clock = newWallClock(timeZone);
    if (clocks.size < 1_000) clocks.set(timeZone, clock);
    return clock;
  } catch {
    return undefined;
  }
}

/**
 * Takes nothing but numbers from `Intl`: which words and marks it writes depends on the data that Node was built with, and
 * what comes of them stands in prompts.
 */
function newWallClock(timeZone: string): (instantMs: number) => WallClock {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  return (instantMs) => {
    const parts = new Map<string, string>(format.formatToParts(instantMs).map(({ type, value }) => [type, value]));
    const part = (type: string) => Number(parts.get(type));
    const utc = new Date(instantMs);
    const day = part('day');
    return {
      year: part('year'),
      month: part('month'),
      day,
      hourOfDay: part('hour'),
      minute: part('minute'),
      // No zone is a day or more from UTC, so its date is that of UTC, the one before or the one after.
      dayOfWeek: ((utc.getUTCDay() + 6 + daysBetween(utc.getUTCDate(), day)) % 7) + 1,
    };
  };
}

/** From a day of a month to one that is at most a day before or after it, maybe in another month. */
function daysBetween(from: number, to: number): -1 | 0 | 1 {
  if (from === to) return 0;
  return to - from === 1 || to - from < -1 ? 1 : -1;
}
