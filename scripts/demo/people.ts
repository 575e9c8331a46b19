import type { EventInit } from '../../client/index.ts';
import { seedOf, uniform } from '../../experiments/draw.ts';
import { toTimestamp } from '../../features/time.ts';
import { Reaction, TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs, utcDay } from '../../platform/clock.ts';
import { idAt } from '../../platform/ids.ts';

/** A made-up person, and how they take to tips. */
export interface Person {
  readonly userId: string;
  readonly tipsPerDay: number;
  /** Chances of the reactions to a tip; what is left over is ignored. */
  readonly done: number;
  readonly dismissed: number;
  readonly snoozed: number;
  /** The hour around which they do things. */
  readonly hour: number;
}

export const people: readonly Person[] = [
  { userId: 'demo-anna', tipsPerDay: 4, done: 0.6, dismissed: 0.1, snoozed: 0.1, hour: 8 },
  { userId: 'demo-ben', tipsPerDay: 3, done: 0.15, dismissed: 0.5, snoozed: 0.1, hour: 21 },
  { userId: 'demo-chloe', tipsPerDay: 1, done: 0.4, dismissed: 0.2, snoozed: 0.2, hour: 13 },
  { userId: 'demo-dev', tipsPerDay: 6, done: 0.3, dismissed: 0.2, snoozed: 0.3, hour: 17 },
];

const days = 14;

/**
 * Two weeks of a person's life up to yesterday. Told again on the same day it is the same story under the same ids, so
 * that a second start adds nothing.
 */
export function historyOf(person: Person, nowMs: number): EventInit[] {
  const today = utcDay(nowMs);
  return Array.from({ length: days }, (_, i) => today - days + i).flatMap((day) => dayOf(person, day));
}

function dayOf(person: Person, day: number): EventInit[] {
  const { userId, tipsPerDay, hour } = person;
  const seed = seedOf(`${userId}/${day}`);
  const at = (hourOfDay: number, minute: number) => day * dayMs + hourOfDay * 3_600_000 + minute * 60_000;
  const event = (occurredAtMs: number, payload: EventInit['payload']): EventInit => ({
    eventId: idAt(occurredAtMs, `demo/${userId}/${payload.case}`),
    occurredAt: toTimestamp(occurredAtMs),
    userId,
    payload,
  });
  const openTasks = 5 + Math.floor(uniform(seed, 0) * 10);
  const synced = event(at(5, 0), {
    case: 'taskSynced',
    value: { provider: 'todoist', openTasks, overdueTasks: Math.floor(openTasks / 3) },
  });
  const tips = Array.from({ length: tipsPerDay }, (_, i) => {
    const hourOfDay = Math.min(23, Math.max(0, hour + Math.floor(uniform(seed, 3 * i + 1) * 5) - 2));
    const shownAt = at(hourOfDay, i * 7);
    const tipId = `${userId}-${day}-${i}`;
    const shown = event(shownAt, {
      case: 'tipServed',
      value: { tipId, kind: TipKind.TASK, source: TipSource.TASK_DIRECT },
    });
    const reaction = reactionOf(person, uniform(seed, 3 * i + 2));
    if (reaction === undefined) return [shown];
    const dwellMs = Math.round(10_000 + uniform(seed, 3 * i + 3) * 290_000);
    return [
      shown,
      event(shownAt + dwellMs, {
        case: 'tipFeedback',
        value: { tipId, reaction, dwellMs: BigInt(dwellMs), hourOfDay },
      }),
    ];
  });
  return [synced, ...tips.flat()];
}

function reactionOf({ done, dismissed, snoozed }: Person, draw: number): Reaction | undefined {
  if (draw < done) return Reaction.DONE;
  if (draw < done + dismissed) return Reaction.DISMISS;
  if (draw < done + dismissed + snoozed) return Reaction.SNOOZE;
  return undefined;
}
