import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseOutput, type TipDraft, tipKinds, tipsMax } from './output.ts';
import { createTipReader } from './read-tips.ts';

const tip = (content: string, over: Readonly<Record<string, unknown>> = {}) => ({ content, kind: 'advice', ...over });
const contents = (tips: readonly TipDraft[]) => tips.map(({ content }) => content);
const readAll = (pieces: readonly string[]) => {
  const read = createTipReader();
  return pieces.flatMap((piece) => read(piece));
};

/** A text cut into pieces of some sizes. */
const cut = (text: string, sizes: readonly number[]) => {
  const pieces: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
};
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 });

// Texts with everything in them that JSON is made of, and names that look like ours.
const text = fc.oneof(
  fc.constantFrom(
    '{"tips":[',
    '}]}',
    '\\',
    '"',
    '\\"}',
    ',',
    'tips',
    '```',
    '\n',
    'é👋',
    '\ud800',
    'Call her.',
    'call her',
  ),
  fc.string(),
);
const content = fc.array(text, { maxLength: 6 }).map((parts) => parts.join(' '));
const anyTip = fc.record(
  {
    content: content.map((each) => `Do it ${each}`.slice(0, 250)),
    kind: fc.constantFrom(...tipKinds),
    rationale: fc.option(content.map((each) => each.slice(0, 900))),
    signal_ids: fc.option(fc.array(fc.string({ maxLength: 9 }), { maxLength: 3 })),
    confidence: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    mood: fc.jsonValue(),
  },
  { requiredKeys: ['content', 'kind'] },
);
const members = fc.array(fc.tuple(content, fc.jsonValue()), { maxLength: 3 });
const answer = fc
  .record({
    tips: fc.array(anyTip, { minLength: 1, maxLength: 13 }),
    before: members,
    after: members,
    indent: fc.constantFrom(undefined, 1, '\t'),
    fence: fc.constantFrom(
      ['', ''],
      ['  \n', '\n'],
      ['```json\n', '\n```'],
      ['\n ```JSON \r\n\n', ' \n``` \n'],
      ['```\n', '\n```'],
    ),
    isEscaped: fc.boolean(),
  })
  .map(({ tips, before, after, indent, fence: [open = '', close = ''], isEscaped }) => {
    const named = (all: typeof before) => all.filter(([name]) => name !== 'tips' && name !== '__proto__');
    const json = JSON.stringify(
      Object.fromEntries([...named(before), ['tips', tips], ...named(after)]),
      undefined,
      indent,
    );
    return open + (isEscaped ? json.replace('"tips":', '"\\u0074ips" :') : json) + close;
  });

describe('createTipReader', () => {
  it('reads what parseOutput does, in the same order, however an answer is cut', () => {
    fc.assert(
      fc.property(answer, sizes, (text, sizes) => {
        const whole = parseOutput(text, tipsMax);
        expect(whole).toBeDefined();
        expect(readAll(cut(text, sizes))).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  it('reads the same in any pieces, never throws, and never misses one of an answer of the form, of whatever text', () => {
    const mark = fc.constantFrom(
      ...'{}[],:"\\ \n1',
      '"tips":[',
      '"tips":',
      '```',
      'null',
      '{"content":"Rest.","kind":"advice"}',
    );
    const garbled = fc
      .record({ text: answer, at: fc.nat(), length: fc.nat({ max: 3 }), mark })
      .map(({ text, at, length, mark }) => {
        const from = at % (text.length + 1);
        return text.slice(0, from) + mark + text.slice(from + length);
      });
    const noise = fc.array(mark, { maxLength: 30 }).map((marks) => marks.join(''));
    fc.assert(
      fc.property(fc.oneof(garbled, noise, fc.string()), sizes, (text, sizes) => {
        const tips = readAll([text]);
        expect(readAll(cut(text, sizes))).toEqual(tips);
        const whole = parseOutput(text, tipsMax);
        const isTwice = (text.match(/"(t|\\u0074)ips"/g) ?? []).length > 1;
        if (whole && !isTwice) expect(tips).toEqual(whole);
      }),
      { numRuns: 1000 },
    );
  });

  it('gives a tip with its last brace, before anything comes after it', () => {
    const read = createTipReader();
    const whole = JSON.stringify({ tips: [tip('Rest a while.'), tip('Take a walk.')] });
    const given = Array.from(whole, (char) => contents(read(char)).join());
    expect(given.flatMap((each, at) => (each === '' ? [] : [[whole.slice(0, at + 1).at(-1), each]]))).toEqual([
      ['}', 'Rest a while.'],
      ['}', 'Take a walk.'],
    ]);
    expect(given[whole.indexOf('}')]).toBe('Rest a while.');
  });

  const first = JSON.stringify(tip('Rest a while.'));
  const second = JSON.stringify(tip('Take a walk.'));
  it.each([
    ['a wrong kind', `{"tips":[${first},${JSON.stringify(tip('Hm hm.', { kind: 'todo' }))},${second}]}`],
    ['a tip that is none', `{"tips":[${first},7,${second}]}`],
    ['a list in the list', `{"tips":[${first},[${second}]]}`],
    ['no comma', `{"tips":[${first} ${second}]}`],
    ['two commas', `{"tips":[${first},,${second}]}`],
    ['bad JSON', `{"tips":[${first},{"content":oops},${second}]}`],
    ['brackets that do not fit', `{"tips":[${first},{"content":[}],${second}]}`],
    ['the end of the list', `{"tips":[${first}],"more":[${second}]}`],
    ['the end of the answer', `{"tips":[${first}]}{"tips":[${second}]}`],
    ['a second list', `{"tips":[${first}],"tips":[${second}]}`],
    ['nothing more', `{"tips":[${first},${second.slice(0, -1)}`],
  ])('reads the tips before %s, and none after it', (_, text) => {
    expect(contents(readAll([text]))).toEqual(['Rest a while.']);
    expect(contents(readAll([...text]))).toEqual(['Rest a while.']);
  });

  it.each([
    ['prose before it', `Sure! {"tips":[${first}]}`],
    ['prose in a fence', `\`\`\`json\nSure!\n{"tips":[${first}]}\n\`\`\``],
    ['a fence of something else', `\`\`\`xml\n{"tips":[${first}]}\n\`\`\``],
    ['a fence on the same line', `\`\`\`json {"tips":[${first}]}\n\`\`\``],
    ['a bare list', `[${first}]`],
    ['a list of another name', `{"tipps":[${first}]}`],
    ['a list further down', `{"answer":{"tips":[${first}]}}`],
    ['a list without a name', `{[${first}]}`],
    ['a list after bad JSON', `{"mood":oops,"tips":[${first}]}`],
    ['a list after no comma', `{"mood":1 "tips":[${first}]}`],
    ['a list after another value', `{"tips":1[${first}]}`],
    ['a list after a comma', `{,"tips":[${first}]}`],
    ['a tip after a comma', `{"tips":[,${first}]}`],
    ['a tip after another value', `{"tips":[1,${first}]}`],
    ['a very deep answer', '['.repeat(100_000)],
  ])('reads nothing of %s', (_, text) => {
    expect(readAll([text])).toEqual([]);
  });

  it('reads no more than an answer may have', () => {
    const many = JSON.stringify({ tips: Array.from({ length: 30 }, (_, at) => tip(`Take ${at} steps.`)) });
    expect(readAll([many])).toHaveLength(tipsMax);
  });

  it('reads a long answer in short pieces in no more than some steps for each', () => {
    const long = `{"mood":"${'x'.repeat(1_000_000)}","tips":[${first}]}`;
    expect(contents(readAll(cut(long, [1])))).toEqual(['Rest a while.']);
  });
});
