import { describe, expect, it } from 'vitest';
import { fnv1a32 } from './fnv1a.ts';

describe('fnv1a32', () => {
  it.each([
    // RFC 9923, and the test vectors of its authors (isthe.com/chongo/tech/comp/fnv).
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['b', 0xe70c2de5],
    ['foobar', 0xbf9cf968],
    // Bytes of UTF-8: c3 a9, e2 82 ac, f0 9f 98 80.
    ['é', 0x1e9de8c1],
    ['€', 0x298f832b],
    ['😀', 0x33a29608],
  ])('of %j is %d', (text, expected) => {
    expect(fnv1a32(text)).toBe(expected);
  });
});
