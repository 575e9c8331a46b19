import { memo } from './memo.ts';
import { languageWords } from './words.ts';

/** A text with every number and time of day in decimal digits, whatever digits or words of these languages it has. */
export function inDigits(text: string, languages: readonly string[]): string {
  return withClock(withDigits(text), languages);
}

/** The zeros of the decimal digits that NFKC leaves as they are. */
const zeros = [
  0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20, 0x1040,
  0x17e0, 0x1810,
];
const fractions: Readonly<Record<string, string>> = { '½': '.5', '¼': '.25', '¾': '.75' };

function withDigits(text: string): string {
  return text
    .replace(/\p{Cf}/gu, '')
    .replace(/(\d?)\s?([½¼¾])/gu, (_, whole: string, part: string) => `${whole || '0'}${fractions[part]}`)
    .normalize('NFKC')
    .replaceAll('٬', ',')
    .replaceAll('٫', '.')
    .replace(/\p{Nd}/gu, (digit) => {
      const code = digit.codePointAt(0) ?? 0;
      const zero = zeros.find((each) => code >= each && code < each + 10);
      return zero === undefined ? digit : String(code - zero);
    });
}

/** `two-minute` is an amount, and `two-faced` is not. */
const unitsAfter = '(?:minuten?|hours?|stunden|days?|tage|weeks?|wochen|months?|years?|seconds?|steps?)(?!\\p{L})';

const wordsOf = memo((language: string) => {
  const entries = (languageWords[language]?.numbers ?? '').split(',').map((entry) => {
    const space = entry.indexOf(' ');
    return [entry.slice(space + 1), entry.slice(0, space)] as const;
  });
  // Longest first, so that no word is read as the beginning of another.
  const words = new Map(entries.toSorted(([a], [b]) => b.length - a.length));
  return {
    words,
    pattern: new RegExp(
      `(?<![\\p{L}\\p{N}-])(?:${[...words.keys()].join('|')})(?![\\p{L}\\p{N}]|-(?!${unitsAfter}))`,
      'giu',
    ),
  };
});

const clockOf = memo((language: string) =>
  (languageWords[language]?.clock ?? []).map(([words, minutes]) => ({
    pattern: new RegExp(`(?<!\\p{L})${words.replace('#', '(\\d{1,2}|\\p{L}+)')}(?![\\p{L}\\d:])`, 'giu'),
    minutes,
  })),
);

/** Times and numbers in words become those in digits. */
function withClock(text: string, languages: readonly string[]): string {
  let read = text;
  for (const language of languages) {
    const { words, pattern } = wordsOf(language);
    for (const { pattern: clock, minutes } of clockOf(language)) {
      read = read.replace(clock, (all, hour: string) => {
        const at = Number(words.get(hour.toLowerCase()) ?? hour) * 60 + minutes;
        return Number.isInteger(at)
          ? ` ${Math.floor(((at + 720) % 720) / 60) || 12}:${twoDigits((at + 720) % 60)}`
          : all;
      });
    }
    read = read.replace(pattern, (word) => words.get(word.toLowerCase()) ?? word);
  }
  return read;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
