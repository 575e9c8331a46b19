import { memo } from './memo.ts';
import { languagesOf, type Quantity, type ReadText, readQuantities } from './quantities.ts';
import {
  aheadPrepositions,
  effortNouns,
  entryNouns,
  languageWords,
  matterWords,
  methodNouns,
  stepNouns,
} from './words.ts';

/** A step that a tip proposes may take as long as this without anything saying so. */
export const effortMinutesMost = 30;
/** If it is asked for in so many words ("block 45 minutes"), as long as this. */
export const askedMinutesMost = 90;
/** A tip may ask for as many breaths, sentences and the like without anything saying so. */
export const effortCountMost = 5;
/** If it asks for them in so many words ("do ten squats"), for as many as this. */
export const askedCountMost = 10;
/** Steps, metres, feet and millilitres are small. */
export const askedMeasureMost = 1000;

/** What the words around an amount are judged with. */
export interface ProposalOptions {
  readonly locale: string;
  /** Titles of what the tip cites: what they count is not for a tip to count otherwise. */
  readonly titles: readonly string[];
  readonly citesEvents: 'none' | 'some' | 'only';
}

/**
 * Whether an amount is part of what a tip proposes to do, so that nothing needs to say it. Only a length of time and a
 * number of things can be: a moment, a day, a share or an amount of money is always a claim. And it is none if its clause
 * reports how things are ("you have", "left", "yesterday"), or speaks of something that there is ("the 3 emails"), or if
 * it is large.
 */
export function isProposal(quantity: Quantity, { text }: ReadText, options: ProposalOptions): boolean {
  if (isInName(quantity, text) || isOrdinalOfStep(quantity, text)) return true;
  const { clause, sentence } = around(quantity, text);
  const words = wordsOf(options.locale);
  const isAsked = words.asks.test(sentence.before);
  const [before, after] = [clause.before.replace(words.ifThereIs, ' '), clause.after];
  // Where the amount stands is a number, so that no word of one side reaches over to the other.
  if (words.reports.test(`${before}0${after}`) || words.reportsNext.test(before.replace(aGuess, ' '))) return false;
  return quantity.minutes === undefined
    ? isProposedCount(quantity, { before, after, isAsked, words, options })
    : isProposedLength(quantity.minutes, { before, after, isAsked, words, options });
}

interface Surroundings {
  readonly before: string;
  readonly after: string;
  /** Whether the sentence is an order, and the amount comes after it. */
  readonly isAsked: boolean;
  readonly words: Patterns;
  readonly options: ProposalOptions;
}

function isProposedLength(minutes: number, { before, after, isAsked, words, options }: Surroundings): boolean {
  if (minutes > (isAsked ? askedMinutesMost : effortMinutesMost)) return false;
  if (words.definite.test(before) || (!isAsked && anEntry.test(after))) return false;
  // Of an entry in the calendar, "in 10 minutes" says when it is.
  const { citesEvents } = options;
  if (citesEvents === 'only' || (citesEvents === 'some' && !isAsked)) if (isAhead.test(before)) return false;
  return !(
    words.takes.test(before) &&
    !words.stepTakes.test(before) &&
    (citesEvents !== 'none' || words.your.test(before))
  );
}

function isProposedCount({ readings }: Quantity, surroundings: Surroundings): boolean {
  const { before, after, isAsked, words, options } = surroundings;
  const count = countOf(readings);
  if (count === undefined) return false;
  if (words.reportsAnywhere.test(after)) return false;
  if (words.definite.test(before) && !matters.test(after.slice(0, nearChars))) return false;
  if (ofAWhole.test(before) || isCountedIn(options.titles, readings, after)) return false;
  if (isAsked) return count <= (readings.some((key) => measured.test(key)) ? askedMeasureMost : askedCountMost);
  return count <= effortCountMost && fewOf.test(`${nounOf(readings)}${after}`);
}

/** The number of things, unless it is money or the like, of which nobody asks for a few. */
function countOf(readings: readonly string[]): number | undefined {
  const key = readings.find((each) => /^(?:n|u:.*):/.test(each));
  return key === undefined || bought.test(key) ? undefined : Number(key.slice(key.lastIndexOf(':') + 1));
}
const bought = /^u:(?:euro|dollar|pound|franc|calorie|kilogram|beat):/;
const measured = /^u:(?:step|metre|foot|litre):/;

function isCountedIn(titles: readonly string[], readings: readonly string[], after: string): boolean {
  const noun = /^\s(\p{L}{3,})/u.exec(`${nounOf(readings)}${after}`)?.[1]?.toLowerCase();
  return noun !== undefined && titles.some((title) => /\p{N}/u.test(title) && title.toLowerCase().includes(noun));
}

/** What is counted, as it stands after the number. */
function nounOf(readings: readonly string[]): string {
  const noun = readings.find((key) => key.startsWith('u:'))?.split(':')[1];
  return noun === undefined ? '' : ` ${noun}`;
}

/** How far after "the three" it may say that they are the ones that matter. */
const nearChars = 48;
/** "It is a 2-minute walk" guesses, as "it takes 2 minutes" does. */
const aGuess = /(?<!\p{L})(?:it|that|this)(?:\sis|['’]s)\s(?:only\s|just\s)?an?\s$/iu;
const ofAWhole = /(?<!\p{L})(?:of|von|van|de|des|di|dei|delle|dos|das)\s$/iu;
const whole = (words: string) => `(?<!\\p{L})(?:${words})(?!\\p{L})`;
const fewOf = new RegExp(`^\\s(?:\\p{L}+\\s)?${whole(effortNouns)}`, 'iu');
const anEntry = new RegExp(
  `^\\s(?:\\p{L}{4,}\\s)?(?<!(?:before|after|avant|après|voor|nach|antes|dopo|depois)\\s)${whole(entryNouns)}`,
  'iu',
);
const isAhead = new RegExp(`${whole(aheadPrepositions)}\\s$`, 'iu');
const matters = new RegExp(whole(matterWords), 'iu');

/** `90/20 rhythm`, `2-minute rule`, `4-7-8 breathing`, `règle des 2 minutes`: a name, whatever is in it. */
function isInName({ start, end }: Quantity, text: string): boolean {
  return [...text.matchAll(names)].some(({ index, 0: name }) => index <= start && end <= index + name.length);
}
const names = new RegExp(
  `(?<![\\p{L}\\d])\\d[\\d/:.–-]*(?:[-\\s](?!(?:of|in|on|to|from)\\s)\\p{L}+)?[-\\s]${whole(methodNouns)}|${whole(methodNouns)}\\s(?:(?:de|des|de los|dos|di|dei|van|von|der|of)\\s)?\\d[\\d/:.–-]*(?:\\s\\p{L}+)?`,
  'giu',
);

/** `Step 1: …`, `1. … 2. …` */
function isOrdinalOfStep({ start, end, readings }: Quantity, text: string): boolean {
  const count = countOf(readings);
  if (count === undefined || count > effortCountMost) return false;
  const [before, after] = [text.slice(0, start), text.slice(end)];
  if (/^\s?[:.)–-]/u.test(after) && afterStep.test(before)) return true;
  const isMarked = /^\s*[.)]\s+\p{L}/u.test(`${text.slice(start, end).replace(/^\d+/, '')}${after}`);
  return isMarked && /(?:^|[.!?;:]\s+)$/u.test(before);
}
const afterStep = new RegExp(`${whole(stepNouns)}\\s$`, 'iu');

interface Around {
  readonly before: string;
  readonly after: string;
}

/** The clause and the sentence that an amount is in, on either side of it. */
function around({ start, end }: Quantity, text: string): { readonly clause: Around; readonly sentence: Around } {
  const [before, after] = [text.slice(0, start), text.slice(end)];
  const cut = (mark: RegExp): Around => ({
    before: before.split(mark).at(-1) ?? '',
    after: after.split(mark)[0] ?? '',
  });
  return {
    clause: cut(/[.!?;:,…][”"»]?\s|\s[–—-]\s|[。、！？]/u),
    sentence: cut(/[.!?;:…][”"»]?\s|\s[–—-]\s|[。！？]/u),
  };
}

interface Patterns {
  readonly reports: RegExp;
  readonly reportsNext: RegExp;
  readonly reportsAnywhere: RegExp;
  readonly definite: RegExp;
  readonly takes: RegExp;
  readonly stepTakes: RegExp;
  readonly your: RegExp;
  readonly ifThereIs: RegExp;
  readonly asks: RegExp;
}

function wordsOf(locale: string): Patterns {
  return patternsOf(languagesOf(locale).join(' '));
}

/** The words of the locale's language and of English: models write in either. */
const patternsOf = memo((languages: string): Patterns => {
  const all = languages.split(' ').flatMap((language) => languageWords[language]?.proposals ?? []);
  const any = (name: keyof (typeof all)[number]) => all.map((each) => each[name]).join('|');
  const one = (source: string) => new RegExp(source, 'iu');
  return {
    reports: one(whole(any('reports'))),
    reportsNext: one(whole(any('reportsNext'))),
    reportsAnywhere: one(`^.*${whole(any('reportsNext'))}(?!\\s(?:enough|plenty|fine|all))`),
    definite: one(`${whole(any('definite'))}\\s$`),
    takes: one(whole(any('takes'))),
    stepTakes: one(`${whole(any('step'))}.{0,12}${whole(any('takes'))}`),
    your: one(whole('your|dein\\p{L}*|votre|vos|ton|ta|tes|je|jouw|tu|tus|su|sus|tuo|tua|seu|sua')),
    ifThereIs: one(`${whole(any('ifThereIs'))}`),
    asks: one(`(?:^|[,(“"]|${whole(any('beforeOrder'))})\\s*(?:${any('beforeOrder')}\\s)?${whole(any('asks'))}`),
  };
});

// Patterns are compiled when they are first used, for narrow and for wide characters; a request has no time for that.
for (const text of [
  'Take the 3 tasks that matter; it takes 10 minutes.',
  'Take “the” 3 tasks: the call takes 10 minutes.',
]) {
  const read = readQuantities(text, 'en');
  for (const each of read.quantities)
    isProposal(each, read, { locale: 'en', titles: ['3 tasks'], citesEvents: 'some' });
}
