import type { TipContext } from '../features/context.ts';
import { knownQuantities } from './checks/known.ts';
import { type Quantity, type ReadText, readQuantities } from './checks/quantities.ts';
import { claimWords, effortNouns } from './checks/words.ts';
import { gist, type TipDraft } from './output.ts';

/** A step that a tip suggests may take as long as this without anything saying so. */
export const effortMinutesMost = 30;
/** A tip may ask for as many breaths, sentences and the like without anything saying so. */
export const effortCountMost = 5;

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
  const isOfEvent = cited.length > 0 && cited.every((id) => context.events.some((event) => event.id === id));
  return read.quantities.every(
    (each) => each.readings.some((key) => known.has(key)) || isEffort(each, read, isOfEvent),
  );
}

const claims = new RegExp(`(?<!\\p{L})(?:${claimWords})(?!\\p{L})`, 'iu');
const fewOf = new RegExp(`^\\s(?:\\p{L}+\\s)?(?:${effortNouns})(?!\\p{L})`, 'iu');
/** Characters on either side in which a word can turn a suggestion into a claim. */
const nearChars = 24;

/** Whether it is only how much a suggested step takes: nobody counted it, so it need not stand anywhere. */
function isEffort({ start, end, readings, minutes }: Quantity, { text }: ReadText, isOfEvent: boolean): boolean {
  if (minutes === undefined) {
    const isFew = readings.some((key) => key.startsWith('n:') && Number(key.slice(2)) <= effortCountMost);
    return isFew && fewOf.test(text.slice(end));
  }
  if (minutes > effortMinutesMost) return false;
  const before = text.slice(Math.max(0, start - nearChars), start);
  const after = text.slice(end, end + nearChars);
  // Of an entry in the calendar, "in 10 minutes" says when it is.
  const isAhead = isOfEvent && /(?<!\p{L})(?:in|dans|en|over|tra|fra|em)\s$/iu.test(before);
  return (
    !isAhead && !claims.test(before.split(/[.!?;:,]\s/).at(-1) ?? '') && !claims.test(after.split(/[.!?;:,]/)[0] ?? '')
  );
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
