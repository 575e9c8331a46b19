// How the columns of the declared tables travel to Postgres and back: as numbers, texts and JSON that every client reads
// the same way, in any time zone and locale.
import { type Column, type ColumnType, columnsOf, type TableName } from './tables.ts';

interface Wire {
  /** What Postgres takes an array of. */
  readonly type: string;
  /** From the wire into the column. */
  readonly read: (value: string) => string;
  /** From the column onto the wire. */
  readonly write: (column: string) => string;
}

const asIs = (value: string): string => value;

const wires: Readonly<Record<ColumnType, Wire>> = {
  uuid: { type: 'uuid', read: asIs, write: asIs },
  text: { type: 'text', read: asIs, write: asIs },
  'text[]': {
    type: 'text',
    read: (value) => `ARRAY(SELECT json_array_elements_text(${value}::json))`,
    write: asIs,
  },
  int: { type: 'int4', read: asIs, write: asIs },
  bigint: { type: 'int8', read: asIs, write: asIs },
  float: { type: 'float8', read: asIs, write: asIs },
  day: {
    type: 'int4',
    read: (value) => `date '1970-01-01' + ${value}`,
    write: (column) => `(${column} - date '1970-01-01')`,
  },
  timestamp: {
    type: 'int8',
    read: (value) => `to_timestamp(${value} / 1000.0)`,
    write: (column) => `(date_part('epoch', ${column}) * 1000)::int8`, // in doubles, where extract takes decimals
  },
};

export const wireOf = ({ type }: Pick<Column, 'type'>): Wire => wires[type];

/** An array of numbers or of texts that need no quotes, as Postgres reads it. The client library's way costs much more. */
export function arrayLiteral(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}

/** An array of any texts, as Postgres reads it. */
export function textArrayLiteral(values: readonly string[]): string {
  return `{${values.map(quoted).join(',')}}`;
}

const quoted = (text: string): string => `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`;

/** One column of some rows as an array. What is absent from a sum adds nothing. */
export function columnLiteral(
  rows: readonly Readonly<Record<string, unknown>>[],
  { name, type, role }: Column,
): string {
  const absent = role === 'sum' ? '0' : 'NULL';
  const literal = type === 'text' ? quoted : type === 'text[]' ? quotedJson : String;
  return `{${rows.map((row) => (row[name] === undefined || row[name] === null ? absent : literal(row[name] as string))).join(',')}}`;
}

const quotedJson = (values: unknown): string => quoted(JSON.stringify(values));

/** A value on its way to Postgres. What is absent from a sum adds nothing. */
export function toWire(value: unknown, { type, role }: Column): unknown {
  if (value === undefined || value === null) return role === 'sum' ? 0 : null;
  return type === 'text[]' ? JSON.stringify(value) : value;
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
