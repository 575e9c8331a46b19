import { describe, expect, it } from 'vitest';
import { momentsByArm, noCounts, rewardPerDecision } from './analysis/counters.ts';
import { alwaysValidFactor, analyse } from './analysis/difference.ts';
import type { ArmSums } from './analysis/report.ts';
import { seedOf, uniform } from './draw.ts';
import {
  comparedInCanary,
  comparedInShadow,
  firstGroups,
  type GroupSums,
  partsOf,
  segments,
  shadowOf,
  shadowServing,
} from './evidence.ts';
import type { Experiment } from './experiment.ts';
import { gateLimits } from './gate.ts';
import { doublyRobust, ips } from './off-policy/estimators.ts';
import { evaluate, startEvaluation } from './off-policy/evaluate.ts';
import { noShadow } from './shadow.ts';

it('people are grouped by what the gate asks for', () => {
  expect(Object.keys(segments)).toEqual(gateLimits.segments);
  expect(partsOf(firstGroups)).toEqual(['activity new', 'integrations none']);
  expect(partsOf({ activity: 'regular', integrations: 'several' })).toEqual([
    'activity regular',
    'integrations several',
  ]);
});

const period = (counters: Partial<typeof noShadow>, days = 8) => ({ days, counters: { ...noShadow, ...counters } });

describe('how a policy got on in the shadow', () => {
  it.each([
    ['never was there', period({}, 0), undefined],
    ['was compared with nothing', period({ errors: 9, skippedVectors: 7 }), undefined],
    ['was compared', period({ decisions: 4, agreementMicro: 3e6 }), { decisions: 4, days: 8, agreement: 0.75 }],
  ])('%s', (_, given, expected) => {
    expect(shadowOf(given)).toEqual(expected);
  });

  it('says why it is meant to differ', () => {
    const divergenceExplained = { by: 'anna', reason: 'it explores' };
    const given = period({ decisions: 1, agreementMicro: 0 });
    expect(shadowOf(given, divergenceExplained)).toEqual({ decisions: 1, days: 8, agreement: 0, divergenceExplained });
    expect(shadowOf(period({}, 0), divergenceExplained)).toBeUndefined();
  });

  it.each([
    ['never asked', period({}, 0), undefined],
    ['skipped alone', period({ skippedStatistics: 3 }), undefined],
    ['failed always', period({ errors: 3, slow: 1 }), { requests: 3, slow: 1, errors: 3, limitMs: 5 }],
    ['asked', period({ decisions: 7, errors: 3, slow: 2 }), { requests: 10, slow: 2, errors: 3, limitMs: 5 }],
  ])('and how fast: %s', (_, given, expected) => {
    expect(shadowServing(given)).toEqual(expected);
  });
});

/** Two decisions of each person, with a shadow that prefers what is good. */
const rowsOf = (people: number) =>
  Array.from({ length: 2 * people }, (_, i) => {
    const reward = uniform(seedOf(`row ${i}`), 0) - 0.5;
    return {
      user: `user ${i % people}`,
      propensity: 0.5,
      targetProbability: reward > 0 ? 0.9 : 0.2,
      reward,
      q: { chosen: 0.01, target: 0.02 },
    };
  });

describe('a comparison in the shadow', () => {
  const options = { replicates: 0 };
  const reportOf = (people: number) => {
    const evaluation = startEvaluation([doublyRobust, ips], options);
    for (const row of rowsOf(people)) evaluation.add(row);
    return evaluation.report();
  };

  it('is in thousandths, with an interval that holds at every look, of the whole and of each group there is', () => {
    const parts = new Map([
      ['activity light', reportOf(150)],
      ['integrations none', reportOf(99)],
    ]);
    const { offPolicy, groups, sampleRatio } = comparedInShadow({ whole: reportOf(400), parts });
    // by hand: the mean over people of the sums of their rows, and what these sums differ by
    const gains = [...Map.groupBy(rowsOf(400), ({ user }) => user).values()].map((own) => {
      const terms = own.map(
        ({ targetProbability, reward, q }) => q.target + (targetProbability / 0.5) * (reward - q.chosen) - reward,
      );
      return (1000 * terms.reduce((a, b) => a + b)) / 2;
    });
    const mean = gains.reduce((a, b) => a + b) / 400;
    const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / 399;
    const half = Math.sqrt(variance / 400) * alwaysValidFactor(400, 0.05, 5000);
    expect(offPolicy?.difference?.lower).toBeCloseTo(mean - half, 6);
    expect(offPolicy?.difference?.upper).toBeCloseTo(mean + half, 6);
    const weights = rowsOf(400).map(({ targetProbability }) => targetProbability / 0.5);
    const sum = weights.reduce((a, b) => a + b);
    expect(offPolicy?.meanWeight).toBeCloseTo(sum / 800, 9);
    expect(offPolicy?.maxWeight).toBe(1.8);
    expect(offPolicy?.effectiveDecisions).toBeCloseTo(sum ** 2 / weights.reduce((a, w) => a + w * w, 0), 6);
    expect(groups).toEqual([
      { segment: 'activity', group: 'light', users: 150, difference: expect.anything() },
      { segment: 'integrations', group: 'none', users: 99, difference: undefined },
    ]);
    expect(sampleRatio).toBe('no arms');
  });

  it('has no interval where no two people differ', () => {
    const same = rowsOf(200).map((row) => ({ ...row, reward: 0.5, targetProbability: 0.5 }));
    const { offPolicy } = comparedInShadow({ whole: evaluate(same, options), parts: new Map() });
    expect(offPolicy).toMatchObject({ difference: undefined, meanWeight: 1 });
  });

  it('is none without an evaluation', () => {
    expect(comparedInShadow({ whole: undefined, parts: new Map() })).toEqual({ sampleRatio: 'no arms' });
  });
});

const experiment: Experiment = {
  ...{ key: 'canary-linucb', version: '3', status: 'running', seed: 's', hashVersion: 2, coverage: 1, forced: {} },
  arms: [
    { key: 'active', weight: 0.75 },
    { key: 'canary', weight: 0.25, policy: 'linucb-v1' },
  ],
};

interface Person {
  readonly arm: string;
  readonly decisions: number;
  readonly rewardMilli: number;
}

const people = (arm: string, length: number, mean: number): readonly Person[] =>
  Array.from({ length }, (_, i) => ({ arm, decisions: 1 + (i % 3), rewardMilli: mean + ((i * 37) % 101) - 50 }));

const nothingBefore = { p: 0n, m: 0n, rp: 0n, rm: 0n, dp: 0n, dm: 0n, pp: 0n, pm: 0n, mm: 0n };

function sumsOf(all: readonly Person[]): readonly ArmSums[] {
  return [...Map.groupBy(all, ({ arm }) => arm)].map(([arm, own]) => {
    const sum = (of: (person: Person) => number) => own.reduce((total, person) => total + BigInt(of(person)), 0n);
    return {
      ...nothingBefore,
      ...{ arm, people: BigInt(own.length), d: sum((p) => p.decisions), rewards: 0n, r: sum((p) => p.rewardMilli) },
      rr: sum((p) => p.rewardMilli ** 2),
      rd: sum((p) => p.rewardMilli * p.decisions),
      dd: sum((p) => p.decisions ** 2),
    };
  });
}

const differenceOf = (all: readonly Person[]) => {
  const rows = all.map(({ arm, ...counts }) => ({ arm, counts: { ...noCounts, ...counts } }));
  return analyse(momentsByArm(rows, rewardPerDecision), 'active').comparisons[0]?.absolute?.alwaysValid;
};

describe('a comparison in the canary', () => {
  const inGroup = (group: string, all: readonly Person[]): readonly GroupSums[] =>
    sumsOf(all).map((sums) => ({ segment: 'activity', group, sums }));
  const [light, regular] = [
    [...people('active', 300, 100), ...people('canary', 110, 120)],
    [...people('active', 450, 200), ...people('canary', 99, 220)],
  ];

  it('is that of the experiment, over all and in each group; of a group the smaller arm counts', () => {
    const all = [...light, ...regular];
    const groups = [
      ...inGroup('regular', regular),
      ...inGroup('light', light),
      ...inGroup('new', [...people('active', 7, 0), ...people('canary', 9, 0)]),
    ];
    const compared = comparedInCanary(experiment, { found: sumsOf(all), peopleInSeveralArms: 3, groups });
    const decisions = all.filter(({ arm }) => arm === 'canary').reduce((sum, person) => sum + person.decisions, 0);
    expect(compared.offPolicy).toEqual({
      ...{ difference: differenceOf(all), effectiveDecisions: decisions, maxWeight: 1, meanWeight: 1 },
    });
    expect(compared.offPolicy?.difference?.lower).toBeLessThan(compared.offPolicy?.difference?.upper ?? 0);
    expect(compared.groups).toEqual([
      { segment: 'activity', group: 'new', users: 7, difference: undefined },
      { segment: 'activity', group: 'light', users: 110, difference: differenceOf(light) },
      { segment: 'activity', group: 'regular', users: 99, difference: undefined },
    ]);
    expect(compared.groups?.[1]?.difference).toBeDefined();
    const chiSquare = (750 - 959 * 0.75) ** 2 / (959 * 0.75) + (209 - 959 * 0.25) ** 2 / (959 * 0.25);
    expect(chiSquare).toBeCloseTo(5.24, 1);
    expect(compared.sampleRatio).toEqual({ observed: 959, pValue: expect.closeTo(0.022, 3) });
  });

  it.each<[string, readonly Person[], object]>([
    ['nobody', [], {}],
    ['nobody in the canary', people('active', 40, 0), { sampleRatio: { observed: 40, pValue: expect.any(Number) } }],
    [
      'nobody but in the canary',
      people('canary', 2, 0),
      {
        sampleRatio: { observed: 2, pValue: expect.any(Number) },
        offPolicy: { difference: undefined, effectiveDecisions: 3, maxWeight: 1, meanWeight: 1 },
        groups: [],
      },
    ],
    [
      'somebody in an arm that there is not',
      [...people('active', 3, 0), ...people('third', 1, 0)],
      { sampleRatio: { observed: 4, pValue: 0 } },
    ],
  ])('knows what there is of %s', (_, all, expected) => {
    const found = comparedInCanary(experiment, { found: sumsOf(all), peopleInSeveralArms: 0, groups: [] });
    expect(found).toEqual(expected);
    expect(Object.keys(found).toSorted()).toEqual(Object.keys(expected).toSorted());
  });
});
