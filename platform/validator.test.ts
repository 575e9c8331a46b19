import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  create,
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescMessage,
  fromBinary,
  getOption,
  ScalarType,
} from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence, FileDescriptorSetSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { createValidator as createProtovalidate } from '@bufbuild/protovalidate';
import {
  type DoubleRules,
  type FieldRules,
  field as fieldOption,
  type StringRules,
  StringRulesSchema,
} from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { GenerateRequestSchema, ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { matchPattern } from './match-pattern.ts';
import { compileCheck, createValidator } from './validator.ts';

const protovalidate = createProtovalidate({ regexMatch: matchPattern });
const validator = createValidator();

/** What can be told from a validation. */
function outcome({ kind, violations, error }: ReturnType<typeof protovalidate.validate>) {
  return { kind, violations: violations?.map(String), error: error?.message };
}

type Init = Record<string, unknown>;
/** The body of a message in proto, and what fills it without and with a breach of its rules. */
type Row = readonly [body: string, valid: readonly Init[], invalid: readonly Init[]];

/** A row for one field, named `value`. */
function row(type: string, rules: string, valid: readonly unknown[], invalid: readonly unknown[]): Row {
  const options = rules.split('; ').map((rule) => `(buf.validate.field).${rule}`);
  const inits = (values: readonly unknown[]) => values.map((value) => ({ value }));
  return [`${type} value = 1 [${options.join(', ')}];`, inits(valid), inits(invalid)];
}

const id = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
const at = (seconds: number, nanos = 0) => ({ seconds: BigInt(seconds), nanos });
const bytes = (length: number) => new Uint8Array(length);
const range = (type: string) => `${type}.gte = 2; ${type}.lt = 5`;

const smallIntegers = ['int32', 'uint32', 'sint32', 'fixed32', 'sfixed32'];
const largeIntegers = ['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64'];

const rows: readonly Row[] = [
  row('string', 'string.const = "v1"', ['v1'], ['', 'v', 'V1']),
  row('string', 'string.len = 2', ['ab', 'é€', '😀😀'], ['', 'a', '😀', 'abc', '😀😀😀']),
  row('string', 'string.min_len = 1', ['a', '😀', '\0'], ['']),
  row('string', 'string.min_len = 3', ['abc', '😀ab', '😀😀😀'], ['', 'ab', '😀a', '😀😀']),
  row('string', 'string.max_len = 2', ['', 'ab', '😀😀', '\ud800a'], ['abc', '😀😀😀']),
  row('string', 'string.len_bytes = 4', ['abcd', 'éé', '😀', '€a'], ['', 'abc', '€', '😀a']),
  row('string', 'string.min_bytes = 3', ['abc', '€', 'éa', '\ud800'], ['', 'ab', 'é']),
  row('string', 'string.max_bytes = 4', ['', 'abcd', 'éé', '😀'], ['abcde', 'ééa', '😀a', '\ud800\ud800']),
  row('string', 'string.pattern = "^[^\\\\x00-\\\\x1f\\\\x7f]*$"', ['', 'é 😀'], ['\0', 'a\nb', '\x7f', 'a\n']),
  row('string', 'string.pattern = "^.$"', ['a', '😀'], ['', 'ab', '\n']),
  row('string', 'string.pattern = "b"', ['b', 'abc'], ['', 'B']),
  row('string', 'string.prefix = "ab"', ['ab', 'abc'], ['', 'a', 'cab']),
  row('string', 'string.suffix = "ab"', ['ab', 'cab'], ['', 'b', 'abc']),
  row('string', 'string.contains = "ab"', ['ab', 'cabc'], ['', 'acb']),
  row('string', 'string.not_contains = "ab"', ['', 'acb'], ['ab', 'cabc']),
  row('string', 'string.in = "a"; string.in = "b"', ['a', 'b'], ['', 'c']),
  row('string', 'string.not_in = "a"; string.not_in = "b"', ['', 'c'], ['a', 'b']),
  row('string', 'string.uuid = true', [id, id.toUpperCase()], ['', `${id}0`, id.replaceAll('-', ''), `${id}\n`]),
  row('string', 'string.uuid = false', ['', 'a'], []),
  row('string', 'string.email = true', ['a@b.example'], ['', 'a']),
  row('string', 'string.min_len = 1; string.email = true', ['a@b.example'], ['', 'a']),

  row('bytes', 'bytes.len = 2', [bytes(2)], [bytes(0), bytes(1), bytes(3)]),
  row('bytes', 'bytes.min_len = 2', [bytes(2), bytes(9)], [bytes(0), bytes(1)]),
  row('bytes', 'bytes.max_len = 2', [bytes(0), bytes(2)], [bytes(3)]),
  row('bytes', 'bytes.prefix = "a"', [new Uint8Array([97, 0])], [bytes(0), bytes(1)]),

  row('bool', 'bool.const = true', [true], [false]),
  row('E', 'enum.defined_only = true', [0, 1, 5], [-1, 2, 99]),
  row('E', 'enum.defined_only = false', [0, 99], []),
  row('E', 'enum.const = 5', [5], [0, 1]),
  row('E', 'enum.in = 1; enum.in = 5', [1, 5], [0, 2]),
  row('E', 'enum.not_in = 0; enum.not_in = 1', [5, 99], [0, 1]),
  row('E', 'enum.defined_only = true; enum.not_in = 0', [1, 5], [0, 99]),

  ...smallIntegers.map((type) => row(type, range(type), [2, 4], [0, 1, 5, 2 ** 31 - 1])),
  ...largeIntegers.map((type) => row(type, range(type), [2n, 4n], [0n, 1n, 5n, 2n ** 63n - 1n])),
  row('uint64', 'uint64.lte = 9007199254740995', [0n, 2n ** 53n + 3n], [2n ** 53n + 4n, 2n ** 64n - 1n]),
  row('int64', 'int64.const = 3', [3n], [0n]),
  row('int32', 'int32.gt = -3; int32.lte = 3', [-2, 0, 3], [-3, 4]),
  row('int32', 'int32.in = 1; int32.in = 3', [1, 3], [0, 2]),
  row('int32', 'int32.not_in = 1; int32.not_in = 3', [0, 2], [1, 3]),
  ...['float', 'double'].flatMap((type) => [
    row(type, range(type), [2, 4.5], [1.9, 5, 0, -0, Number.NaN, Infinity, -Infinity]),
    row(type, `${type}.gt = 0`, [5e-324, Infinity], [0, -0, -1, Number.NaN]),
    row(type, `${type}.gte = 0`, [0, -0, Infinity], [-5e-324, Number.NaN]),
    row(type, `${type}.lte = 0`, [0, -0, -Infinity], [5e-324, Number.NaN]),
    row(type, `${type}.finite = true`, [0, -1e30], [Number.NaN, Infinity, -Infinity]),
    row(type, `${type}.finite = false`, [Number.NaN, Infinity], []),
    row(type, `${type}.not_in = 1`, [0, Number.NaN], [1]),
  ]),

  row(
    'google.protobuf.Timestamp',
    'timestamp.gte = { seconds: 10, nanos: 5 }; timestamp.lt = { seconds: 20, nanos: 5 }',
    [undefined, at(10, 5), at(10, 6), at(11), at(19, 999_999_999), at(20, 4), at(15, -1)],
    [at(0), at(10, 4), at(9, 999_999_999), at(20, 5), at(21), at(-1)],
  ),
  row(
    'google.protobuf.Timestamp',
    'timestamp.gt = { seconds: -1 }; timestamp.lte = { seconds: 1 }',
    [at(0), at(1), at(-1, 1)],
    [at(-1), at(1, 1), at(-2, 999_999_999)],
  ),
  row('google.protobuf.Timestamp', 'timestamp.const = { seconds: 1 }', [at(1)], [at(0), at(1, 1), at(2)]),
  row(
    'google.protobuf.Timestamp',
    'timestamp.gte = { seconds: 10 }; timestamp.lt_now = true',
    [at(11)],
    [at(9), at(2 ** 40)],
  ),
  row('google.protobuf.Duration', 'duration.gte = {}', [undefined, at(0)], [at(-1)]),
  row('google.protobuf.StringValue', 'string.min_len = 2', [undefined, 'ab', '😀a'], ['', 'a', '😀']),
  row('google.protobuf.DoubleValue', 'double.lte = 1', [undefined, 0, 1], [2, Number.NaN]),

  row('repeated string', 'repeated.min_items = 1; repeated.max_items = 2', [['a'], ['', '']], [[], ['', '', '']]),
  row('repeated string', 'repeated.items = { string: { min_len: 1 } }', [[], ['a', 'b']], [[''], ['a', '']]),
  row(
    'repeated double',
    'repeated.items = { double: { finite: true } }',
    [[], [0]],
    [
      [0, Number.NaN],
      [Infinity, 0],
    ],
  ),
  row('repeated E', 'repeated.items = { enum: { defined_only: true } }', [[], [0, 5]], [[2], [1, 2]]),
  row('repeated string', 'repeated.unique = true', [[], ['a', 'b']], [['a', 'b', 'a']]),
  row(
    'repeated string',
    'repeated.items = { ignore: IGNORE_IF_ZERO_VALUE, string: { min_len: 2 } }',
    [[], ['', 'ab']],
    [['', 'a']],
  ),
  row(
    'repeated Item',
    'repeated.max_items = 2',
    [[], [{ id: 'a' }]],
    [
      [{ id: 'a' }, {}],
      [{ id: 'a' }, { id: 'b' }, { id: 'c' }],
    ],
  ),
  row('repeated string', 'cel = { id: "a", expression: "this.size() < 3" }', [[], ['a']], [['', '', '']]),
  row(
    'map<string, string>',
    'map.min_pairs = 1; map.max_pairs = 2',
    [{ a: '' }, { a: '', b: '' }],
    [{}, { a: '', b: '', c: '' }],
  ),
  row(
    'map<string, string>',
    'map.keys = { string: { min_len: 2 } }',
    [{}, { ab: '' }],
    [{ a: '' }, { ab: '', '': '' }],
  ),
  row('map<string, double>', 'map.values = { double: { gte: 0 } }', [{}, { a: 0 }], [{ a: 0, b: -1 }]),

  row('string', 'required = true', ['a'], ['']),
  row('int32', 'required = true', [1, -1], [0]),
  row('E', 'required = true', [1, 99], [0]),
  row('optional string', 'required = true', ['', 'a'], [undefined]),
  row('repeated string', 'required = true', [['']], [[]]),
  row('Item', 'required = true', [{ id: 'a' }], [undefined, {}]),
  row('google.protobuf.Timestamp', 'required = true', [at(0)], [undefined]),
  row('optional string', 'string.min_len = 2', [undefined, 'ab'], ['', 'a']),
  row('optional uint32', 'uint32.gte = 2', [undefined, 2], [0, 1]),
  row('string', 'string.min_len = 2; ignore = IGNORE_IF_ZERO_VALUE', ['', 'ab'], ['a']),
  row('double', 'double.gte = 1; ignore = IGNORE_IF_ZERO_VALUE', [0, 1], [-0, 0.5]),
  row('optional string', 'string.min_len = 2; ignore = IGNORE_IF_ZERO_VALUE', [undefined, 'ab'], ['', 'a']),
  row('repeated string', 'repeated.min_items = 2; ignore = IGNORE_IF_ZERO_VALUE', [[], ['', '']], [['']]),
  row('string', 'string.min_len = 2; required = true; ignore = IGNORE_ALWAYS', ['', 'a'], []),

  ['Item value = 1;', [{}, { value: { id: 'a' } }], [{ value: {} }]],
  ['repeated Item value = 1;', [{ value: [] }, { value: [{ id: 'a' }] }], [{ value: [{ id: 'a' }, {}] }]],
  ['map<string, Item> value = 1;', [{}, { value: { a: { id: 'a' } } }], [{ value: { a: { id: 'a' }, b: {} } }]],
  ['Checked value = 1;', [{}, { value: { low: 1, high: 1 } }], [{ value: { low: 2, high: 1 } }]],
  [
    'Tree value = 1;',
    [{}, { value: { id: 'a', trees: [{ id: 'b' }, { id: 'c', next: { id: 'd' } }] } }],
    [{ value: {} }, { value: { id: 'a', trees: [{ id: 'b' }, { id: 'c', next: { id: '' } }] } }],
  ],
  [
    'oneof a { option (buf.validate.oneof).required = true; string text = 1 [(buf.validate.field).string.min_len = 1]; Item item = 2; bool flag = 3; }',
    [
      { a: { case: 'text', value: 'a' } },
      { a: { case: 'item', value: { id: 'a' } } },
      { a: { case: 'flag', value: false } },
    ],
    [{}, { a: { case: 'text', value: '' } }, { a: { case: 'item', value: {} } }],
  ],
  [
    'oneof a { string text = 1 [(buf.validate.field).string.min_len = 1]; Item item = 2 [(buf.validate.field).required = true]; }',
    [{ a: { case: 'item', value: { id: 'a' } } }],
    [{}, { a: { case: 'text', value: '' } }, { a: { case: 'text', value: 'a' } }, { a: { case: 'item', value: {} } }],
  ],
  [
    'option (buf.validate.message).oneof = { fields: ["a", "b"] }; string a = 1 [(buf.validate.field).string.min_len = 2]; string b = 2;',
    [{}, { a: 'ab' }, { b: 'a' }],
    [{ a: 'a' }, { a: 'ab', b: 'a' }],
  ],
  [
    'option (buf.validate.message).cel = { id: "a", expression: "this.a != this.b" }; string a = 1 [(buf.validate.field).string.min_len = 1]; string b = 2;',
    [{ a: 'a' }],
    [{}, { b: 'b' }, { a: 'a', b: 'a' }],
  ],
];

/** Rules that are never sure to be kept, or cannot be applied at all, so that protovalidate decides on every message. */
const unsure: readonly Row[] = [
  row('int32', 'int32.gt = 5; int32.lt = 2', [0, 9], [2, 5]),
  row('double', 'double.gt = 5; double.lt = 2', [0, 9], [2, 5, Number.NaN]),
  row('map<int32, string>', 'map.keys = { int32: { gte: 0 } }', [{ 1: '' }], [{ [-1]: '' }]),
  row(
    'repeated google.protobuf.StringValue',
    'repeated.items = { string: { min_len: 1 } }',
    [[{ value: 'a' }]],
    [[{}]],
  ),
  row('string', 'int32.gte = 0', ['a'], []),
  row('double', 'float.gte = 0', [1], []),
];

const types = compileProto([...rows, ...unsure].map(([body]) => body));

/** The messages of these bodies. */
function compileProto(bodies: readonly string[]): readonly DescMessage[] {
  const root = path.join(import.meta.dirname, '..');
  const dir = mkdtempSync(path.join(tmpdir(), 'validator-'));
  try {
    writeFileSync(
      path.join(dir, 'test.proto'),
      `syntax = "proto3";
      import "buf/validate/validate.proto";
      import "google/protobuf/duration.proto";
      import "google/protobuf/timestamp.proto";
      import "google/protobuf/wrappers.proto";
      enum E { ZERO = 0; ONE = 1; FIVE = 5; }
      message Item { string id = 1 [(buf.validate.field).string.min_len = 1]; }
      message Tree { Tree next = 1; repeated Tree trees = 2; string id = 3 [(buf.validate.field).string.min_len = 1]; }
      message Checked {
        option (buf.validate.message).cel = { id: "a", expression: "this.low <= this.high" };
        int32 low = 1;
        int32 high = 2;
      }
      ${bodies.map((body, i) => `message M${i} { ${body} }`).join('\n')}`,
    );
    writeFileSync(path.join(dir, 'buf.yaml'), 'version: v2\n');
    cpSync(path.join(root, 'third_party/protovalidate'), dir, { recursive: true });
    execFileSync(path.join(root, 'node_modules/.bin/buf'), ['build', '-o', 'image.binpb'], { cwd: dir });
    const registry = createFileRegistry(
      fromBinary(FileDescriptorSetSchema, readFileSync(path.join(dir, 'image.binpb'))),
    );
    return bodies.map((_, i) => registry.getMessage(`M${i}`) as DescMessage);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const typed = (of: readonly Row[], first: number) =>
  of.map(([body, valid, invalid], i) => ({ body, type: types[first + i] as DescMessage, valid, invalid }));

describe('a rule', () => {
  it.each(typed(rows, 0))('$body', ({ type, valid, invalid }) => {
    const check = compileCheck(type);
    for (const init of valid) {
      expect(outcome(protovalidate.validate(type, create(type, init)))).toEqual({ kind: 'valid' });
      expect(check(create(type, init)), JSON.stringify(init, printable)).toBe(true);
    }
    for (const init of invalid) {
      const message = create(type, init);
      expect(check(message), JSON.stringify(init, printable)).toBe(false);
      expect(validator.validate(type, message).kind).toBe('invalid');
      expect(outcome(validator.validate(type, message))).toEqual(outcome(protovalidate.validate(type, message)));
    }
  });

  it.each(typed(unsure, rows.length))('left to protovalidate: $body', ({ type, valid, invalid }) => {
    for (const init of [...valid, ...invalid]) {
      const message = create(type, init);
      expect(outcome(validator.validate(type, message))).toEqual(outcome(protovalidate.validate(type, message)));
    }
  });
});

const noText = { length: 0, toString: () => '' };

describe('a message', () => {
  const check = compileCheck(ScoreRequestSchema);
  const good = { requestId: id, userId: 'anna', candidates: [{ id: 'a', kind: TipKind.TASK, source: TipSource.LLM }] };

  it.each([
    ['none of it', {}],
    ['text as a number', { userId: 7 }],
    ['an id as an object', { requestId: { toString: () => id } }],
    ['a list as text', { candidates: '' }],
    ['a hole in a list', { candidates: [undefined] }],
    ['what has a length but is no text', { context: { $typeName: 'oo.serving.v1.ScoreContext', timeZone: noText } }],
    ['another message', { context: { $typeName: 'oo.serving.v1.PromptContext', timeZone: '' } }],
    ['null', { context: null }],
  ])('with values of a wrong type is judged by protovalidate: %s', (_, wrong) => {
    const message = { ...create(ScoreRequestSchema, good), ...wrong } as never;
    expect(outcome(validator.validate(ScoreRequestSchema, message))).toEqual(
      outcome(protovalidate.validate(ScoreRequestSchema, message)),
    );
  });

  it('of another type is refused', () => {
    const message = create(GenerateRequestSchema, { requestId: id, userId: 'anna' }) as never;
    expect(check(message)).toBe(false);
    expect(validator.validate(ScoreRequestSchema, message).kind).toBe('error');
  });

  it('names all its breaches, or the first', () => {
    const message = create(ScoreRequestSchema, { ...good, requestId: '', userId: '' });
    expect(validator.validate(ScoreRequestSchema, message).violations).toHaveLength(2);
    const failFast = createValidator({ failFast: true });
    expect(failFast.validate(ScoreRequestSchema, message).violations).toHaveLength(1);
  });
});

describe('of any messages, good, doubtful and bad', () => {
  const payloads = EnvelopeSchema.oneofs.flatMap(({ fields }) => fields);
  const cases: readonly (readonly [string, DescMessage, (wild: number) => fc.Arbitrary<Init>])[] = [
    ...payloads.map((field) => {
      const envelopes = (wild: number) =>
        fc
          .tuple(anyInit(EnvelopeSchema, wild, ['payload']), anyInit(field.message as DescMessage, wild))
          .map(([envelope, value]) => ({ ...envelope, payload: { case: field.localName, value: agreeing(value) } }));
      return [`Envelope of ${field.message?.name}`, EnvelopeSchema, envelopes] as const;
    }),
    ['ScoreRequest', ScoreRequestSchema, (wild) => anyInit(ScoreRequestSchema, wild)],
    ['GenerateRequest', GenerateRequestSchema, (wild) => anyInit(GenerateRequestSchema, wild)],
  ];

  it.each(cases)('%s: the check passes those and only those that protovalidate finds nothing in', (_, type, inits) => {
    const check = compileCheck(type);
    const counts = { valid: 0, invalid: 0 };
    const agrees = (init: Init) => {
      const message = create(type, init);
      const expected = protovalidate.validate(type, message);
      counts[expected.kind === 'valid' ? 'valid' : 'invalid']++;
      expect(check(message)).toBe(expected.kind === 'valid');
      expect(outcome(validator.validate(type, message))).toEqual(outcome(expected));
    };
    fc.assert(fc.property(inits(0), agrees), { numRuns: 100 });
    expect(counts.valid).toBeGreaterThan(70);
    fc.assert(fc.property(inits(2), agrees), { numRuns: 300 });
    expect(counts.invalid).toBeGreaterThan(30);
  });
});

/** Rules between fields that random values would seldom keep. */
function agreeing(payload: Init): Init {
  const { tipId, candidates, overdueTasks, openTasks } = payload;
  if (Array.isArray(candidates) && candidates[0]) return { ...payload, tipId: candidates[0].tipId ?? tipId };
  return openTasks === undefined
    ? payload
    : { ...payload, overdueTasks: Math.min(Number(overdueTasks), Number(openTasks)) };
}

/** Field values at and around the bounds of their rules; beyond them for `wild` fields of 40. */
function anyInit(type: DescMessage, wild: number, leftOut: readonly string[] = []): fc.Arbitrary<Init> {
  const members = type.members.filter(({ localName }) => !leftOut.includes(localName));
  const values = members.map((member) => {
    if (member.kind === 'field') return anyField(member, wild);
    const choices = member.fields.map((field) =>
      anyField(field, wild).map((value) => ({ case: field.localName, value })),
    );
    return fc.oneof(...choices, ...(wild > 0 ? [fc.constant({ case: undefined })] : []));
  });
  return fc
    .tuple(...values)
    .map((all) => Object.fromEntries(members.map(({ localName }, i) => [localName, all[i]])))
    .map((init) => Object.fromEntries(Object.entries(init).filter(([, value]) => value !== undefined)));
}

function anyField(field: DescField, wild: number): fc.Arbitrary<unknown> {
  const rules = getOption(field, fieldOption);
  const value = field.fieldKind === 'list' ? anyList(field, rules, wild) : anyValue(field, rules, wild);
  const isOptional = field.presence === FeatureSet_FieldPresence.EXPLICIT && !field.oneof;
  const unset = isOptional && !rules.required ? 5 : wild;
  return fc.oneof(
    { arbitrary: value, weight: 40 },
    { arbitrary: fc.constant(undefined), weight: isOptional ? unset : 0 },
  );
}

function anyList(field: DescField, { type }: FieldRules, wild: number): fc.Arbitrary<unknown> {
  const { minItems = 0n, maxItems = 9n, items } = type.case === 'repeated' ? type.value : {};
  const [min, max] = [Number(minItems), Number(maxItems)];
  const item = anyValue(field, items, wild);
  const few = fc.array(item, { minLength: min, maxLength: Math.min(max, 4) });
  const many = fc.tuple(item, fc.constantFrom(0, min, max, max + 1)).map(([one, count]) => Array(count).fill(one));
  return fc.oneof({ arbitrary: few, weight: 40 }, { arbitrary: many, weight: wild });
}

function anyValue(field: DescField, rules: FieldRules | undefined, wild: number): fc.Arbitrary<unknown> {
  if (field.message && field.message.typeName !== TimestampSchema.typeName) return anyInit(field.message, wild);
  const [good, bad] = goodAndBad(field, rules);
  return fc.oneof({ arbitrary: good, weight: 40 }, { arbitrary: bad, weight: wild });
}

/** Values that keep the rules, and values of which many do not. */
function goodAndBad(field: DescField, rules: FieldRules | undefined): [fc.Arbitrary<unknown>, fc.Arbitrary<unknown>] {
  if (field.message) return times();
  if (field.enum) return enums(field.enum, rules);
  switch (field.scalar) {
    case ScalarType.STRING:
      return texts(rules);
    case ScalarType.BYTES:
      return [fc.constant(bytes(32)), fc.constantFrom(0, 31, 33).map(bytes)];
    case ScalarType.BOOL:
      return [fc.boolean(), fc.boolean()];
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return numbers(rules, [Number.NaN, Infinity, -Infinity, -0, 5e-324, -5e-324, 1e300]);
    case ScalarType.UINT64:
    case ScalarType.FIXED64: {
      const [good, bad] = numbers(rules, [0, 2 ** 53, 2 ** 63]);
      return [good.map((n) => BigInt(Math.floor(n))), bad.map((n) => BigInt(Math.max(0, Math.floor(n))))];
    }
    default: {
      const [good, bad] = numbers(rules, [0, 2 ** 31 - 1]);
      return [good.map(Math.floor), bad.map((n) => Math.max(0, Math.floor(n)))];
    }
  }
}

function times(): [fc.Arbitrary<unknown>, fc.Arbitrary<unknown>] {
  const [first, last] = [946_684_800, 4_102_444_800];
  return [
    fc.constantFrom(at(first), at(first, 1), at(1_790_000_000, 5), at(last - 1, 999_999_999)),
    fc.constantFrom(
      at(first - 1, 999_999_999),
      at(first, -1),
      at(last),
      at(last, -1),
      at(0),
      at(2 ** 53),
      at(-(2 ** 53)),
    ),
  ];
}

function enums({ values }: DescEnum, rules: FieldRules | undefined): [fc.Arbitrary<unknown>, fc.Arbitrary<unknown>] {
  const notIn = rules?.type.case === 'enum' ? rules.type.value.notIn : [];
  const allowed = values.map(({ number }) => number).filter((number) => !notIn.includes(number));
  return [fc.constantFrom(...allowed), fc.constantFrom(0, -1, values.length, 99)];
}

function numbers(rules: FieldRules | undefined, odd: readonly number[]): [fc.Arbitrary<number>, fc.Arbitrary<number>] {
  const { greaterThan, lessThan } = (rules?.type.value ?? {}) as Partial<DoubleRules>;
  const low = Number(greaterThan?.value ?? 0);
  const high = Number(lessThan?.value ?? low + 1_000);
  const inside = [greaterThan?.case === 'gt' ? [] : low, (low + high) / 2, lessThan?.case === 'lt' ? [] : high].flat();
  return [fc.constantFrom(...inside), fc.constantFrom(...odd, low - 1, low, low + 1, high - 1, high, high + 1)];
}

function texts(rules: FieldRules | undefined): [fc.Arbitrary<string>, fc.Arbitrary<string>] {
  const text = rules?.type.case === 'string' ? rules.type.value : create(StringRulesSchema);
  const bounds = [text.minLen, text.maxLen, text.maxBytes].map(Number);
  const sizes = [...new Set(bounds.flatMap((bound) => [bound - 1, bound, bound + 1]))].filter((size) => size >= 0);
  const sized = ['a', 'é', '€', '😀'].flatMap((letter) =>
    sizes.flatMap((size) => [letter.repeat(size), letter.repeat(Math.floor(size / Buffer.byteLength(letter)))]),
  );
  const isGood = (value: string) =>
    [...value].length >= text.minLen &&
    [...value].length <= (text.maxLen || Infinity) &&
    Buffer.byteLength(value) <= (text.maxBytes || Infinity) &&
    matchPattern(text.pattern, value);
  const good = sized.filter(isGood);
  const odd = ['', '\0', 'a\nb', '\x7f', 'A', '\ud800', id, `${id}0`, 'v1', 'v2', 'x'.repeat(5_000)];
  return [goodTexts(text, good), fc.constantFrom(...sized, ...odd)];
}

function goodTexts(text: StringRules, good: readonly string[]): fc.Arbitrary<string> {
  if (text.const !== '') return fc.constant(text.const);
  if (text.wellKnown.case === 'uuid') return fc.uuid();
  if (good.length === 0) return fc.stringMatching(new RegExp(text.pattern));
  return fc.oneof(fc.constantFrom(...good), fc.stringMatching(/^[a-z0-9]{5,9}$/));
}

function printable(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
