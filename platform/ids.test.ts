import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { derivedId, namedId, newId } from './ids.ts';

const shape = (version: number) =>
  new RegExp(`^[0-9a-f]{8}-[0-9a-f]{4}-${version}[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`);

describe('newId', () => {
  it('is a version 7 UUID that sorts by time', () => {
    const earlier = newId(1_700_000_000_000);
    expect(earlier).toMatch(shape(7));
    expect(earlier < newId(1_700_000_000_001)).toBe(true);
    expect(newId(1_700_000_000_000)).not.toBe(earlier);
  });
});

describe('derivedId', () => {
  it('is a version 8 UUID: the same for the same id in any case, another for every scope, and as ordered by time', () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        const derived = derivedId('a', id);
        expect(derived).toMatch(shape(8));
        expect(derivedId('a', id.toUpperCase())).toBe(derived);
        expect(derivedId('b', id)).not.toBe(derived);
        expect(derived.slice(0, 13)).toBe(id.slice(0, 13));
      }),
    );
  });
});

describe('namedId', () => {
  it('is a version 8 UUID: the same for the same name, and another for every other', () => {
    expect(namedId('a')).toMatch(shape(8));
    expect(namedId('a')).toBe(namedId('a'));
    expect(namedId('b')).not.toBe(namedId('a'));
  });
});
