import { createReadStream, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { estimate } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { type LogLine, readBanditLog } from './bandit-log.ts';
import { evaluateLog, type LogOptions } from './off-policy.ts';

const file = (name: string) => new URL(`./fixtures/${name}`, import.meta.url);
const readFixture = () => readBanditLog(createReadStream(file('off-policy-log.csv')), 'csv');

async function* linesOf(lines: readonly LogLine[]) {
  yield* lines;
}
const evaluate = (lines: readonly LogLine[], options: LogOptions = {}) =>
  evaluateLog(() => linesOf(lines), { replicates: 2, ...options });

const chosenLine: LogLine = { kind: 'chosen', line: 2, user: 'a', propensity: 0.5, targetProbability: 0.5, reward: 1 };
const candidatesLine = {
  kind: 'candidates',
  line: 2,
  user: 'a',
  chosen: 0,
  propensities: [0.5, 0.5],
  targetProbabilities: [0.25, 0.75],
  reward: 1,
} as const;
const { targetProbabilities: _, ...withoutTarget } = candidatesLine;

describe('evaluateLog', () => {
  // off-policy-reference.py says where the numbers come from
  it('agrees with an independent implementation in numpy, in every number', async () => {
    const expected = JSON.parse(readFileSync(file('off-policy-reference.json'), 'utf8'));
    const { spread, logged, estimates } = await evaluateLog(readFixture);
    const near = (value: unknown): unknown => {
      if (typeof value === 'number') return expect.closeTo(value, 10);
      if (typeof value !== 'object' || value === null) return value;
      if (Array.isArray(value)) return value.map(near);
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, near(each)]));
    };
    expect({ spread, logged, estimates }).toEqual(near(expected));
  });

  it('gives each of our policies the probabilities with which it would decide', async () => {
    const weights = egreedyV2.learning?.prior.mean ?? [];
    const vectors = [
      weights.map(() => 0),
      weights.map((weight) => Math.sign(weight) * 4096),
      weights.map((weight) => Math.sign(weight) * 2048),
    ];
    const line = { ...withoutTarget, propensities: [0.5, 0.25, 0.25], vectors };
    const meanWeight = async (policy: LogOptions['policy'], chosen: number) =>
      (await evaluate([{ ...line, chosen }], { policy })).spread.meanWeight;
    expect(vectors.map((vector) => estimate(weights, vector))).toEqual([0, expect.any(Number), expect.any(Number)]);
    expect(await meanWeight(egreedyV2, 1)).toBeCloseTo((0.9 + 0.1 / 3) / 0.25, 12);
    expect(await meanWeight(egreedyV2, 2)).toBeCloseTo(0.1 / 3 / 0.25, 12);
    expect(await meanWeight(random, 0)).toBeCloseTo(1 / 3 / 0.5, 12);
  });

  it('evaluates random on a log without vectors, and then without a model', async () => {
    const { estimates, spread } = await evaluate([withoutTarget, { ...withoutTarget, chosen: 1 }], { policy: random });
    expect(spread.meanWeight).toBe(1);
    expect(estimates.map(({ name }) => name)).not.toContain('DR');
  });

  it('takes predictions out of the log', async () => {
    const line: LogLine = { ...chosenLine, q: { chosen: 0.5, target: 0.75 } };
    const { estimates } = await evaluate([line]);
    expect(estimates.find(({ name }) => name === 'DR')?.value).toBe(0.75 + 0.5);
  });

  it.each<[readonly LogLine[], LogOptions, string]>([
    [[], {}, 'the log is empty'],
    [[chosenLine], { policy: random }, 'line 2: no column propensities, chosen, vectors to evaluate a policy on'],
    [[withoutTarget], {}, 'line 2: no column target_probabilities, and no policy is named'],
    [[withoutTarget], { policy: egreedyV2 }, 'line 2: no column vectors, which egreedy-v2 decides on'],
    [
      [{ ...withoutTarget, vectors: [[1], [2]] }],
      { policy: egreedyV2 },
      'line 2, column vectors: 1 entries, but egreedy-v2 knows 12',
    ],
    [[{ ...chosenLine, propensity: 0, line: 9 }], {}, 'line 9, column propensity: is 0: not above 0 and at most 1'],
    [[{ ...chosenLine, targetProbability: 2 }], {}, 'line 2, column target_probability: is 2: not from 0 to 1'],
    [[{ ...candidatesLine, chosen: 2 }], {}, 'line 2, column chosen: is 2: not an index of 2 propensities'],
    [[{ ...candidatesLine, propensities: [0.5, 0.4] }], {}, 'line 2, column propensities: sum to 0.9, not to 1'],
    [
      [{ ...candidatesLine, targetProbabilities: [1] }],
      {},
      'line 2, column target_probabilities: are 1 for 2 propensities',
    ],
  ])('refuses %j', async (lines, options, message) => {
    await expect(evaluate(lines, options)).rejects.toThrow(message);
  });

  it('looks at every line before it estimates anything', async () => {
    let passes = 0;
    const read = () => {
      passes++;
      return linesOf([chosenLine, { ...chosenLine, line: 3, propensity: 7 }]);
    };
    await expect(evaluateLog(read)).rejects.toThrow('line 3, column propensity');
    expect(passes).toBe(1);
  });

  it('refuses a log that grows between its two readings', async () => {
    let passes = 0;
    await expect(evaluateLog(() => linesOf(new Array(++passes).fill(chosenLine)))).rejects.toThrow('the log changed');
  });
});
