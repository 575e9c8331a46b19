// What an experiment is judged by, as sums that add in any order to the same bits.
//
// Two levels, because the person is what was randomised, and their decisions are alike. Counts per (experiment, arm,
// person) are additive per event: whole numbers that consumers add up. Squares of a person's counts are not: (a + b)² is
// more than a² + b². So the moments are folded from finished counts when an analysis is asked for, each person once.
// Moments of different people add; a person's counts are merged first.

/** What one person did in one arm. All whole numbers, 0 where nothing happened. */
export interface UserCounts {
  readonly decisions: number;
  /** Decisions that anything came of. */
  readonly rewards: number;
  readonly rewardMilli: number;
  /**
   * The same over a period that ended before the experiment began for anyone, so that no arm can have moved it. Zero
   * for whoever was not there yet: they are in every sum, and pull a mean per person before towards 0, a mean per decision
   * nowhere. To be new is no work of the arms either, so the adjusted difference stays right; it is only less precise.
   */
  readonly decisionsBefore: number;
  readonly rewardMilliBefore: number;
}

export const noCounts: UserCounts = {
  decisions: 0,
  rewards: 0,
  rewardMilli: 0,
  decisionsBefore: 0,
  rewardMilliBefore: 0,
};

export function addCounts(a: UserCounts, b: Partial<UserCounts>): UserCounts {
  return {
    decisions: a.decisions + (b.decisions ?? 0),
    rewards: a.rewards + (b.rewards ?? 0),
    rewardMilli: a.rewardMilli + (b.rewardMilli ?? 0),
    decisionsBefore: a.decisionsBefore + (b.decisionsBefore ?? 0),
    rewardMilliBefore: a.rewardMilliBefore + (b.rewardMilliBefore ?? 0),
  };
}

/** Whole numbers of one person: the metric is total / count over all of an arm, and so it is before the experiment. */
export interface Contribution {
  readonly total: number;
  readonly count: number;
  readonly totalBefore: number;
  readonly countBefore: number;
}

export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly of: (counts: UserCounts) => Contribution;
}

/** Whatever nobody reacted to counts as 0, as it is no secret to the arm that showed it. */
export const rewardPerDecision: Metric = {
  name: 'reward_per_decision',
  unit: 'thousandths of a reward',
  better: 'higher',
  of: (counts) => ({
    total: counts.rewardMilli,
    count: counts.decisions,
    totalBefore: counts.rewardMilliBefore,
    countBefore: counts.decisionsBefore,
  }),
};

/** Cannot be raised by making unhappy people ask less often. */
export const rewardPerUser: Metric = {
  name: 'reward_per_user',
  unit: 'thousandths of a reward',
  better: 'higher',
  of: (counts) => ({ total: counts.rewardMilli, count: 1, totalBefore: counts.rewardMilliBefore, countBefore: 1 }),
};

/**
 * Sums over the people of an arm: s total, n count, p total before, m count before; two letters are a sum of products.
 * The least that a ratio, its variance and a ratio as covariate can be had from. In SQL `sum(s)`, `sum(s * n)` and so
 * on, of type numeric. Big integers, as a sum of squares outgrows 2⁵³, and then rounding would depend on the order.
 */
export interface Moments {
  readonly users: bigint;
  readonly s: bigint;
  readonly n: bigint;
  readonly p: bigint;
  readonly m: bigint;
  readonly ss: bigint;
  readonly sn: bigint;
  readonly nn: bigint;
  readonly sp: bigint;
  readonly sm: bigint;
  readonly np: bigint;
  readonly nm: bigint;
  readonly pp: bigint;
  readonly pm: bigint;
  readonly mm: bigint;
}

/** The moments of one person. */
export function momentsOf({ total, count, totalBefore, countBefore }: Contribution): Moments {
  const [s, n, p, m] = [BigInt(total), BigInt(count), BigInt(totalBefore), BigInt(countBefore)];
  return {
    users: 1n,
    ...{ s, n, p, m },
    ...{ ss: s * s, sn: s * n, nn: n * n },
    ...{ sp: s * p, sm: s * m, np: n * p, nm: n * m },
    ...{ pp: p * p, pm: p * m, mm: m * m },
  };
}

export function addMoments(a: Moments, b: Moments): Moments {
  return {
    users: a.users + b.users,
    s: a.s + b.s,
    n: a.n + b.n,
    p: a.p + b.p,
    m: a.m + b.m,
    ss: a.ss + b.ss,
    sn: a.sn + b.sn,
    nn: a.nn + b.nn,
    sp: a.sp + b.sp,
    sm: a.sm + b.sm,
    np: a.np + b.np,
    nm: a.nm + b.nm,
    pp: a.pp + b.pp,
    pm: a.pm + b.pm,
    mm: a.mm + b.mm,
  };
}

export interface UserRow {
  readonly arm: string;
  readonly counts: UserCounts;
}

/** The moments of each arm. `rows` has one row for each person and arm. */
export function momentsByArm(rows: Iterable<UserRow>, metric: Metric): ReadonlyMap<string, Moments> {
  const arms = new Map<string, Moments>();
  for (const { arm, counts } of rows) {
    const added = momentsOf(metric.of(counts));
    const held = arms.get(arm);
    arms.set(arm, held ? addMoments(held, added) : added);
  }
  return arms;
}
