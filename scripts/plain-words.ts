// Numbers, times and names as a person reads them.

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export const number = (value: number): string => String(Number(value.toPrecision(6)));

/** Of a small chance, enough digits to tell it from none. */
export const percentOf = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.001 ? 3 : 1)} %`;

/** With its sign; nothing has none. */
export function signed(value: number): string {
  const text = Math.abs(value).toFixed(3);
  return `${Number(text) === 0 ? '' : value < 0 ? '−' : '+'}${text}`;
}

/** A measured time, in its two largest units. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < minuteMs) return `${Number((ms / 1_000).toFixed(1))} s`;
  const [big, bigName, small, smallName] =
    ms < hourMs
      ? [minuteMs, 'min', 1_000, 's']
      : ms < dayMs
        ? [hourMs, 'h', minuteMs, 'min']
        : [dayMs, 'd', hourMs, 'h'];
  const whole = Math.floor(ms / big);
  const rest = Math.floor((ms - whole * big) / small);
  return rest === 0 ? `${whole} ${bigName}` : `${whole} ${bigName} ${rest} ${smallName}`;
}

/** How long it is between two instants, roughly. What cannot be, an instant still to come, says so. */
export function ago(ms: number): string {
  if (ms < 0) return `minus ${ago(-ms)}`;
  if (ms < 1_000) return 'less than a second';
  const [unit, name] =
    ms < minuteMs
      ? [1_000, 'second']
      : ms < hourMs
        ? [minuteMs, 'minute']
        : ms < 2 * dayMs
          ? [hourMs, 'hour']
          : [dayMs, 'day'];
  const count = Math.floor(ms / unit);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

/** An instant in a time zone; in UTC where this machine does not know the zone. */
export function when(iso: string, timeZone: string): string {
  const format = (zone: string) =>
    new Intl.DateTimeFormat('en-GB', { timeZone: zone, dateStyle: 'full', timeStyle: 'medium' }).format(
      Date.parse(iso),
    );
  try {
    return `${format(timeZone)} in ${timeZone}`;
  } catch {
    return `${format('UTC')} in UTC`;
  }
}

/** Somebody else's text on one line of a terminal: without control characters, and cut where it is long. */
export function printable(text: string, max = 40): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '�');
  return clean.length <= max ? clean : `${clean.slice(0, max - 1)}…`;
}

/** Breaks a list at its commas, so that no line is longer than `width` unless one item is. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const item of text.split(/(?<=,) /)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + item.length <= width) lines[lines.length - 1] = `${last} ${item}`;
    else lines.push(item);
  }
  return lines;
}
