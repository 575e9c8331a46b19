import { redact } from '../../features/redact.ts';
import { gist } from '../output.ts';
import { type BlockedBy, blockList } from './block-list.ts';
import { memo } from './memo.ts';

export type BlockReason = BlockedBy | 'contact' | 'link' | 'markup' | 'disguise';

/** What must not come back out of a prompt. */
export interface Secrets {
  readonly nonce: string;
  /** The prompt's own text, that is, nothing of the person. */
  readonly promptText: string;
}

/** Words in a row that are in a tip and in its prompt only if the one was copied from the other. Examples are imitated. */
const copiedWords = 12;
/** Letters in a row of the nonce, likewise. */
const nonceChars = 10;

/** Why a text must not be shown, if it must not. `quoted` is what the person wrote in the signals that it cites. */
export function findBlocked(text: string, quoted: readonly string[], secrets: Secrets): BlockReason | undefined {
  const plain = text.normalize('NFKC');
  if (holdsNonce(plain, secrets.nonce) || isCopied(plain, secrets.promptText)) return 'leak';
  if (markup.test(plain)) return 'markup';
  if (link.test(plain)) return 'link';
  if (redact(text) !== text) return 'contact';
  if (mixedScripts.test(plain)) return 'disguise';
  const words = padded(plain);
  const own = quoted.map(padded);
  return fittedList.find(({ isQuotable, phrases }) =>
    phrases.some((phrase) => words.includes(phrase) && !(isQuotable && own.some((each) => each.includes(phrase)))),
  )?.by;
}

/** Tags, entities, fences, links of Markdown, template tags and tokens of chat formats: a tip is plain text. */
const markup =
  /<\s*[/!?]?\s*\p{L}[^>]*>|<\/|<!--|<\||\|>|&(?:\w{2,8}|#x?[\da-f]{2,6});|```|~~~|\]\s?\(|!\[|\{\{|\}\}|\{%|<<|\[\/?INST|[{[]\s*"/iu;

const domains = 'com|org|net|info|biz|io|app|dev|xyz|top|click|link|shop|site|online|ly|gg|ru|cn|example|test|invalid';
const link = new RegExp(
  `\\p{L}[\\p{L}\\d+.-]{1,20}:\\/\\/|\\bwww\\.|\\b(?:javascript|data|mailto|tel|vbscript):\\S|(?<![\\p{L}\\d])[\\p{L}\\d-]{1,63}\\.(?:${domains})(?![\\p{L}\\d])|[\\p{L}\\d-]\\.[a-z]{2,6}\\/\\S|\\d{1,3}(?:\\.\\d{1,3}){3}\\/`,
  'iu',
);

/** One word of letters that look alike in several scripts is meant to be misread. */
const mixedScripts =
  /\p{Script=Latin}\p{M}*(?:\p{Script=Cyrillic}|\p{Script=Greek}|\p{Script=Cherokee})|(?:\p{Script=Cyrillic}|\p{Script=Greek}|\p{Script=Cherokee})\p{M}*\p{Script=Latin}/u;

function holdsNonce(text: string, nonce: string): boolean {
  const letters = text.replace(/[^\p{L}\p{N}]/gu, '').toLowerCase();
  const secret = nonce.toLowerCase();
  for (let at = 0; at + nonceChars <= secret.length; at++) {
    if (letters.includes(secret.slice(at, at + nonceChars))) return true;
  }
  return false;
}

function isCopied(text: string, promptText: string): boolean {
  const words = gist(text).split(' ');
  if (words.length < copiedWords) return false;
  const prompt = promptWords(promptText);
  return words.some(
    (_, at) => at + copiedWords <= words.length && prompt.includes(` ${words.slice(at, at + copiedWords).join(' ')} `),
  );
}

/** There are as many of these as there are prompts. */
const promptWords = memo(padded);

function padded(text: string): string {
  return ` ${gist(text)} `;
}

function fitted(phrase: string): string {
  const start = phrase.startsWith('*') ? phrase.slice(1) : ` ${phrase}`;
  return start.endsWith('*') ? start.slice(0, -1) : `${start} `;
}

const fittedList = blockList.map((each) => ({ ...each, phrases: each.phrases.map(fitted) }));
