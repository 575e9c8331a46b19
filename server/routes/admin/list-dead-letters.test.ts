import { expect, test } from 'vitest';
import { readPageToken, writePageToken } from './list-dead-letters.ts';

const id = '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1e';
const encode = (text: string) => Buffer.from(text).toString('base64url');

test('a page token is the place that it was written for', () => {
  const place = { lastSeenAtMs: 1_700_000_000_123, id };
  expect(readPageToken(writePageToken(place))).toEqual(place);
  expect(readPageToken('')).toBeUndefined();
});

test.each([
  'x',
  `${writePageToken({ lastSeenAtMs: 1, id })}=`,
  `${writePageToken({ lastSeenAtMs: 1, id })} `,
  encode(`1/${id} `),
  encode(`-1/${id}`),
  encode(`01/${id}/1`),
  encode(`1/${id.toUpperCase()}`),
  encode(`${'9'.repeat(16)}/${id}`),
  encode('1/x'),
])('a page token is not %j', (token) => {
  expect(() => readPageToken(token)).toThrow(
    expect.objectContaining({
      code: 'invalid_argument',
      violations: [expect.objectContaining({ field: 'page.page_token' })],
    }),
  );
});
