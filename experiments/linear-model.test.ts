import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  contributionOf,
  fitModel,
  type Model,
  noStatistics,
  type Prior,
  type Problem,
  type Statistics,
  solveLower,
  solveUpper,
  subtract,
} from './linear-model.ts';

interface Seen {
  readonly vector: readonly number[];
  readonly reward: number;
}

const entries = 12;
const entry = fc.oneof(fc.integer({ min: -4096, max: 4096 }), fc.constantFrom(-4096, 0, 4096));
const seen = fc.record({
  vector: fc.array(entry, { minLength: entries, maxLength: entries }),
  reward: fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.constantFrom(-1000, 0, 1000)),
});
const history = fc.array(seen, { maxLength: 60 });

const contribution = ({ vector, reward }: Seen): Statistics => {
  const made = contributionOf(vector, reward);
  if (!made) throw new Error('not possible');
  return made;
};
const total = (history: readonly Seen[], length = entries) =>
  history.map(contribution).reduce(add, noStatistics(length));
const prior: Prior = {
  version: 'test',
  mean: Array.from({ length: entries }, (_, i) => (i - 5) / 10),
  noise: 0.5,
  noiseCount: 20,
};
const precisions = { lambda: 5, kappa: 10 };
const modelOf = (...given: Parameters<typeof fitModel>): Model => {
  const model = fitModel(...given);
  if (model.kind === 'refused') throw new Error(`${model.whose} ${model.problem}`);
  return model;
};

describe('statistics', () => {
  it('of one reward are its products, row by row', () => {
    expect(contributionOf([3, -2, 0], -500)).toEqual({
      count: 1,
      xx: [9, -6, 0, 4, 0, 0],
      xy: [-1500, 1000, 0],
      reward: -500,
      rewardSquared: 250_000,
    });
  });

  it.each<[string, readonly number[], number]>([
    ['an entry too large', [4097, 0], 0],
    ['an entry too small', [0, -4097], 0],
    ['an entry that is not whole', [0.5], 0],
    ['an entry that is no number', [Number.NaN], 0],
    ['an infinite entry', [Number.POSITIVE_INFINITY], 0],
    ['a reward too large', [1], 1001],
    ['a reward too small', [1], -1001],
    ['a reward that is not whole', [1], 0.5],
    ['a reward that is no number', [1], Number.NaN],
  ])('are not made of %s', (_, vector, reward) => {
    expect(contributionOf(vector, reward)).toBeUndefined();
  });

  it('are the same bits in any order and any split', () => {
    const shuffled = history.chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
        fc.nat(all.length),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([all, again, cut]) => {
        expect(add(total(again.slice(cut)), total(again.slice(0, cut)))).toEqual(total(all));
      }),
    );
  });

  it('lose what is taken away, to the last bit', () => {
    fc.assert(
      fc.property(history, seen, (all, corrected) => {
        const before = total(all);
        expect(subtract(add(before, contribution(corrected)), contribution(corrected))).toEqual(before);
      }),
    );
  });

  it('stay exact up to 2^29 rewards of the largest size', () => {
    let sum = contribution({ vector: [4096, -4096], reward: 1000 });
    for (let i = 0; i < 29; i++) sum = add(sum, sum);
    expect(sum.xx).toEqual([2 ** 53, -(2 ** 53), 2 ** 53]);
    expect(subtract(sum, contribution({ vector: [1, 0], reward: 1 })).xx[0]).toBe(2 ** 53 - 1);
  });

  it('of vectors of different lengths cannot be added', () => {
    expect(() => add(noStatistics(2), noStatistics(3))).toThrow(RangeError);
    expect(() => subtract(noStatistics(2), noStatistics(3))).toThrow(RangeError);
  });
});

/** The solution of (A + precision I) w = b, by Gauss and Jordan with pivoting; and its inverse. */
function gaussJordan(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] ?? 0]);
  for (let i = 0; i < rows.length; i++) {
    const best = rows.slice(i).reduce((a, b) => (Math.abs(b[i] ?? 0) > Math.abs(a[i] ?? 0) ? b : a));
    const from = rows.indexOf(best);
    [rows[i], rows[from]] = [best, rows[i] ?? []];
    for (const row of rows) {
      if (row === best) continue;
      const factor = (row[i] ?? 0) / (best[i] ?? 0);
      for (let j = i; j < row.length; j++) row[j] = (row[j] ?? 0) - factor * (best[j] ?? 0);
    }
  }
  return rows.map((row, i) => (row.at(-1) ?? 0) / (row[i] ?? 0));
}

/** Ridge regression as it is written in books, from the vectors themselves. */
function naiveRidge(all: readonly Seen[], mean: readonly number[], precision: number): number[] {
  const scaled = all.map(({ vector, reward }) => ({ x: vector.map((value) => value / 4096), y: reward / 1000 }));
  const matrix = mean.map((_, i) =>
    mean.map((_, j) => scaled.reduce((sum, { x }) => sum + (x[i] ?? 0) * (x[j] ?? 0), i === j ? precision : 0)),
  );
  const right = mean.map((start, i) => scaled.reduce((sum, { x, y }) => sum + (x[i] ?? 0) * y, precision * start));
  return gaussJordan(matrix, right);
}

const expectClose = (actual: readonly number[], expected: readonly number[], within: number) => {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) expect(Math.abs(value - (expected[i] ?? Number.NaN))).toBeLessThan(within);
};

describe('a model', () => {
  it('of one entry and two rewards is what one computes by hand', () => {
    const population = total([{ vector: [4096], reward: 1000 }], 1);
    const person = total([{ vector: [4096], reward: -1000 }], 1);
    const start = { version: 'test', mean: [0.5], noise: 0.5, noiseCount: 2 };
    const model = modelOf(person, population, start, { lambda: 1, kappa: 3 });
    // population: 0.5 + (1 - 0.5) / (1 + 1) = 0.75; noise (2 * 0.5 + 0.25^2 + 0.25^2) / 3 = 0.375
    // person: 0.75 + (-1 - 0.75) / (1 + 3) = 0.3125; noise (2 * 0.375 + 1.3125^2 + 3 * 0.4375^2) / 3 = 1.015625
    expect(model).toEqual({
      kind: 'model',
      mean: [0.3125],
      factor: Float64Array.of(2),
      noise: 1.015625,
      count: 1,
    });
  });

  it('with nothing seen is the prior, bit for bit', () => {
    const nothing = noStatistics(entries);
    const { mean, noise, factor } = modelOf(nothing, nothing, prior, precisions);
    expect(mean).toEqual(prior.mean);
    expect(noise).toBe(0.5);
    const identity = Array.from({ length: entries ** 2 }, (_, i) => (i % (entries + 1) === 0 ? Math.sqrt(10) : 0));
    expect([...factor]).toEqual(identity);
  });

  it('with nothing seen of the person is that of the population, bit for bit', () => {
    fc.assert(
      fc.property(history, (all) => {
        const population = total(all);
        const newcomer = modelOf(noStatistics(entries), population, prior, { lambda: 5, kappa: 10 });
        const hermit = modelOf(population, noStatistics(entries), prior, { lambda: 1, kappa: 5 });
        expect(newcomer.mean).toEqual(hermit.mean); // one step from the prior, wherever it is taken
        expect(newcomer.noise).toBe(hermit.noise);
      }),
    );
  });

  it('equals the naive solution of both steps within 1e-9', () => {
    fc.assert(
      fc.property(history, history, (person, population) => {
        const model = modelOf(total(person), total(population), prior, precisions);
        const everyone = naiveRidge(population, prior.mean, precisions.lambda);
        expectClose(model.mean, naiveRidge(person, everyone, precisions.kappa), 1e-9);
      }),
    );
  });

  it('has a noise that is the mean square of what is left over, and of the moves', () => {
    fc.assert(
      fc.property(history, history, (person, population) => {
        const squares = (
          all: readonly Seen[],
          start: readonly number[],
          weights: readonly number[],
          precision: number,
        ) =>
          all.reduce((sum, { vector, reward }) => {
            const left = reward / 1000 - vector.reduce((dot, x, i) => dot + (x / 4096) * (weights[i] ?? 0), 0);
            return sum + left * left;
          }, 0) + weights.reduce((sum, weight, i) => sum + precision * (weight - (start[i] ?? 0)) ** 2, 0);
        const everyone = naiveRidge(population, prior.mean, 5);
        const own = naiveRidge(person, everyone, 10);
        const common = (20 * 0.5 + squares(population, prior.mean, everyone, 5)) / (20 + population.length);
        const expected = (20 * common + squares(person, everyone, own, 10)) / (20 + person.length);
        expectClose([modelOf(total(person), total(population), prior, precisions).noise], [expected], 1e-9);
      }),
    );
  });

  it('of a person with very many rewards is theirs alone', () => {
    const all = Array.from({ length: 40 }, (_, i) => ({
      vector: Array.from({ length: entries }, (_, j) => ((i * i * 37 + j * j * 101 + i * j * 59) % 8193) - 4096),
      reward: ((i * 613) % 2001) - 1000,
    }));
    let often = total(all);
    for (let i = 0; i < 16; i++) often = add(often, often);
    const alone = naiveRidge(all, new Array<number>(entries).fill(0), 0);
    const shy = { ...prior, mean: prior.mean.map(() => -1) };
    expectClose(modelOf(often, noStatistics(entries), shy, precisions).mean, alone, 1e-4);
    expectClose(modelOf(often, total(all.slice(0, 9)), prior, precisions).mean, alone, 1e-4);
  });

  it('of fewer entries is that of the first entries alone, bit for bit', () => {
    fc.assert(
      fc.property(history, history, fc.integer({ min: 1, max: entries }), (person, population, few) => {
        const cut = (all: readonly Seen[]) =>
          total(
            all.map(({ vector, reward }) => ({ vector: vector.slice(0, few), reward })),
            few,
          );
        const start = { ...prior, mean: prior.mean.slice(0, few) };
        expect(modelOf(total(person), total(population), start, precisions)).toEqual(
          modelOf(cut(person), cut(population), start, precisions),
        );
      }),
    );
  });

  it('has a factor that gives the variance of any estimate', () => {
    fc.assert(
      fc.property(history, seen, (person, { vector }) => {
        const { factor } = modelOf(total(person), noStatistics(entries), prior, precisions);
        const x = vector.map((value) => value / 4096);
        const precision = x.map((_, i) =>
          x.map((_, j) =>
            person.reduce((sum, { vector: v }) => sum + ((v[i] ?? 0) / 4096) * ((v[j] ?? 0) / 4096), i === j ? 10 : 0),
          ),
        );
        const expected = gaussJordan(precision, x);
        const whitened = Float64Array.from(x);
        solveLower(factor, whitened);
        const variance = whitened.reduce((sum, value) => sum + value * value, 0);
        expectClose([variance], [x.reduce((sum, value, i) => sum + value * (expected[i] ?? 0), 0)], 1e-9);
        solveUpper(factor, whitened);
        expectClose([...whitened], expected, 1e-9);
      }),
    );
  });

  it('is the same bits when made again', () => {
    fc.assert(
      fc.property(history, history, (person, population) => {
        const make = () => modelOf(total(person), total(population), prior, precisions);
        expect(make()).toEqual(make());
      }),
    );
  });
});

describe('a state', () => {
  it('that rewards can lead to is never refused, however often they are repeated', () => {
    fc.assert(
      fc.property(fc.array(seen, { minLength: 1, maxLength: 6 }), fc.integer({ min: 0, max: 26 }), (all, doublings) => {
        let statistics = total(all);
        for (let i = 0; i < doublings; i++) statistics = add(statistics, statistics);
        const soft = { lambda: 0.001, kappa: 0.001 };
        for (const each of [precisions, soft]) {
          const { mean, noise } = modelOf(statistics, statistics, prior, each);
          expect([...mean, noise].every(Number.isFinite)).toBe(true);
        }
      }),
    );
  });

  const square = 2 ** 24;
  const sound: Statistics = {
    count: 100,
    xx: [50 * square, 0, 0, 50 * square, 0, 50 * square],
    xy: [0, 0, 0],
    reward: 10_000,
    rewardSquared: 50_000_000,
  };
  const start = { ...prior, mean: [0, 0, 0] };
  const apart = -0.9 * 50 * square; // three things cannot all be opposites of each other

  const impossible: readonly [string, Partial<Statistics>, Problem][] = [
    ['too few products', { xx: [0, 0, 0] }, 'wrong_length'],
    ['too many products', { xx: [...sound.xx, 0] }, 'wrong_length'],
    ['fewer entries than the model', { xx: [0, 0, 0], xy: [0, 0] }, 'wrong_length'],
    ['a count that is no number', { count: Number.NaN }, 'not_whole'],
    ['a part of a count', { count: 99.5 }, 'not_whole'],
    ['an infinite product', { xx: [Number.POSITIVE_INFINITY, ...sound.xx.slice(1)] }, 'not_whole'],
    ['a product that is no number', { xx: sound.xx.with(1, Number.NaN) }, 'not_whole'],
    ['a product too large to be exact', { xx: sound.xx.with(1, 2 ** 53) }, 'not_whole'],
    ['a product with a reward that is no number', { xy: [0, Number.NaN, 0] }, 'not_whole'],
    ['rewards that are no number', { reward: Number.NaN }, 'not_whole'],
    ['infinite squares of rewards', { rewardSquared: Number.POSITIVE_INFINITY }, 'not_whole'],
    ['a negative count', { count: -1 }, 'count_negative'],
    ['rewards too large', { reward: 100_001 }, 'rewards_impossible'],
    ['rewards too small', { reward: -100_001 }, 'rewards_impossible'],
    ['squares of rewards too large', { rewardSquared: 100_000_001 }, 'rewards_impossible'],
    ['negative squares of rewards', { rewardSquared: -1 }, 'rewards_impossible'],
    ['rewards whose squares are missing', { rewardSquared: 999_999 }, 'rewards_impossible'],
    ['rewards of no entries', { xx: sound.xx.map(() => 0), xy: [1, 0, 0] }, 'rewards_impossible'],
    ['entries that earned more than there is', { xy: [5_000_000_000, 0, 0] }, 'rewards_impossible'],
    ['entries that together earned more than there is', { xy: [180_000_000, 180_000_000, 0] }, 'rewards_impossible'],
    ['a negative square', { xx: sound.xx.with(0, -1) }, 'entries_impossible'],
    ['a negative square at the end', { xx: sound.xx.with(5, -1) }, 'entries_impossible'],
    ['a square too large', { xx: sound.xx.with(3, 100 * square + 1) }, 'entries_impossible'],
    ['a product larger than both squares', { xx: sound.xx.with(4, 50 * square + 1) }, 'entries_impossible'],
    ['a product without a square', { xx: sound.xx.with(5, 0).with(2, 1) }, 'entries_impossible'],
    [
      'products that exclude each other',
      { xx: [50 * square, apart, apart, 50 * square, apart, 50 * square].map(Math.round) },
      'not_positive_definite',
    ],
    [
      'products that exclude each other, by less than the model starts from',
      { xx: [5 * square, apart / 10, apart / 10, 5 * square, apart / 10, 5 * square].map(Math.round) },
      'not_positive_definite',
    ],
    ['something though nothing was seen', { count: 0 }, 'rewards_impossible'],
    ['entries though nothing was seen', { count: 0, reward: 0, rewardSquared: 0 }, 'entries_impossible'],
  ];

  it('that is sound is served: the ones below are refused for what is said of them', () => {
    expect(fitModel(sound, sound, start, precisions).kind).toBe('model');
  });

  it.each(impossible)('with %s is refused, of a person and of the population', (_, change, problem) => {
    const broken = { ...sound, ...change };
    expect(fitModel(broken, sound, start, precisions)).toEqual({ kind: 'refused', whose: 'person', problem });
    expect(fitModel(sound, broken, start, precisions)).toEqual({ kind: 'refused', whose: 'population', problem });
  });

  it.each<[string, Partial<Prior>]>([
    ['an expected weight', { mean: [0, Number.NaN, 0] }],
    ['an infinite weight', { mean: [Number.NEGATIVE_INFINITY, 0, 0] }],
    ['a noise', { noise: Number.NaN }],
  ])('is refused where the prior has no number for %s', (_, change) => {
    const refusal = { kind: 'refused', whose: 'prior', problem: 'not_finite' };
    expect(fitModel(sound, sound, { ...start, ...change }, precisions)).toEqual(refusal);
  });
});
