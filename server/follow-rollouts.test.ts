import { describe, expect, it } from 'vitest';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { unchanging } from '../platform/follow.ts';
import { firstStep, type RolloutStep, type Stage } from '../registry/rollout.ts';
import { followRollouts } from './follow-rollouts.ts';

const by = { atMs: 0, actor: 'anna', caller: '', reason: 'to see' };
const log = { info: () => {}, warn: () => {}, error: () => {} };

/** A model that was registered, and whose file is not what it was. */
const broken: Policy = {
  ...softmax,
  name: 'broken.1',
  predictor: {
    version: 'broken/1',
    load: () => Promise.reject(new Error('the file is another one')),
    predict: () => Promise.reject(new Error('the file is another one')),
  },
};

/** A history that begins with egreedy-v2 as the active policy. */
function historyOf(...moves: readonly (readonly [Policy, Stage | undefined, Stage])[]): readonly RolloutStep[] {
  const later = moves.map(([{ name: policy, version }, from, to], i): RolloutStep => {
    const percent = to === 'canary' ? 5 : to === 'active' ? 100 : 0;
    return { ...by, number: i + 2, policy, version, from, to, percent };
  });
  return [firstStep({ policy: egreedyV2.name, version: egreedyV2.version }, by), ...later];
}

const toRandom = [
  [egreedyV2, 'active', 'retired'],
  [random, undefined, 'active'],
] as const;

describe('the rollouts in force', () => {
  it.each([
    ['an active policy', historyOf(...toRandom), 'random'],
    [
      'a model that was active once and cannot be read any more, which nobody is served by',
      historyOf(
        [egreedyV2, 'active', 'retired'],
        [broken, undefined, 'active'],
        [broken, 'active', 'retired'],
        [random, undefined, 'active'],
      ),
      'random',
    ],
    [
      'an active model that cannot be read: the last good ones stay',
      historyOf([egreedyV2, 'active', 'retired'], [broken, undefined, 'active']),
      'egreedy-v2',
    ],
    [
      'a canary that cannot be read: the last good ones stay',
      historyOf(...toRandom, [broken, undefined, 'canary']),
      'egreedy-v2',
    ],
    [
      'a policy that this build does not have: the last good ones stay',
      historyOf([egreedyV2, 'active', 'retired'], [{ ...random, version: 'another' }, undefined, 'active']),
      'egreedy-v2',
    ],
  ] as const)('with %s', async (_, steps, active) => {
    const policies = new Map([egreedyV2, random, broken].map((policy) => [policy.name, policy]));
    const rollouts = followRollouts({
      store: {
        readSteps: async (known) => (steps.length > known ? steps : undefined),
        append: () => Promise.reject(new Error('nothing is to be appended')),
      },
      policies: unchanging(policies),
      defaultPolicy: egreedyV2,
      clock: () => 0,
      log,
    });
    await rollouts.refresh();
    expect(rollouts.current().active.name).toBe(active);
  });
});
