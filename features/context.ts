import { namesOfReaction, type ReactionName } from '../gen/proto/oo/contract.ts';
import type {
  EventSignal,
  HealthSignal,
  PromptContext,
  RecentTip,
  TaskSignal,
} from '../gen/proto/oo/serving/v1/context_pb.ts';
import { readMoment } from './moment.ts';
import { redact } from './redact.ts';
import { toMs, wallClock } from './time.ts';

/** One profile feature as the context needs it. */
export interface ProfileValue {
  readonly name: string;
  readonly value: number | undefined;
  readonly status: 'present' | 'stale' | 'missing' | 'default';
}

/**
 * All that a tip may be written about: bounded, in an order that does not depend on the order of the request's signals,
 * and in the person's own time. Texts in it come from outside and are data; what identifies a person or opens a door is
 * taken out of them (`redact`), except from the ids of signals, which must find their way back.
 */
export interface TipContext {
  readonly timeZone: string;
  /** 0 to 23. */
  readonly hourOfDay: number;
  /** 1 (Monday) to 7 (Sunday). */
  readonly dayOfWeek: number;
  /** BCP 47 tag of the language to write in. */
  readonly locale: string;
  /** The most urgent first. */
  readonly tasks: readonly ContextTask[];
  /** Calendar entries that are not over, by start. */
  readonly events: readonly ContextEvent[];
  readonly health: readonly ContextHealth[];
  readonly profile: readonly ContextFeature[];
  /** The newest first. */
  readonly recentTips: readonly ContextTip[];
  /** The texts of recent tips as they were, also of those that do not fit: not to be said again. No part of a prompt. */
  readonly seenTips: readonly string[];
  /** How many there are beyond those listed. */
  readonly omitted: { readonly tasks: number; readonly events: number };
}

export interface ContextTask {
  readonly id: string;
  readonly title: string;
  readonly overdue: boolean;
  /** 1 (lowest) to 4 (highest). */
  readonly priority: number;
  readonly ageDays: number;
  /** Local time, for example `Tue 2026-11-24 14:30`. */
  readonly due: string | undefined;
  /** Negative: in the past. */
  readonly dueInHours: number | undefined;
}

export interface ContextEvent {
  readonly id: string;
  readonly title: string;
  /** Local time, for example `Tue 2026-11-24 14:30`. */
  readonly starts: string;
  /** Negative: it has begun. */
  readonly startsInMinutes: number;
  readonly durationMinutes: number;
}

export interface ContextHealth {
  readonly id: string;
  readonly steps: number | undefined;
  readonly sleepMinutes: number | undefined;
  readonly activeMinutes: number | undefined;
  readonly restingHeartRateBpm: number | undefined;
}

/** A known profile feature; those that are missing are left out. */
export interface ContextFeature {
  readonly name: string;
  readonly value: number;
  /** The value in words, with its freshness unless it is fresh. */
  readonly words: string;
}

export interface ContextTip {
  readonly content: string;
  /** `none`: the person did nothing with it. */
  readonly reaction: ReactionName | 'none';
}

/**
 * How many seen tips; all others are sizes in characters of `encodeData`, so that no request can make a prompt longer than these add up
 * to.
 */
export const contextLimits = {
  titleChars: 200,
  tipChars: 280,
  seenTips: 50,
  tasks: 5_000,
  events: 3_000,
  health: 600,
  profile: 1_000,
  recentTips: 4_000,
} as const;

/**
 * The context of a `Generate` at an instant (milliseconds since 1970). The request's own hour and day win over that
 * instant; an unknown time zone is refused.
 */
export function assembleContext(
  request: PromptContext | undefined,
  profile: readonly ProfileValue[],
  now: number,
): TipContext {
  return withProfile(assembleRequest(request, now), profile);
}

/** The part of a context that the request alone makes, which can be ready before the person is known. */
export type RequestContext = Omit<TipContext, 'profile'>;

export function withProfile(context: RequestContext, profile: readonly ProfileValue[]): TipContext {
  return { ...context, profile: takeWithin(contextLimits.profile, profile.filter(isKnown), readFeature) };
}

export function assembleRequest(request: PromptContext | undefined, now: number): RequestContext {
  const { timeZone, hourOfDay, dayOfWeek } = readMoment(request, now);
  const stamp = stamper(timeZone);
  const signals = [...(request?.signals ?? [])].sort((a, b) => compareText(a.id, b.id));
  // Sorting is stable: what is equal stays in the order of its id.
  const tasks = signals
    .flatMap(({ id, detail }) => (detail.case === 'task' ? [{ id, task: detail.value }] : []))
    .sort((a, b) => byUrgency(a.task, b.task));
  const events = signals
    .flatMap(({ id, detail }) => (detail.case === 'event' ? [{ id, event: detail.value }] : []))
    .filter(({ event }) => toInstant(event.startsAt) + event.durationMinutes * 60_000 > now)
    .sort((a, b) => toInstant(a.event.startsAt) - toInstant(b.event.startsAt));
  const health = signals.flatMap(({ id, detail }) => (detail.case === 'health' ? [{ id, health: detail.value }] : []));
  const shownTasks = takeWithin(contextLimits.tasks, tasks, ({ id, task }) => readTask(id, task, now, stamp));
  const shownEvents = takeWithin(contextLimits.events, events, ({ id, event }) => readEvent(id, event, now, stamp));
  const recentTips = (request?.recentTips ?? []).slice(0, contextLimits.seenTips);

  return {
    timeZone,
    hourOfDay,
    dayOfWeek,
    locale: request?.locale || 'en',
    tasks: shownTasks,
    events: shownEvents,
    health: takeWithin(contextLimits.health, health, readHealth),
    recentTips: takeWithin(contextLimits.recentTips, recentTips, readTip),
    seenTips: recentTips.map(({ content }) => shorten(content, contextLimits.tipChars)),
    omitted: { tasks: tasks.length - shownTasks.length, events: events.length - shownEvents.length },
  };
}

/**
 * JSON in which a text from outside can neither end the line nor look like markup, nor hide: angle brackets, line
 * separators and every invisible character are escaped. Parsing it gives the value back.
 */
export function encodeData(value: unknown): string {
  return JSON.stringify(value).replace(/[<>\u2028\u2029]|\p{C}/gu, escapeUnits);
}

/** At most `maxChars` characters (code points), the last one an ellipsis if any were cut. */
export function shorten(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const chars = [...text];
  return chars.length <= maxChars ? text : `${chars.slice(0, maxChars - 1).join('')}…`;
}

function escapeUnits(char: string): string {
  return [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
}

function readTask(id: string, task: TaskSignal, now: number, stamp: Stamp): ContextTask {
  const due = task.dueAt && toInstant(task.dueAt);
  return {
    id,
    title: shorten(redact(task.title), contextLimits.titleChars),
    overdue: task.isOverdue,
    priority: task.priority ?? 1,
    ageDays: Math.round(task.ageDays * 10) / 10,
    due: due === undefined ? undefined : stamp(due),
    dueInHours: due === undefined ? undefined : Math.round((due - now) / 360_000) / 10,
  };
}

function readEvent(id: string, event: EventSignal, now: number, stamp: Stamp): ContextEvent {
  const startsMs = toInstant(event.startsAt);
  return {
    id,
    title: shorten(redact(event.title), contextLimits.titleChars),
    starts: stamp(startsMs),
    startsInMinutes: Math.round((startsMs - now) / 60_000),
    durationMinutes: event.durationMinutes,
  };
}

function readHealth({ id, health }: { readonly id: string; readonly health: HealthSignal }): ContextHealth {
  const { steps, sleepMinutes, activeMinutes, restingHeartRateBpm } = health;
  return { id, steps, sleepMinutes, activeMinutes, restingHeartRateBpm };
}

interface KnownValue extends ProfileValue {
  readonly value: number;
  readonly status: keyof typeof freshness;
}

function isKnown(feature: ProfileValue): feature is KnownValue {
  return feature.value !== undefined && feature.status !== 'missing';
}

function readFeature({ name, value, status }: KnownValue): ContextFeature {
  return { name, value, words: inWords(name, value) + freshness[status] };
}

const freshness = {
  present: '',
  stale: ' (not up to date)',
  default: ' (typical of other people; not known of this person)',
} as const;

function inWords(name: string, value: number): string {
  switch (name) {
    case 'completion_rate_30d':
      return `did ${Math.round(value * 100)} % of the tips of the last 30 days`;
    case 'dismiss_rate_30d':
      return `dismissed ${Math.round(value * 100)} % of the tips of the last 30 days`;
    case 'mean_dwell_ms_30d':
      return `reacts to a tip after ${Math.max(1, Math.round(value / 60_000))} min on average`;
    case 'preferred_hour':
      return `does most tips in the hour from ${value}:00`;
    case 'tip_volume_30d':
      return `was shown ${value} tips in the last 30 days`;
    default:
      return `${name} is ${value}`;
  }
}

function readTip({ content, reaction }: RecentTip): ContextTip {
  return { content: shorten(redact(content), contextLimits.tipChars), reaction: namesOfReaction[reaction] ?? 'none' };
}

/** Overdue, then priority, then the nearest due date, then age. */
function byUrgency(a: TaskSignal, b: TaskSignal): number {
  return (
    Number(b.isOverdue) - Number(a.isOverdue) ||
    (b.priority ?? 1) - (a.priority ?? 1) ||
    dueMs(a) - dueMs(b) ||
    b.ageDays - a.ageDays
  );
}

function dueMs(task: TaskSignal): number {
  return task.dueAt ? toInstant(task.dueAt) : Number.MAX_SAFE_INTEGER;
}

/**
 * As many of the first items as fit, so that nothing less urgent takes the place of something longer. Those that cannot fit
 * any more are not even read: the work is bounded as the prompt is.
 */
function takeWithin<Source, Item>(
  maxChars: number,
  sources: readonly Source[],
  read: (source: Source) => Item,
): readonly Item[] {
  const taken: Item[] = [];
  let chars = 0;
  for (const source of sources) {
    const item = read(source);
    chars += encodeData(item).length + 1; // and a comma
    if (chars > maxChars) break;
    taken.push(item);
  }
  return taken;
}

type Stamp = (instantMs: number) => string;

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

function stamper(timeZone: string): Stamp {
  const clock = wallClock(timeZone);
  return (instantMs) => {
    const at = clock?.(instantMs);
    if (!at) return ''; // a zone that there is not was refused before
    const date = [at.year, twoDigits(at.month), twoDigits(at.day)].join('-');
    return `${weekdays[at.dayOfWeek - 1]} ${date} ${twoDigits(at.hourOfDay)}:${twoDigits(at.minute)}`;
  };
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

const furthestMs = 8.64e15 - 86_400_000; // what a Date can hold, in any time zone; a Timestamp holds more

function toInstant(timestamp: Parameters<typeof toMs>[0]): number {
  return Math.min(furthestMs, Math.max(-furthestMs, toMs(timestamp)));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
