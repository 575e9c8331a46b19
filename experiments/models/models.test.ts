import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unit, type Vector, vectorNames } from '../../features/vector.ts';
import { drawsOf, seedOf } from '../draw.ts';
import { add, contributionOf, fitModel, noStatistics, subtract } from '../linear-model.ts';
import { estimate } from '../policies/policy.ts';
import {
  type Artifact,
  type LinearArtifact,
  predictReward,
  priorOfArtifact,
  probabilityPositive,
  RefusedArtifact,
  readArtifact,
  versionOfArtifact,
  writeArtifact,
} from './artifact.ts';
import { fitLinear, squaredErrors } from './linear.ts';
import { addPasses, advance, firstFit, type LogisticFit, RefusedRows, startPass, toLogistic } from './logistic.ts';
import { dimension, startRowSums, type TrainingRow } from './sums.ts';
import { startSurrogate } from './surrogate.ts';

const one = 1 / unit;
const anyVector = fc.array(fc.integer({ min: -one, max: one }), { minLength: dimension, maxLength: dimension });
const anyRow: fc.Arbitrary<TrainingRow> = fc.record({
  vector: anyVector,
  rewardMilli: fc.integer({ min: -1000, max: 1000 }),
});

/** Rows whose expected reward, or log-odds of a positive one, is known. */
function rowsOf(count: number, seed: string, toReward: (vector: Vector, draw: number) => number): TrainingRow[] {
  const draws = drawsOf(seedOf(seed));
  return Array.from({ length: count }, (_, i) => {
    const at = (j: number) => draws.uniform(i * (dimension + 1) + j);
    const vector = vectorNames.map((_, j) => Math.round((2 * at(j) - 1) * one));
    return { vector, rewardMilli: toReward(vector, at(dimension)) };
  });
}

const sumsOf = (rows: readonly TrainingRow[]) => {
  const sums = startRowSums();
  for (const row of rows) expect(sums.add(row)).toBe(true);
  return sums.read();
};

const linearOf = (folds: readonly (readonly TrainingRow[])[]) => fitLinear(folds.map(sumsOf)).artifact;

function logisticOf(parts: readonly (readonly TrainingRow[])[]) {
  let fit: LogisticFit = firstFit;
  for (;;) {
    const passes = parts.map((part) => {
      const pass = startPass(fit.weights);
      for (const row of part) pass.add(row);
      return pass.read();
    });
    const [first, ...more] = passes;
    if (!first) throw new Error('no parts');
    const sums = more.reduce(addPasses, first);
    fit = advance(fit, sums);
    if (fit.kind === 'done') return toLogistic(fit, sums);
  }
}

const truth = vectorNames.map((_, i) => [0.3, -0.2, 0.1, 0][i % 4] ?? 0);
const scoreOf = (vector: Vector) => estimate(truth, vector);
const linearRows = (count: number, seed = 'linear') =>
  rowsOf(count, seed, (vector, draw) => Math.round(1000 * (scoreOf(vector) * 0.5 + (draw - 0.5) * 0.4)));
const steep = 4;
const logisticRows = (count: number, seed = 'logistic') =>
  rowsOf(count, seed, (vector, draw) => (draw < 1 / (1 + Math.exp(-(0.5 + steep * scoreOf(vector)))) ? 800 : -200));

describe('sums of rows', () => {
  it('are what the policies add, to the last bit', () => {
    fc.assert(
      fc.property(fc.array(anyRow, { maxLength: 20 }), (rows) => {
        const added = rows.map(({ vector, rewardMilli }) => contributionOf(vector, rewardMilli));
        const expected = added.reduce(
          (sum, each) => add(sum ?? noStatistics(dimension), each ?? noStatistics(dimension)),
          noStatistics(dimension),
        );
        expect(sumsOf(rows)).toEqual(expected);
      }),
    );
  });

  it.each([
    ['a short vector', { vector: [1], rewardMilli: 0 }],
    ['a broken entry', { vector: vectorNames.map(() => 0.5), rewardMilli: 0 }],
    ['an entry beyond 1', { vector: vectorNames.map(() => one + 1), rewardMilli: 0 }],
    ['an entry that is no number', { vector: vectorNames.map(() => Number.NaN), rewardMilli: 0 }],
    ['a reward beyond 1', { vector: vectorNames.map(() => 0), rewardMilli: 1001 }],
  ])('take nothing of %s, nor does a pass', (_, row) => {
    const sums = startRowSums();
    expect(sums.add(row)).toBe(false);
    expect(sums.read()).toEqual(noStatistics(dimension));
    const pass = startPass(firstFit.weights);
    expect(pass.add(row)).toBe(false);
    expect(pass.read()).toEqual(startPass(firstFit.weights).read());
  });
});

describe('a linear model', () => {
  it('is the same, byte for byte, in whatever order the rows of each fold come and however folds are added', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(anyRow, { maxLength: 8 }), { minLength: 2, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        (folds, random) => {
          const shuffled = folds.map((fold) => fold.toSorted(() => (random.next().value % 3) - 1));
          const halves = shuffled.map((fold) => {
            const middle = fold.length >> 1;
            return add(sumsOf(fold.slice(middle)), sumsOf(fold.slice(0, middle)));
          });
          expect(writeArtifact(fitLinear(halves).artifact)).toBe(writeArtifact(linearOf(folds)));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('is what the policies believe of a population, so it is their prior as it is', () => {
    const { artifact } = fitLinear([sumsOf(linearRows(500))]);
    const zero = { version: '', mean: truth.map(() => 0), noise: 0.5, noiseCount: 20 };
    const model = fitModel(noStatistics(dimension), sumsOf(linearRows(500)), zero, { lambda: 20, kappa: 1 });
    expect(model).toMatchObject({ kind: 'model', mean: artifact.weights, noise: artifact.noise });
    const prior = priorOfArtifact(artifact);
    const untaught = fitModel(noStatistics(dimension), noStatistics(dimension), prior, { lambda: 20, kappa: 10 });
    expect(untaught).toMatchObject({ mean: artifact.weights, noise: artifact.noise });
    expect(prior).toMatchObject({ version: versionOfArtifact(artifact), noiseCount: 20 });
    expect(prior.version.length).toBeLessThanOrEqual(64);
  });

  it('finds the weights that the rewards were made with', () => {
    const found = linearOf([linearRows(4_000, 'a'), linearRows(4_000, 'b'), linearRows(4_000, 'c')]);
    for (const [i, weight] of found.weights.entries()) expect(weight).toBeCloseTo((truth[i] ?? 0) / 2, 2);
    expect(found.noise).toBeCloseTo(0.4 ** 2 / 12, 2);
  });

  it('chooses the strength that predicts best what the fit has not seen, as a loop over the rows finds it', () => {
    const folds = [linearRows(30, 'a'), linearRows(40, 'b'), linearRows(50, 'c')];
    const { tried, artifact } = fitLinear(folds.map(sumsOf));
    for (const { lambda, error } of tried) {
      const squares = folds.flatMap((fold) => {
        const others = sumsOf(folds.filter((other) => other !== fold).flat());
        const zero = { version: '', mean: truth.map(() => 0), noise: 0.5, noiseCount: 20 };
        const model = fitModel(noStatistics(dimension), others, zero, { lambda, kappa: 1 });
        if (model.kind !== 'model') throw new Error('refused');
        return fold.map(({ vector, rewardMilli }) => (estimate(model.mean, vector) - rewardMilli / 1000) ** 2);
      });
      expect(error).toBeCloseTo(squares.reduce((sum, each) => sum + each, 0) / squares.length, 10);
    }
    expect(tried).toHaveLength(7);
    expect(artifact.lambda).toBe(tried.toSorted((a, b) => a.error - b.error)[0]?.lambda);
    expect(artifact.lambda).not.toBe(fitLinear([sumsOf(folds.flat())]).artifact.lambda); // without folds: the standard
  });

  it('forgets everything where nothing is to be learnt: of noise, the strongest wins', () => {
    const noise = ['a', 'b', 'c'].map((seed) => rowsOf(60, seed, (_, draw) => Math.round(2000 * draw - 1000)));
    expect(linearOf(noise).lambda).toBeGreaterThanOrEqual(500);
  });

  it('has weights of 0 where there are no rows', () => {
    expect(fitLinear([]).artifact).toMatchObject({ weights: truth.map(() => 0), rows: 0, lambda: 20, noise: 0.5 });
  });
});

describe('a logistic model', () => {
  it('is the same, byte for byte, in any order and any split of the rows', () => {
    fc.assert(
      fc.property(fc.array(anyRow, { minLength: 4, maxLength: 30 }), fc.nat({ max: 30 }), (rows, at) => {
        fc.pre(rows.some(({ rewardMilli }) => rewardMilli > 0) && rows.some(({ rewardMilli }) => rewardMilli <= 0));
        const reversed = rows.toReversed();
        const split = [reversed.slice(at), reversed.slice(0, at)];
        expect(writeArtifact(logisticOf(split))).toBe(writeArtifact(logisticOf([rows])));
      }),
      { numRuns: 30 },
    );
  });

  it('adds exactly, however many rows there are: as many of a kind are that many times one', () => {
    const weights = [0.1, ...vectorNames.map((_, i) => i / 7)];
    const row = { vector: vectorNames.map((_, i) => one - 1 - i), rewardMilli: 0 }; // a reward of 0 is not positive
    const [single, many] = [startPass(weights), startPass(weights)];
    const times = 150_000; // beyond what a double adds
    single.add(row);
    for (let i = 0; i < times; i++) many.add(row);
    const [once, often] = [single.read(), many.read()];
    expect(once).toMatchObject({ rows: 1n, positive: 0n });
    expect(often.gradient).toEqual(once.gradient.map((each) => each * BigInt(times)));
    expect(often.curvature).toEqual(once.curvature.map((each) => each * BigInt(times)));
    expect(often.loss).toBe(once.loss * BigInt(times));
    expect((once.gradient[1] ?? 0n) * BigInt(times)).toBeGreaterThan(2n ** 53n);
  });

  it('finds the odds that the rewards were made with', () => {
    const found = logisticOf([logisticRows(20_000)]); // more than a block
    expect(found).toMatchObject({ converged: true, rows: 20_000, mean_positive: 0.8, mean_other: -0.2 });
    expect(found.iterations).toBeLessThan(12);
    expect(found.intercept).toBeCloseTo(0.5, 1);
    for (const [i, weight] of found.weights.entries())
      expect(Math.abs(weight - steep * (truth[i] ?? 0))).toBeLessThan(0.12);
  });

  it('ends where the penalised likelihood has no slope left', () => {
    const rows = logisticRows(400);
    const { intercept, weights, lambda } = logisticOf([rows]);
    const slope = new Array<number>(dimension + 1).fill(0);
    for (const { vector, rewardMilli } of rows) {
      const x = [1, ...vector.map((entry) => entry * unit)];
      const z = intercept + estimate(weights, vector);
      const error = 1 / (1 + Math.exp(-z)) - (rewardMilli > 0 ? 1 : 0);
      for (const [i, each] of x.entries()) slope[i] = (slope[i] ?? 0) + error * each;
    }
    for (const [i, each] of slope.entries())
      expect(Math.abs(each + (i === 0 ? 0 : lambda * (weights[i - 1] ?? 0)))).toBeLessThan(1e-4);
  });

  it('stays finite and ends where one entry tells the classes apart', () => {
    const rows = rowsOf(300, 'apart', (vector) => ((vector[0] ?? 0) > 0 ? 500 : -500));
    const found = logisticOf([rows]);
    expect(found.converged).toBe(true);
    expect(readArtifact(writeArtifact(found))).toEqual(found);
  });

  it('predicts the mean of both outcomes by their probabilities', () => {
    const found = logisticOf([logisticRows(500)]);
    const vector = vectorNames.map(() => 1000);
    const p = probabilityPositive(found, vector);
    expect(p).toBeCloseTo(1 / (1 + Math.exp(-(found.intercept + estimate(found.weights, vector)))), 12);
    expect(predictReward(found, vector)).toBeCloseTo(p * 0.8 - (1 - p) * 0.2, 12);
  });

  it.each([
    ['positive', 100],
    ['not', 0],
  ])('is refused where all rewards are %s', (_, milli) => {
    expect(() => logisticOf([rowsOf(10, 'one', () => milli)])).toThrow(RefusedRows);
    expect(() => logisticOf([[]])).toThrow(RefusedRows);
  });

  it('goes half the way back where a step made it worse, and gives up after 50 passes', () => {
    const pass = startPass(firstFit.weights);
    for (const row of logisticRows(50)) pass.add(row);
    const sums = pass.read();
    let fit = advance(firstFit, sums);
    const [gone] = fit.weights;
    fit = advance(fit, { ...sums, loss: sums.loss * 2n });
    expect(fit.weights[0]).toBeCloseTo((gone ?? 0) / 2, 12);
    while (fit.kind === 'running') fit = advance(fit, { ...sums, loss: sums.loss * 2n });
    expect(fit).toMatchObject({ passes: 50, converged: false, best: firstFit.weights });
  });
});

describe('a surrogate', () => {
  const rows = linearRows(2_000);
  const surrogateOf = (f: (vector: Vector) => number, of = rows) => {
    const surrogate = startSurrogate(f);
    for (const row of of) surrogate.add(row);
    return surrogate.fit();
  };

  it('is the other model where that is linear, in any order', () => {
    const { artifact, rSquared } = surrogateOf(scoreOf);
    for (const [i, weight] of artifact.weights.entries()) expect(weight).toBeCloseTo(truth[i] ?? 0, 2);
    expect(rSquared).toBeGreaterThan(0.99);
    expect(rSquared).toBeLessThanOrEqual(1);
    expect(artifact.noise).toBeGreaterThan(0.01); // that of the rewards, not of f
    expect(surrogateOf(scoreOf, rows.toReversed())).toEqual({ artifact, rSquared });
  });

  it('says how little it repeats of a model that is not', () => {
    expect(surrogateOf((vector) => Math.abs(scoreOf(vector))).rSquared).toBeLessThan(0.2);
    expect(surrogateOf(() => 0.25).rSquared).toBeNull();
  });
});

describe('an artifact', () => {
  const linear = linearOf([linearRows(50), linearRows(50, 'b')]);
  const logistic = logisticOf([logisticRows(200)]);
  const changed = (of: Artifact, fields: object) => JSON.stringify({ ...of, ...fields });
  const refusal = (text: string) => {
    try {
      readArtifact(text);
    } catch (error) {
      if (error instanceof RefusedArtifact) return error.message;
    }
    return undefined;
  };

  it('is read as it was written, and written as it was read', () => {
    const anyWeight = fc.double({ min: -1000, max: 1000, noNaN: true }).map((weight) => weight + 0);
    fc.assert(
      fc.property(fc.array(anyWeight, { minLength: dimension, maxLength: dimension }), (weights) => {
        for (const artifact of [
          { ...linear, weights },
          { ...logistic, weights },
        ] as const) {
          const text = writeArtifact(artifact);
          expect(readArtifact(text)).toEqual(artifact);
          expect(writeArtifact(readArtifact(text))).toBe(text);
        }
      }),
    );
  });

  it('has a version that changes with every weight', () => {
    const other: LinearArtifact = {
      ...linear,
      weights: linear.weights.map((weight, i) => (i === 3 ? weight + 1e-15 : weight)),
    };
    expect(versionOfArtifact(other)).not.toBe(versionOfArtifact(linear));
  });

  const { weights, entries } = linear;
  it.each([
    ['', 'artifact is no JSON'],
    ['null', 'artifact is no object'],
    ['[]', 'artifact is no object'],
    [' '.repeat(65_537), 'artifact is longer than 65536 characters'],
    [changed(linear, { kind: 'forest' }), 'kind is "forest": must be linear or logistic'],
    [changed(linear, { kind: undefined }), 'kind is undefined: must be linear or logistic'],
    [changed(linear, { format: 2 }), 'format is 2: must be 1'],
    [changed(linear, { vector_version: '0' }), 'vector_version is "0": must be 1'],
    [changed(linear, { entries: 'all' }), 'entries is "all": must be a list'],
    [changed(linear, { entries: ['mood', ...entries.slice(1)] }), 'entries has "mood", which is no entry of a vector'],
    [changed(linear, { entries: entries.slice(1) }), 'entries lacks hour_sin'],
    [changed(linear, { entries: [...entries, 'hour_sin'] }), 'entries has an entry twice'],
    [changed(linear, { entries: entries.toReversed() }), 'entries are in another order'],
    [changed(linear, { weights: undefined }), 'weights is missing'],
    [changed(linear, { weights: weights.slice(1) }), 'weights has 11 numbers for 12 entries'],
    [
      changed(linear, { weights: [null, ...weights.slice(1)] }),
      'weights 0 is null: must be a number from -1000 to 1000',
    ],
    [
      changed(linear, { weights }).replace(/"weights":\[[^,]*/, '"weights":[1e999'),
      'weights 0 is Infinity: must be a number from -1000 to 1000',
    ],
    [
      changed(linear, { weights: [...weights.slice(1), 1001] }),
      'weights 11 is 1001: must be a number from -1000 to 1000',
    ],
    [changed(linear, { noise: 0 }), 'noise is 0: must be a number from 1e-9 to 10'],
    [changed(linear, { noise: Number.NaN }), 'noise is null: must be a number from 1e-9 to 10'],
    [changed(linear, { rows: 1.5 }), 'rows is 1.5: must be a whole number from 0 to 9007199254740992'],
    [changed(linear, { lambda: -1 }), 'lambda is -1: must be a number from 0 to 1000000000'],
    [changed(linear, { reward_version: '' }), 'reward_version must be a text of 1 to 64 characters'],
    [changed(linear, { extra: 1 }), '"extra" is no field of such a model'],
    [changed(logistic, { noise: 1 }), '"noise" is no field of such a model'],
    [changed(logistic, { converged: 'yes' }), 'converged is "yes": must be true or false'],
    [changed(logistic, { mean_positive: 2 }), 'mean_positive is 2: must be a number from -1 to 1'],
    [changed(logistic, { intercept: undefined }), 'intercept is missing'],
  ])('is refused with the field and what is wrong with it: %.60s', (text, problem) => {
    expect(refusal(text)).toBe(problem);
  });
});

describe('taking a fold away', () => {
  it('leaves the others, to the last bit', () => {
    const [a, b] = [sumsOf(linearRows(20, 'a')), sumsOf(linearRows(20, 'b'))];
    expect(subtract(add(a, b), b)).toEqual(a);
    expect(squaredErrors(a, truth)).toBeCloseTo(
      linearRows(20, 'a').reduce(
        (sum, { vector, rewardMilli }) => sum + (scoreOf(vector) - rewardMilli / 1000) ** 2,
        0,
      ),
      10,
    );
  });
});
