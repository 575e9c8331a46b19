import type { TipContext } from '../features/context.ts';
import { type FactName, findFacts } from './facts.ts';
import { gist, type TipDraft, withoutRepeats } from './output.ts';
import type { TemplatePrompt } from './prompts/prompt.ts';
import { inspectTemplate, render } from './prompts/template.ts';

/**
 * The first `n` (at most 10) tips of the templates whose every variable is known now, those the person saw lately last.
 * Always `n` of them, always the same for the same context.
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
  const seen = new Set(context.recentTips.map(({ content }) => gist(content)));
  const isNew = (tip: TipDraft) => !seen.has(gist(tip.content));
  return withoutRepeats([...tips.filter(isNew), ...tips.filter((tip) => !isNew(tip))]).slice(0, n);
}
