import { anyOf, namesOf } from './calendar-names.ts';
import { memo } from './memo.ts';
import { countedNouns, countedWith, notCounted, percentWords, timeUnits } from './words.ts';

/** What a writing can mean: the keys of `Quantity`, and how long it is if it is a length of time. */
export interface Meaning {
  readonly readings: readonly string[];
  readonly minutes?: number;
}

type Reader = readonly [pattern: RegExp, read: (...groups: readonly (string | undefined)[]) => Meaning];

// Groups by thousands, with a comma, a point, a space or an apostrophe, or as in India.
const number =
  "(\\d{1,2}(?:,\\d{2})+,\\d{3}(?!\\d)|\\d{1,3}(?:[.,'’ \\u00a0\\u202f]\\d{3})+(?:[.,]\\d+)?(?!\\d)|\\d+(?:[.,]\\d+)?)";
const after = '(?![\\p{L}\\d])';

export interface Readers {
  readonly ofDigits: readonly Reader[];
  readonly ofLetters: readonly Reader[];
}

/** What to look for at a digit, and at a letter: the first that fits is it. */
export const readersOf = memo((languages: string): Readers => {
  const months = namesOf(languages, { month: 'long', day: 'numeric' }, 'month');
  const month = anyOf(months);
  const monthOf = (name = '') => months.get(name.toLowerCase()) ?? 0;
  const reader = (source: string, read: Reader[1]): Reader => [new RegExp(source, 'yiu'), read];
  const join = '\\s*,?\\s*(?:and|und|et|en|y|e|&)?\\s*';
  const minuteWord = `(?:${timeUnits.minute})`;
  const ofLetters = [
    reader(`(${month})\\s(\\d{1,2})(?:st|nd|rd|th)?(?:,?\\s(\\d{4}))?(?![\\p{L}\\d:])`, (m, d, y) => ({
      readings: dates(y, String(monthOf(m)), d),
    })),
  ];
  const ofDigits = [
    reader(`(\\d{4})-(\\d{1,2})-(\\d{1,2})(?!\\d)`, (y, m, d) => ({ readings: dates(y, m, d) })),
    reader(`(\\d{4})[./]\\s?(\\d{1,2})[./]\\s?(\\d{1,2})(?!\\d)`, (y, m, d) => ({ readings: dates(y, m, d) })),
    reader(`(?:(\\d{4})[年년]\\s?)?(\\d{1,2})[月월]\\s?(\\d{1,2})[日일]`, (y, m, d) => ({ readings: dates(y, m, d) })),
    reader(`(\\d{1,2})([./-])(\\d{1,2})\\2(\\d{4}|\\d{2})(?!\\d)`, (a, _, b, y) => ({
      readings: [...dates(y, b, a), ...dates(y, a, b)],
    })),
    reader(
      `(\\d{1,2})(?:\\.|st|nd|rd|th|er|e|º)?\\s(?:of |de )?(${month})(?:,?\\s(?:de )?(\\d{4}))?${after}`,
      (d, m, y) => ({
        readings: dates(y, String(monthOf(m)), d),
      }),
    ),
    reader(`(\\d{1,2})(?:[:.](\\d{2}))?\\s?([ap])\\.?m${after}\\.?`, (h, min, half) => ({
      readings: times(h, min).filter((key) => Number(key.slice(2)) >= 720 === (half?.toLowerCase() === 'p')),
    })),
    // 14h30 may be a time and a length; so may 14 heures, 14 uur and 14 horas.
    reader(`(\\d{1,2})\\s?h\\s?(\\d{2})${after}`, (h, min) => ({ ...hours(Number(h), Number(min)), ...both(h, min) })),
    reader(`${number}\\s?-?(?:${timeUnits.hour})\\.?${join}(\\d{1,2})\\s?${minuteWord}${after}`, (h, min) =>
      hours(values(h).at(-1) ?? 0, Number(min)),
    ),
    reader(`(\\d{1,2})\\s?heures?\\s(\\d{2})${after}`, (h, min) => both(h, min)),
    reader(`(\\d{1,2})\\s?[時点點시]\\s?(\\d{1,2})\\s?[分분]`, (h, min) => ({ readings: times(h, min) })),
    reader(`(\\d{1,2})\\s?(?:uhr|o['’]clock|時(?!間)|点|點|시(?!간))(?:\\s?(\\d{1,2})(?!\\s?\\p{L}))?`, (h, min) => ({
      readings: times(h, min),
    })),
    ...Object.entries(timeUnits).map(([unit, words]) =>
      reader(`${number}\\s?-?(${words})${after}`, (raw, word) => unitLength(unit, raw, word)),
    ),
    reader(`(\\d{1,2}):(\\d{2})(?!\\d)`, (h, min) => ({ readings: times(h, min) })),
    reader(`${number}\\s?(?:${percentWords})(?!\\p{L})`, (raw) => ({
      readings: values(raw).map((each) => `p:${each}`),
    })),
    reader(`${number}\\s?(?:(?:${countedWith})\\s)?(${Object.values(countedNouns).join('|')})${after}`, (raw, noun) =>
      counted(classOf(noun), raw),
    ),
    // The plural in English, French, Spanish and Portuguese: `3 new tyres`.
    reader(
      `${number}\\s(?:(?:new|old|small|short|big|good|important|unread|missed|extra|more)\\s)?(?!(?:${notCounted})${after})(\\p{Ll}{3,}s)${after}`,
      (raw, noun) => counted(noun?.toLowerCase() ?? '', raw),
    ),
    reader(`${number}k${after}`, (raw) => ({ readings: values(raw).map((each) => `n:${each * 1000}`) })),
    reader(`(\\d{1,2})[./](\\d{1,2})(?!\\d|[.,]\\d)`, (a, b) => ({
      readings: [
        ...values(`${a}.${b}`).map((each) => `n:${each}`),
        ...(b?.length === 2 ? times(a, b) : []),
        ...dates(undefined, b, a),
        ...dates(undefined, a, b),
      ],
    })),
    reader(`(\\d+)(?:st|nd|rd|th|er|e|º|ª|\\.)(?![\\p{L}\\d])`, (raw) => ({
      readings: [`n:${Number(raw)}`, `o:${Number(raw)}`],
    })),
    reader(number, (raw) => ({ readings: values(raw).map((each) => `n:${each}`) })),
  ];
  return { ofDigits, ofLetters };
});

const classes = Object.entries(countedNouns).map(
  ([name, words]) => [name, new RegExp(`^(?:${words})$`, 'iu')] as const,
);

function classOf(noun = ''): string {
  return classes.find(([, words]) => words.test(noun))?.[0] ?? noun;
}

function counted(noun: string, raw = ''): Meaning {
  return { readings: values(raw).flatMap((each) => [`u:${noun}:${each}`, `x:${each}`]) };
}

/** Units that also say a time: 14 heures, 14.30 uur. */
const clockUnits = /^(?:h|heures?|uur|horas?|ora|ore)$/i;

function unitLength(unit: string, raw = '', word = ''): Meaning {
  const minutes =
    { second: 1 / 60, minute: 1, hour: 60, day: 1440, week: 10_080, month: 43_776, year: 525_600 }[unit] ?? 1;
  const sign = { second: 's', minute: 'm', hour: 'h', day: 'D', week: 'W', month: 'M', year: 'Y' }[unit] ?? 'm';
  const all = values(raw);
  const parts = unit === 'hour' ? all.filter((each) => !Number.isInteger(each)).map((each) => `m:${each * 60}`) : [];
  const [, hour, minute] = (clockUnits.test(word) && /^(\d{1,2})(?:\.(\d{2}))?$/.exec(raw)) || [];
  const clock = hour === undefined ? [] : times(hour, minute);
  return {
    readings: [...all.map((each) => `${sign}:${each}`), ...parts, ...clock],
    minutes: (all.at(-1) ?? 0) * minutes,
  };
}

function both(h = '', min = '0'): Meaning {
  const length = hours(Number(h), Number(min));
  return { ...length, readings: [...length.readings, ...times(h, min)] };
}

function hours(h: number, min: number): { readings: readonly string[]; minutes: number } {
  return { readings: [`m:${h * 60 + min}`], minutes: h * 60 + min };
}

/** Both halves of the day where an hour may be of either. */
export function times(h = '', min = '0'): string[] {
  const [hour, minute] = [Number(h), Number(min)];
  if (hour > 24 || minute > 59) return [];
  const halves = hour >= 1 && hour <= 12 ? [hour % 12, (hour % 12) + 12] : [hour % 24];
  return halves.map((each) => `t:${each * 60 + minute}`);
}

function dates(y: string | undefined, m = '', d = ''): string[] {
  const [month, day] = [Number(m), Number(d)];
  if (month < 1 || month > 12 || day < 1 || day > 31) return [];
  const date = `${twoDigits(month)}-${twoDigits(day)}`;
  return [y === undefined ? `d:${date}` : `d:${y.length === 2 ? `20${y}` : y}-${date}`];
}

/** All values that the digits can stand for, the likeliest last. */
function values(raw = ''): number[] {
  const plain = raw.replace(/['’ \u00a0\u202f]/g, '');
  if (/^\d+$/.test(plain)) return [Number(plain)];
  const marks = plain.replace(/\d/g, '');
  const last = Math.max(plain.lastIndexOf('.'), plain.lastIndexOf(','));
  const decimal = Number(`${plain.slice(0, last).replace(/[.,]/g, '')}.${plain.slice(last + 1)}`);
  const grouped = Number(plain.replace(/[.,]/g, ''));
  if (new Set(marks).size > 1) return [decimal];
  const isGrouped = /^\d{1,3}(?:[.,]\d{3})+$/.test(plain);
  if (marks.length > 1) return [grouped];
  return [isGrouped && !plain.startsWith('0') ? grouped : decimal];
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
