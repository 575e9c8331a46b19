// What became of each tip. Decision, showing, reaction and silence meet in one row, whichever comes first.
import {
  namesOfReaction,
  namesOfTipKind,
  namesOfTipSource,
  type ReactionName,
  type TipKindName,
  type TipSourceName,
} from '../../gen/proto/oo/contract.ts';
import { dayMs, utcDay } from '../../platform/clock.ts';
import type { BucketOf } from '../buckets.ts';
import { smoothedRate } from '../population.ts';
import type { DeltaOf } from '../tables.ts';
import { type FeatureGroup, type FeatureOf, laterOf, newest, type Occurrence } from './feature.ts';

type Outcome = BucketOf<'tip_outcomes'>;

/** Stands for "no decision" in a key. */
export const noDecision = '00000000-0000-0000-0000-000000000000';

/**
 * Doing a tip or sending it away ends the matter. Anything else that was said about it stands until then; silence
 * stands only as long as nothing was said.
 */
const rankOf: Readonly<Record<ReactionName | 'ignored', number>> = {
  done: 0,
  dismiss: 0,
  snooze: 1,
  helpful: 1,
  not_helpful: 1,
  ignored: 2,
};

export const outcomes = {
  entity: 'user_id',
  contributes: {
    tipScored(event, { tipId, candidates }) {
      const chosen = candidates.find((candidate) => candidate.tipId === tipId);
      return [ofTip(event, { tipId, decisionId: event.eventId }, { decided_at: event.atMs, ...words(chosen) })];
    },
    tipServed: (event, tip) => [ofTip(event, tip, { served_at: event.atMs, ...words(tip) })],
    tipFeedback(event, feedback) {
      const reaction = namesOfReaction[feedback.reaction];
      if (reaction === undefined) return []; // refused by the contract's rules; counts for nothing
      const dwellMs = feedback.dwellMs === undefined ? undefined : Number(feedback.dwellMs);
      return [ofTip(event, feedback, register(event, reaction, dwellMs))];
    },
    tipIgnored: (event, tip) => [ofTip(event, tip, register(event, 'ignored', undefined))],
  },
  features: {
    tips_ignored_1d: ignored(1),
    tips_ignored_7d: ignored(7),
    tips_ignored_30d: ignored(30),

    task_done_rate_30d: doneRate('tip_kind', 'task'),
    advice_done_rate_30d: doneRate('tip_kind', 'advice'),
    insight_done_rate_30d: doneRate('tip_kind', 'insight'),
    reminder_done_rate_30d: doneRate('tip_kind', 'reminder'),

    llm_done_rate_30d: doneRate('tip_source', 'llm'),
    task_direct_done_rate_30d: doneRate('tip_source', 'task_direct'),
    fallback_done_rate_30d: doneRate('tip_source', 'fallback'),
  },
} as const satisfies FeatureGroup;

function ofTip(
  { userId }: Occurrence,
  { tipId, decisionId }: { readonly tipId: string; readonly decisionId: string },
  columns: Omit<Outcome, 'tip_id' | 'decision_id'>,
): DeltaOf<'tip_outcomes'> {
  const key = { user_id: userId, tip_id: tipId, decision_id: decisionId.toLowerCase() || noDecision };
  return { table: 'tip_outcomes', row: { ...key, ...columns } };
}

/** What is known of the tip, by its names. */
function words(tip: { readonly kind: number; readonly source: number } | undefined) {
  const kind = namesOfTipKind[tip?.kind ?? 0];
  const source = namesOfTipSource[tip?.source ?? 0];
  return { ...(kind && { tip_kind: kind }), ...(source && { tip_source: source }) };
}

function register(event: Occurrence, outcome: ReactionName | 'ignored', dwellMs: number | undefined) {
  return {
    outcome_rank: rankOf[outcome],
    outcome_at: event.atMs,
    outcome_event_id: event.eventId.toLowerCase(),
    outcome,
    dwell_ms: dwellMs,
  };
}

function ignored(days: number): FeatureOf<'tip_outcomes'> {
  return overTips((rows, nowMs) => {
    const shown = shownWithin(rows, days, nowMs);
    const value = shown.filter(({ outcome }) => outcome === 'ignored').length;
    return shown.length === 0 ? undefined : { value, asOfMs: newestOf(shown) };
  });
}

/** Tips of one kind or source that were done as a share of those shown, drawn towards the population's. */
function doneRate(column: 'tip_kind', value: TipKindName): FeatureOf<'tip_outcomes'>;
function doneRate(column: 'tip_source', value: TipSourceName): FeatureOf<'tip_outcomes'>;
function doneRate(column: 'tip_kind' | 'tip_source', value: string): FeatureOf<'tip_outcomes'> {
  return overTips((rows, nowMs, population) => {
    const shown = shownWithin(rows, 30, nowMs).filter((row) => row[column] === value);
    const done = shown.filter(({ outcome }) => outcome === 'done').length;
    const all = population?.[column === 'tip_kind' ? 'byKind' : 'bySource'][value];
    const rate = smoothedRate(done, shown.length, all && { count: all.done, shown: all.served });
    return rate === undefined ? undefined : { value: rate, asOfMs: newestOf(shown) };
  });
}

function overTips(read: FeatureOf<'tip_outcomes'>['read']): FeatureOf<'tip_outcomes'> {
  return { table: 'tip_outcomes', days: undefined, read };
}

/** A tip that was only reacted to was shown as well, whoever forgot to say so. */
function shownWithin(rows: readonly Outcome[], days: number, nowMs: number): readonly Outcome[] {
  const from = (utcDay(nowMs) - days + 1) * dayMs;
  const to = (utcDay(nowMs) + 1) * dayMs;
  return rows.filter(({ served_at, outcome_at }) => {
    const shownAt = served_at ?? outcome_at;
    return shownAt !== undefined && shownAt >= from && shownAt < to;
  });
}

function newestOf(rows: readonly Outcome[]): number | undefined {
  return laterOf(newest(rows, 'served_at'), newest(rows, 'outcome_at'));
}
