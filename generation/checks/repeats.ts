import { gist } from '../output.ts';

/** Two texts that share this much of all their words say the same. */
export const sameShare = 0.75;

/** A text as the set of what it is made of: its words, and pairs of characters in scripts that do not part words. */
export function tokensOf(text: string): ReadonlySet<string> {
  return new Set(gist(text).split(' ').flatMap(parts));
}

/** Whether two texts say nearly the same: the words they share make up `sameShare` of those that either has. */
export function isNear(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const shared = [...a].filter((token) => b.has(token)).length;
  return shared >= sameShare * (a.size + b.size - shared);
}

/** Whether a text says nearly the same as one that was seen, and names nothing that the other one did not name. */
export function isSaidAgain(tokens: ReadonlySet<string>, seen: ReadonlySet<string>, named: Iterable<string>): boolean {
  return isNear(tokens, seen) && [...named].every((token) => !tokens.has(token) || seen.has(token));
}

const unparted =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

function parts(word: string): string[] {
  if (!unparted.test(word)) return [word];
  const chars = [...word];
  return chars.length < 2 ? chars : chars.slice(1).map((char, at) => `${chars[at]}${char}`);
}
