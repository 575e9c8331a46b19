import { memo } from './memo.ts';

/**
 * Words that hold a language together, without those that its neighbours share in the same sense: enough to see that a
 * sentence is clearly in another one. Not a detector: sentences of one or two such words pass as any language.
 */
const functionWords: Readonly<Record<string, string>> = {
  en: 'the and is are your you it this that of to for with before then now what which be take one first at on not from next',
  de: 'der die das und ist sind dein deine deinen du dich es ein eine einen zu für mit vor dann jetzt nicht auf von im den dem noch heute wenn schon',
  fr: 'le la les et est sont votre vos vous ton tes tu ce cette un une des du pour avec avant puis maintenant pas dans sur au aux que qui plus',
  nl: 'de het en is zijn je jouw dit dat een van te voor met dan nu niet op naar om er nog aan bij als eerst vandaag',
  es: 'el la los las y es son tu tus este esta un una de del para con antes luego ahora no en por que lo al más hoy',
  it: 'il la lo gli le e è sono tuo tua tuoi questo questa un una di del della per con prima poi ora non in che al più oggi',
  pt: 'o a os as e é são seu sua seus este esta um uma de do da para com antes depois agora não em no na que ao mais hoje',
  sv: 'och är din ditt dina du det den en ett av till för med innan sedan nu inte på från som att idag',
  da: 'og er din dit dine du det den en et af til for med før så nu ikke på fra som at dag',
  pl: 'i jest są twój twoja ty to ten ta na do dla z przed potem teraz nie w od się że już dziś',
  tr: 've bir bu şu için ile önce sonra şimdi değil de da senin en ilk çok ne bugün',
  id: 'dan yang ini itu anda kamu untuk dengan sebelum lalu sekarang tidak di dari ke adalah hari',
};

const wordsOf: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(functionWords).map(([language, words]) => [language, new Set(words.split(' '))]),
);

/** Function words of another language, to be sure of it. */
const wordsLeast = 3;
/** How many times as many of them as of the right language. */
const timesMore = 3;
/** The share of all words that they make up, where the right language has no list. */
const shareLeast = 0.4;
/** Letters, to be sure of a script. */
const lettersLeast = 6;

/**
 * Whether a text may be in the language of a locale (a BCP 47 tag): false only where it is clearly in another script or in
 * another language that is known here. Quotations do not count, since titles are in whatever language they are in; take
 * other titles out before.
 */
export function maybeIn(locale: string, text: string): boolean {
  const script = scriptOf(locale);
  if (script === undefined) return true; // nobody can say what it should be
  const own = withoutQuotations(text);
  return isInScript(script, own) && isInLanguage(locale, own);
}

function isInScript(script: RegExp, text: string): boolean {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const fitting = text.match(script)?.length ?? 0;
  return letters < lettersLeast || fitting * 2 >= letters;
}

function isInLanguage(locale: string, text: string): boolean {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const countOf = (known: ReadonlySet<string> | undefined) => words.filter((word) => known?.has(word)).length;
  const language = locale.split('-')[0]?.toLowerCase() ?? '';
  const own = wordsOf.get(language);
  const others = [...wordsOf].filter(([other]) => other !== language).map(([, known]) => countOf(known));
  const most = Math.max(...others);
  if (most < wordsLeast) return true;
  return own ? most < timesMore * countOf(own) : most < shareLeast * words.length;
}

/** A pattern of the letters of the script that the locale is usually written in. Undefined: there is no such language. */
function scriptOf(locale: string): RegExp | undefined {
  const known = scripts.get(locale);
  if (known !== undefined) return known;
  const script = findScript(locale);
  if (script !== undefined && scripts.size < scriptsMax) scripts.set(locale, script);
  return script;
}

/** Reading a tag takes 20 µs. Callers can send any, so only so many are kept. */
const scripts = new Map<string, RegExp>();
const scriptsMax = 1_000;

function findScript(locale: string): RegExp | undefined {
  try {
    const tag = new Intl.Locale(locale);
    if (tag.script === undefined && inTwoScripts.has(tag.language)) return undefined;
    const { script } = tag.maximize();
    return script === undefined ? undefined : lettersOf(script);
  } catch {
    return undefined; // not a tag, or a script that Unicode does not tell apart
  }
}

/** Languages that people write in Latin letters as well as in others. */
const inTwoScripts = new Set('az bs ha kk ku mn sr tg tk ug uz'.split(' '));

const lettersOf = memo((script: string) => {
  const parts = { Jpan: ['Han', 'Hira', 'Kana'], Kore: ['Hang', 'Han'], Hans: ['Han'], Hant: ['Han'] }[script] ?? [
    script,
  ];
  return new RegExp(`[${parts.map((part) => `\\p{scx=${part}}`).join('')}]`, 'gu');
});

function withoutQuotations(text: string): string {
  return text.replace(/[“„"«‹「『][^“”„"«»‹›「」『』]*[”“"»›」』]/gu, ' ');
}
