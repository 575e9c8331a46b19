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

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const formats = new Map<string, Intl.DateTimeFormat>(); // as many as there are time zones: making one takes 50 µs

/** The local time at an instant in an IANA time zone. Undefined: there is no such zone. */
export function localTime(instantMs: number, timeZone: string): LocalTime | undefined {
  const format = formatFor(timeZone);
  if (!format) return undefined;
  const parts = format.formatToParts(instantMs);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? '';
  return { hourOfDay: Number(part('hour')), dayOfWeek: weekdays.indexOf(part('weekday')) + 1 };
}

function formatFor(timeZone: string): Intl.DateTimeFormat | undefined {
  const known = formats.get(timeZone);
  if (known) return known;
  try {
    const format = new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', hour: 'numeric', weekday: 'short' });
    if (formats.size < 1_000) formats.set(timeZone, format);
    return format;
  } catch {
    return undefined;
  }
}
