import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectorNames } from '../../features/vector.ts';
import { type Draws, policyDraws } from '../draw.ts';
import { add, contributionOf, emptyModel, fitModel, type Model, noStatistics } from '../linear-model.ts';
import { createEpsilonGreedy } from './epsilon-greedy.ts';
import { policies } from './index.ts';
import { createLinThompson } from './lin-thompson.ts';
import { createLinUcb } from './linucb-v1.ts';
import { contributions, estimate, type Policy } from './policy.ts';
import { random } from './random.ts';
import { createSoftmax } from './softmax.ts';
import { createSquareCb } from './square-cb.ts';

const entries = vectorNames.length;
const entry = fc.oneof(fc.integer({ min: -4096, max: 4096 }), fc.constantFrom(-4096, 0, 4096));
const vector = fc.array(entry, { minLength: entries, maxLength: entries });
const history = fc.array(fc.tuple(vector, fc.integer({ min: -1000, max: 1000 })), { maxLength: 20 });
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

const statisticsOf = (all: readonly (readonly [readonly number[], number])[]) =>
  all.map(([x, reward]) => contributionOf(x, reward) ?? noStatistics(entries)).reduce(add, noStatistics(entries));

function modelOf({ learning }: Policy, person = noStatistics(entries), population = person): Model {
  const model = learning ? fitModel(person, population, learning.prior, learning) : emptyModel;
  if (model.kind === 'refused') throw new Error(model.problem);
  return model;
}

const drawsFor = (policy: Policy, requestId = 'r') => policyDraws(requestId, policy);

/** With weights as given, of which nothing is doubted more than the factor says. */
const known = (mean: readonly number[], { count = 0, doubt = 1 } = {}): Model => ({
  kind: 'model',
  mean,
  factor: Float64Array.from({ length: mean.length ** 2 }, (_, i) => (i % (mean.length + 1) === 0 ? 1 / doubt : 0)),
  noise: 1,
  count,
});

const noDraws: Draws = {
  uniform: () => {
    throw new Error('drew a number');
  },
  normal: () => {
    throw new Error('drew a number');
  },
};

const expectClose = (actual: readonly number[], expected: readonly number[], within = 1e-12) => {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) {
    expect(Math.abs(value - (expected[i] ?? Number.NaN))).toBeLessThanOrEqual(within);
  }
};

describe.each([...policies.values()])('policy $name', (policy) => {
  const expectProper = (vectors: readonly (readonly number[])[], model: Model) => {
    const { scores, propensities } = policy.choose(model, vectors, drawsFor(policy));
    expect(scores).toHaveLength(vectors.length);
    expect(propensities).toHaveLength(vectors.length);
    expect(scores.every(Number.isFinite)).toBe(true);
    expect(Math.abs(sum(propensities) - 1)).toBeLessThanOrEqual(1e-12);
    const least = policy.leastPropensity(vectors.length);
    expect(least).toBeGreaterThan(0);
    for (const value of propensities) {
      expect(value).toBeGreaterThanOrEqual(least);
      expect(value).toBeLessThanOrEqual(1);
    }
  };

  it('gives every candidate its floor or more, and they sum to 1 within 1e-12', () => {
    fc.assert(
      fc.property(history, fc.array(vector, { minLength: 1, maxLength: 60 }), (all, vectors) => {
        expectProper(vectors, modelOf(policy, statisticsOf(all)));
      }),
    );
  });

  const ones = new Array<number>(entries).fill(1);
  const hostile: readonly [string, readonly (readonly number[])[]][] = [
    ['one candidate', [ones]],
    ['500 candidates', Array.from({ length: 500 }, (_, i) => ones.map((_one, j) => ((i * 31 + j * 17) % 8193) - 4096))],
    ['500 equal candidates', Array.from({ length: 500 }, () => ones)],
    ['nothing but zeros', [ones, ones, ones].map((each) => each.map(() => 0))],
    ['the largest entries', [ones.map(() => 4096), ones.map(() => -4096)]],
    ['entries beyond what features can be', [ones.map(() => 2 ** 31 - 1), ones.map(() => -(2 ** 31)), ones]],
    ['vectors cut short', [[], [4096], ones]],
    ['vectors too long', [[...ones, 4096], ones]],
  ];
  it.each(hostile)('is proper with %s', (_, vectors) => {
    const learnt = statisticsOf([
      [ones.map(() => 4096), -1000],
      [ones.map((_one, i) => (i % 2 ? 4096 : -4096)), 1000],
    ]);
    expectProper(vectors, modelOf(policy));
    expectProper(vectors, modelOf(policy, learnt));
  });

  it('gives the same bits for the same model, vectors and draws', () => {
    fc.assert(
      fc.property(history, fc.array(vector, { minLength: 1, maxLength: 20 }), fc.uuid(), (all, vectors, requestId) => {
        const choose = () => policy.choose(modelOf(policy, statisticsOf(all)), vectors, drawsFor(policy, requestId));
        expect(choose()).toEqual(choose());
      }),
    );
  });

  it('does not care in which order candidates come', () => {
    const shuffled = fc
      .array(vector, { minLength: 1, maxLength: 20 })
      .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray([...all.keys()], { minLength: all.length })));
    fc.assert(
      fc.property(history, shuffled, (all, [vectors, order]) => {
        const model = modelOf(policy, statisticsOf(all));
        const straight = policy.choose(model, vectors, drawsFor(policy));
        const mixed = policy.choose(
          model,
          order.map((i) => vectors[i] ?? []),
          drawsFor(policy),
        );
        expect(mixed.scores).toEqual(order.map((i) => straight.scores[i]));
        expectClose(
          mixed.propensities,
          order.map((i) => straight.propensities[i] ?? Number.NaN),
        );
      }),
    );
  });

  it('treats equal candidates the same', () => {
    fc.assert(
      fc.property(history, fc.array(vector, { minLength: 1, maxLength: 8 }), (all, vectors) => {
        const { propensities } = policy.choose(
          modelOf(policy, statisticsOf(all)),
          [...vectors, ...vectors],
          drawsFor(policy),
        );
        expectClose(propensities.slice(vectors.length), propensities.slice(0, vectors.length));
      }),
    );
  });

  it('explains a score as the sum of what each feature added', () => {
    fc.assert(
      fc.property(history, vector, (all, given) => {
        const model = modelOf(policy, statisticsOf(all));
        const { scores } = policy.choose(model, [given], drawsFor(policy));
        expect(sum(contributions(model.mean, given))).toBe(scores[0]);
        expect(estimate(model.mean, given)).toBe(scores[0]);
      }),
    );
  });

  it('prefers the overdue and important, unless it prefers nothing', () => {
    const plain = vectorNames.map(() => 0);
    const urgent = vectorNames.map((name) => (name === 'is_overdue' || name === 'priority_norm' ? 4096 : 0));
    const [first = 0, second = 0] = policy.choose(modelOf(policy), [plain, urgent], drawsFor(policy)).propensities;
    if (policy === random) expect(second).toBe(first);
    else expect(second).toBeGreaterThan(first);
  });

  it('unlearns what it believed when rewards say otherwise', () => {
    const plain = vectorNames.map(() => 0);
    const overdue = vectorNames.map((name) => (name === 'is_overdue' ? 4096 : 0));
    const model = modelOf(policy, statisticsOf(Array.from({ length: 200 }, () => [overdue, -1000] as const)));
    const [first = 0, second = 0] = policy.choose(model, [plain, overdue], drawsFor(policy)).propensities;
    if (policy === random) expect(second).toBe(first);
    else expect(second).toBeLessThan(first);
  });
});

const x = 4096;
/** Three candidates whose estimates are 0.3, 0 and 0.2. */
const three = [
  [x, 0],
  [0, 0],
  [0, x],
];
const twoWeights = [0.3, 0.2];

describe('the policies by hand', () => {
  it('random has no opinion', () => {
    expect(random.choose(emptyModel, three, noDraws)).toEqual({
      scores: [0, 0, 0],
      propensities: [1 / 3, 1 / 3, 1 / 3],
    });
  });

  it('epsilon greedy gives the best what is not explored', () => {
    const policy = createEpsilonGreedy({ name: 'e', code: 1, entries: 2 }, { epsilon: 0.3 });
    const { scores, propensities } = policy.choose(known(twoWeights), three, noDraws);
    expect(scores).toEqual([0.3, 0, 0.2]);
    expectClose(propensities, [0.8, 0.1, 0.1]);
  });

  it.each([
    // estimates 0.3, 0, 0.2; with lengths 1, 0, 1 all but the second could be 1 better
    [1, three, [0.96, 0.02, 0.02]],
    [0, three, [0.96, 0.02, 0.02]],
    // the last could be 0.1 + sqrt(2) = 1.514, more than 0.3 + 1
    [
      1,
      [
        [x, 0],
        [0, 0],
        [x, -x],
      ],
      [0.02, 0.02, 0.96],
    ],
    // with a tenth of that doubt it could be 0.2414, less than 0.3 + 0.1
    [
      0.1,
      [
        [x, 0],
        [0, 0],
        [x, -x],
      ],
      [0.96, 0.02, 0.02],
    ],
  ])('linucb with alpha %d of %o chooses what could be best: %o', (alpha, vectors, expected) => {
    const policy = createLinUcb({ alpha, epsilon: 0.06 });
    const { scores, propensities } = policy.choose(known(twoWeights), vectors, noDraws);
    expect(scores[0]).toBe(0.3);
    expectClose(propensities, expected);
  });

  it('linucb adds a length, not its square', () => {
    // 0.15 + 0.5 and 0.5 + 0.05; squared, they were 0.15 + 0.25 and 0.5 + 0.0025
    const policy = createLinUcb({ alpha: 1, epsilon: 0.06 });
    const given = [
      [x / 2, 0],
      [0, x / 20],
    ];
    expectClose(policy.choose(known([0.3, 10]), given, noDraws).propensities, [0.97, 0.03]);
  });

  it('linucb explores less where more was seen', () => {
    const policy = createLinUcb({ alpha: 1, epsilon: 0.06 });
    const sure = { ...known(twoWeights), factor: Float64Array.of(1, 0, 0, 10) };
    const { propensities } = policy.choose(
      sure,
      [
        [x, 0],
        [0, 2 * x],
      ],
      noDraws,
    ); // 0.3 + 1 and 0.4 + 0.2
    expectClose(propensities, [0.97, 0.03]);
  });

  it.each([
    [0, 0, [7 / 12, 1 / 6, 1 / 4]], // 1 / (3 + 10 * 0.3), 1 / (3 + 10 * 0.1)
    [3, 0, [1 - 1 / 9 - 1 / 5, 1 / 9, 1 / 5]], // gamma is 10 sqrt(1 + 3)
    [0, 0.1, [0.1 + 0.7 * (7 / 12), 0.1 + 0.7 / 6, 0.1 + 0.7 / 4]],
  ])('square-cb after %d rewards with a floor of %d weighs gaps: %o', (count, floor, expected) => {
    const policy = createSquareCb({ gamma: 10, floor });
    expectClose(policy.choose(known(twoWeights, { count }), three, noDraws).propensities, expected);
  });

  it('square-cb shares the rest among the best', () => {
    const { propensities } = createSquareCb({ gamma: 10, floor: 0 }).choose(known([0.7, 0.7]), three, noDraws);
    expectClose(propensities, [0.45, 0.1, 0.45]); // 1 / (3 + 10 * 0.7)
  });

  it('softmax halves for every step of the temperature', () => {
    const policy = createSoftmax({ temperature: 0.1 / Math.LN2, floor: 0 });
    // 0.3 - 0 is three steps, 0.3 - 0.2 is one
    expectClose(policy.choose(known(twoWeights), three, noDraws).propensities, [8 / 13, 1 / 13, 4 / 13]);
  });

  describe('thompson', () => {
    const always = (...values: readonly number[]): Draws => ({
      ...noDraws,
      normal: (counter) => values[(counter - 1) % values.length] ?? 0,
    });

    it.each([
      // weights 0.3 +- 1 and 0.2 +- 2: the third wins with 2.2, the second when both are negative
      [[1, 2], 1, [0, 0.5, 0.5]],
      // 0.3 +- 0.1 and 0.2 +- 0.2: 0.4 each is a draw, 0.2 against 0
      [[1, 2], 0.1, [0.75, 0, 0.25]],
      // too small to change anything
      [[1, 2], 0.01, [1, 0, 0]],
    ])('draws of %o with a doubt of %d win as %o', (values, doubt, expected) => {
      const model = known([0.3, 0.2], { doubt });
      expectClose(
        createLinThompson({ pairs: 4, scale: 1, floor: 0 }).choose(model, three, always(...values)).propensities,
        expected,
      );
      const policy = createLinThompson({ pairs: 1, scale: 1, floor: 0.1 });
      expectClose(
        policy.choose(model, three, always(...values)).propensities,
        expected.map((share) => 0.1 + 0.7 * share),
      );
    });

    it('scales what it draws by the noise', () => {
      const model = { ...known([0.3, 0.2], { doubt: 1 }), noise: 0.0001 };
      const policy = createLinThompson({ pairs: 1, scale: 1, floor: 0 });
      expect(policy.choose(model, three, always(1, 2)).propensities).toEqual([1, 0, 0]);
    });

    it('draws as far from the mean as the scale says', () => {
      // 0.3 +- 0.25 and 0.2 +- 0.5: 0.55 against 0.7, then 0.05 against -0.3
      const policy = createLinThompson({ pairs: 1, scale: 0.25, floor: 0 });
      expect(policy.choose(known([0.3, 0.2]), three, always(1, 2)).propensities).toEqual([0.5, 0, 0.5]);
    });

    it('wins as often as the posterior says', () => {
      // one candidate of weight 0.5 against nothing, deviation 1: the normal distribution is below 0.5 with 0.69146
      const policy = createLinThompson({ pairs: 1024, scale: 1, floor: 0 });
      const [share = 0] = policy.choose(known([0.5]), [[x], [0]], policyDraws('r', policy)).propensities;
      expect(Math.abs(share - 0.69146)).toBeLessThan(0.02);
    });

    it('takes correlations into account: what two candidates share cannot tell them apart', () => {
      // L L' is the precision; with L' of 1, 1 over 0, 0.1 the second weight is free, and the first falls as it rises
      const model = { ...known([0, 0.1]), factor: Float64Array.of(1, 0, 1, 0.1) };
      const policy = createLinThompson({ pairs: 1, scale: 1, floor: 0 });
      // z = (0, 1): second weight +- 10, first -+ 10; their sum stays 0.1
      const { propensities } = policy.choose(
        model,
        [
          [x, x],
          [0, 0],
        ],
        always(0, 1),
      );
      expect(propensities).toEqual([1, 0]);
    });

    it('draws with counters that start after that of the tip, each once', () => {
      const counters: number[] = [];
      const spy: Draws = { ...noDraws, normal: (counter) => counters.push(counter) };
      createLinThompson({ pairs: 3 }).choose(known(twoWeights), three, spy);
      expect(counters).toEqual([1, 2, 3, 4, 5, 6]);
    });
  });
});
