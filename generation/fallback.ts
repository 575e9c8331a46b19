import type { TipContext } from '../features/context.ts';
import { isSaidAgain, tokensOf } from './checks/repeats.ts';
import { type FactName, findFacts } from './facts.ts';
import { type TipDraft, withoutRepeats } from './output.ts';
import type { TemplatePrompt } from './prompts/prompt.ts';
import { inspectTemplate, render } from './prompts/template.ts';

/**
 * The first `n` (at most 10) tips of the templates whose every variable is known now. Those that the person saw lately come
 * only when there are no others, those seen longest ago first. Always `n` of them, always the same for the same context.
 */
export function fallbackTips(prompt: TemplatePrompt, context: TipContext, n: number): readonly TipDraft[] {
  const facts = new Map(Object.entries(findFacts(context)));
  const view = Object.fromEntries([...facts].map(([name, { text }]) => [name as FactName, text]));
  const tips = prompt.templates.flatMap(({ kind, text, why }): TipDraft[] => {
    const { tags } = inspectTemplate(text);
    if (!tags.every((tag) => facts.has(tag))) return [];
    const signalIds = [...new Set(tags.flatMap((tag) => facts.get(tag)?.signalIds ?? []))];
    return [{ kind, content: render(text, view), rationale: why, signalIds: signalIds.slice(0, 32) }];
  });
  return withoutRepeats(unseenFirst(tips, context)).slice(0, n);
}

function unseenFirst(tips: readonly TipDraft[], { seenTips, tasks, events }: TipContext): readonly TipDraft[] {
  const titles = new Map([...tasks, ...events].map(({ id, title }) => [id, title]));
  const seen = seenTips.map(tokensOf); // the newest first
  const seenAt = ({ content, signalIds }: TipDraft) => {
    const tokens = tokensOf(content);
    const named = signalIds.flatMap((id) => [...tokensOf(titles.get(id) ?? '')]);
    const at = seen.findIndex((each) => isSaidAgain(tokens, each, named));
    return at < 0 ? Number.POSITIVE_INFINITY : at;
  };
  return tips
    .map((tip) => ({ tip, at: seenAt(tip) }))
    .toSorted((a, b) => (a.at === b.at ? 0 : b.at - a.at))
    .map(({ tip }) => tip);
}
