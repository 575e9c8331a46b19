import { describe, expect, it } from 'vitest';
import { fingerprint, keepsMeaning, parseClarifications } from './meaning.ts';

describe('keepsMeaning', () => {
  const cases: [before: string, after: string, keeps: boolean][] = [
    ['In seconds.', 'In seconds.', true],
    ['In seconds.', 'In seconds. Absent: not known.', true],
    ['In seconds', 'In seconds, from 0 to 60.', true],
    ['', 'In seconds.', true],
    ['In seconds.', 'In minutes.', false],
    ['In seconds.', 'Not in seconds.', false],
    ['In seconds. Absent: not known.', 'In seconds.', false],
    ['In seconds.', '', false],
    ['In s', 'In seconds', false],
    ['Up to 10', 'Up to 10.5', false],
    ['Up to 10', 'Up to 100', false],
  ];
  it.each(cases)('"%s" → "%s": %s', (before, after, keeps) => {
    expect(keepsMeaning(before, after)).toBe(keeps);
  });
});

describe('parseClarifications', () => {
  it('reads names with fingerprints', () => {
    const print = fingerprint('In seconds.');
    expect(print).toMatch(/^[0-9a-f]{12}$/);
    const text = `# Wording.\n\noo.a.v1.B.c ${print} It always was\noo.a.v1.B.d 0123456789ab x\n`;
    expect(parseClarifications(text)).toEqual(new Set([`oo.a.v1.B.c ${print}`, 'oo.a.v1.B.d 0123456789ab']));
  });

  const malformed = ['oo.a.v1.B.c 0123456789ab', 'oo.a.v1.B.c 0123 why', 'oo.a.v1.B.c why', 'why not'];
  it.each(malformed)('refuses "%s", and names the line', (line) => {
    expect(() => parseClarifications(`\n${line}\n`)).toThrow('proto/clarifications.txt:2');
  });
});
