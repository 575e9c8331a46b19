/**
 * The text without what identifies a person or opens a door: e-mail addresses, phone numbers, keys and passwords, accounts
 * and cards, links that carry credentials. A neutral word stands in place of each. Deterministic, and doing it again changes
 * nothing. It errs on the side of the text: what may as well be a date, a time, a version or an amount stays.
 */
export function redact(text: string): string {
  if (!mayHoldSecrets.test(text)) return text;
  const clean = redactPlainly(text);
  // Full-width and invisible characters must not hide anything. Where they do, the plain text takes the place of the text.
  const plain = clean.replace(/\p{Cf}/gu, '').normalize('NFKC');
  const cleaner = redactPlainly(plain);
  return cleaner === plain ? clean : cleaner;
}

/** Most titles have none of these, and need no closer look. */
const mayHoldSecrets = /[@:=\p{Cf}\uff00-\uffef]|\p{Nd}.*\p{Nd}|[-_][\w-]{12}|[A-Z0-9]{20}|bearer/isu;

type Rule = readonly [pattern: RegExp, replace: (match: string, ...groups: string[]) => string];

// No pattern takes in a bracket of the words that are put in, so that every round leaves less to find.
const secretNames =
  'password|passwort|kennwort|passcode|passwd|pwd|mot de passe|wachtwoord|contrase[ñn]a|secret|api[-_ ]?key|access[-_ ]?key|(?:\\w{1,20}_)?token|apikey|otp';
const queryNames =
  '(?:\\w{1,20}[-_])?(?:token|key|secret|signature)|sig|auth|code|password|pwd|pass|session|sid|jwt|apikey|credential';

const rules: readonly Rule[] = [
  [
    /(?<![a-z0-9])(?:[a-z][a-z0-9+.-]{1,20}:\/\/|www\.)[^\s<>"“”«»[\]]+/giu,
    (link) => (opensDoor(link) ? '[link]' : link),
  ],
  [new RegExp(`([?&#;](?:${queryNames})=)[^\\s&#<>"[\\]]+`, 'gi'), (_, name = '') => `${name}[token]`],
  [/(?<![\p{L}\p{N}._%+'-])[\p{L}\p{N}._%+'-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}/gu, () => '[e-mail]'],
  [/\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{16,}/gi, (_, scheme = '', space = '') => `${scheme}${space}[token]`],
  [
    new RegExp(`(?<![\\p{L}\\p{N}])((?:${secretNames})\\s{0,3}[:=]\\s{0,3})[^\\s[\\]]+`, 'giu'),
    (_, name = '') => `${name}[token]`,
  ],
  [/(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?/g, () => '[token]'],
  // The forms in which well-known services hand out their keys.
  [
    /(?<![A-Za-z0-9])(?:sk|pk|rk|gh[opsur]|github_pat|glpat|xox[abeoprs]|hf|npm|pypi|dop_v1|shpat|whsec)[-_][A-Za-z0-9_-]{12,}/g,
    () => '[token]',
  ],
  [/(?<![A-Za-z0-9])(?:A[KS]IA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,})(?![A-Za-z0-9])/g, () => '[token]'],
  [
    /(?<![A-Za-z0-9])(?:[0-9a-f]{32,}|[0-9A-F]{32,})(?![A-Za-z0-9])/g,
    (run) => (/[a-f]/i.test(run) && /\d/.test(run) ? '[token]' : run),
  ],
  [/(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{24,}={0,2}(?![A-Za-z0-9+/=])/g, (run) => (isRandom(run) ? '[token]' : run)],
  [/(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}/g, withoutAccount],
  [/(?<![\d.,-])\d(?:[ -]?\d){13,18}(?![\d]|[.,-]\d)/g, (digits) => (isCard(digits) ? '[card]' : digits)],
  // A phone number: of the world, after a word that says so, as in North America, or from a leading zero on.
  [/(?<![\p{L}\p{N}+])\+\s?\p{Nd}(?:[ ./()-]{0,2}\p{Nd}){6,14}(?!\p{Nd})/gu, () => '[phone]'],
  [
    /(?<!\p{L})((?:tele(?:phone|fon|foon|fono|f|ph)?|tel|phone|mobile?|cell|handy|whatsapp|sms|call|ring|dial|fax)[.:]{0,2}\s{1,2})(\(?\p{Nd}(?:[ ./()-]{0,2}\p{Nd}){6,14})(?!\p{Nd}|[:.,]\p{Nd})/giu,
    (all, word = '', digits = '') => (isDated(digits) ? all : `${word}[phone]`),
  ],
  [
    /(?<![\p{L}\p{N}.,/+-]|\d )(?:1[-. ])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])\d{3}[-. ]\d{4}(?![\p{L}\p{N}]|[.,:/-]\d)/gu,
    () => '[phone]',
  ],
  [
    /(?<![\p{L}\p{N}.,:/+-]|\p{N} )\(?0\p{Nd}(?:[ ./()-]{0,2}\p{Nd}){7,13}(?![\p{L}\p{N}]|[.,:/-]\p{Nd})/gu,
    (digits) => (isDated(digits) || /^0[.,]/.test(digits) ? digits : '[phone]'),
  ],
];

/** Every round replaces what it finds with a word in which nothing is found, so there are few. */
function redactPlainly(text: string): string {
  let [before, after] = ['', text];
  while (before !== after) {
    before = after;
    for (const [pattern, replace] of rules) after = after.replace(pattern, replace);
  }
  return after;
}

/** Whether a link carries a user, a password or a key, rather than only an address. */
function opensDoor(link: string): boolean {
  if (/^[^/]*\/\/[^/?#]*@/.test(link)) return true;
  const query = /[?#](.*)$/s.exec(link)?.[1] ?? '';
  return new RegExp(`(?:^|[&;?#])(?:${queryNames})=.`, 'i').test(query) || /=[A-Za-z0-9_%.~-]{24,}/.test(query);
}

/** Letters of both cases and digits change places all the time in a key, and rarely in a name. */
function isRandom(run: string): boolean {
  if (!/[a-z]/.test(run) || !/[A-Z]/.test(run) || !/\d/.test(run)) return false;
  const kinds = [...run].map((char) =>
    /[a-z]/.test(char) ? 'a' : /[A-Z]/.test(char) ? 'A' : /\d/.test(char) ? '0' : '+',
  );
  const changes = kinds.filter((kind, at) => at > 0 && kind !== kinds[at - 1]).length;
  return changes * 2 >= run.length;
}

/** The length of an account number (IBAN) by country. */
const accountChars = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 ES24 FI18 FO18 FR27 ' +
    'GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IS26 IT27 JO30 KW30 KZ20 LB28 LI21 LT20 LU20 LV21 MC27 MD24 ME22 ' +
    'MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SE24 SI19 SK24 SM27 TN24 TR26 UA29 VA22 XK20'
  )
    .split(' ')
    .map((each) => [each.slice(0, 2), Number(each.slice(2))] as const),
);

function withoutAccount(found: string): string {
  const length = accountChars.get(found.slice(0, 2).toUpperCase());
  const places = [...found.matchAll(/[A-Za-z0-9]/g)].slice(0, length);
  if (length === undefined || places.length < length || !isAccount(places.join(''))) return found;
  return `[account]${found.slice((places.at(-1)?.index ?? 0) + 1)}`;
}

function isAccount(compact: string): boolean {
  const moved = compact.slice(4) + compact.slice(0, 4);
  let rest = 0;
  for (const char of moved) rest = Number(`${rest}${Number.parseInt(char, 36)}`) % 97;
  return rest === 1;
}

/** Luhn's checksum, and a first digit that cards have. */
function isCard(found: string): boolean {
  const digits = found.replace(/\D/g, '');
  if (!/^(?:[3-6]|2[2-7])/.test(digits)) return false;
  const sum = [...digits].reverse().reduce((total, digit, at) => {
    const doubled = Number(digit) * (at % 2 === 0 ? 1 : 2);
    return total + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return sum % 10 === 0;
}

/** Whether there is a date in these digits. */
function isDated(digits: string): boolean {
  return /(?<![\d.])(?:\d{4}([-./])\d{1,2}\1\d{1,2}|\d{1,2}([-./])\d{1,2}\2(?:\d{4}|\d{2}))(?![\d.])/.test(digits);
}
