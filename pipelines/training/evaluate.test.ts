import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawsOf, seedOf } from '../../experiments/draw.ts';
import { type LinearArtifact, predictReward, readArtifact } from '../../experiments/models/artifact.ts';
import { estimate } from '../../experiments/policies/policy.ts';
import { priorOf } from '../../experiments/policies/prior.ts';
import { vectorNames } from '../../features/vector.ts';
import type { Evaluation } from '../../registry/card.ts';
import { examplesOf, heldOutOf, quietWorld, type World } from '../../tests/_util/training-examples.ts';
import type { TrainingExample } from '../training-set.ts';
import { evaluate } from './evaluate.ts';
import { areaUnderCurve, disparityOf, figureOf, meanOf, medianOf, type Part, peopleMin, rootOf } from './measures.ts';
import { writeTrainingSet } from './parquet.ts';
import { openTrainingFile, type TrainingFile } from './read.ts';
import { type ModelKind, train } from './train.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oo-training-'));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function fileOf(
  examples: Iterable<TrainingExample>,
  options: { features?: 'profile' } = {},
): Promise<TrainingFile> {
  const path = join(folder, `${++files}.parquet`);
  async function* stream() {
    yield* examples;
  }
  await writeTrainingSet(stream(), { path, ...options });
  return openTrainingFile(path);
}

const truth = vectorNames.map((name) => (name === 'is_overdue' ? 0.3 : name === 'dismiss_rate_30d' ? -0.2 : 0));
const world: World = {
  ...quietWorld,
  seed: 'a',
  people: 1_400,
  expected: (vector) => 1000 * estimate(truth, vector),
};

describe('training', () => {
  it.each<ModelKind>(['linear', 'logistic'])(
    'a %s model gives the same bytes for the rows in another order',
    async (kind) => {
      const examples = [...examplesOf({ ...world, people: 60 })];
      const [one, other] = [await fileOf(examples), await fileOf(examples.toReversed())];
      const [first, second] = [await train(one, kind), await train(other, kind)];
      expect(second.text).toBe(first.text);
      expect(second).toEqual(first);
      expect(readArtifact(first.text)).toEqual(first.artifact);
    },
  );

  it.each<ModelKind>(['linear', 'logistic'])('says what became of each row, of a %s model', async (kind) => {
    const examples = [...examplesOf({ ...world, people: 60 })];
    const [a, b, c] = examples.filter((each) => !heldOutOf(examples, 0.2).includes(each));
    const of = (example: TrainingExample | undefined, changes: object, row: object = {}) =>
      ({ ...example, ...changes, row: { ...example?.row, ...row } }) as TrainingExample;
    const more = [of(a, {}, { reward_milli: null }), of(b, { vectorVersion: '0' }), of(c, {}, { vector: [5000] })];
    const { rows } = await train(await fileOf([...examples, ...more]), kind);
    const heldOut = heldOutOf(examples, 0.2).length;
    expect(rows).toEqual({ read: 303, used: 300 - heldOut, heldOut, withoutReward: 1, otherVectors: 1, impossible: 1 });
  });

  it('never sees the people who are held out', async () => {
    const examples = [...examplesOf({ ...world, people: 60 })];
    const heldOut = new Set(heldOutOf(examples, 0.2));
    const others = examples.map((each) =>
      heldOut.has(each) ? { ...each, row: { ...each.row, reward_milli: 1000 } } : each,
    );
    expect((await train(await fileOf(others), 'linear')).text).toBe(
      (await train(await fileOf(examples), 'linear')).text,
    );
  });

  it('gives a logistic model a linear one to stand in for it, with how much it repeats', async () => {
    const { surrogate, artifact } = await train(await fileOf(examplesOf({ ...world, people: 300 })), 'logistic');
    expect(surrogate?.artifact.kind).toBe('linear');
    expect(surrogate?.rSquared).toBeGreaterThan(0.9);
    expect(artifact.kind).toBe('logistic');
  });
});

describe('an evaluation', () => {
  let file: TrainingFile;
  let evaluation: Evaluation;
  let artifact: LinearArtifact;
  const examples = [...examplesOf(world)];
  const heldOut = heldOutOf(examples, 0.2);
  beforeAll(async () => {
    file = await fileOf(examples);
    const trained = await train(file, 'linear');
    if (trained.artifact.kind === 'linear') artifact = trained.artifact;
    evaluation = await evaluate(file, artifact, { minGroupPeople: 40 });
  });

  const errors = () => heldOut.map(({ row }) => predictReward(artifact, row.vector) - (row.reward_milli ?? 0) / 1000);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

  it('measures on the people who are held out, and on nobody else', () => {
    expect(evaluation.rows).toBe(heldOut.length);
    expect(evaluation.people).toBe(new Set(heldOut.map(({ person }) => person)).size);
    expect(evaluation.errors.rmse).toMatchObject({
      value: expect.closeTo(Math.sqrt(mean(errors().map((e) => e * e))), 10),
    });
    expect(evaluation.errors.mae).toMatchObject({ value: expect.closeTo(mean(errors().map(Math.abs)), 10) });
    expect(evaluation.errors.meanError).toMatchObject({ value: expect.closeTo(mean(errors()), 10) });
  });

  it('says how much better the model is than the mean and than the prior in use', () => {
    const [constant, prior] = evaluation.baselines;
    const prediction = priorOf(12).mean;
    const ofPrior = heldOut.map(({ row }) => (estimate(prediction, row.vector) - (row.reward_milli ?? 0) / 1000) ** 2);
    expect(prior).toMatchObject({
      name: 'prior in use: prior-1',
      rmse: { value: expect.closeTo(Math.sqrt(mean(ofPrior)), 10) },
    });
    expect(constant?.name).toBe('mean reward of the training rows');
    for (const each of [constant, prior]) {
      const saved = each?.rmseSaved.value ?? Number.NaN;
      expect(saved).toBeCloseTo((each?.rmse.value ?? 0) - (evaluation.errors.rmse.value ?? 0), 10);
      expect(each?.rmseSaved).toMatchObject({ low: expect.toSatisfy((low: number) => low > 0 && low < saved) });
    }
  });

  it('is plain JSON, the same for the same file and model', async () => {
    expect(JSON.parse(JSON.stringify(evaluation))).toEqual(evaluation);
    expect(await evaluate(file, artifact, { minGroupPeople: 40 })).toEqual(evaluation);
  });

  it('calibrates by tenths of the predictions, which hold all rows', () => {
    const { calibration } = evaluation;
    if ('reason' in calibration) throw new Error(calibration.reason);
    expect(calibration).toHaveLength(10);
    const rows = calibration.map(({ reward }) => (reward.value === null ? 0 : (reward.rows ?? 0)));
    expect(rows.reduce((sum, each) => sum + each, 0)).toBe(heldOut.length);
    for (const [i, { from, to }] of calibration.entries()) {
      expect(from).toBeLessThanOrEqual(to);
      if (i > 0) expect(from).toBeGreaterThanOrEqual(calibration[i - 1]?.to ?? 0);
    }
  });

  it('has every row in one group of each slice, and names small groups without numbers', () => {
    const slices = Object.groupBy(evaluation.slices, ({ slice }) => slice);
    expect(Object.keys(slices)).toEqual([
      'tip_kind',
      'tip_source',
      'hour',
      'tenure',
      'time_zone_area',
      'activity',
      'integrations',
    ]);
    for (const groups of Object.values(slices))
      expect(groups?.reduce((sum, { rows }) => sum + rows, 0)).toBe(heldOut.length);
    for (const { people, suppressed, rmse, group } of evaluation.slices) {
      if (people < 40)
        expect([group, suppressed, rmse]).toEqual([group, `${people} people, and 40 are needed`, undefined]);
      else expect(rmse?.value).toBeGreaterThan(0);
    }
    expect(evaluation.slices.some(({ suppressed }) => suppressed)).toBe(true);
  });

  it('compares groups by who is selected, what they got, and whom selection misses', () => {
    const { fairness, selectedAbove } = evaluation;
    const predictions = heldOut.map(({ row }) => predictReward(artifact, row.vector));
    expect(selectedAbove).toBe(medianOf(Float64Array.from(predictions)));
    expect(fairness.map(({ segment }) => segment)).toEqual(['activity', 'integrations']);
    const served = (example: TrainingExample) => Number(example.row.features.tips_served_30d);
    const regular = heldOut.filter((example) => served(example) >= 60);
    const isSelected = ({ row }: TrainingExample) => predictReward(artifact, row.vector) > Number(selectedAbove);
    const isPositive = ({ row }: TrainingExample) => (row.reward_milli ?? 0) > 0;
    const rate = (of: readonly TrainingExample[]) => of.filter(isSelected).length / of.length;
    const found = (name: 'selectionRate' | 'truePositiveRate' | 'falsePositiveRate' | 'reward') =>
      fairness[0]?.[name].groups.find(({ group }) => group === 'regular')?.figure.value;
    expect(found('selectionRate')).toBeCloseTo(rate(regular), 10);
    expect(found('truePositiveRate')).toBeCloseTo(rate(regular.filter(isPositive)), 10);
    expect(found('falsePositiveRate')).toBeCloseTo(rate(regular.filter((each) => !isPositive(each))), 10);
    expect(found('reward')).toBeCloseTo(
      mean(regular.filter(isSelected).map(({ row }) => (row.reward_milli ?? 0) / 1000)),
      10,
    );
    expect(fairness[0]?.suppressed).toEqual(['new']);
    const { difference, between, groups } = fairness[1]?.selectionRate ?? {};
    const values = groups?.map(({ figure }) => figure.value ?? 0) ?? [];
    expect(difference?.value).toBeCloseTo(Math.max(...values) - Math.min(...values), 10);
    expect(between).toHaveLength(2);
  });

  it('says what the model alone would have earned, or what forbids to say so', async () => {
    const { offPolicy } = evaluation;
    expect(offPolicy.checks.filter(({ passes }) => !passes)).toEqual([]);
    expect(offPolicy.gain).toMatchObject({
      value: expect.toSatisfy((gain: number) => gain > 0.05),
      people: evaluation.people,
    });
    const few = await evaluate(await fileOf(examplesOf({ ...world, people: 60 })), artifact);
    expect(few.offPolicy.value).toMatchObject({
      value: null,
      reason: expect.stringContaining('effective sample size'),
    });
  });

  it('is about probabilities where the model has them', async () => {
    expect(evaluation.classification).toMatchObject({ value: null });
    const { artifact: logistic } = await train(file, 'logistic');
    const { classification } = await evaluate(file, logistic);
    if ('reason' in classification) throw new Error(classification.reason);
    const { auc, logLoss, logLossSaved } = classification;
    expect(auc.value).toBeGreaterThan(0.6);
    expect(logLoss.value).toBeLessThan(Math.LN2);
    expect(logLossSaved.value).toBeGreaterThan(0);
  });

  it('gives a reason for every number that it cannot compute', async () => {
    const empty = await evaluate(await fileOf([]), artifact);
    expect(empty).toMatchObject({
      rows: 0,
      errors: { rmse: { value: null, reason: 'nobody who is held out has a reward' } },
      calibration: { value: null, reason: '0 rows, and 10 are needed' },
      selectedAbove: null,
      offPolicy: { value: { value: null, reason: 'the log is empty' } },
    });
    expect(JSON.parse(JSON.stringify(empty))).toEqual(empty);
    const profile = await evaluate(await fileOf(examples.slice(0, 50), { features: 'profile' }), artifact);
    expect(profile.notKnown.map(({ name }) => name)).toEqual(['locale', 'activity', 'integrations']);
    expect(profile.fairness).toEqual([]);
    expect(evaluation.notKnown.map(({ name }) => name)).toEqual(['locale']);
  });
});

describe('an interval', () => {
  /** People who differ, with some rows each. */
  function sampleOf(seed: number, people: number, rowsEach: number) {
    const draws = drawsOf(seedOf(`sample ${seed}`));
    const personOf = Int32Array.from({ length: people * rowsEach }, (_, row) => Math.floor(row / rowsEach));
    const value = (row: number) => draws.normal(personOf[row] ?? 0) + draws.normal(people + row);
    const part: Part = { rows: Int32Array.from(personOf.keys()), personOf, people };
    return { part, value };
  }

  const covers = (figure: ReturnType<typeof figureOf>, known: number) =>
    figure.value !== null && figure.low <= known && known <= figure.high;
  const share = (samples: number, is: (seed: number) => boolean) =>
    Array.from({ length: samples }, (_, seed) => is(seed)).filter(Boolean).length / samples;

  it('of a mean holds what is true in 95 of 100 samples, though the rows of a person are alike', () => {
    const held = share(400, (seed) => {
      const { part, value } = sampleOf(seed, 40, 8);
      return covers(figureOf(meanOf(part, value), ''), 0);
    });
    expect(held).toBeGreaterThan(0.92);
    expect(held).toBeLessThan(0.98);
  });

  it('of a root of a mean square, and of an area under the curve, does too', () => {
    const roots = share(300, (seed) => {
      const { part, value } = sampleOf(seed, 60, 5);
      return covers(figureOf(rootOf(meanOf(part, (row) => value(row) ** 2)), ''), Math.SQRT2);
    });
    expect(roots).toBeGreaterThan(0.9);
    expect(roots).toBeLessThan(0.985);
    // a score of mean 1 apart, with variance 2 in each class: P(above) = Phi(1 / 2), where different people are compared
    const areas = share(300, (seed) => {
      const { part, value } = sampleOf(seed, 80, 2);
      const isPositive = (row: number) => (part.personOf[row] ?? 0) % 2 === 0;
      return covers(
        figureOf(
          areaUnderCurve(part, (row) => value(row) + (isPositive(row) ? 1 : 0), isPositive),
          '',
        ),
        0.691462,
      );
    });
    expect(areas).toBeGreaterThan(0.91);
    expect(areas).toBeLessThan(0.985);
  });

  it('of the largest difference holds none where there is none, although the groups were picked after looking', () => {
    const held = share(300, (seed) => {
      const { part, value } = sampleOf(seed, 160, 2);
      const groups = [0, 1, 2, 3].map((group) => ({
        group: `${group}`,
        part: { ...part, rows: part.rows.filter((row) => (part.personOf[row] ?? 0) % 4 === group) },
      }));
      return covers(disparityOf(groups, (each) => meanOf(each, value)).difference, 0);
    });
    expect(held).toBeGreaterThan(0.92);
  });

  it('is as wide as a person more or less moves the number', () => {
    fc.assert(
      fc.property(fc.nat(1000), (seed) => {
        const { part, value } = sampleOf(seed, 30, 3);
        const all = meanOf(part, value);
        const influences = all?.influences ?? new Float64Array();
        expect(influences.reduce((sum, each) => sum + each, 0)).toBeCloseTo(0, 10);
        const without = meanOf({ ...part, rows: part.rows.filter((row) => part.personOf[row] !== 7) }, value);
        const moved = (all?.value ?? 0) - (without?.value ?? 0);
        expect(Math.abs(moved - (influences[7] ?? 0) * (30 / 29))).toBeLessThan(1e-9);
      }),
      { numRuns: 20 },
    );
  });

  it('is not given for fewer people than it is right for', () => {
    const { part, value } = sampleOf(1, peopleMin - 1, 5);
    expect(figureOf(meanOf(part, value), '')).toEqual({
      value: null,
      reason: '29 people, and 30 are needed for an interval',
    });
    expect(figureOf(undefined, 'no such rows')).toEqual({ value: null, reason: 'no such rows' });
  });
});

describe('an area under the curve', () => {
  const areaOf = (scores: readonly number[], positive: readonly boolean[]) => {
    const rows = Int32Array.from(scores.keys());
    const part = { rows, personOf: rows, people: rows.length };
    return areaUnderCurve(
      part,
      (row) => scores[row] ?? 0,
      (row) => positive[row] ?? false,
    );
  };

  it('is the share of pairs in the right order, ties half', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.boolean()), { maxLength: 30 }), (rows) => {
        const [positives, others] = [true, false].map((is) => rows.filter(([, positive]) => positive === is));
        const pairs = (positives ?? []).flatMap(([a]) => (others ?? []).map(([b]) => (a > b ? 1 : a === b ? 0.5 : 0)));
        const found = areaOf(
          rows.map(([score]) => score),
          rows.map(([, positive]) => positive),
        );
        if (pairs.length === 0) expect(found).toBeUndefined();
        else expect(found?.value).toBeCloseTo(pairs.reduce<number>((sum, each) => sum + each, 0) / pairs.length, 10);
      }),
    );
  });
});
