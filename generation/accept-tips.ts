import type { TipContext } from '../features/context.ts';
import { findBlocked, type Secrets } from './checks/blocked.ts';
import { maybeIn } from './checks/language.ts';
import { isNear, tokensOf } from './checks/repeats.ts';
import { isGrounded } from './grounding.ts';
import type { TipDraft } from './output.ts';

/** Why a tip was dropped. The first that applies counts. */
export type DropReason = 'blocked' | 'ungrounded' | 'wrong_language' | 'repeated' | 'seen';

export interface AcceptedTips {
  readonly tips: readonly TipDraft[];
  /** How many tips were dropped, by reason; without reasons that dropped none. */
  readonly dropped: DroppedTips;
  /** What the caller is told: that something claimed what nothing shows, or that nothing is left. */
  readonly degradation?: 'llm_ungrounded' | 'llm_bad_output';
  /** Why nothing is left, without any text of a tip. */
  readonly failure?: string;
}

export type DroppedTips = Readonly<Partial<Record<DropReason, number>>>;

export interface AcceptOptions extends Secrets {
  /** At most this many are accepted; those after them are not looked at. */
  readonly n: number;
}

/** Looks at one tip after the other. */
export interface TipJudge {
  /** Whether it may be shown. Once `n` were accepted, none is looked at any more. */
  accepts(tip: TipDraft): boolean;
  /** What became of those so far. */
  result(): AcceptedTips;
}

/**
 * Accepts the first `n` tips that may be shown: those that stand on what they cite, in the right language, with nothing in
 * them that nobody should read, and that say what neither an earlier one nor a tip seen lately says.
 */
export function createTipJudge(context: TipContext, options: AcceptOptions): TipJudge {
  const seen = context.seenTips.map(tokensOf);
  const accepted: { readonly tip: TipDraft; readonly tokens: ReadonlySet<string> }[] = [];
  const dropped: Partial<Record<DropReason, number>> = {};
  return {
    accepts: (tip) => {
      if (accepted.length >= options.n) return false;
      const tokens = tokensOf(tip.content);
      const reason =
        whyNot(tip, context, options) ??
        (accepted.some((each) => isRepeat(tip, tokens, each.tip, each.tokens)) ? 'repeated' : undefined) ??
        (seen.some((each) => isSeen(tip, tokens, each, context)) ? 'seen' : undefined);
      if (reason === undefined) accepted.push({ tip, tokens });
      else dropped[reason] = (dropped[reason] ?? 0) + 1;
      return reason === undefined;
    },
    result: () => ({ tips: accepted.map(({ tip }) => tip), dropped, ...told(accepted.length, dropped) }),
  };
}

/** What a judge makes of all tips of an answer. */
export function acceptTips(written: readonly TipDraft[], context: TipContext, options: AcceptOptions): AcceptedTips {
  const judge = createTipJudge(context, options);
  for (const tip of written) judge.accepts(tip);
  return judge.result();
}

function told(left: number, dropped: DroppedTips): Pick<AcceptedTips, 'degradation' | 'failure'> {
  const degradation = dropped.ungrounded ? ('llm_ungrounded' as const) : undefined;
  if (left > 0) return degradation ? { degradation } : {};
  const counts = Object.entries(dropped).map(([reason, count]) => `${reason} ${count}`);
  return { degradation: degradation ?? 'llm_bad_output', failure: `No tip was accepted: ${counts.join(', ')}.` };
}

function whyNot(tip: TipDraft, context: TipContext, secrets: Secrets): DropReason | undefined {
  const titles = titlesOf(tip, context);
  const isBlocked = [tip.content, tip.rationale].some((text) => findBlocked(text, titles, secrets) !== undefined);
  if (isBlocked) return 'blocked';
  if (!isGrounded(tip, context)) return 'ungrounded';
  const own = titles.reduce((text, title) => text.replaceAll(title, ' '), tip.content);
  return maybeIn(context.locale, own) ? undefined : 'wrong_language';
}

/** Two tips of one form about different signals are two tips. */
function isRepeat(
  tip: TipDraft,
  tokens: ReadonlySet<string>,
  earlier: TipDraft,
  earlierTokens: ReadonlySet<string>,
): boolean {
  const isOfOthers =
    tip.signalIds.length > 0 &&
    earlier.signalIds.length > 0 &&
    !tip.signalIds.some((id) => earlier.signalIds.includes(id));
  return !isOfOthers && isNear(tokens, earlierTokens);
}

/** Nor is a tip the one that was seen if it names something cited that the other one did not name. */
function isSeen(tip: TipDraft, tokens: ReadonlySet<string>, seen: ReadonlySet<string>, context: TipContext): boolean {
  const named = titlesOf(tip, context).flatMap((title) => [...tokensOf(title)]);
  return isNear(tokens, seen) && named.every((token) => !tokens.has(token) || seen.has(token));
}

function titlesOf({ signalIds }: TipDraft, { tasks, events }: TipContext): readonly string[] {
  return [...tasks, ...events].filter(({ id }) => signalIds.includes(id)).map(({ title }) => title);
}

// Patterns are compiled when they are first used, for narrow and for wide characters, which takes longer than a request has
// left once a model has answered. So they are used once before.
for (const content of ['Open “this” at 9 tomorrow, or on May 1.', 'Open this at 9 tomorrow, or on May 1, or see x.']) {
  const known = { tasks: [], events: [], health: [], profile: [], recentTips: [], seenTips: [content] };
  const moment = { timeZone: 'UTC', hourOfDay: 9, dayOfWeek: 1, locale: 'en', omitted: { tasks: 0, events: 0 } };
  const tip = { content, kind: 'advice', rationale: content, signalIds: [] } as const;
  acceptTips([tip], { ...known, ...moment }, { n: 1, nonce: '', promptText: '' });
}
