import type { TipContext } from '../features/context.ts';
import type { TipDraft } from './output.ts';

/** The ids that a tip may rest on: those of the signals the model was shown, not of those that did not fit. */
export function signalIds(context: TipContext): ReadonlySet<string> {
  return new Set([...context.tasks, ...context.events, ...context.health].map(({ id }) => id));
}

/** The tips whose every cited signal exists. A tip that cites none claims nothing and stays. */
export function grounded(tips: readonly TipDraft[], known: ReadonlySet<string>): readonly TipDraft[] {
  return tips.filter((tip) => tip.signalIds.every((id) => known.has(id)));
}
