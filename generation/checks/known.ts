import type { ContextEvent, ContextHealth, ContextTask, TipContext } from '../../features/context.ts';
import { isReadable, lengthKeys, readQuantities } from './quantities.ts';

/**
 * What a tip that cites these signals may say in numbers, as keys of `Quantity`: what stands in the signals and in their
 * titles, what can be counted in the context, and what the view says of the moment and of the person. What recent tips
 * said is not among it.
 */
export function knownQuantities(context: TipContext, cited: readonly string[]): ReadonlySet<string> {
  const isCited = ({ id }: { readonly id: string }) => cited.includes(id);
  return new Set([
    ...momentKeys(context),
    ...countKeys(context, cited.length),
    ...context.tasks.filter(isCited).flatMap((task) => taskKeys(task, context)),
    ...context.events.filter(isCited).flatMap((event) => eventKeys(event, context)),
    ...context.health.filter(isCited).flatMap((health) => healthKeys(health, context.locale)),
  ]);
}

function momentKeys({ hourOfDay, dayOfWeek, profile, locale }: TipContext): string[] {
  const preferred = profile.find(({ name }) => name === 'preferred_hour')?.value;
  return [
    ...[hourOfDay, hourOfDay + 1].map((hour) => `t:${(hour % 24) * 60}`),
    `w:${dayOfWeek}`,
    ...profile.flatMap(({ words }) => textKeys(words, locale)),
    // The hour from nine is over at ten.
    ...(preferred === undefined ? [] : [preferred, preferred + 1].flatMap((hour) => hourKeys((hour % 24) * 60))),
  ];
}

function countKeys({ tasks, events, omitted }: TipContext, cited: number): string[] {
  const all = [tasks.length + omitted.tasks, events.length + omitted.events];
  const counts = [...all, ...all.map((each) => each - cited), tasks.filter(({ overdue }) => overdue).length, cited];
  return counts.filter((each) => each > 0).map((each) => `n:${each}`);
}

function taskKeys({ title, priority, ageDays, due, dueInHours }: ContextTask, context: TipContext): string[] {
  return [
    ...textKeys(title, context.locale),
    `n:${priority}`,
    ...spanKeys(ageDays * 1440, context.locale),
    ...(due === undefined || dueInHours === undefined ? [] : instantKeys(due, dueInHours * 60, context)),
  ];
}

function eventKeys({ title, starts, startsInMinutes, durationMinutes }: ContextEvent, context: TipContext): string[] {
  const end = (timeOf(starts) + durationMinutes) % 1440;
  return [
    ...textKeys(title, context.locale),
    ...instantKeys(starts, startsInMinutes, context),
    ...spanKeys(durationMinutes, context.locale),
    ...(durationMinutes > 0 ? hourKeys(end) : []),
    ...(startsInMinutes < 0 ? spanKeys(startsInMinutes + durationMinutes, context.locale) : []),
  ];
}

function healthKeys(
  { steps, sleepMinutes, activeMinutes, restingHeartRateBpm }: ContextHealth,
  locale: string,
): string[] {
  return [
    ...(steps === undefined ? [] : roundings(steps).map((each) => `n:${each}`)),
    ...(restingHeartRateBpm === undefined ? [] : [`n:${restingHeartRateBpm}`]),
    ...[sleepMinutes, activeMinutes].flatMap((each) => (each === undefined ? [] : spanKeys(each, locale))),
  ];
}

/** Local time as `Tue 2026-11-24 14:30`, and how far from now it is. */
function instantKeys(stamp: string, minutesAhead: number, { dayOfWeek, locale }: TipContext): string[] {
  const [, year = '', month = '', day = ''] = /(\d+)-(\d+)-(\d+)/.exec(stamp) ?? [];
  const weekday = weekdays.indexOf(stamp.slice(0, 3)) + 1;
  const at = timeOf(stamp);
  return [
    `d:${year}-${month}-${day}`,
    `d:${month}-${day}`,
    `o:${Number(day)}`,
    // The name of the month cannot be read there.
    ...(isReadable(locale) ? [] : [`n:${Number(day)}`]),
    `n:${Number(year)}`,
    `w:${weekday}`,
    `r:${daysAhead(weekday - dayOfWeek, minutesAhead)}@t:${at}`,
    ...hourKeys(at),
    ...spanKeys(Math.abs(minutesAhead), locale),
  ];
}

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Midnights from now to then: as many as make the weekdays fit, nearest to the time between. */
function daysAhead(weekdayDifference: number, minutesAhead: number): number {
  return weekdayDifference + 7 * Math.round((minutesAhead / 1440 - weekdayDifference) / 7);
}

/** A time; a full hour is also said as a number alone. */
function hourKeys(minuteOfDay: number): string[] {
  const hour = minuteOfDay / 60;
  const bare = Number.isInteger(hour) ? [`n:${hour}`, `n:${hour % 12 || 12}`] : [];
  return [`t:${minuteOfDay}`, ...bare];
}

/** A length of time, also as a bare number of minutes; as any bare number where the language's units cannot be read. */
function spanKeys(minutes: number, locale: string): string[] {
  if (minutes < 0) return [];
  const keys = lengthKeys(minutes);
  return [...keys, ...(isReadable(locale) ? [`n:${minutes}`] : keys.map((key) => `n:${key.slice(2)}`))];
}

function textKeys(text: string, locale: string): string[] {
  return readQuantities(text, locale).quantities.flatMap(({ readings, minutes }) => [
    ...readings,
    ...readings.filter((key) => /^[po]:/.test(key)).map((key) => `n:${key.slice(2)}`),
    ...readings.filter((key) => key.startsWith('r:')).map((key) => key.slice(key.indexOf('@') + 1)),
    ...(minutes === undefined ? [] : spanKeys(minutes, locale)),
  ]);
}

/** A large number as it is and rounded, to two digits at the least. */
function roundings(value: number): number[] {
  const all = [value];
  for (let unit = 10; unit * 10 <= value; unit *= 10) all.push(Math.round(value / unit) * unit);
  return all;
}

function timeOf(stamp: string): number {
  return Number(stamp.slice(-5, -3)) * 60 + Number(stamp.slice(-2));
}
