import type { TipContext } from '../features/context.ts';
import { knownQuantities } from './checks/known.ts';
import { isProposal, type ProposalOptions } from './checks/proposals.ts';
import { readQuantities } from './checks/quantities.ts';
import { gist, type TipDraft } from './output.ts';

/** The ids that a tip may rest on: those of the signals the model was shown, not of those that did not fit. */
export function signalIds(context: TipContext): ReadonlySet<string> {
  return new Set([...context.tasks, ...context.events, ...context.health].map(({ id }) => id));
}

/**
 * Whether everything that a tip claims stands in the signals that it cites, or in what is known of the moment and of the
 * person: every number, time, date and weekday, and every task or entry that it names.
 */
export function isGrounded(tip: TipDraft, context: TipContext): boolean {
  return citesWhatExists(tip, context) && namesWhatItCites(tip, context) && countsWhatItCites(tip, context);
}

function citesWhatExists({ signalIds: cited }: TipDraft, context: TipContext): boolean {
  const known = signalIds(context);
  return cited.every((id) => known.has(id));
}

function countsWhatItCites({ content, signalIds: cited }: TipDraft, context: TipContext): boolean {
  const read = readQuantities(content, context.locale);
  if (read.quantities.length === 0) return true;
  const known = knownQuantities(context, cited);
  const options = proposalOptions(cited, context);
  return read.quantities.every(
    (each) => each.readings.some((key) => known.has(key)) || isProposal(each, read, options),
  );
}

function proposalOptions(cited: readonly string[], { tasks, events, locale }: TipContext): ProposalOptions {
  const isCited = ({ id }: { readonly id: string }) => cited.includes(id);
  const citedEvents = events.filter(isCited);
  return {
    locale,
    titles: [...tasks.filter(isCited), ...citedEvents].map(({ title }) => title),
    citesEvents: citedEvents.length === 0 ? 'none' : citedEvents.length === cited.length ? 'only' : 'some',
  };
}

/**
 * A title that is in the text must be that of a cited signal, and a quotation in a tip about a task or an entry must be
 * from one. Titles of one word are too often ordinary words to be told apart.
 */
function namesWhatItCites({ content, kind, signalIds: cited }: TipDraft, context: TipContext): boolean {
  const titled = [...context.tasks, ...context.events];
  const own = titled.filter(({ id }) => cited.includes(id)).map(({ title }) => gist(title));
  const others = titled.filter(({ id }) => !cited.includes(id)).map(({ title }) => gist(title));
  const text = ` ${gist(content)} `;
  const isOwn = (part: string) => own.some((title) => holds(title, part) || holds(part, title));
  if (
    others.some((title) => isTelling(title) && text.includes(` ${title} `) && !own.some((mine) => holds(mine, title)))
  ) {
    return false;
  }
  return quotations(content).every((part) => {
    if (isOwn(part)) return true;
    if (others.some((title) => title === part)) return false;
    return !(isTelling(part) && (kind === 'task' || kind === 'reminder'));
  });
}

/** Whether a name is long enough not to be in a text by chance. */
function isTelling(words: string): boolean {
  return words.includes(' ') && words.length >= 8;
}

function holds(whole: string, part: string): boolean {
  return ` ${whole} `.includes(` ${part} `) || compact(whole).startsWith(compact(part));
}

/** Without spaces, as in scripts that have none, or where a title was cut. */
function compact(words: string): string {
  return words.replaceAll(' ', '');
}

function quotations(content: string): string[] {
  const marks = /[“„"«‹]\s?([^“”„"«»‹›]{2,})\s?[”“"»›]|「([^「」]{2,})」|『([^『』]{2,})』/gu;
  return [...content.matchAll(marks)].map((match) => gist(match[1] ?? match[2] ?? match[3] ?? ''));
}
