import { anyOf, namesOf } from './calendar-names.ts';
import { inDigits } from './in-digits.ts';
import { memo } from './memo.ts';
import { type Meaning, type Readers, readersOf, times } from './readers.ts';
import { aheadPrepositions, betweenWords, clockPrepositions, languageWords } from './words.ts';

/**
 * A number, time, date or length of time in a text. `readings` are all that it can mean, as keys that are equal where the
 * meanings are: `7,500` and `7.500` are `n:7500`, and `2:30` is `t:150` or `t:870`.
 *
 * | key | meaning |
 * |---|---|
 * | `n:3` | a number |
 * | `p:40` | per cent |
 * | `t:870` | a time of day, in minutes since midnight |
 * | `r:1@t:540` | a time of a day relative to today |
 * | `d:2026-11-24`, `d:11-24` | a date |
 * | `w:1` | a weekday, Monday to Sunday |
 * | `o:24` | a place in an order, such as a day of a month |
 * | `m:490` | minutes |
 * | `h:8`, `D:3`, `W:2`, `M:1`, `Y:1` | that many whole hours, days, weeks, months, years |
 * | `in:m:20`, … | a moment that long from now |
 * | `u:step:7500`, … | that many of a class of `countedNouns` |
 * | `x:3` | a number, whatever it counts |
 */
export interface Quantity extends Meaning {
  readonly start: number;
  readonly end: number;
}

/** A text as it is read, and what was found there. */
export interface ReadText {
  readonly text: string;
  readonly quantities: readonly Quantity[];
}

/** Everything countable in a text, in any writing of digits, and in words for the languages of the locale and English. */
export function readQuantities(original: string, locale: string): ReadText {
  const languages = languagesOf(locale);
  const text = inDigits(original, languages);
  const quantities = [...findAll(text, readersOf(languages.join(' '))), ...findWeekdays(text, languages.join(' '))];
  return { text, quantities: quantities.map((each) => fromNow(relativeToToday(each, text, languages), text)) };
}

/** The minutes of a length of time in all the ways that a person would round them. */
export function lengthKeys(minutes: number): string[] {
  const keys = [`m:${minutes}`, `m:${Math.round(minutes)}`];
  if (minutes >= 10) keys.push(`m:${Math.round(minutes / 5) * 5}`);
  const hours = minutes / 60;
  if (hours >= 0.75) {
    keys.push(`h:${Math.round(hours * 2) / 2}`, `h:${Math.round(hours * 10) / 10}`);
    // Nobody calls an hour and a half two hours.
    if (Math.abs(hours - Math.round(hours)) <= 0.35) keys.push(`h:${Math.round(hours)}`);
  }
  const days = hours / 24;
  if (days >= 0.75) keys.push(...[Math.round(days), Math.floor(days)].map((each) => `D:${each}`));
  if (days >= 5) keys.push(`W:${Math.round(days / 7)}`, `W:${Math.floor(days / 7)}`);
  if (days >= 25) keys.push(`M:${Math.round(days / 30.4)}`, `M:${Math.floor(days / 30.4)}`);
  if (days >= 330) keys.push(`Y:${Math.round(days / 365)}`, `Y:${Math.floor(days / 365)}`);
  return keys.filter((key) => !key.endsWith(':0') || minutes === 0);
}

/** Whether the words of the locale's language are known, rather than its digits alone. */
export function isReadable(locale: string): boolean {
  return Object.hasOwn(languageWords, baseOf(locale));
}

export function languagesOf(locale: string): readonly string[] {
  return baseOf(locale) !== 'en' && isReadable(locale) ? [baseOf(locale), 'en'] : ['en'];
}

function baseOf(locale: string): string {
  return locale.split('-')[0]?.toLowerCase() ?? '';
}

function findAll(text: string, readers: Readers): Quantity[] {
  const found: Quantity[] = [];
  const beginnings =
    /(?<![\p{L}\d])\d|(?<=[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}])\d|(?<!\p{L})\p{L}/gu;
  let end = 0;
  for (const { index, 0: first } of text.matchAll(beginnings)) {
    if (index < end) continue;
    for (const [pattern, read] of /\d/.test(first) ? readers.ofDigits : readers.ofLetters) {
      pattern.lastIndex = index;
      const match = pattern.exec(text);
      if (!match) continue;
      const quantity = read(...match.slice(1));
      // What looks like a time or date and cannot be one is read as what comes next in the list.
      if (quantity.readings.length === 0) continue;
      end = index + match[0].length;
      found.push(withTime({ start: index, end, ...quantity }, text));
      break;
    }
  }
  return found;
}

const beforeHour = new RegExp(
  `(?<!\\p{L})(?:${clockPrepositions}|(?:${betweenWords})(?:\\s\\d{1,2}(?::\\d{2})?(?:\\s(?:uhr|h|uur))?\\s(?:and|und|et|en|y|e|a))?)\\s$`,
  'iu',
);

/** A small number after a word that comes before hours may be one. */
function withTime(quantity: Quantity, text: string): Quantity {
  const raw = text.slice(quantity.start, quantity.end).replace(/\.$/, '');
  if (!/^\d{1,2}$/.test(raw) || !beforeHour.test(text.slice(0, quantity.start))) return quantity;
  return { ...quantity, readings: [...quantity.readings, ...times(raw)] };
}

function findWeekdays(text: string, languages: string): Quantity[] {
  const names = namesOf(languages, { weekday: 'long' }, 'weekday');
  return [...text.matchAll(weekdayPattern(languages))].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    readings: [`w:${names.get(match[0].toLowerCase())}`],
  }));
}

const ahead = new RegExp(`(?<!\\p{L})(?:${aheadPrepositions})\\s$`, 'iu');

/** A length of time after a word such as in is how far off something is, and not how long it takes. */
function fromNow(quantity: Quantity, text: string): Quantity {
  if (quantity.minutes === undefined || !ahead.test(text.slice(0, quantity.start))) return quantity;
  return { ...quantity, readings: quantity.readings.map((key) => (key.startsWith('t:') ? key : `in:${key}`)) };
}

const weekdayPattern = memo((languages: string) => {
  const names = anyOf(namesOf(languages, { weekday: 'long' }, 'weekday'));
  return new RegExp(`(?<!\\p{L})(?:${names})(?!\\p{L})`, 'giu');
});

const daysOf = memo((language: string) =>
  Object.entries(languageWords[language]?.days ?? {}).map(([offset, words]) => ({
    offset,
    // Case matters in German: Morgen is a morning, and morgen is tomorrow.
    before: new RegExp(`(?<!\\p{L})(?:${words})[\\s,]+(?:\\p{L}+\\s+){0,3}$`, language === 'de' ? 'u' : 'iu'),
    after: new RegExp(`^[\\s,]*(?:\\p{L}+\\s+)?(?:${words})(?!\\p{L})`, language === 'de' ? 'u' : 'iu'),
  })),
);

/** A time beside a word such as tomorrow is a time of that day, and of no other. */
function relativeToToday(quantity: Quantity, text: string, languages: readonly string[]): Quantity {
  const ofDay = quantity.readings.filter((key) => key.startsWith('t:'));
  if (ofDay.length === 0) return quantity;
  const [before, rest] = [text.slice(0, quantity.start), text.slice(quantity.end)];
  const day = languages.flatMap(daysOf).find((each) => each.before.test(before) || each.after.test(rest));
  return day ? { ...quantity, readings: ofDay.map((key) => `r:${day.offset}@${key}`) } : quantity;
}
