export interface RecentPeak {
  observe(value: number): void;
  /** Zero: nothing was observed. */
  current(): number;
}

export interface RecentPeakOptions {
  /** After this long a value counts half, after twice as long a quarter. */
  readonly halfLifeMs: number;
  /** Milliseconds of a clock that never runs back. */
  readonly now: () => number;
}

/** The largest of the values that came lately. */
export function createRecentPeak({ halfLifeMs, now }: RecentPeakOptions): RecentPeak {
  let peak = 0;
  let atMs = now();
  const current = () => peak * 0.5 ** ((now() - atMs) / halfLifeMs);
  return {
    current,
    observe(value) {
      if (value < current()) return;
      peak = value;
      atMs = now();
    },
  };
}
