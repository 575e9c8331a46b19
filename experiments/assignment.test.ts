import { createHash } from 'node:crypto';
import { GrowthBookClient, type Experiment as GrowthBookExperiment } from '@growthbook/growthbook';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assign, assignOne, bucketsOf, hash, type NoArm, rangesOf } from './assignment.ts';
import type { Arm, Experiment } from './experiment.ts';

const armsOf = (weights: readonly number[]): readonly Arm[] =>
  weights.map((weight, i) => ({ key: `arm-${i}`, weight }));

const experimentOf = (change: Partial<Experiment> = {}): Experiment => ({
  key: 'tips',
  version: '1',
  status: 'running',
  seed: 'tips',
  hashVersion: 2,
  arms: armsOf([0.5, 0.5]),
  coverage: 1,
  forced: {},
  ...change,
});

/** The arm's key, or why there is none. */
const outcomeOf = (experiment: Experiment, userId: string, nowMs = 0, holdouts = [{ key: 'all', share: 0.1 }]) => {
  const assignment = assignOne(experiment, holdouts, userId, nowMs);
  if (assignment.kind === 'none') return assignment.reason;
  return assignment.kind === 'enrolled' ? 'enrolled' : assignment.arm.key;
};

/** Opaque ids. */
const people = Array.from({ length: 20_000 }, (_, i) => createHash('sha256').update(`${i}`).digest('hex').slice(0, 20));
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

const countBy = (keys: readonly string[]) => {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
};

/** Of two ways to sort the same people: how far the table of both is from independence. */
const chiSquare = (rows: readonly string[], columns: readonly string[]) => {
  const [byRow, byColumn] = [countBy(rows), countBy(columns)];
  const cells = countBy(rows.map((row, i) => `${row} ${columns[i]}`));
  return total(
    [...byRow].flatMap(([row, inRow]) =>
      [...byColumn].map(([column, inColumn]) => {
        const meant = (inRow * inColumn) / rows.length;
        return ((cells.get(`${row} ${column}`) ?? 0) - meant) ** 2 / meant;
      }),
    ),
  );
};

/** What chi-square stays below in 999 of 1,000 fair draws, by degrees of freedom. */
const limits = [0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46] as const;

describe('hash', () => {
  // The cases "hash" that every SDK of GrowthBook is tested with (packages/sdk-js/test/cases.json, specVersion 0.5.4).
  it.each([
    ['', 'a', 1, 0.22],
    ['', 'b', 1, 0.077],
    ['b', 'a', 1, 0.946],
    ['ef', 'd', 1, 0.652],
    ['asdf', '8952klfjas09ujk', 1, 0.549],
    ['', '123', 1, 0.011],
    ['', '___)((*":&', 1, 0.563],
    ['seed', 'a', 2, 0.0505],
    ['seed', 'b', 2, 0.2696],
    ['foo', 'ab', 2, 0.2575],
    ['foo', 'def', 2, 0.2019],
    ['89123klj', '8952klfjas09ujkasdf', 2, 0.124],
    ['90850943850283058242805', '123', 2, 0.7516],
    ['()**(%$##$%#$#', '___)((*":&', 2, 0.0128],
    ['abc', 'def', 99, undefined],
    ['abc', 'def', 0, undefined],
  ])('of seed %j and %j in version %d is %d', (seed, value, version, expected) => {
    expect(hash(seed, value, version)).toBe(expected);
  });

  // Worked out by other code, over the bytes of UTF-8, in Python.
  it.each([
    ['tips', 'Ærøskøbing', 1, 0.164],
    ['tips', 'Ærøskøbing', 2, 0.2535],
    ['tips', '李雷', 2, 0.6406],
    ['tips', '😀', 2, 0.3404],
    ['prøve', 'anna', 2, 0.474],
  ])('hashes UTF-8: seed %j and %j in version %d is %d', (seed, value, version, expected) => {
    expect(hash(seed, value, version)).toBe(expected);
  });
});

describe('the ranges of arms', () => {
  it.each([
    [
      [0.5, 0.5],
      1,
      [
        [0, 0.5],
        [0.5, 1],
      ],
    ],
    [
      [0.5, 0.5],
      0.5,
      [
        [0, 0.25],
        [0.5, 0.75],
      ],
    ],
    [
      [0.5, 0.5],
      0,
      [
        [0, 0],
        [0.5, 0.5],
      ],
    ],
    [
      [0.2, 0.3, 0.5],
      0.2,
      [
        [0, 0.04],
        [0.2, 0.26],
        [0.5, 0.6],
      ],
    ],
    [
      [0.4, 0.5999],
      1,
      [
        [0, 0.4],
        [0.4, 0.9999],
      ],
    ],
  ])('of weights %j with coverage %d are %j', (weights, coverage, expected) => {
    const ranges = rangesOf({ arms: armsOf(weights), coverage });
    for (const [i, { start, end }] of ranges.entries()) {
      expect(start).toBeCloseTo(expected[i]?.[0] ?? Number.NaN, 12);
      expect(end).toBeCloseTo(expected[i]?.[1] ?? Number.NaN, 12);
    }
    expect(ranges).toHaveLength(expected.length);
  });

  it('hold as many of the values of the hash as one counts', () => {
    const bound = fc.oneof(
      fc.double({ min: 0, max: 1.001, noNaN: true }),
      fc.integer({ min: 0, max: 10_000 }).map((k) => k / 10_000),
      fc.integer({ min: 0, max: 10_000 }).map((k) => 0.1 + k / 10_000),
    );
    fc.assert(
      fc.property(bound, bound, fc.constantFrom(1, 2), (start, end, version) => {
        const count = version === 1 ? 1000 : 10_000;
        let inside = 0;
        for (let k = 0; k < count; k++) if (start <= k / count && k / count < end) inside++;
        expect(bucketsOf({ start, end }, version)).toBe(inside);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a person', () => {
  const start = Date.parse('2026-12-01T00:00:00Z');
  const end = Date.parse('2026-12-08T00:00:00Z');
  const namespace = { key: 'n', from: 0, to: 1, hashVersion: 1 } as const;
  const forced = { 'person-0': 'arm-1', 'held-9': 'arm-0' };

  // person-0 has 0.2259 in the experiment, 0.983 in the namespace; person-1 0.167 in the experiment, 0.831 under the seed
  // "other"; person-2 0.9083 in the experiment; held-9 is in the holdout.
  it.each<[string, Partial<Experiment>, string, string]>([
    ['is drawn', {}, 'person-0', 'arm-0'],
    ['is drawn into another arm', {}, 'person-2', 'arm-1'],
    ['has another arm under another seed', { seed: 'other' }, 'person-1', 'arm-1'],
    ['on the border of two arms is in the second', { arms: armsOf([0.2259, 0.7741]) }, 'person-0', 'arm-1'],
    ['just before the border is in the first', { arms: armsOf([0.226, 0.774]) }, 'person-0', 'arm-0'],
    ['is left out by coverage', { coverage: 0.1 }, 'person-0', 'not-enrolled'],
    ['is left out by no coverage', { coverage: 0 }, 'person-0', 'not-enrolled'],
    ['is behind the last arm', { arms: armsOf([0.1, 0.1]) }, 'person-0', 'outside-weights'],
    ['gets no arm without weight', { arms: armsOf([0, 1]) }, 'person-1', 'arm-1'],
    ['is in the namespace', { namespace }, 'person-0', 'arm-0'],
    ['at the beginning of a namespace is in', { namespace: { ...namespace, from: 0.983 } }, 'person-0', 'arm-0'],
    ['at the end of a namespace is out', { namespace: { ...namespace, to: 0.983 } }, 'person-0', 'namespace'],
    ['is held out', { holdout: 'all' }, 'held-9', 'holdout'],
    ['is held out of what names the holdout only', {}, 'held-9', 'arm-1'],
    ['is in no unknown version', { hashVersion: 3 }, 'person-0', 'unknown-hash-version'],
    ['is in no draft', { status: 'draft' }, 'person-0', 'not-active'],
    ['is in nothing stopped', { status: 'stopped', holdout: 'all' }, 'held-9', 'not-active'],
    ['is forced', { forced }, 'person-0', 'arm-1'],
    ['is forced into a draft', { forced, status: 'draft' }, 'person-0', 'arm-1'],
    ['is forced past all else', { forced, coverage: 0, holdout: 'all', hashVersion: 3 }, 'held-9', 'arm-0'],
    ['is forced alone', { forced }, 'person-1', 'arm-0'],
    ['called like a property is not forced', {}, 'toString', 'arm-0'],
  ])('%s', (_, change, userId, expected) => {
    expect(outcomeOf(experimentOf(change), userId)).toBe(expected);
  });

  it.each([
    [start - 1, 'not-active'],
    [start, 'arm-0'],
    [end - 1, 'arm-0'],
    [end, 'not-active'],
  ])('at %d: %s', (nowMs, expected) => {
    expect(outcomeOf(experimentOf({ startMs: start, endMs: end }), 'person-0', nowMs)).toBe(expected);
  });

  it('forced into an arm has no propensity, so that no comparison counts them by accident', () => {
    const experiment = experimentOf({ forced: { anna: 'arm-1' } });
    expect(assignOne(experiment, [], 'anna', 0)).toEqual({ kind: 'forced', experiment, arm: experiment.arms[1] });
  });

  it('has a propensity that says what the hash does: 1,000 values in three parts are 334, 333, 333', () => {
    const thirds = experimentOf({ arms: armsOf([1 / 3, 1 / 3, 1 / 3]), hashVersion: 1 });
    const seen = new Map<string, number>();
    for (const userId of people) {
      const assignment = assignOne(thirds, [], userId, 0);
      if (assignment.kind === 'assigned') seen.set(assignment.arm.key, assignment.propensity);
    }
    expect([...seen].sort()).toEqual([
      ['arm-0', 0.334],
      ['arm-1', 0.333],
      ['arm-2', 0.333],
    ]);
  });

  it('has propensities over all arms that sum to 1, and none of zero', () => {
    fc.assert(
      fc.property(anyExperiment, fc.array(userIds, { minLength: 50, maxLength: 50 }), (experiment, ids) => {
        const seen = new Map<string, number>();
        for (const userId of ids) {
          const assignment = assignOne(experiment, [], userId, 0);
          if (assignment.kind !== 'assigned') continue;
          expect(assignment.propensity).toBeGreaterThan(0);
          seen.set(assignment.arm.key, assignment.propensity);
        }
        expect(total([...seen.values()])).toBeLessThanOrEqual(1 + 1e-12);
        if (seen.size === experiment.arms.length) expect(total([...seen.values()])).toBeCloseTo(1, 12);
      }),
    );
  });
});

const userIds = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 });
const seeds = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });

/** Weights as people write them (hundredths), and any. Some sum to a little less or more than 1, as far as is allowed. */
const weightLists = fc
  .tuple(
    fc.array(fc.nat(100), { minLength: 2, maxLength: 6 }).filter((parts) => total(parts) > 0),
    fc.constantFrom(1, 1, 0.9995, 1.0005),
  )
  .map(([parts, sum]) => parts.map((part) => (part * sum) / total(parts)));

const namespaces = fc
  .tuple(
    fc.string({ unit: 'grapheme-ascii', maxLength: 12 }),
    fc.nat(1000),
    fc.nat(1000),
    fc.constantFrom(1 as const, 2 as const),
  )
  .map(([key, a, b, hashVersion]) => ({ key, from: Math.min(a, b) / 1000, to: Math.max(a, b) / 1000, hashVersion }));

const coverages = fc.oneof(
  fc.constant(1),
  fc.nat(100).map((n) => n / 100),
  fc.double({ min: 0, max: 1, noNaN: true }),
);

const anyExperiment: fc.Arbitrary<Experiment> = fc
  .record({
    seed: seeds,
    hashVersion: fc.constantFrom(1, 2, 2, 3),
    arms: weightLists.map(armsOf),
    coverage: coverages,
    namespace: fc.option(namespaces, { nil: undefined }),
    status: fc.constantFrom<Experiment['status']>('running', 'running', 'running', 'draft'),
  })
  .map(experimentOf);

describe("GrowthBook's own SDK", () => {
  /** What it is told of an experiment of ours. */
  const toGrowthBook = (experiment: Experiment): GrowthBookExperiment<number> => {
    const { key, status, seed, hashVersion, arms, coverage, namespace } = experiment;
    const [first = 0, second = 1, ...rest] = arms.keys();
    const range: [number, number] = [namespace?.from ?? 0, namespace?.to ?? 1];
    return {
      key,
      seed,
      status,
      hashVersion,
      coverage,
      variations: [first, second, ...rest],
      weights: arms.map(({ weight }) => weight),
      ...(namespace?.hashVersion === 1 && { namespace: [namespace.key, ...range] }),
      ...(namespace?.hashVersion === 2 && {
        filters: [{ seed: `__${namespace.key}`, hashVersion: 2, ranges: [range] }],
      }),
    };
  };

  it('finds the same arm, for 2,000 random experiments and 20 random people each', () => {
    const growthBook = new GrowthBookClient();
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(anyExperiment, fc.array(userIds, { minLength: 20, maxLength: 20 }), (drawn, ids) => {
        const [forcedId = ''] = ids;
        const experiment = { ...drawn, forced: { [forcedId]: 'arm-1' } };
        const definition = toGrowthBook(experiment);
        for (const id of ids) {
          const forcedVariations = id === forcedId ? { [experiment.key]: 1 } : {};
          const result = growthBook.runInlineExperiment(definition, { attributes: { id }, forcedVariations });
          const ours = assignOne(experiment, [], id, 0);
          expect('arm' in ours ? experiment.arms.indexOf(ours.arm) : -1).toBe(
            result.inExperiment ? result.variationId : -1,
          );
          if (ours.kind === 'assigned') expect(ours.bucket).toBe(result.bucket);
          const outcome = ours.kind === 'none' ? ours.reason : ours.kind;
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        }
      }),
      { numRuns: 2000, seed: 20_261_123 },
    );
    // All ways to be in and out were met, and met often.
    const expected: readonly (NoArm | string)[] = ['assigned', 'forced', 'namespace', 'not-active', 'not-enrolled'];
    for (const outcome of expected) expect(seen.get(outcome), outcome).toBeGreaterThan(1000);
    expect(seen.get('unknown-hash-version')).toBeGreaterThan(100);
  });
});

describe('assignment', () => {
  it('is sticky: it depends on the person and the experiment, on nothing beside it', () => {
    fc.assert(
      fc.property(anyExperiment, anyExperiment, userIds, (experiment, other, userId) => {
        const alone = assignOne(experiment, [], userId, 0);
        const set = {
          version: '',
          experiments: [{ ...other, key: 'other' }, experiment],
          holdouts: [{ key: 'h', share: 0.5 }],
        };
        expect(assign(set, userId, 1e12)[1]).toEqual(alone);
      }),
    );
  });

  it('never moves anybody between arms while coverage grows, and lets nobody go', () => {
    fc.assert(
      fc.property(
        anyExperiment,
        coverages,
        coverages,
        fc.array(userIds, { minLength: 30, maxLength: 30 }),
        (drawn, a, b, ids) => {
          const [before, after] = [Math.min(a, b), Math.max(a, b)].map((coverage) => ({ ...drawn, coverage }));
          for (const userId of ids) {
            const was = outcomeOf(before ?? drawn, userId);
            if (was.startsWith('arm-')) expect(outcomeOf(after ?? drawn, userId)).toBe(was);
          }
        },
      ),
    );
  });

  it.each([
    [[0.5, 0.5], 1],
    [[0.5, 0.5], 0.1],
    [[0.1, 0.2, 0.7], 1],
    [[0.1, 0.2, 0.7], 0.3],
    [[0.05, 0.05, 0.3, 0.6], 0.5],
  ])('shares follow weights %j with coverage %d', (weights, coverage) => {
    const experiment = experimentOf({ arms: armsOf(weights), coverage });
    const counts = countBy(people.map((userId) => outcomeOf(experiment, userId)));
    const meant = [...weights.map((weight) => weight * coverage), 1 - coverage];
    const found = [...weights.map((_, i) => counts.get(`arm-${i}`) ?? 0), counts.get('not-enrolled') ?? 0];
    const cells = meant.map((share, i) =>
      share === 0 ? 0 : ((found[i] ?? 0) - share * people.length) ** 2 / (share * people.length),
    );
    expect(total(cells)).toBeLessThan(limits[meant.filter((share) => share > 1e-9).length - 1] ?? 0);
    expect(total(found)).toBe(people.length);
  });

  it('of a bandit keeps an arm for a share of people, always the same ones, and enrols whoever else is covered', () => {
    const bandit = { policy: 'ucb1', floor: 0.05, fixed: 0.1 } as const;
    const isArm = (outcome: string) => outcome.startsWith('arm-');
    const at = (coverage: number) => (id: string) => outcomeOf(experimentOf({ bandit, coverage }), id);
    const [half, all] = [people.map(at(0.5)), people.map(at(1))];
    expect(countBy(half).get('enrolled') ?? 0).toBeGreaterThan(0.38 * people.length);
    expect(countBy(half).get('enrolled') ?? 0).toBeLessThan(0.42 * people.length);
    const kept = (outcomes: readonly string[]) => outcomes.map((each) => (isArm(each) ? each : ''));
    expect(kept(half)).toEqual(kept(all));
    expect(kept(all).filter((each) => each !== '').length / people.length).toBeCloseTo(0.1, 1);
    expect(new Set(all.filter((each) => !isArm(each)))).toEqual(new Set(['enrolled']));
    const ordinary = people.map((id) => outcomeOf(experimentOf({ coverage: 0.1 }), id));
    expect(kept(all)).toEqual(kept(ordinary)); // as in an experiment without a bandit
    const drawn = people
      .map((id) => assignOne(experimentOf({ bandit }), [], id, 0))
      .filter(({ kind }) => kind === 'assigned');
    for (const each of drawn) expect(each).toMatchObject({ propensity: 0.5 });
  });

  it.each(['control', 'tips', 'a', 'b'])('who is enrolled says nothing about the arm: seed %s', (seed) => {
    const full = experimentOf({ seed, arms: armsOf([0.2, 0.3, 0.5]) });
    const arms = people.map((userId) => outcomeOf(full, userId));
    const enrolled = people.map((userId) => String(outcomeOf({ ...full, coverage: 0.1 }, userId).startsWith('arm-')));
    expect(chiSquare(arms, enrolled)).toBeLessThan(limits[2]);
    // Nine in ten would be in one arm only, were enrolment "the first tenth" of the same hash.
    expect(
      chiSquare(
        arms,
        people.map((userId) => String((hash(seed, userId, 2) ?? 0) < 0.1)),
      ),
    ).toBeGreaterThan(1000);
  });

  it.each([
    ['exp-1', 'exp-2'],
    ['prompt', 'policy'],
    ['a', 'b'],
    ['2026-11', '2026-12'],
  ])('the arm in one experiment says nothing about the arm in another: seeds %s and %s', (a, b) => {
    const [one, other] = [a, b].map((seed) => people.map((userId) => outcomeOf(experimentOf({ seed }), userId)));
    expect(chiSquare(one ?? [], other ?? [])).toBeLessThan(limits[1]);
  });

  it('holdout, namespace and arm say nothing about each other', () => {
    const arm = people.map((userId) => outcomeOf(experimentOf({ seed: 'x' }), userId));
    const namespaced = experimentOf({ seed: 'x', namespace: { key: 'x', from: 0, to: 0.5, hashVersion: 2 } });
    const inNamespace = people.map((userId) => String(outcomeOf(namespaced, userId) !== 'namespace'));
    const other = experimentOf({ seed: 'x', namespace: { key: 'y', from: 0, to: 0.5, hashVersion: 2 } });
    const inOther = people.map((userId) => String(outcomeOf(other, userId) !== 'namespace'));
    const holdouts = [{ key: 'x', share: 0.5 }];
    const heldOut = people.map((userId) =>
      String(outcomeOf(experimentOf({ holdout: 'x' }), userId, 0, holdouts) === 'holdout'),
    );
    for (const [a, b] of [
      [arm, inNamespace],
      [arm, heldOut],
      [inNamespace, heldOut],
      [inNamespace, inOther],
    ] as const) {
      expect(chiSquare(a, b)).toBeLessThan(limits[1]);
    }
  });

  it('a holdout keeps its share of people out of every experiment that names it, always the same ones', () => {
    const holdouts = [{ key: 'all', share: 0.05 }];
    const out = (change: Partial<Experiment>) =>
      people.filter((userId) => outcomeOf(experimentOf(change), userId, 0, holdouts) === 'holdout');
    const held = out({ holdout: 'all' });
    expect(Math.abs(held.length - 1000)).toBeLessThan(3.3 * Math.sqrt(950));
    expect(out({ holdout: 'all', seed: 'other', hashVersion: 1 })).toEqual(held);
    expect(out({})).toEqual([]);
  });

  it('disjoint parts of a namespace never both include a person', () => {
    fc.assert(
      fc.property(
        namespaces,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(userIds, { minLength: 50, maxLength: 50 }),
        (drawn, cut, ids) => {
          const parts = [
            { ...drawn, from: 0, to: cut },
            { ...drawn, from: cut, to: 1 },
          ];
          for (const userId of ids) {
            const within = parts.filter((namespace) => outcomeOf(experimentOf({ namespace }), userId) !== 'namespace');
            expect(within).toHaveLength(1);
          }
        },
      ),
    );
  });
});
