import { describe, expect, it } from 'vitest';
import { addMoments, type Contribution, type Moments, momentsOf } from './counters.ts';
import { type AnalysisOptions, alwaysValidFactor, analyse, type Comparison, directionOf } from './difference.ts';

type Person = readonly [total: number, count: number, totalBefore: number, countBefore: number];

const sum = (people: readonly Contribution[]): Moments => people.map(momentsOf).reduce(addMoments);
const contributions = (people: readonly Person[]): Contribution[] =>
  people.map(([total, count, totalBefore, countBefore]) => ({ total, count, totalBefore, countBefore }));

function compare(control: Moments, treated: Moments, options: Partial<AnalysisOptions> = {}): Comparison {
  const arms = new Map([
    ['control', control],
    ['treated', treated],
  ]);
  const [comparison] = analyse(arms, 'control', options).comparisons;
  if (!comparison) throw new Error('no comparison');
  return comparison;
}

/** Expected values by mpmath, from residuals of each person and not from sums. */
const tables = [
  {
    name: 'one count per person: Welch',
    control: [
      [275, 1, 250, 1],
      [210, 1, 220, 1],
      [190, 1, 200, 1],
      [236, 1, 210, 1],
      [170, 1, 190, 1],
      [179, 1, 150, 1],
    ],
    treated: [
      [271, 1, 240, 1],
      [220, 1, 230, 1],
      [208, 1, 190, 1],
      [234, 1, 260, 1],
      [234, 1, 230, 1],
      [225, 1, 200, 1],
    ],
    arms: [
      { mean: 210, lower: 168.386204677112, upper: 251.613795322888 },
      { mean: 232, lower: 209.501901222866, upper: 254.498098777134 },
    ],
    absolute: { value: 22, standardError: 18.4028983224563, lower: -20.7338982134862, upper: 64.7338982134862 },
    relative: {
      value: 0.104761904761905,
      standardError: 0.0948147817942312,
      lower: -0.117792470902224,
      upper: 0.327316280426033,
    },
    adjusted: {
      value: 4.73170731707317,
      standardError: 12.2709049969186,
      lower: -22.7351851296158,
      upper: 32.1985997637622,
    },
    theta: 0.796998123827392,
    varianceCut: 0.555388456367907,
  },
  {
    name: 'a ratio: the delta method',
    control: [
      [1000, 3, 500, 2],
      [-500, 2, 0, 0],
      [2400, 9, 900, 4],
      [300, 1, -100, 1],
      [600, 4, 800, 5],
    ],
    treated: [
      [1500, 4, 200, 1],
      [700, 2, 600, 3],
      [-100, 3, -300, 2],
      [3100, 8, 1000, 6],
      [900, 2, 0, 0],
      [450, 5, 500, 4],
    ],
    arms: [
      { mean: 200, lower: 8.07566701039695, upper: 391.924332989603 },
      { mean: 272.916666666667, lower: 75.2999830749792, upper: 470.533350258354 },
    ],
    absolute: {
      value: 72.9166666666667,
      standardError: 103.384479842975,
      lower: -160.956266881266,
      upper: 306.789600214599,
    },
    relative: {
      value: 0.364583333333333,
      standardError: 0.608435384421693,
      lower: -1.03287311380463,
      upper: 1.76203978047129,
    },
    adjusted: {
      value: 125.945755990421,
      standardError: 84.0454778097837,
      lower: -67.0351791004589,
      upper: 318.9266910813,
    },
    theta: 1.06058178647508,
    varianceCut: 0.339127003148077,
  },
] as const;

describe.each(tables)('$name', ({ control, treated, ...expected }) => {
  const arms = new Map([
    ['control', sum(contributions(control))],
    ['treated', sum(contributions(treated))],
  ]);
  const analysis = analyse(arms, 'control', { minUsersPerArm: 2, minUsersBefore: 2 });
  const [comparison] = analysis.comparisons;

  it('gives the mean of each arm with its interval', () => {
    for (const [i, arm] of expected.arms.entries()) {
      expect(analysis.arms[i]?.mean).toBeCloseTo(arm.mean, 9);
      expect(analysis.arms[i]?.interval?.lower).toBeCloseTo(arm.lower, 9);
      expect(analysis.arms[i]?.interval?.upper).toBeCloseTo(arm.upper, 9);
    }
    expect(analysis.arms.map(({ users }) => users)).toEqual([control.length, treated.length]);
  });

  it.each(['absolute', 'relative', 'adjusted'] as const)('gives the %s difference', (which) => {
    const [actual, { value, standardError, lower, upper }] = [comparison?.[which], expected[which]];
    expect(actual?.value).toBeCloseTo(value, 9);
    expect(actual?.standardError).toBeCloseTo(standardError, 9);
    expect(actual?.fixed.lower).toBeCloseTo(lower, 9);
    expect(actual?.fixed.upper).toBeCloseTo(upper, 9);
    const always = actual?.alwaysValid ?? { lower: Number.NaN, upper: Number.NaN };
    const factor = alwaysValidFactor(control.length + treated.length, 0.05, 5000);
    expect(always.upper - value).toBeCloseTo(factor * standardError, 9);
    expect(value - always.lower).toBeCloseTo(factor * standardError, 9);
  });

  it('gives the adjustment', () => {
    expect(comparison?.adjusted?.theta).toBeCloseTo(expected.theta, 12);
    expect(comparison?.adjusted?.varianceCut).toBeCloseTo(expected.varianceCut, 12);
  });
});

describe('alwaysValidFactor', () => {
  it.each([
    [200, 0.01, 300, 3.58488995179561],
    [1000, 0.05, 5000, 3.36388772578278],
    [5000, 0.05, 5000, 3.03520899037625],
    [1_000_000, 0.05, 5000, 3.65653646618481],
  ])('with %d people, alpha %d, tightest at %d, is %d', (users, alpha, tightest, expected) => {
    expect(alwaysValidFactor(users, alpha, tightest)).toBeCloseTo(expected, 12);
  });
});

describe('what cannot be said is not said', () => {
  const some = sum(
    contributions([
      [100, 1, 5, 1],
      [300, 1, 9, 1],
      [250, 1, 6, 1],
    ]),
  );
  const same = sum(
    contributions([
      [100, 1, 5, 1],
      [100, 1, 5, 1],
    ]),
  );

  it.each([
    ['one person', sum(contributions([[100, 1, 5, 1]]))],
    [
      'nothing to count',
      sum(
        contributions([
          [0, 0, 0, 0],
          [0, 0, 0, 0],
        ]),
      ),
    ],
  ])('with %s in an arm', (_, few) => {
    expect(compare(some, few)).toMatchObject({ absolute: undefined, relative: undefined, direction: 'unclear' });
    expect(compare(few, some)).toMatchObject({ absolute: undefined, adjusted: undefined, direction: 'unclear' });
  });

  it('where everybody is the same', () => {
    expect(compare(same, same)).toMatchObject({ absolute: undefined, relative: undefined });
    expect(compare(same, some).absolute).toBeDefined();
  });

  it('in parts of a control that may be 0', () => {
    const around0 = sum(
      contributions([
        [-100, 1, 5, 1],
        [130, 1, 9, 1],
        [50, 1, 6, 1],
      ]),
    );
    expect(compare(around0, some)).toMatchObject({ relative: undefined });
    expect(compare(around0, some).absolute).toBeDefined();
  });

  it('of a time before that nobody was there', () => {
    const fresh = sum(
      contributions([
        [100, 1, 0, 0],
        [300, 1, 0, 0],
      ]),
    );
    expect(compare(fresh, some, { minUsersBefore: 1 }).adjusted).toBeUndefined();
  });

  it.each([
    [9, 10, false],
    [10, 9, false],
    [10, 10, true],
  ])('as an adjustment, from too few people: %d of one arm and %d of the other', (one, other, isEnough) => {
    const arm = (known: number) =>
      sum(
        Array.from({ length: 30 }, (_, i) => ({
          ...{ total: i * i, count: 1 },
          ...(i < known ? { totalBefore: 7 * i, countBefore: 2 } : { totalBefore: 0, countBefore: 0 }),
        })),
      );
    expect(compare(arm(one), arm(other)).adjusted !== undefined).toBe(isEnough);
  });

  it('as an adjustment, where two people have most of what was before', () => {
    const arm = sum(
      Array.from({ length: 30 }, (_, i) => ({
        ...{ total: i * i, count: 1 },
        ...{ totalBefore: 7 * i, countBefore: i < 2 ? 1000 : 2 },
      })),
    );
    expect(compare(arm, arm).adjusted).toBeUndefined();
  });

  it('always, with too few people', () => {
    expect(compare(some, some, { minUsersPerArm: 3 }).absolute?.alwaysValid).toBeDefined();
    expect(compare(some, some, { minUsersPerArm: 4 })).toMatchObject({
      absolute: { alwaysValid: undefined },
      direction: 'unclear',
    });
  });

  it('without the control', () => expect(() => analyse(new Map([['a', some]]), 'b')).toThrow(RangeError));

  it('as an adjustment, where all were the same before', () => {
    const alike = sum(
      contributions([
        [100, 1, 5, 1],
        [300, 1, 5, 1],
        [250, 1, 5, 1],
      ]),
    );
    expect(compare(alike, alike, { minUsersBefore: 2 })).toMatchObject({
      absolute: { value: 0 },
      adjusted: undefined,
      direction: 'unclear',
    });
  });
});

describe('directionOf', () => {
  it.each([
    [{ lower: 1, upper: 2 }, 'higher', 'better'],
    [{ lower: 1, upper: 2 }, 'lower', 'worse'],
    [{ lower: -2, upper: -1 }, 'higher', 'worse'],
    [{ lower: -2, upper: -1 }, 'lower', 'better'],
    [{ lower: -1, upper: 1 }, 'lower', 'unclear'],
    [{ lower: 0, upper: 1 }, 'higher', 'unclear'],
    [{ lower: -1, upper: 0 }, 'higher', 'unclear'],
    [{ lower: Number.NaN, upper: Number.NaN }, 'higher', 'unclear'],
    [undefined, 'higher', 'unclear'],
  ] as const)('of %o, %s is better: %s', (interval, better, expected) => {
    expect(directionOf(interval, better)).toBe(expected);
  });

  it('is not that of the fixed interval, which only one look may trust', () => {
    const people = (mean: number) =>
      sum(
        Array.from({ length: 200 }, (_, i) => ({ total: mean + (i % 21), count: 1, totalBefore: 0, countBefore: 0 })),
      );
    const { absolute, direction } = compare(people(100), people(102));
    expect(directionOf(absolute?.fixed, 'higher')).toBe('better');
    expect(direction).toBe('unclear');
  });

  it('is that of a clear difference, both ways round', () => {
    const people = (mean: number) =>
      sum(
        Array.from({ length: 200 }, (_, i) => ({ total: mean + (i % 20), count: 1, totalBefore: 0, countBefore: 0 })),
      );
    expect(compare(people(100), people(200)).direction).toBe('better');
    expect(compare(people(100), people(200), { better: 'lower' }).direction).toBe('worse');
    expect(compare(people(200), people(100), { better: 'lower' }).direction).toBe('better');
  });
});

// Simulated people: each has a level of their own, so that decisions of one person are alike, and some decide far more
// often than others.

/** Mulberry32: small, seeded, good enough for simulations. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One decision's reward in thousandths: up to 400 from the person's level, up to 300 from chance. */
const reward = (level: number, next: () => number): number => Math.round(800 * (level - 0.5) + 600 * (next() - 0.5));

/** `effect` thousandths are added to every decision of the experiment, none to those before it. */
function person(next: () => number, effect: number): Contribution & { readonly squares: number } {
  const level = next();
  const decisions = () => 1 + Math.floor(12 * next() ** 2);
  const sumOf = (rewards: readonly number[]) => rewards.reduce((total, one) => total + one, 0);
  const [during, before] = [decisions(), next() < 0.2 ? 0 : decisions()].map((length) =>
    Array.from({ length }, () => reward(level, next)),
  );
  const rewards = (during ?? []).map((one) => one + effect);
  return {
    total: sumOf(rewards),
    count: rewards.length,
    totalBefore: sumOf(before ?? []),
    countBefore: before?.length ?? 0,
    squares: sumOf(rewards.map((one) => one * one)),
  };
}

const people = (size: number, next: () => number, effect = 0) =>
  Array.from({ length: size }, () => person(next, effect));
const covers = (interval: { lower: number; upper: number } | undefined, truth: number) =>
  interval !== undefined && interval.lower <= truth && truth <= interval.upper;
const share = (values: readonly boolean[]) => values.filter(Boolean).length / values.length;

describe('on simulated people', () => {
  const effect = 40;
  const runs = Array.from({ length: 500 }, (_, seed) => {
    const next = generator(seed);
    const [control, treated] = [people(70, next), people(110, next, effect)];
    return { seed, control, treated, comparison: compare(sum(control), sum(treated)) };
  });
  /** Four standard deviations of a share whose expected value is 95 %. */
  const slack = 4 * Math.sqrt((0.95 * 0.05) / runs.length);

  it('intervals cover the truth as often as they say', () => {
    for (const which of ['absolute', 'adjusted'] as const) {
      const covered = share(runs.map(({ comparison }) => covers(comparison[which]?.fixed, effect)));
      expect(covered, which).toBeGreaterThan(0.95 - slack);
      expect(covered, which).toBeLessThan(0.95 + slack);
    }
  });

  it('and of sums per person, where who is new counts as 0', () => {
    const perPerson = (arm: readonly Contribution[]) =>
      sum(arm.map(({ total, totalBefore }) => ({ total, count: 1, totalBefore, countBefore: 1 })));
    const comparisons = runs.map(({ seed }) => {
      const next = generator(30_000 + seed);
      return compare(perPerson(people(120, next)), perPerson(people(150, next)));
    });
    const covered = share(comparisons.map(({ adjusted }) => covers(adjusted?.fixed, 0)));
    expect(covered).toBeGreaterThan(0.95 - slack);
    expect(covered).toBeLessThan(0.95 + slack);
    expect(share(comparisons.map(({ adjusted }) => covers(adjusted?.alwaysValid, 0)))).toBeGreaterThan(0.95);
    const cuts = comparisons.map(({ adjusted }) => adjusted?.varianceCut ?? 0);
    expect(cuts.reduce((total, cut) => total + cut, 0) / runs.length).toBeGreaterThan(0.2);
  });

  it('but not of means before that are those of one and of two people: there is none', () => {
    const comparisons = runs.map(({ seed }) => {
      const next = generator(40_000 + seed);
      const arm = (known: number) =>
        sum(people(100, next).map((one, i) => (i < known ? one : { ...one, totalBefore: 0, countBefore: 0 })));
      const arms = [arm(1), arm(2)] as const;
      return [10, 1].map((minUsersBefore) => compare(...arms, { minUsersBefore }).adjusted);
    });
    expect(comparisons.every(([guarded]) => guarded === undefined)).toBe(true);
    const there = comparisons.flatMap(([, bare]) => bare ?? []);
    expect(share(there.map(({ fixed }) => covers(fixed, 0)))).toBeLessThan(0.9); // it would have covered too little
  });

  it('an interval that takes decisions for independent covers far less', () => {
    const naive = runs.map(({ control, treated }) => {
      const [a, b] = [control, treated].map((arm) => {
        const n = arm.reduce((total, { count }) => total + count, 0);
        const mean = arm.reduce((total, one) => total + one.total, 0) / n;
        return { mean, variance: (arm.reduce((total, { squares }) => total + squares, 0) / n - mean ** 2) / n };
      });
      if (!a || !b) return false;
      const half = 1.96 * Math.sqrt(a.variance + b.variance);
      return covers({ lower: b.mean - a.mean - half, upper: b.mean - a.mean + half }, effect);
    });
    expect(share(naive)).toBeLessThan(0.85);
  });

  it('the adjustment moves no estimate on average, and shrinks its interval', () => {
    const adjusted = runs.map(({ comparison }) => comparison.adjusted?.value ?? Number.NaN);
    const mean = adjusted.reduce((total, value) => total + value, 0) / runs.length;
    const variance = adjusted.reduce((total, value) => total + (value - mean) ** 2, 0) / (runs.length - 1);
    expect(Math.abs(mean - effect)).toBeLessThan(4 * Math.sqrt(variance / runs.length));
    const cuts = runs.map(({ comparison }) => comparison.adjusted?.varianceCut ?? 0);
    expect(cuts.reduce((total, cut) => total + cut, 0) / runs.length).toBeGreaterThan(0.2);
    expect(Math.min(...cuts)).toBeGreaterThan(0);
  });
});

describe('looking again and again at arms that are the same', () => {
  const alpha = 0.1;
  const options = { alpha, tightestAtUsers: 600, minUsersPerArm: 50 };
  const runs = 200;
  /** Whether an interval that is looked at after every few people excluded 0 at any of the looks. */
  function errors(look: (seed: number) => readonly (Comparison | undefined)[]) {
    const looked = Array.from({ length: runs }, (_, seed) => look(seed));
    const wrong = (pick: (comparison: Comparison) => { lower: number; upper: number } | undefined) =>
      share(
        looked.map((comparisons) =>
          comparisons.some((one) => {
            const interval = one && pick(one);
            return interval !== undefined && !covers(interval, 0);
          }),
        ),
      );
    return {
      always: wrong(({ absolute }) => absolute?.alwaysValid),
      adjusted: wrong(({ adjusted }) => adjusted?.alwaysValid),
      fixed: wrong(({ absolute }) => (absolute?.alwaysValid ? absolute.fixed : undefined)),
    };
  }
  /** Four standard deviations above `alpha`, for the number of runs. */
  const limit = alpha + 4 * Math.sqrt((alpha * (1 - alpha)) / runs);

  it('is wrong no more often than it says, while people come in', () => {
    const { always, adjusted, fixed } = errors((seed) => {
      const next = generator(10_000 + seed);
      let arms: readonly [Moments, Moments] | undefined;
      return Array.from({ length: 30 }, () => {
        const [a, b] = [sum(people(20, next)), sum(people(20, next))];
        arms = arms ? [addMoments(arms[0], a), addMoments(arms[1], b)] : [a, b];
        return compare(...arms, options);
      });
    });
    expect(always).toBeLessThan(limit);
    expect(adjusted).toBeLessThan(limit);
    expect(fixed).toBeGreaterThan(0.25);
  });

  it('nor while those who are there go on deciding', () => {
    const { always, fixed } = errors((seed) => {
      const next = generator(20_000 + seed);
      const everybody: { level: number; arm: number; total: number; count: number }[] = [];
      return Array.from({ length: 15 }, () => {
        for (let i = 0; i < 24; i++) everybody.push({ level: next(), arm: everybody.length % 2, total: 0, count: 0 });
        for (const one of everybody) {
          if (next() < 0.4) continue;
          one.total += reward(one.level, next);
          one.count += 1;
        }
        const [control, treated] = [0, 1].map((arm) =>
          sum(everybody.filter((one) => one.arm === arm).map((one) => ({ ...one, totalBefore: 0, countBefore: 0 }))),
        );
        return control && treated && compare(control, treated, options);
      });
    });
    expect(always).toBeLessThan(limit);
    expect(fixed).toBeGreaterThan(0.12);
  });
});
