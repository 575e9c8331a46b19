import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../tests/_util/bandit-logs.ts';
import { csvLine, readCsv, readLines } from './csv.ts';

async function* chunks(...texts: readonly string[]) {
  yield* texts;
}
const csv = (...texts: readonly string[]) => collect(readCsv(chunks(...texts)));
const lines = (...texts: readonly string[]) => collect(readLines(chunks(...texts)));

describe('readCsv', () => {
  it.each<[string, string, readonly (readonly string[])[]]>([
    [
      'plain fields',
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'no line break at the end',
      'a,b\n1,2',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'CRLF',
      'a,b\r\n1,2\r\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    ['CRLF and no line break at the end', 'a\r\n1\r', [['a'], ['1']]],
    [
      'empty fields',
      ',\n,,\n',
      [
        ['', ''],
        ['', '', ''],
      ],
    ],
    ['quotes', '"a","b ""c"""\n', [['a', 'b "c"']]],
    ['an empty quoted field', '"",a\n', [['', 'a']]],
    ['commas and line breaks in quotes', '"a,b","c\nd","e\r\nf"\n', [['a,b', 'c\nd', 'e\r\nf']]],
    ['arrays of JSON', '"[0.5,0.5]","[[1,""x""]]"\n', [['[0.5,0.5]', '[[1,"x"]]']]],
    ['spaces, which belong to a field', ' a , b\n', [[' a ', ' b']]],
    ['empty lines, which are left out', '\na\n\r\n\n1\n', [['a'], ['1']]],
  ])('takes %s', async (_, text, expected) => {
    expect((await csv(text)).map(({ fields }) => fields)).toEqual(expected);
  });

  it('knows on which line of the file a record begins', async () => {
    expect((await csv('a\n\n"1\n2"\n3\n')).map(({ line }) => line)).toEqual([1, 3, 5]);
  });

  it.each([
    ['a\n"b', 'line 2: a quote is never closed'],
    ['a,b\n1,x"y"\n', 'line 2: a quote inside field 2'],
    ['a\n\n"x"y\n', 'line 3: a quote inside field 1'],
    ['"a" ,b\n', 'line 1: a quote inside field 1'],
  ])('refuses %j', async (text, message) => {
    await expect(csv(text)).rejects.toThrow(message);
  });

  it('reads back whatever was written, however it is cut into chunks', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é') });
    const record = fc.array(field, { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1 }), fc.array(fc.nat(40)), async (records, cuts) => {
        const text = records
          .map((fields) => fields.map((each) => `"${each.replaceAll('"', '""')}"`).join(','))
          .join('\r\n');
        const parts: string[] = [];
        let rest = text;
        for (const cut of cuts) {
          parts.push(rest.slice(0, cut));
          rest = rest.slice(cut);
        }
        expect((await csv(...parts, rest)).map(({ fields }) => fields)).toEqual(records);
      }),
    );
  });

  it('gives up on a record without an end', async () => {
    await expect(csv('a\n', `"${'x'.repeat(2 ** 24)}`)).rejects.toThrow('line 2: longer than 16777216 characters');
  });
});

describe('csvLine', () => {
  it('writes what is read again', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', ',', '"', '\n', '\r', 'ü', '[') });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(text, { minLength: 2, maxLength: 4 })), async (records) => {
        const read = await csv(...records.map(csvLine));
        expect(read.map(({ fields }) => fields)).toEqual(records);
      }),
    );
  });

  it('leaves plain fields plain', () => {
    expect(csvLine(['a b', '', '[1]', '[1,2]', 'say "no"'])).toBe('a b,,[1],"[1,2]","say ""no"""\n');
  });
});

describe('readLines', () => {
  it('numbers lines and leaves out empty ones, however the text is cut', async () => {
    const expected = [
      { line: 1, text: 'a' },
      { line: 3, text: 'bc' },
    ];
    expect(await lines('a\n\nbc')).toEqual(expected);
    expect(await lines('a', '\n', '\nb', 'c\n')).toEqual(expected);
  });

  it('gives up on a line without an end', async () => {
    await expect(lines('a\n', 'x'.repeat(2 ** 24 + 1))).rejects.toThrow('line 2: longer than 16777216 characters');
  });
});
