import type { ContextEvent, ContextHealth, ContextTask, TipContext } from '../../features/context.ts';
import { isReadable, lengthKeys, readQuantities } from './quantities.ts';

/**
 * What a tip that cites these signals may say in numbers, as keys of `Quantity`: what stands in the signals and in their
 * titles, what can be counted in the context, and what the view says of the moment and of the person. What recent tips
 * said is not among it.
 */
export function knownQuantities(context: TipContext, cited: readonly string[]): ReadonlySet<string> {
  const isCited = ({ id }: { readonly id: string }) => cited.includes(id);
  const [tasks, events] = [context.tasks.filter(isCited), context.events.filter(isCited)];
  return new Set([
    ...momentKeys(context, events.length > 0),
    ...countKeys(context, tasks, events),
    ...tasks.flatMap((task) => taskKeys(task, context)),
    ...events.flatMap((event) => eventKeys(event, context)),
    ...gapKeys(events, context.locale),
    ...context.health.filter(isCited).flatMap((health) => healthKeys(health, context.locale)),
  ]);
}

/** In a tip about a calendar entry a time is that of the entry, so the present hour and the best one do not count there. */
function momentKeys({ hourOfDay, dayOfWeek, profile, locale }: TipContext, isOfEvent: boolean): string[] {
  const preferred = profile.find(({ name }) => name === 'preferred_hour')?.value;
  const words = profile.filter(({ name }) => !(isOfEvent && name === 'preferred_hour'));
  const known = [`w:${dayOfWeek}`, ...words.flatMap((each) => textKeys(each.words, locale))];
  if (isOfEvent) return known;
  return [
    ...known,
    ...[hourOfDay, hourOfDay + 1].map((hour) => `t:${(hour % 24) * 60}`),
    // The hour from nine is over at ten.
    ...(preferred === undefined
      ? []
      : [preferred, preferred + 1].flatMap((hour) => hourKeys((hour % 24) * 60, locale))),
  ];
}

function countKeys(context: TipContext, citedTasks: readonly ContextTask[], citedEvents: readonly ContextEvent[]) {
  const { tasks, events, omitted, dayOfWeek } = context;
  const dueIn = (days: number) =>
    tasks.filter(
      ({ due, dueInHours }) =>
        due !== undefined && daysAhead(weekdayOf(due) - dayOfWeek, (dueInHours ?? 0) * 60) === days,
    ).length;
  const on = (days: number) =>
    events.filter((each) => daysAhead(weekdayOf(each.starts) - dayOfWeek, each.startsInMinutes) === days).length;
  const [allTasks, allEvents] = [tasks.length + omitted.tasks, events.length + omitted.events];
  const overdue = tasks.filter((task) => task.overdue).length;
  const ofTasks = [allTasks, allTasks - citedTasks.length, citedTasks.length, overdue, dueIn(0), dueIn(1)];
  const ofEvents = [allEvents, allEvents - citedEvents.length, citedEvents.length, on(0), on(1)];
  const isSome = (each: number) => each > 0;
  return [
    ...ofTasks.filter(isSome).flatMap((each) => [`u:task:${each}`, `n:${each}`]),
    ...ofEvents.filter(isSome).flatMap((each) => [`u:event:${each}`, `n:${each}`]),
    `n:${citedTasks.length + citedEvents.length}`,
  ];
}

/** How long there is between one cited entry and the next. */
function gapKeys(events: readonly ContextEvent[], locale: string): string[] {
  return events.slice(1).flatMap(({ startsInMinutes }, i) => {
    const before = events[i];
    return before ? spanKeys(startsInMinutes - before.startsInMinutes - before.durationMinutes, locale) : [];
  });
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
    ...(durationMinutes > 0 ? hourKeys(end, context.locale) : []),
    ...(startsInMinutes < 0 ? aheadKeys(startsInMinutes + durationMinutes, context.locale) : []),
  ];
}

function healthKeys(
  { steps, sleepMinutes, activeMinutes, restingHeartRateBpm }: ContextHealth,
  locale: string,
): string[] {
  return [
    ...(steps === undefined ? [] : roundings(steps).flatMap((each) => [`u:step:${each}`, `n:${each}`])),
    ...(restingHeartRateBpm === undefined ? [] : [`u:beat:${restingHeartRateBpm}`, `n:${restingHeartRateBpm}`]),
    ...[sleepMinutes, activeMinutes].flatMap((each) => (each === undefined ? [] : spanKeys(each, locale))),
  ];
}

/** Local time as `Tue 2026-11-24 14:30`, and how far from now it is. */
function instantKeys(stamp: string, minutesAhead: number, { dayOfWeek, locale }: TipContext): string[] {
  const [, year = '', month = '', day = ''] = /(\d+)-(\d+)-(\d+)/.exec(stamp) ?? [];
  const weekday = weekdayOf(stamp);
  const days = daysAhead(weekday - dayOfWeek, minutesAhead);
  const at = timeOf(stamp);
  return [
    `d:${year}-${month}-${day}`,
    `d:${month}-${day}`,
    `o:${Number(day)}`,
    // The name of the month cannot be read there.
    ...(isReadable(locale) ? [] : [`n:${Number(day)}`]),
    `n:${Number(year)}`,
    `w:${weekday}`,
    `r:${days}@t:${at}`,
    ...hourKeys(at, locale),
    ...aheadKeys(Math.abs(minutesAhead), locale),
    // From Tuesday to Thursday there are two days, at whatever hour.
    ...(days === 0 ? [] : [`D:${Math.abs(days)}`, `in:D:${Math.abs(days)}`]),
  ];
}

function weekdayOf(stamp: string): number {
  return weekdays.indexOf(stamp.slice(0, 3)) + 1;
}

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Midnights from now to then: as many as make the weekdays fit, nearest to the time between. */
function daysAhead(weekdayDifference: number, minutesAhead: number): number {
  return weekdayDifference + 7 * Math.round((minutesAhead / 1440 - weekdayDifference) / 7);
}

/** A time; a full hour is also said as a number alone, where the words around it cannot be read. */
function hourKeys(minuteOfDay: number, locale: string): string[] {
  const hour = minuteOfDay / 60;
  const bare = Number.isInteger(hour) && !isReadable(locale) ? [`n:${hour}`, `n:${hour % 12 || 12}`] : [];
  return [`t:${minuteOfDay}`, ...bare];
}

/** How far off something is, with and without a word such as in before it. */
function aheadKeys(minutes: number, locale: string): string[] {
  return spanKeys(minutes, locale).flatMap((key) => [key, `in:${key}`]);
}

/** A length of time, also as a bare number of minutes; as any bare number where the language's units cannot be read. */
function spanKeys(minutes: number, locale: string): string[] {
  if (minutes < 0) return [];
  const keys = lengthKeys(minutes);
  return [...keys, ...(isReadable(locale) ? [`n:${minutes}`] : keys.map((key) => `n:${key.slice(2)}`))];
}

function textKeys(text: string, locale: string): string[] {
  return readQuantities(text, locale).quantities.flatMap(({ readings, minutes }) => [
    ...readings.filter((key) => !key.startsWith('x:')),
    ...readings.filter((key) => /^[ou]:/.test(key)).map((key) => `n:${key.slice(key.lastIndexOf(':') + 1)}`),
    // What a number counts is left open there, so a tip may say it.
    ...readings.filter((key) => key.startsWith('n:')).map((key) => `x:${key.slice(2)}`),
    ...readings.filter((key) => key.startsWith('r:')).map((key) => key.slice(key.indexOf('@') + 1)),
    ...(minutes === undefined ? [] : aheadKeys(minutes, locale)),
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
