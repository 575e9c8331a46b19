import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffLines, withoutEqual } from './line-diff.ts';

const shown = (before: string, after: string) =>
  diffLines([...before], [...after])
    .map(({ sign, line }) => sign + line)
    .join('');

describe('diffLines', () => {
  it.each([
    ['', '', ''],
    ['ab', 'ab', ' a b'],
    ['', 'a', '+a'],
    ['a', '', '-a'],
    ['abc', 'axc', ' a-b+x c'],
    ['abcd', 'bcde', '-a b c d+e'],
    ['aab', 'ab', ' a-a b'],
  ])('of %j and %j is %j', (before, after, expected) => {
    expect(shown(before, after)).toBe(expected);
  });

  const lines = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 });
  it('leads from the one to the other, and says nothing that both have in common twice', () => {
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const diff = diffLines(before, after);
        const of = (...signs: readonly string[]) =>
          diff.filter(({ sign }) => signs.includes(sign)).map(({ line }) => line);
        expect([of(' ', '-'), of(' ', '+')]).toEqual([before, after]);
        expect(of(' ')).toHaveLength(commonLength(before, after));
      }),
    );
  });
});

it('withoutEqual leaves out what is far from any difference', () => {
  const diff = diffLines([...'abcdefghij'], [...'abcdeXghij']);
  expect(withoutEqual(diff, 1).map((each) => (each ? each.sign + each.line : '…'))).toEqual([
    ' e',
    '-f',
    '+X',
    ' g',
    '…',
  ]);
  expect(withoutEqual(diffLines(['a'], ['a']))).toEqual([]);
});

/** By trying everything: the slow way, to compare with. */
function commonLength([a, ...before]: readonly string[], after: readonly string[]): number {
  if (a === undefined) return 0;
  const found = after.indexOf(a);
  const taken = found < 0 ? 0 : 1 + commonLength(before, after.slice(found + 1));
  return Math.max(taken, commonLength(before, after));
}
