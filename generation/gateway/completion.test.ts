import { expect, it } from 'vitest';
import { chunk, finale } from '../../tests/_util/unruly-llm.ts';
import { collect, readCompletion } from './completion.ts';

const encoder = new TextEncoder();
const kib64 = (text: string) => encoder.encode(text.repeat(Math.ceil(65_536 / text.length)));

/** What a stream of these bytes adds up to, and how many parts of it were read. */
async function read(parts: Iterable<Uint8Array>) {
  let taken = 0;
  function* counted() {
    for (const part of parts) {
      taken++;
      yield part;
    }
  }
  const response = new Response(ReadableStream.from(counted()), { headers: { 'content-type': 'text/event-stream' } });
  const pieces: string[] = [];
  const result = await collect(readCompletion(response), 'm', (piece) => pieces.push(piece)).catch((error) => error);
  return { result, pieces, taken };
}

function* forever(text: string) {
  for (;;) yield kib64(text);
}

it('reads characters that are cut in two', async () => {
  const bytes = encoder.encode(chunk('Grüße 👋') + finale());
  const { result, pieces } = await read(Array.from(bytes, (byte) => Uint8Array.of(byte)));
  expect([result.text, pieces]).toEqual(['Grüße 👋', ['Grüße 👋']]);
});

it('takes the last of several counts of tokens', async () => {
  const usage = { prompt_tokens: 1, completion_tokens: 1 };
  const { result } = await read([encoder.encode(chunk('hi', { usage }) + finale())]);
  expect(result).toMatchObject({ promptTokens: 321, completionTokens: 54 });
});

it.each([
  ['a line', ' ', 18],
  ['comments', ': still here\n\n', 18],
  ['events that say nothing', chunk(''), 258],
])('gives up %s without end, after so much', async (_, text, most) => {
  const { result, taken } = await read(forever(text));
  expect(result).toMatchObject({ kind: 'bad_output' });
  expect(taken).toBeLessThanOrEqual(most);
});
