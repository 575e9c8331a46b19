import { readCard } from '../card.ts';
import { cardPage } from '../card-page.ts';
import { type CardRules, problemsOf } from '../card-problems.ts';
import type { MirrorSourceDeps } from './source.ts';

/** The card of a version as people read it, with what happened to it since. */
export function versionPage(rules: CardRules): MirrorSourceDeps['pageOf'] {
  return (card, { name: title, policy, hash, manifest, actor, registeredAtMs: atMs }, steps) => {
    const read = readCard(card);
    if (read.kind !== 'card') return undefined;
    const problems = problemsOf(read.card, { hash, manifest }, rules);
    const own = steps.filter((step) => step.policy === policy).toReversed();
    return cardPage({ title, card: read.card, problems, registered: { actor, atMs }, steps: own });
  };
}
