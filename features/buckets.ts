import { columnsOf, type DeltaOf, tables } from './tables.ts';

/** What the tables hold of one person, in any order. Features are read out of these and of nothing else. */
export interface Buckets {
  readonly daily: readonly DailyBucket[];
  readonly hourly: readonly HourlyBucket[];
}

export type DailyBucket = Omit<DeltaOf<'user_daily'>['row'], 'user_id'>;
export type HourlyBucket = Omit<DeltaOf<'user_hourly'>['row'], 'user_id'>;

export const noBuckets: Buckets = { daily: [], hourly: [] };

type MergedTable = 'user_daily' | 'user_hourly';

/** The columns of a bucket in the order in which a packed bucket holds them: key (without the person), then sums. */
export const bucketColumns: Readonly<Record<MergedTable, readonly string[]>> = {
  user_daily: columnsOf('user_daily').flatMap(({ name }) => (name === 'user_id' ? [] : [name])),
  user_hourly: columnsOf('user_hourly').flatMap(({ name }) => (name === 'user_id' ? [] : [name])),
};

/**
 * Reads `column,column,…;column,…`, which is how one row per person comes out of the database at a fraction of the cost
 * of a row per bucket. An empty entry is a column without a value.
 */
export function unpack<Bucket>(table: MergedTable, packed: string | null): readonly Bucket[] {
  if (!packed) return [];
  const columns = bucketColumns[table];
  return packed.split(';').map((row) => {
    const values = row.split(',');
    const bucket: Record<string, number> = {};
    for (const [i, column] of columns.entries()) {
      const value = values[i];
      if (value) bucket[column] = Number(value);
    }
    return bucket as Bucket;
  });
}

/** Adds up deltas of one person as the database does: the reference that the tables are tested against. */
export function fold(deltas: readonly (DeltaOf<'user_daily'> | DeltaOf<'user_hourly'>)[]): Buckets {
  return { daily: foldTable('user_daily', deltas), hourly: foldTable('user_hourly', deltas) };
}

function foldTable<Bucket>(table: MergedTable, deltas: readonly { table: string; row: object }[]): readonly Bucket[] {
  const { key, merge } = tables[table];
  const keys = Object.keys(key).filter((column) => column !== 'user_id');
  const folded = new Map<string, Record<string, number>>();
  for (const { row } of deltas.filter((delta) => delta.table === table)) {
    const values = row as Record<string, number | undefined>;
    const id = keys.map((column) => values[column]).join();
    const bucket = folded.get(id) ?? Object.fromEntries(keys.map((column) => [column, values[column] ?? 0]));
    folded.set(id, bucket);
    for (const [column, [rule]] of Object.entries(merge)) {
      const value = values[column];
      if (rule === 'sum') bucket[column] = (bucket[column] ?? 0) + (value ?? 0);
      else if (value !== undefined) bucket[column] = Math[rule](bucket[column] ?? value, value);
    }
  }
  return [...folded.values()] as Bucket[];
}
