import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmptyDatabase, type TestDatabase } from '../tests/_util/servers.ts';
import { type Database, openDatabase } from './database.ts';
import { type ArrayParameter, bytesArray, plainArray, textArray, uuidArray } from './postgres-arrays.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createEmptyDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 1 });
});
afterAll(async () => {
  await database.end();
  await testDatabase.drop();
});

/** What Postgres finds in an array, and how many dimensions it counts. `write`: an element in a form to compare. */
async function readBack(array: ArrayParameter, type: string, write = 'element') {
  const { rows } = await database.query<{ elements: readonly (string | number | null)[]; dimensions: number | null }>(
    `SELECT ARRAY(SELECT ${write} FROM unnest($1::${type}[]) WITH ORDINALITY AS a(element, place) ORDER BY place)
       AS elements, array_ndims($1::${type}[]) AS dimensions`,
    [array],
  );
  return rows[0];
}

const awkward = [
  'NULL',
  'null',
  '',
  ' ',
  '"',
  '\\',
  '\\"',
  '{',
  '}',
  '{}',
  ',',
  "'",
  '\n',
  '\t',
  '\\x41',
  '$1',
  'é',
  '👋',
];
const anyText = fc
  .array(fc.oneof(fc.constantFrom(...awkward), fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 4 })
  .map((parts) => parts.join('').replaceAll('\0', '')); // which no text of Postgres holds
const anyUuid = fc.tuple(fc.uuid(), fc.boolean()).map(([id, isUpper]) => (isUpper ? id.toUpperCase() : id));
const orNull = <Value>(value: fc.Arbitrary<Value>) => fc.array(fc.option(value, { freq: 4 }), { maxLength: 12 });
const anyBytes = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 12 });

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const asIs = <Value>(value: Value) => value;

/** How an array is made of values, how Postgres is asked for them, and what it should say of each. */
interface Kind<Value> {
  readonly any: fc.Arbitrary<readonly Value[]>;
  readonly make: (values: readonly Value[]) => ArrayParameter;
  readonly type: string;
  readonly write?: string;
  readonly expected: (value: Value) => string | number | null;
}

const kind = <Value>({ any, make, type, write, expected }: Kind<Value>) => ({
  type,
  check: () =>
    fc.assert(
      fc.asyncProperty(any, async (values) => {
        expect(await readBack(make(values), type, write)).toEqual({
          elements: values.map(expected),
          dimensions: values.length > 0 ? 1 : null,
        });
      }),
      { numRuns: 60 },
    ),
  empty: () => make([]),
});

const kinds = {
  texts: kind({ any: orNull(anyText), make: textArray, type: 'text', expected: asIs }),
  integers: kind({ any: orNull(fc.integer()), make: plainArray, type: 'int4', expected: asIs }),
  'whole numbers': kind({
    any: orNull(fc.maxSafeInteger()),
    make: plainArray,
    type: 'int8',
    write: 'element::float8',
    expected: asIs,
  }),
  numbers: kind({
    any: orNull(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value || 0)), // no -0
    make: plainArray,
    type: 'float8',
    expected: asIs,
  }),
  'texts that need no quotes': kind({
    any: orNull(fc.stringMatching(/^[a-z]+(\.[A-Z][a-z]+)*$/).filter((text) => text !== 'null')),
    make: plainArray,
    type: 'text',
    expected: asIs,
  }),
  UUIDs: kind({
    any: orNull(anyUuid),
    make: uuidArray,
    type: 'uuid',
    write: 'element::text',
    expected: (id) => id?.toLowerCase() ?? null,
  }),
  bytes: kind({ any: anyBytes, make: bytesArray, type: 'bytea', write: "encode(element, 'hex')", expected: hex }),
};

describe('an array of', () => {
  it.each(Object.entries(kinds))('%s means to Postgres what it was made of', (_, { check }) => check());

  it.each(Object.entries(kinds))('no %s is an empty one', async (_, { empty, type }) => {
    expect(await readBack(empty(), type)).toEqual({ elements: [], dimensions: null });
  });

  it('UUIDs and one of bytes fit together row by row, nulls and empty bytes too', async () => {
    const ids = ['0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d', null, 'FFFFFFFF-ffff-FFFF-ffff-FFFFFFFFFFFF'];
    const { rows } = await database.query({
      text: "SELECT id, encode(bytes, 'hex') AS bytes FROM unnest($1::uuid[], $2::bytea[]) AS a(id, bytes)",
      values: [uuidArray(ids), bytesArray([Buffer.from('ff00', 'hex'), new Uint8Array(), Buffer.from('01', 'hex')])],
      rowMode: 'array',
    });
    expect(rows).toEqual([
      ['0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d', 'ff00'],
      [null, ''],
      ['ffffffff-ffff-ffff-ffff-ffffffffffff', '01'],
    ]);
  });
});

describe('what is no UUID', () => {
  const id = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
  it.each([
    ['nothing', ''],
    ['a word', 'seven'],
    ['one digit less', id.slice(1)],
    ['one digit more', `${id}0`],
    ['no dashes', id.replaceAll('-', '')],
    ['a letter that is no digit', id.replace('d', 'g')],
    ['a dash for a digit', id.replace('d2', 'd-')],
    ['a byte more, without its dashes', `${id.replaceAll('-', '')}0000`],
  ])('is thrown on: %s', (_, text) => {
    expect(() => uuidArray([id, text])).toThrow('not a UUID');
  });
});
