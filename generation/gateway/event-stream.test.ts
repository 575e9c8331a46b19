import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createEventReader } from './event-stream.ts';

const readAll = (pieces: readonly string[]) => {
  const { read, end } = createEventReader();
  return [...pieces.flatMap((piece) => read(piece)), ...end()];
};

it.each([
  ['data: a\n\ndata: b\n\n', ['a', 'b']],
  ['data:a\r\n\r\ndata: b\r\rdata:  c\n\n', ['a', 'b', ' c']],
  ['data: a\ndata: b\n\n', ['a\nb']],
  ['data:\n\n', ['']],
  [': comment\nevent: x\nid: 1\nretry: 3\nfoo\ndata: a\n: b\n\n', ['a']],
  ['\n\n\r\n', []],
  ['data: a', ['a']],
  ['data: a\ndata: b', ['a\nb']],
  ['data: a\r\n\r', ['a']],
  ['database: a\n\n', []],
  ['', []],
])('reads %j', (text, events) => {
  expect(readAll([text])).toEqual(events);
});

it('gives an event as soon as its blank line has come', () => {
  const { read } = createEventReader();
  expect(['data: a\n', '\n', 'data: b\r\n\r', '\n', 'data: c\n\ndata'].map(read)).toEqual([
    [],
    ['a'],
    ['b'],
    [],
    ['c'],
  ]);
});

it('reads the same however a stream is cut into pieces', () => {
  const line = fc.constantFrom('data: a', 'data:b', ': c', 'event: d', '', '', 'é👋');
  const text = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')).map((parts) => parts.join('')));
  fc.assert(
    fc.property(text, fc.infiniteStream(fc.integer({ min: 0, max: 9 })), (lines, sizes) => {
      const whole = lines.join('');
      const pieces: string[] = [];
      for (let at = 0; at < whole.length; ) {
        const size = sizes.next().value;
        pieces.push(whole.slice(at, at + size));
        at += size;
      }
      expect(readAll(pieces)).toEqual(readAll([whole]));
    }),
  );
});
