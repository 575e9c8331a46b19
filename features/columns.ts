// How the columns of the declared tables travel to Postgres and back: as numbers, texts and JSON that every client reads
// the same way, in any time zone and locale.
import { type ArrayParameter, plainArray, textArray, uuidArray } from '../platform/postgres-arrays.ts';
import { type Column, type ColumnType, columnsOf, type TableName } from './tables.ts';

interface Wire {
  /** What Postgres takes an array of. */
  readonly type: string;
  /** The array of what deltas hold for such a column, or null. */
  readonly array: (values: readonly unknown[]) => ArrayParameter;
  /** From the wire into the column. */
  readonly read: (value: string) => string;
  /** From the column onto the wire. */
  readonly write: (column: string) => string;
}

const asIs = (value: string): string => value;

/** SQL: an instant from its milliseconds. In doubles, as decimals take several times as long; columns round it again. */
export function timestampOf(milliseconds: string): string {
  return `to_timestamp(${milliseconds} / 1000::float8)`;
}

const numbers = plainArray as Wire['array'];
const jsonTexts: Wire['array'] = (values) =>
  textArray(values.map((value) => (value === null ? null : JSON.stringify(value))));

const wires: Readonly<Record<ColumnType, Wire>> = {
  uuid: { type: 'uuid', array: uuidArray as Wire['array'], read: asIs, write: asIs },
  text: { type: 'text', array: textArray as Wire['array'], read: asIs, write: asIs },
  'text[]': {
    type: 'text',
    array: jsonTexts,
    read: (value) => `ARRAY(SELECT json_array_elements_text(${value}::json))`,
    write: asIs,
  },
  'int[]': {
    type: 'text',
    array: (values) => textArray(values.map((value) => (value === null ? null : `{${(value as number[]).join(',')}}`))),
    read: (value) => `${value}::int4[]`,
    write: asIs,
  },
  int: { type: 'int4', array: numbers, read: asIs, write: asIs },
  bigint: { type: 'int8', array: numbers, read: asIs, write: asIs },
  float: { type: 'float8', array: numbers, read: asIs, write: asIs },
  day: {
    type: 'int4',
    array: numbers,
    read: (value) => `date '1970-01-01' + ${value}`,
    write: (column) => `(${column} - date '1970-01-01')`,
  },
  timestamp: {
    type: 'int8',
    array: numbers,
    read: timestampOf,
    write: (column) => `(date_part('epoch', ${column}) * 1000)::int8`, // in doubles, where extract takes decimals
  },
};

export const wireOf = ({ type }: Pick<Column, 'type'>): Wire => wires[type];

/** One column of some rows as an array. What is absent from a sum adds nothing. */
export function columnArray(rows: readonly Readonly<Record<string, unknown>>[], column: Column): ArrayParameter {
  const { name, type, role } = column;
  const absent = role === 'sum' ? 0 : null;
  const values: unknown[] = [];
  let hasAny = false;
  for (const row of rows) {
    const value = row[name] ?? absent;
    hasAny ||= value !== null;
    values.push(value);
  }
  return hasAny ? wires[type].array(values) : '{}'; // `unnest` fills up with null
}

/** A value on its way to Postgres. What is absent from a sum adds nothing. */
export function toWire(value: unknown, { type, role }: Column): unknown {
  if (value === undefined || value === null) return role === 'sum' ? 0 : null;
  return type.endsWith('[]') ? JSON.stringify(value) : value;
}

/** Expression for a row of a table as a JSON array, in the order of `columnsOf`. */
export function rowAsJson(table: TableName): string {
  return `json_build_array(${columnsOf(table)
    .map((column) => wireOf(column).write(column.name))
    .join(', ')})`;
}

/** A row as `rowAsJson` gives it. Columns without a value are left out, as in a delta. */
export function rowOfJson(table: TableName, values: readonly unknown[]): Readonly<Record<string, unknown>> {
  const row: Record<string, unknown> = {};
  for (const [i, { name, role }] of columnsOf(table).entries()) {
    const value = values[i];
    if (value !== null && value !== undefined) row[name] = value;
    else if (role === 'set') row[name] = null;
  }
  return row;
}
