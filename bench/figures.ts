/** The middle of several rounds' figures, and how far they lie apart. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { min: quantile(sorted, 0), median: quantile(sorted, 0.5), max: quantile(sorted, 1) };
}

/** A quantile of values in ascending order, by linear interpolation. NaN where there are none. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export function latencyOf(valuesMs: Iterable<number>): Latency {
  const sorted = Float64Array.from(valuesMs).sort();
  const at = (share: number) => rounded(quantile(sorted, share));
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) };
}

/**
 * One variant beside another: the quotient of what both showed in the same round, since rounds that lie minutes apart
 * differ more by what else the machine did than by the variants. Rounds where either has no figure are left out.
 */
export function ratio(
  figures: readonly (number | undefined)[],
  yardstick: readonly (number | undefined)[],
): Spread | undefined {
  const quotients = figures.flatMap((figure, round) => {
    const base = yardstick[round];
    return figure === undefined || base === undefined || base === 0 ? [] : [figure / base];
  });
  return quotients.length === 0 ? undefined : spread(quotients);
}

/** Four significant digits: more would be noise. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
