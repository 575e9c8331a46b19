import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BanditMeasurement, drawArm, epochOf, nothingMeasured } from './bandit.ts';
import { uniform } from './draw.ts';
import { type Experiment, parseExperiments } from './experiment.ts';
import { type ArmPolicyName, armPolicyNames } from './policies/fixed-arms.ts';

const prompts = Array.from({ length: 16 }, (_, i) => `v${i}`);
const choices = { policies: new Set<string>(), promptVersions: new Set(prompts) };

function banditOf(policy: ArmPolicyName, arms: number, bandit: object = {}, more: object = {}): Experiment {
  const { experiments } = parseExperiments(
    {
      experiments: [
        {
          ...{ key: 'prompts', version: '1', status: 'running', bandit: { policy, ...bandit }, ...more },
          arms: prompts.slice(0, arms).map((promptVersion) => ({ key: `arm-${promptVersion}`, promptVersion })),
        },
      ],
    },
    choices,
  );
  const [experiment] = experiments;
  if (!experiment) throw new Error('no experiment');
  return experiment;
}

const measured = (
  number: number,
  ...arms: readonly (readonly [pulls: number, reward: number])[]
): BanditMeasurement => ({
  number,
  arms: new Map(arms.map(([pulls, reward], i) => [`arm-v${i}`, { pulls, reward }])),
});
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const ids = Array.from({ length: 4_000 }, (_, i) => `request-${i}`);

const anyBandit = fc.integer({ min: 2, max: 16 }).chain((arms) =>
  fc.record({
    experiment: fc
      .record({ policy: fc.constantFrom(...armPolicyNames), share: fc.double({ min: 0.02, max: 1, noNaN: true }) })
      .map(({ policy, share }) => banditOf(policy, arms, { floor: Math.max(0.001, Math.min(0.5, share / arms)) })),
    measurement: fc
      .tuple(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(
          fc
            .nat(10_000)
            .chain((pulls) => fc.tuple(fc.constant(pulls), fc.integer({ min: -1000 * pulls, max: 1000 * pulls }))),
          { maxLength: arms },
        ),
      )
      .map(([number, sums]) => measured(number, ...sums)),
  }),
);

describe('the arms of a bandit', () => {
  it('have probabilities that sum to 1 within 1e-12, none below the floor, and the same ones again', () => {
    fc.assert(
      fc.property(anyBandit, ({ experiment, measurement }) => {
        const epoch = epochOf(experiment, measurement);
        expect(epoch.propensities).toHaveLength(experiment.arms.length);
        expect(Math.abs(sum(epoch.propensities) - 1)).toBeLessThanOrEqual(1e-12);
        const floor = experiment.bandit?.floor ?? Number.NaN;
        for (const each of epoch.propensities) expect(each).toBeGreaterThanOrEqual(floor * (1 - 1e-12));
        expect(epochOf(structuredClone(experiment), structuredClone(measurement))).toEqual(epoch);
      }),
    );
  });

  it.each(armPolicyNames)('are all equal in %s while nothing is learnt', (policy) => {
    const epoch = epochOf(banditOf(policy, 3), nothingMeasured);
    expect(epoch).toMatchObject({ policy, measurement: 0, propensities: [1 / 3, 1 / 3, 1 / 3] });
    expect(epochOf(banditOf(policy, 3), measured(7, [0, 0])).propensities).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  it.each(armPolicyNames)('are all equal in %s where the sums are none that rewards can lead to', (policy) => {
    expect(epochOf(banditOf(policy, 2), measured(7, [1, 1_001], [1, 0])).propensities).toEqual([1 / 2, 1 / 2]);
  });

  it.each(armPolicyNames)('stay at the floor in %s where they did clearly worse', (policy) => {
    const { propensities } = epochOf(
      banditOf(policy, 3, { floor: 0.1 }),
      measured(7, [500, 0], [500, 400_000], [500, 0]),
    );
    expect(propensities[0]).toBeCloseTo(0.1, 12);
    expect(propensities[1]).toBeCloseTo(0.8, 12);
  });

  it('say by which policy, with every hyperparameter, and by which measurement', () => {
    const sums = measured(7, [10, 0], [10, 0]);
    expect(epochOf(banditOf('beta-thompson', 2, { floor: 0.1 }), sums)).toMatchObject({
      ...{ policy: 'beta-thompson', policyVersion: '1;samples=1024;floor=0.1', measurement: 7 },
    });
    expect(epochOf(banditOf('ucb1', 2, { floor: 0.1 }), sums)).toMatchObject({
      ...{ policy: 'ucb1', policyVersion: '1;epsilon=0.2', measurement: 7 },
    });
  });
});

describe('a request', () => {
  it('gets the same arm on every replica, with the probability it was really drawn with', () => {
    fc.assert(
      fc.property(anyBandit, fc.uuid(), ({ experiment, measurement }, requestId) => {
        const epoch = epochOf(experiment, measurement);
        const draw = drawArm(experiment, epoch, requestId);
        expect(draw.propensity).toBe(epoch.propensities[experiment.arms.indexOf(draw.arm)]);
        expect(drawArm(experiment, epochOf(experiment, measurement), requestId.toUpperCase())).toEqual(draw);
      }),
    );
  });

  it('gets each arm as often as it says', () => {
    const experiment = banditOf('beta-thompson', 3);
    const epoch = epochOf(experiment, measured(3, [40, 2_000], [40, 8_000], [40, 0]));
    const draws = ids.map((id) => drawArm(experiment, epoch, id).arm.key);
    for (const [i, { key }] of experiment.arms.entries()) {
      const p = epoch.propensities[i] ?? Number.NaN;
      const share = draws.filter((each) => each === key).length / ids.length;
      expect(Math.abs(share - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / ids.length));
    }
  });

  it('gets an arm that tells nothing of the arm of another bandit', () => {
    const [a, b] = [banditOf('ucb1', 2), banditOf('ucb1', 2, {}, { key: 'others' })];
    const isSame = (id: string) =>
      drawArm(a, epochOf(a, nothingMeasured), id).arm.key === drawArm(b, epochOf(b, nothingMeasured), id).arm.key;
    expect(Math.abs(ids.filter(isSame).length / ids.length - 1 / 2)).toBeLessThan(0.04);
  });
});

/**
 * Requests in epochs. What became of a tip is known two epochs later. Rewards are those of a dismissed, an ignored and a
 * done tip. Returns the regret over all requests, and the share of the best arm in the last quarter.
 */
function live(policy: ArmPolicyName | undefined, seed: bigint, means: readonly number[]) {
  const experiment = banditOf(policy ?? 'ucb1', means.length, { floor: 0.02 });
  const [epochs, requests, best] = [60, 60, Math.max(...means)];
  const arrived = means.map(() => ({ pulls: 0, reward: 0 }));
  const onTheWay: (readonly [arm: number, reward: number])[][] = [[], []];
  let [regret, ofBest] = [0, 0];
  for (let n = 0; n < epochs; n++) {
    for (const [arm, reward] of onTheWay.shift() ?? []) {
      const sums = arrived[arm];
      if (sums) arrived[arm] = { pulls: sums.pulls + 1, reward: sums.reward + reward };
    }
    const sums = measured(n, ...arrived.map(({ pulls, reward }) => [pulls, reward] as const));
    const epoch = epochOf(experiment, policy === undefined ? nothingMeasured : sums);
    onTheWay.push(
      Array.from({ length: requests }, (_, i) => {
        const arm = experiment.arms.indexOf(drawArm(experiment, epoch, `${seed}-${n}-${i}`).arm);
        const mean = means[arm] ?? Number.NaN;
        regret += best - mean;
        if (mean === best && n >= 0.75 * epochs) ofBest++;
        const luck = uniform(seed, n * requests + i);
        const reward = luck < 0.4 ? 0 : luck < 0.4 + 0.3 * (1 + mean / 0.6) ? 1000 : -1000; // of that mean
        return [arm, reward] as const;
      }),
    );
  }
  return { regret, ofBest: ofBest / (0.25 * epochs * requests) };
}

describe('over simulated requests', () => {
  const seeds = Array.from({ length: 12 }, (_, i) => BigInt(i + 1));

  it.each(armPolicyNames)('%s gives most of them to the best arm, and regrets less than equal shares do', (policy) => {
    const means = [0.05, 0.3, 0];
    const runs = seeds.map((seed) => live(policy, seed, means));
    const saved = seeds.map((seed, i) => live(undefined, seed, means).regret - (runs[i]?.regret ?? Number.NaN));
    const mean = sum(saved) / saved.length;
    const deviation = Math.sqrt(sum(saved.map((each) => (each - mean) ** 2)) / (saved.length - 1));
    const t = 2.201; // of 11 degrees of freedom, 97.5 %
    expect(mean - (t * deviation) / Math.sqrt(saved.length)).toBeGreaterThan(0);
    expect(sum(runs.map(({ ofBest }) => ofBest)) / runs.length).toBeGreaterThan(0.8);
  });
});
