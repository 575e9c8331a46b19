// What the declared tables must hold, folded from events in memory, and how that differs from what they do hold.
import { addTo } from './buckets.ts';
import { toWire } from './columns.ts';
import { type Column, columnsOf, type Delta, isMerged, type TableName, tableNames } from './tables.ts';

/** A row by its columns. Columns without a value are left out, but for those that are set once: null. */
export type Row = Readonly<Record<string, unknown>>;

/** The rows of some tables, each under the text of its key. */
export type FoldedTables = ReadonlyMap<TableName, ReadonlyMap<string, Row>>;

export interface TableFold {
  /** Adds deltas of one event. Those of other tables than the fold's are left out. Each event must be added once. */
  add(deltas: readonly Delta[]): void;
  /** All that was added so far, of whomever. It changes with what is added later. */
  readonly tables: FoldedTables;
}

/** Adds up deltas as the database does. Memory grows with the rows, not with the events. */
export function startTableFold(names: readonly TableName[]): TableFold {
  const tables = new Map(names.map((name) => [name, new Map<string, Row>()]));
  return {
    add(deltas) {
      for (const { table, row } of deltas) {
        const rows = tables.get(table);
        if (rows) addRow(table, rows, asStored(table, row as Row));
      }
    },
    tables,
  };
}

function addRow(table: TableName, rows: Map<string, Row>, added: Row): void {
  const key = keyText(table, added);
  const held = rows.get(key);
  if (held === undefined) rows.set(key, startRow(table, added));
  else if (isMerged(table)) addTo(table, held as MergedRow, added as MergedRow);
}

function startRow(table: TableName, added: Row): Row {
  if (!isMerged(table)) return added;
  const row = Object.fromEntries(shapeOf(table).keys.map((name) => [name, added[name]]));
  addTo(table, row as MergedRow, added as MergedRow);
  return row;
}

type MergedRow = Parameters<typeof addTo>[1];

/** As Postgres gives it back: ids in lower case. */
function asStored(table: TableName, row: Row): Row {
  let stored: Row = row;
  for (const name of shapeOf(table).ids) {
    const id = row[name];
    if (typeof id === 'string' && id !== id.toLowerCase()) stored = { ...stored, [name]: id.toLowerCase() };
  }
  return stored;
}

/** How the rows of a table differ from those that events add up to. */
export interface Difference {
  readonly table: TableName;
  readonly missing: readonly Row[];
  /** As they must become. */
  readonly differing: readonly Row[];
  readonly surplus: readonly Row[];
}

/**
 * Compares the rows that a table holds of some people with those that their events add up to.
 *
 * `wholeFromDay` is given once months of events were dropped: the first UTC day whose events are all there. A row of
 * that day or a later one must equal the fold. Any other row may hold what dropped events added, so it is never deleted
 * and never goes back: its sums become no smaller, its registers, earliest and latest times keep the winner of both.
 * What is set once by one event is what that event says, if the event is still there.
 */
export function differenceOf(
  table: TableName,
  folded: ReadonlyMap<string, Row>,
  held: readonly Row[],
  wholeFromDay: number | undefined,
): Difference {
  const differing: Row[] = [];
  const surplus: Row[] = [];
  const seen = new Set<string>();
  for (const row of held) {
    const key = keyText(table, row);
    const expected = folded.get(key);
    const whole = isWhole(table, row, wholeFromDay);
    seen.add(key);
    if (expected === undefined) {
      if (whole) surplus.push(row);
      continue;
    }
    const target = whole ? expected : neverBack(table, row, expected);
    if (!isSame(table, row, target)) differing.push(target);
  }
  const missing = [...folded].filter(([key]) => !seen.has(key)).map(([, row]) => row);
  return { table, missing, differing, surplus };
}

function isWhole(table: TableName, row: Row, wholeFromDay: number | undefined): boolean {
  if (wholeFromDay === undefined) return true;
  const { day } = shapeOf(table);
  return day !== undefined && Number(row[day]) >= wholeFromDay;
}

/** The dropped events added something that is not known: at least what is held, and at least what is folded. */
function neverBack(table: TableName, held: Row, folded: Row): Row {
  const both = { ...held };
  addTo(table, both as MergedRow, folded as MergedRow);
  for (const { name, role } of shapeOf(table).columns) {
    if (role === 'sum') both[name] = Math.max(Number(held[name] ?? 0), Number(folded[name] ?? 0));
    if (role === 'set') both[name] = folded[name];
  }
  return both;
}

function isSame(table: TableName, a: Row, b: Row): boolean {
  return shapeOf(table).columns.every((column) => toWire(a[column.name], column) === toWire(b[column.name], column));
}

interface Shape {
  readonly columns: readonly Column[];
  readonly keys: readonly string[];
  readonly ids: readonly string[];
  /** The column of the key that says on which UTC day the events of a row occurred. */
  readonly day: string | undefined;
}

const shapes = new Map(tableNames.map((table) => [table, describe(columnsOf(table))]));

function describe(columns: readonly Column[]): Shape {
  const keys = columns.filter(({ role }) => role === 'key');
  const namesOf = (some: readonly Column[]) => some.map(({ name }) => name);
  return {
    columns,
    keys: namesOf(keys),
    ids: namesOf(columns.filter(({ type }) => type === 'uuid')),
    day: keys.find(({ type }) => type === 'day')?.name,
  };
}

const shapeOf = (table: TableName): Shape => shapes.get(table) ?? describe(columnsOf(table));

/** No text in Postgres holds a NUL. */
const keyText = (table: TableName, row: Row): string =>
  shapeOf(table)
    .keys.map((name) => String(row[name]))
    .join('\0');
