import { type ContextTask, shorten, type TipContext } from '../features/context.ts';
import { toLine } from './output.ts';
import { partOfDay } from './prompts/view.ts';

/** As `promptViewVersion`, for the variables of template tips. */
export const factsVersion = 1;

/** The longest text of a fact, so that templates can promise the length of a tip. */
export const factCharsMax = 80;

/** The variables that a template tip may use. */
export const factNames = [
  'nextEvent',
  'nextEventTime',
  'overdueTask',
  'overdueCount',
  'dueTask',
  'dueWhen',
  'importantTask',
  'oldTask',
  'oldTaskDays',
  'nextTask',
  'taskCount',
  'eventCount',
  'shortNight',
  'fewSteps',
  'manySteps',
  'bestHour',
  'morning',
  'afternoon',
  'evening',
  'night',
] as const;

export type FactName = (typeof factNames)[number];

/** Something that holds now, in words, and the signals that say so. */
export interface Fact {
  readonly text: string;
  readonly signalIds: readonly string[];
}

/** What a template can say of the person now. A fact that does not hold is absent. */
export type Facts = Readonly<Partial<Record<FactName, Fact>>>;

const soonMinutes = 120;
const oldDays = 14;
const manyTasks = 8;
const manyEvents = 4;
const shortNightMinutes = 6 * 60;
const stepsFew = 3_000;
const stepsMany = 8_000;

/** The facts of a context. No two of them name the same task. */
export function findFacts(context: TipContext): Facts {
  return { ...taskFacts(context), ...eventFacts(context), ...healthFacts(context), ...timeFacts(context) };
}

function taskFacts({ tasks, omitted }: TipContext): Facts {
  const taken = new Set<ContextTask>();
  const take = (wanted: (task: ContextTask) => boolean) => {
    const task = tasks.find((each) => !taken.has(each) && wanted(each));
    if (task) taken.add(task);
    return task;
  };
  const overdue = take((task) => task.overdue);
  const due = take((task) => !task.overdue && isWithin(task.dueInHours, 24));
  const important = take((task) => task.priority >= 3);
  const old = take((task) => task.ageDays >= oldDays);
  const next = take(() => true);
  const allOverdue = tasks.filter((task) => task.overdue);
  const isCounted = omitted.tasks === 0 || !tasks.at(-1)?.overdue; // the overdue ones come first
  const count = tasks.length + omitted.tasks;
  return facts({
    overdueTask: overdue && title(overdue),
    overdueCount: isCounted && allOverdue.length >= 2 && fact(allOverdue.length, ...allOverdue),
    dueTask: due && title(due),
    dueWhen: due && fact(hours(due.dueInHours ?? 0), due),
    importantTask: important && title(important),
    oldTask: old && title(old),
    oldTaskDays: old && fact(Math.round(old.ageDays), old),
    nextTask: next && title(next),
    taskCount: count >= manyTasks && fact(count),
  });
}

function eventFacts({ events, omitted, hourOfDay }: TipContext): Facts {
  const next = events.find((event) => event.startsInMinutes > 0);
  const today = events.filter((event) => isWithin(event.startsInMinutes, (24 - hourOfDay) * 60));
  const isSoon = next !== undefined && next.startsInMinutes <= soonMinutes;
  return facts({
    nextEvent: isSoon && title(next),
    nextEventTime: isSoon && fact(next.starts.slice(-5), next),
    eventCount: omitted.events === 0 && today.length >= manyEvents && fact(today.length, ...today),
  });
}

function healthFacts({ health, hourOfDay }: TipContext): Facts {
  const slept = health.find((each) => each.sleepMinutes !== undefined);
  const walked = health.find((each) => each.steps !== undefined);
  const steps = walked?.steps ?? 0;
  const minutes = slept?.sleepMinutes ?? 0;
  return facts({
    shortNight: slept && minutes > 0 && minutes < shortNightMinutes && fact(hoursAndMinutes(minutes), slept),
    fewSteps: walked && steps < stepsFew && hourOfDay >= 14 && fact(steps, walked),
    manySteps: walked && steps >= stepsMany && fact(steps, walked),
  });
}

function timeFacts({ hourOfDay, profile }: TipContext): Facts {
  const preferred = profile.find(({ name }) => name === 'preferred_hour')?.value;
  return facts({
    bestHour: preferred === hourOfDay && fact(`${preferred}:00`),
    [partOfDay(hourOfDay)]: fact(partOfDay(hourOfDay)),
  });
}

/** Leaves out what does not hold. */
function facts(all: Partial<Record<FactName, Fact | false | undefined>>): Facts {
  return Object.fromEntries(Object.entries(all).filter(([, each]) => each));
}

function fact(text: string | number, ...from: readonly { readonly id: string }[]): Fact {
  return { text: shorten(String(text), factCharsMax), signalIds: from.map(({ id }) => id) };
}

function title(signal: { readonly id: string; readonly title: string }): Fact {
  return fact(toLine(signal.title) || 'Untitled', signal);
}

function isWithin(ahead: number | undefined, most: number): boolean {
  return ahead !== undefined && ahead >= 0 && ahead <= most;
}

function hours(ahead: number): string {
  if (ahead < 1) return 'within the hour';
  return Math.round(ahead) === 1 ? 'in an hour' : `in ${Math.round(ahead)} hours`;
}

function hoursAndMinutes(minutes: number): string {
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
