import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { changedOptions } from './options.ts';

const subject = 'oo.options.v1.subject';
const feature = 'oo.options.v1.feature';

describe('changedOptions', () => {
  const cases: [
    name: string,
    option: string,
    before: JsonValue | undefined,
    after: JsonValue | undefined,
    found: number,
  ][] = [
    ['the same', subject, { subject: 'a' }, { subject: 'a' }, 0],
    ['subject changed', subject, { subject: 'a' }, { subject: 'b' }, 1],
    [
      'subject and alias exchanged',
      subject,
      { subject: 'a', alsoAccepted: ['b'] },
      { subject: 'b', alsoAccepted: ['a'] },
      1,
    ],
    ['subject gone', subject, { subject: 'a' }, undefined, 1],
    ['subject given', subject, undefined, { subject: 'a' }, 0],
    ['alias added', subject, { subject: 'a' }, { subject: 'a', alsoAccepted: ['b'] }, 0],
    [
      'alias added before another',
      subject,
      { subject: 'a', alsoAccepted: ['b'] },
      { subject: 'a', alsoAccepted: ['c', 'b'] },
      0,
    ],
    ['alias gone', subject, { subject: 'a', alsoAccepted: ['b'] }, { subject: 'a' }, 1],
    ['feature changed', feature, { ttl: '60s' }, { ttl: '61s' }, 1],
    ['feature given', feature, undefined, { ttl: '60s' }, 1],
    ['feature gone', feature, { ttl: '60s' }, undefined, 1],
  ];
  it.each(cases)('%s', (_name, option, before, after, found) => {
    const map = (value: JsonValue | undefined) => new Map(value === undefined ? [] : [[option, value] as const]);
    expect(changedOptions(map(before), map(after), () => false)).toHaveLength(found);
  });

  it('lets an option that is new to the contract be set anywhere', () => {
    expect(changedOptions(new Map(), new Map([['oo.options.v1.pii', true]]), () => true)).toEqual([]);
  });
});
