import { describe, expect, it } from 'vitest';
import { canaryExperiment } from './canary.ts';
import { parseExperiments, suspendUncleared } from './experiment.ts';
import { treat, withCanary } from './treatment.ts';

const people = Array.from({ length: 5_000 }, (_, i) => `person-${i}`);
const canary = (percent: number, more = {}) =>
  canaryExperiment({ policy: 'softmax', version: '1', percent, step: 7, ...more });
const choices = { policies: new Set(['random', 'softmax', 'linucb-v1']), promptVersions: new Set(['v1', 'v2']) };
const arms = (...policies: (string | undefined)[]) =>
  policies.map((policy, i) => ({ key: `arm-${i}`, weight: 1 / policies.length, ...(policy && { policy }) }));
const setOf = (...experiments: object[]) =>
  parseExperiments({ experiments: experiments.map((each) => ({ version: '1', status: 'running', ...each })) }, choices);
const prompts = {
  key: 'prompts',
  arms: [
    { key: 'a', weight: 0.5, promptVersion: 'v1' },
    { key: 'b', weight: 0.5, promptVersion: 'v2' },
  ],
};
const nobody = setOf();
const treated = (userId: string, percent: number, set = nobody) =>
  withCanary(treat(set, userId, 0), canary(percent), userId, 0);

describe('a canary', () => {
  it.each([1, 5, 10, 25, 50])('of %d %% decides about that share of people, and says with which chance', (percent) => {
    const treatments = people.map((userId) => treated(userId, percent));
    const inside = treatments.filter(({ policy }) => policy === 'softmax');
    expect(Math.abs(inside.length / people.length - percent / 100)).toBeLessThan(0.02);
    expect(treatments.every(({ assigned }) => assigned.length === 1)).toBe(true);
    for (const { assigned, policy } of treatments) {
      const [only] = assigned;
      expect(only?.experiment).toMatchObject({ key: 'canary:softmax', version: '7' });
      expect(only?.arm.key).toBe(policy === 'softmax' ? 'canary' : 'active');
      expect(only?.propensity).toBeCloseTo(policy === 'softmax' ? percent / 100 : 1 - percent / 100, 12);
    }
  });

  it('keeps whom it has while it grows', () => {
    const inside = (percent: number) => people.filter((userId) => treated(userId, percent).policy === 'softmax');
    for (const [less, more] of [
      [1, 5],
      [5, 10],
      [10, 25],
      [25, 50],
    ] as const) {
      const larger = new Set(inside(more));
      expect(inside(less).every((userId) => larger.has(userId))).toBe(true);
    }
  });

  it('draws with a salt of its own: other people for another policy, and for another version', () => {
    const share = (more: object) => {
      const both = people.filter((userId) => {
        const other = withCanary(treat(nobody, userId, 0), canary(50, more), userId, 0).assigned[0]?.arm.key;
        return treated(userId, 50).policy === 'softmax' && other === 'canary';
      });
      return both.length / people.length;
    };
    expect(share({ policy: 'linucb-v1' })).toBeCloseTo(0.25, 1);
    expect(share({ version: '2' })).toBeCloseTo(0.25, 1);
    expect(share({ step: 8 })).toBeCloseTo(0.5, 1);
  });

  it('leaves out whoever is in an experiment that chooses policies, in any of its arms, and nobody else', () => {
    const policies = setOf({ key: 'policies', arms: arms('linucb-v1', undefined), coverage: 0.5 });
    for (const userId of people.slice(0, 500)) {
      const { assigned, policy } = treated(userId, 50, policies);
      const keys = assigned.map(({ experiment }) => experiment.key);
      expect(keys.length === 1 && ['policies', 'canary:softmax'].includes(keys[0] ?? '')).toBe(true);
      if (keys[0] === 'policies') expect(policy).not.toBe('softmax');
    }
    const forced = setOf({ key: 'policies', arms: arms('linucb-v1', undefined), forced: { 'person-1': 'arm-1' } });
    expect(treated('person-1', 50, forced)).toMatchObject({ assigned: [], forced: [{}], policy: undefined });
    expect(treated('person-1', 50, setOf(prompts)).assigned.map(({ experiment }) => experiment.key)).toEqual([
      'prompts',
      'canary:softmax',
    ]);
  });
});

describe('an experiment with a policy that may not decide about people', () => {
  const set = setOf({ key: 'bad', arms: arms('random', 'softmax'), forced: { tester: 'arm-1' } }, prompts);

  it('is suspended whole, and for whoever is forced too; others go on', () => {
    const cleared = suspendUncleared(set, new Set(['random']));
    expect(cleared.experiments.map(({ key, status, forced }) => ({ key, status, forced }))).toEqual([
      { key: 'bad', status: 'stopped', forced: {} },
      { key: 'prompts', status: 'running', forced: {} },
    ]);
    expect(cleared.version).not.toBe(set.version);
    for (const userId of ['tester', 'somebody']) expect(treat(cleared, userId, 0).policy).toBeUndefined();
  });

  it('is itself once all of its policies may', () => {
    expect(suspendUncleared(set, new Set(['random', 'softmax']))).toBe(set);
    expect(suspendUncleared(nobody, new Set())).toBe(nobody);
  });

  it.each([
    ['running', ['experiments[0].arms[1].policy']],
    ['draft', []],
    ['stopped', []],
  ])('is refused where it is %s: %j', (status, fields) => {
    const definition = { experiments: [{ key: 'a', version: '1', status, arms: arms('random', 'softmax') }] };
    const parse = () => parseExperiments(definition, { ...choices, clearedPolicies: new Set(['random']) });
    if (fields.length === 0) expect(parse).not.toThrow();
    else
      expect(parse).toThrow(
        expect.objectContaining({
          violations: [{ field: fields[0], description: expect.stringContaining('the gate') }],
        }),
      );
  });
});
