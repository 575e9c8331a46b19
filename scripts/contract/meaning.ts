import { createHash } from 'node:crypto';

/**
 * True if the new comment says all that the old one said, in the same words, and perhaps more after it. Whether the
 * addition contradicts the old text is for a reviewer to see.
 */
export function keepsMeaning(before: string, after: string): boolean {
  if (!after.startsWith(before)) return false;
  const added = after.slice(before.length);
  // "in s" → "in seconds" and "up to 10" → "up to 10.5" go on in the middle of a word.
  return before === '' || /^[.,;:!?)]*(\s|$)/.test(added);
}

/** Names the new text in proto/clarifications.txt, so that an acknowledgement holds for this wording alone. */
export function fingerprint(comment: string): string {
  return createHash('sha256').update(comment).digest('hex').slice(0, 12);
}

/**
 * Reads proto/clarifications.txt: corrections of wording that change no meaning, one a line, each as
 * `<full name> <fingerprint> <reason>`. Empty lines and `#` comments are skipped. Throws on any other line.
 */
export function parseClarifications(text: string): Set<string> {
  const acknowledged = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const match = /^(?<name>[\w./]+) (?<print>[0-9a-f]{12}) \S.*$/.exec(line.trim());
    if (!match?.groups) throw new Error(`proto/clarifications.txt:${index + 1}: not "<full name> <hash> <reason>"`);
    acknowledged.add(`${match.groups.name} ${match.groups.print}`);
  }
  return acknowledged;
}
