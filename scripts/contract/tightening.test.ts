import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { FieldRulesSchema, MessageRulesSchema } from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import { describe, expect, it } from 'vitest';
import { collect, type Rules } from './rules.ts';
import { tightenings } from './tightening.ts';

const field = (json: JsonValue): Rules =>
  collect(reflect(FieldRulesSchema, fromJson(FieldRulesSchema, json)), '', new Map());
const message = (json: JsonValue): Rules =>
  collect(reflect(MessageRulesSchema, fromJson(MessageRulesSchema, json)), '', new Map());

const cel = (id: string, expression: string, text = 'wrong') => ({ cel: [{ id, message: text, expression }] });

describe('tightenings of a field', () => {
  const tighter: [name: string, before: JsonValue, after: JsonValue][] = [
    ['first rule', {}, { string: { maxLen: 64 } }],
    ['required', {}, { required: true }],
    ['maximum lowered', { string: { maxLen: 64 } }, { string: { maxLen: 8 } }],
    ['minimum raised', { string: { minLen: 1 } }, { string: { minLen: 2 } }],
    ['other end bounded', { string: { maxLen: 64 } }, { string: { minLen: 1, maxLen: 64 } }],
    ['length fixed', { string: { minLen: 1, maxLen: 64 } }, { string: { len: 8 } }],
    ['fixed length changed', { string: { len: 8 } }, { string: { len: 9 } }],
    ['bytes bounded instead of characters', { string: { maxLen: 64 } }, { string: { maxBytes: 64 } }],
    ['items', { repeated: { maxItems: 20 } }, { repeated: { maxItems: 19 } }],
    ['pairs', { map: { minPairs: 1 } }, { map: { minPairs: 2 } }],
    ['rule of items', { repeated: { items: {} } }, { repeated: { items: { string: { uuid: true } } } }],
    ['rule of keys', { map: { keys: { string: { maxLen: 9 } } } }, { map: { keys: { string: { maxLen: 8 } } } }],
    ['rule of values', { map: { values: { double: {} } } }, { map: { values: { double: { finite: true } } } }],
    ['closed to open', { int32: { lte: 10 } }, { int32: { lt: 10 } }],
    ['64 bits', { uint64: { lte: '18446744073709551615' } }, { uint64: { lte: '18446744073709551614' } }],
    ['fraction', { double: { gte: 0 } }, { double: { gte: 0.001 } }],
    ['duration', { duration: { lte: '5.2s' } }, { duration: { lte: '5.1s' } }],
    ['time', { timestamp: { lt: '2100-01-01T00:00:00Z' } }, { timestamp: { lt: '2099-01-01T00:00:00Z' } }],
    ['distance from now', { timestamp: { within: '60s' } }, { timestamp: { within: '30s' } }],
    ['only the past', { timestamp: {} }, { timestamp: { ltNow: true } }],
    ['outside of a range: changed', { int32: { gt: 10, lt: 5 } }, { int32: { gt: 10, lt: 6 } }],
    ['outside of a range: one half gone', { int32: { gt: 10, lt: 5 } }, { int32: { gt: 10 } }],
    ['constant', {}, { string: { const: 'v1' } }],
    ['other constant', { string: { const: 'v1' } }, { string: { const: 'v2' } }],
    ['list to one of it', { string: { in: ['v1', 'v2'] } }, { string: { const: 'v1' } }],
    ['list shortened', { string: { in: ['a', 'b'] } }, { string: { in: ['b'] } }],
    ['list exchanged', { string: { in: ['a', 'b'] } }, { string: { in: ['b', 'c'] } }],
    ['exception added', { enum: { notIn: [0] } }, { enum: { notIn: [0, 1] } }],
    ['only known values', { enum: {} }, { enum: { definedOnly: true } }],
    ['format', { string: { minLen: 1 } }, { string: { minLen: 1, uuid: true } }],
    ['other format', { string: { ip: true } }, { string: { ipv4: true } }],
    ['other pattern', { string: { pattern: '^a' } }, { string: { pattern: '^a+' } }],
    ['pattern applied strictly', knownRegex({ strict: false }), knownRegex({})],
    ['bytes', { bytes: { prefix: 'AQ==' } }, { bytes: { prefix: 'Ag==' } }],
    ['unique', { repeated: {} }, { repeated: { unique: true } }],
    ['expression added', {}, cel('a', 'this > 0')],
    ['expression changed', cel('a', 'this > 0'), cel('a', 'this > 1')],
    ['expression under another id', cel('a', 'this > 0'), cel('b', 'this > 0')],
    ['expression without id', {}, { celExpression: ['this > 0'] }],
    ['zero no longer skipped', { string: { uuid: true }, ignore: 'IGNORE_IF_ZERO_VALUE' }, { string: { uuid: true } }],
    ['rules in force again', { string: { uuid: true }, ignore: 'IGNORE_ALWAYS' }, { string: { uuid: true } }],
    ['rules of a message in force again', { ignore: 'IGNORE_ALWAYS' }, {}],
    ['rules of items in force again', { repeated: { items: { ignore: 'IGNORE_ALWAYS' } } }, {}],
    [
      'zero items no longer skipped',
      { repeated: { items: { string: { uuid: true }, ignore: 'IGNORE_IF_ZERO_VALUE' } } },
      { repeated: { items: { string: { uuid: true } } } },
    ],
  ];
  it.each(tighter)('%s', (_name, before, after) => {
    expect(tightenings(field(before), field(after))).not.toEqual([]);
  });

  const looser: [name: string, before: JsonValue, after: JsonValue][] = [
    ['nothing', {}, {}],
    [
      'the same',
      { string: { minLen: 1, in: ['a'] }, required: true },
      { string: { minLen: 1, in: ['a'] }, required: true },
    ],
    ['all gone', { string: { minLen: 1, in: ['a'], uuid: true }, required: true, ...cel('a', 'true') }, {}],
    ['not required', { required: true }, { required: false }],
    ['required: false', {}, { required: false }],
    ['maximum raised', { string: { maxLen: 8 } }, { string: { maxLen: 64 } }],
    ['minimum lowered', { string: { minLen: 2 } }, { string: { minLen: 1 } }],
    ['length freed to a range around it', { string: { len: 8 } }, { string: { minLen: 1, maxLen: 8 } }],
    ['open to closed', { int32: { gt: 0 } }, { int32: { gte: 0 } }],
    ['64 bits', { uint64: { lte: '18446744073709551614' } }, { uint64: { lte: '18446744073709551615' } }],
    ['duration', { duration: { lte: '5.1s' } }, { duration: { lte: '5.2s' } }],
    ['outside of a range: gone', { int32: { gt: 10, lt: 5 } }, {}],
    ['list longer, in another order', { string: { in: ['a', 'b'] } }, { string: { in: ['c', 'b', 'a'] } }],
    ['constant to a list with it', { string: { const: 'v1' } }, { string: { in: ['v1', 'v2'] } }],
    ['exception gone', { enum: { notIn: [0, 1] } }, { enum: { notIn: [0] } }],
    ['format gone', { string: { uuid: true } }, { string: { uuid: false } }],
    ['message of an expression', cel('a', 'true', 'bad'), cel('a', 'true', 'worse')],
    ['example', {}, { string: { example: ['a'] } }],
    ['zero skipped', { string: { uuid: true } }, { string: { uuid: true }, ignore: 'IGNORE_IF_ZERO_VALUE' }],
    ['rules never in force', { string: { maxLen: 9 } }, { string: { maxLen: 1 }, ignore: 'IGNORE_ALWAYS' }],
    ['rules and their exception gone', { string: { uuid: true }, ignore: 'IGNORE_IF_ZERO_VALUE' }, {}],
    ['pattern applied loosely', knownRegex({}), knownRegex({ strict: false })],
  ];
  it.each(looser)('none: %s', (_name, before, after) => {
    expect(tightenings(field(before), field(after))).toEqual([]);
  });

  it('says what and where', () => {
    const before = field({ repeated: { items: { string: { maxLen: 64 } } } });
    const after = field({ repeated: { items: { string: { maxLen: 8 } } } });
    expect(tightenings(before, after)).toEqual(['repeated.items.string.max_len 64 → max_len 8']);
  });

  it('counts rules it does not know, by their number', () => {
    const rules = fromJson(FieldRulesSchema, {});
    rules.$unknown = [{ no: 9999, wireType: 0, data: new Uint8Array([1]) }];
    const after = collect(reflect(FieldRulesSchema, rules), '', new Map());
    expect(tightenings(field({}), after)).toEqual(['#9999 (none) → "01"']);
    expect(tightenings(after, field({}))).toEqual([]);
  });
});

describe('tightenings of a message', () => {
  const oneof = (fields: string[], required: boolean): JsonValue => ({ oneof: [{ fields, required }] });
  const cases: [name: string, before: JsonValue, after: JsonValue, found: number][] = [
    ['expression added', {}, cel('a', 'true'), 1],
    ['expression changed', cel('a', 'true'), cel('a', 'false'), 1],
    ['expression gone', cel('a', 'true'), {}, 0],
    ['one of some', {}, oneof(['a', 'b'], false), 1],
    ['one of others', oneof(['a', 'b'], false), oneof(['a', 'c'], false), 1],
    ['one of some, now required', oneof(['a', 'b'], false), oneof(['a', 'b'], true), 1],
    ['one of some, no longer required', oneof(['a', 'b'], true), oneof(['b', 'a'], false), 0],
  ];
  it.each(cases)('%s', (_name, before, after, found) => {
    expect(tightenings(message(before), message(after))).toHaveLength(found);
  });
});

function knownRegex(more: { strict?: boolean }): JsonValue {
  return { string: { wellKnownRegex: 'KNOWN_REGEX_HTTP_HEADER_NAME', ...more } };
}
