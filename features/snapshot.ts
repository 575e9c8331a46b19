/** What one read of the database could see: every transaction before `xmax` that had ended. */
export interface Snapshot {
  /** Every transaction before this one had ended. */
  readonly xmin: bigint;
  /** No transaction from this one on had begun. */
  readonly xmax: bigint;
  /** Those between the two that were still going on. */
  readonly running: ReadonlySet<bigint>;
}

/** Reads the text form of `pg_snapshot`: `xmin:xmax:xip,xip,…`. Undefined: it is none. */
export function parseSnapshot(text: string): Snapshot | undefined {
  const [, xmin, xmax, running] = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text) ?? [];
  if (xmin === undefined || xmax === undefined || running === undefined) return undefined;
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    running: new Set(running === '' ? [] : running.split(',').map(BigInt)),
  };
}

/** What `pg_visible_in_snapshot` says: whether the read saw what a transaction wrote, given that it was committed. */
export function isVisible({ xmin, xmax, running }: Snapshot, transactionId: bigint): boolean {
  return transactionId < xmin || (transactionId < xmax && !running.has(transactionId));
}
