import { type Column, columnsOf, type DeltaOf, type Table, type TableName, tables } from './tables.ts';

/** The tables that say what is known of a person. Features are read out of them and of nothing else. */
export const bucketTables = [
  'user_daily',
  'user_hourly',
  'tip_outcomes',
  'user_tasks',
  'user_health',
  'user_integrations',
] as const;

export type BucketTable = (typeof bucketTables)[number];

/** A row of one of them, without the person. */
export type BucketOf<Name extends BucketTable> = Omit<DeltaOf<Name>['row'], 'user_id'>;

/** What the tables hold of one person, in any order. */
export type Buckets = { readonly [Name in BucketTable]: readonly BucketOf<Name>[] };

export const noBuckets: Buckets = {
  user_daily: [],
  user_hourly: [],
  tip_outcomes: [],
  user_tasks: [],
  user_health: [],
  user_integrations: [],
};

/** The columns of a bucket in the order in which a packed bucket holds them: key (without the person), then the rest. */
export const bucketColumns = (table: BucketTable): readonly Column[] =>
  columnsOf(table).filter(({ name }) => name !== 'user_id');

/**
 * Reads `value,value,…;value,value,…`, one part for each column, which is how one row per person comes out of the
 * database at a fraction of the cost of a row per bucket. An empty value is a column without one. Only for tables of
 * numbers.
 */
export function unpack<Name extends BucketTable>(table: Name, packed: string | null): readonly BucketOf<Name>[] {
  if (!packed) return [];
  const parts = packed.split(';').map((part) => part.split(','));
  const buckets = parts[0]?.map((): Record<string, number> => ({})) ?? [];
  for (const [i, column] of packedColumns(table).entries()) {
    for (const [row, bucket] of buckets.entries()) {
      const value = parts[i]?.[row];
      if (value) bucket[column] = Number(value);
    }
  }
  return buckets as unknown as readonly BucketOf<Name>[];
}

const known = new Map<BucketTable, readonly string[]>();

function packedColumns(table: BucketTable): readonly string[] {
  const columns = known.get(table) ?? bucketColumns(table).map(({ name }) => name);
  known.set(table, columns);
  return columns;
}

/** Any delta, as far as adding up is concerned. */
export interface AnyDelta {
  readonly table: string;
  readonly row: object;
}

/** Adds up deltas of one person as the database does: the reference that the tables are tested against. */
export function fold(deltas: readonly AnyDelta[]): Buckets {
  const folding = startFold();
  for (const delta of deltas) folding.add(delta);
  return folding.buckets;
}

/** A fold that goes on. */
export interface Folding {
  /** A delta of a table that holds no buckets adds nothing. */
  add(delta: AnyDelta): void;
  /** All that was added so far. It changes with what is added later. */
  readonly buckets: Buckets;
}

type Row = Record<string, number | string | undefined>;

interface FoldedTable {
  readonly table: BucketTable;
  readonly keys: readonly string[];
  readonly byKey: Map<string, Row>;
  readonly rows: Row[];
}

export function startFold(): Folding {
  const folded = new Map<string, FoldedTable>(
    bucketTables.map((table) => {
      const keys = Object.keys(tables[table].key).filter((column) => column !== 'user_id');
      return [table, { table, keys, byKey: new Map(), rows: [] }];
    }),
  );
  return {
    add({ table, row }) {
      const into = folded.get(table);
      if (into) addTo(into.table, rowFor(into, row as Row), row as Row);
    },
    buckets: Object.fromEntries([...folded].map(([table, { rows }]) => [table, rows])) as unknown as Buckets,
  };
}

function rowFor({ keys, byKey, rows }: FoldedTable, added: Row): Row {
  const id = JSON.stringify(keys.map((column) => added[column]));
  const known = byKey.get(id);
  if (known) return known;
  const row: Row = Object.fromEntries(keys.map((column) => [column, added[column]]));
  byKey.set(id, row);
  rows.push(row);
  return row;
}

/** Adds one contribution to a row, in place: the merge of every column, as the database does it. */
export function addTo(table: TableName, row: Row, added: Row): void {
  const { merge, register }: Table = tables[table];
  for (const [column, [rule]] of Object.entries(merge)) {
    const value = added[column];
    const before = row[column];
    if (rule === 'sum') row[column] = Number(before ?? 0) + Number(value ?? 0);
    else if (value !== undefined && (before === undefined || isBefore(rule, value, before))) row[column] = value;
  }
  if (register && wins(register, row, added)) {
    for (const column of [...Object.keys(register.order), ...Object.keys(register.carried)]) {
      if (added[column] === undefined) delete row[column];
      else row[column] = added[column];
    }
  }
}

const isBefore = (rule: 'min' | 'max', a: number | string, b: number | string): boolean =>
  rule === 'min' ? a < b : a > b;

function wins({ keep, order }: NonNullable<Table['register']>, row: Row, added: Row): boolean {
  const columns = Object.keys(order);
  const [first = ''] = columns;
  if (added[first] === undefined) return false;
  if (row[first] === undefined) return true;
  const differing = columns.find((column) => added[column] !== row[column]);
  if (differing === undefined) return false;
  return isBefore(keep === 'first' ? 'min' : 'max', added[differing] ?? 0, row[differing] ?? 0);
}
