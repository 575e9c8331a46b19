/**
 * Columns of running sums. Each carries along what rounding took from it (Ogita, Rump, Oishi: Accurate Sum and Dot
 * Product, SIAM J. Sci. Comput. 2005, algorithm 4.4), so that the order of up to 10^8 rows moves no sum by more than
 * 1e-12 of what was added.
 */
export interface Sums {
  add(column: number, value: number): void;
  /** The sums so far, one for each column. */
  read(): Float64Array;
}

export function createSums(columns: number): Sums {
  const sums = new Float64Array(columns);
  const lost = new Float64Array(columns);
  return {
    add(column, value) {
      const before = sums[column] ?? 0;
      const after = before + value;
      const added = after - before;
      sums[column] = after;
      lost[column] = (lost[column] ?? 0) + (before - (after - added)) + (value - added);
    },
    read: () => sums.map((sum, column) => sum + (lost[column] ?? 0)),
  };
}

/** The sum of columns over people, in their order. */
export function total(rows: readonly Float64Array[]): Float64Array {
  const sums = createSums(rows[0]?.length ?? 0);
  for (const row of rows) for (const [column, value] of row.entries()) sums.add(column, value);
  return sums.read();
}
