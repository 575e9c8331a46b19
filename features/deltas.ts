import { namesOfReaction, type ReactionName } from '../gen/proto/oo/contract.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { TipFeedback } from '../gen/proto/oo/events/v1/feedback_pb.ts';
import { utcDay } from '../platform/clock.ts';
import type { Delta, DeltaOf } from './tables.ts';
import { toMs } from './time.ts';

/**
 * What an event adds to the tables behind the profile features. Pure: the stream's consumer, a rebuild, the training
 * set and the tests all call it, so that there is no second definition to drift from. The event is valid (the
 * contract's rules hold).
 */
export function personDeltas(event: Envelope): readonly Delta[] {
  const { payload } = event;
  switch (payload.case) {
    case 'tipServed':
      return [daily(event, { served: 1, last_served_at: occurredAt(event) })];
    case 'tipFeedback':
      return feedbackDeltas(event, payload.value);
    case 'taskSynced':
    case 'healthSampled':
    case 'calendarSynced':
    case 'tipRewardFailed':
    case 'integrationConnected':
    case 'integrationTokenExpired':
    case 'tipScored':
    case 'tipGenerated':
    case undefined:
      return []; // kept in `events`; no profile feature reads them yet
  }
}

const reactionColumn = {
  done: 'done',
  dismiss: 'dismissed',
  snooze: 'snoozed',
  helpful: 'helpful',
  not_helpful: 'not_helpful',
} as const satisfies Record<ReactionName, keyof DailySums>;

function feedbackDeltas(event: Envelope, { reaction, dwellMs, hourOfDay }: TipFeedback): readonly Delta[] {
  const name = namesOfReaction[reaction];
  if (name === undefined) return []; // refused by the contract's rules; counts for nothing
  const at = occurredAt(event);
  const dwell = dwellMs === undefined ? {} : { dwell_ms: Number(dwellMs), dwell_count: 1 };
  const reacted = daily(event, { [reactionColumn[name]]: 1, ...dwell, last_reaction_at: at });
  if (name !== 'done') return [reacted];
  const hour = hourOfDay ?? new Date(at).getUTCHours();
  return [
    reacted,
    { table: 'user_hourly', row: { user_id: event.userId, day: utcDay(at), hour, done: 1, last_done_at: at } },
  ];
}

type DailySums = Omit<DeltaOf<'user_daily'>['row'], 'user_id' | 'day'>;

function daily(event: Envelope, sums: DailySums): Delta {
  return { table: 'user_daily', row: { user_id: event.userId, day: utcDay(occurredAt(event)), ...sums } };
}

function occurredAt(event: Envelope): number {
  return toMs(event.occurredAt);
}
