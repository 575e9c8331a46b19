import { expect, test } from 'vitest';
import { isVisible, parseSnapshot } from './snapshot.ts';

test.each([
  ['10:10:', 9n, true],
  ['10:10:', 10n, false],
  ['10:10:', 11n, false],
  ['10:20:10,12', 9n, true],
  ['10:20:10,12', 10n, false],
  ['10:20:10,12', 11n, true],
  ['10:20:10,12', 12n, false],
  ['10:20:10,12', 19n, true],
  ['10:20:10,12', 20n, false],
  ['18446744073709551600:18446744073709551610:18446744073709551605', 18446744073709551604n, true],
  ['18446744073709551600:18446744073709551610:18446744073709551605', 18446744073709551605n, false],
] as const)('of %s, transaction %s is visible: %s', (text, transactionId, expected) => {
  const snapshot = parseSnapshot(text);
  expect(snapshot && isVisible(snapshot, transactionId)).toBe(expected);
});

test('a snapshot is read whole', () => {
  expect(parseSnapshot('10:20:10,12')).toEqual({ xmin: 10n, xmax: 20n, running: new Set([10n, 12n]) });
});

test.each([
  '',
  '10',
  '10:20',
  ':20:',
  '10::',
  '10:20:,',
  '10:20:11,',
  '10:20:,11',
  '10:20:11,,12',
  'a:b:',
  '-1:2:',
  ' 1:2:',
  '1:2:\n',
])('%j is no snapshot', (text) => {
  expect(parseSnapshot(text)).toBeUndefined();
});
