import { describe, expect, it } from 'vitest';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { policies } from '../experiments/policies/index.ts';
import { random } from '../experiments/policies/random.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { unchanging } from '../platform/follow.ts';
import { firstStep, type RolloutStep, type Stage } from '../registry/rollout.ts';
import { followShadows } from './follow-shadows.ts';

const log = { info: () => {}, warn: () => {}, error: () => {} };
const by = { atMs: 0, actor: 'anna', caller: '', reason: 'a test' };

describe('the policies in the shadow', () => {
  it('are those that rollouts say, in the version of this build', async () => {
    const first = firstStep({ policy: egreedyV2.name, version: egreedyV2.version }, by);
    let steps: readonly RolloutStep[] = [first];
    const step = (policy: string, version: string, from: Stage | undefined, to: Stage) => {
      steps = [...steps, { ...by, number: steps.length + 1, policy, version, from, to, percent: 0 }];
    };
    const store = { readSteps: async (known: number) => (steps.length > known ? steps : undefined) };
    const shadows = followShadows({ store, policies: unchanging(policies), log });
    const names = async () => {
      await shadows.refresh();
      return [...shadows.current()].map(({ name }) => name);
    };
    expect(await names()).toEqual([]);
    step(softmax.name, softmax.version, undefined, 'registered');
    step(random.name, 'an older one', undefined, 'registered');
    expect(await names()).toEqual([]);
    step(softmax.name, softmax.version, 'registered', 'shadow');
    step(random.name, 'an older one', 'registered', 'shadow');
    expect(await names()).toEqual(['softmax']);
    step(softmax.name, softmax.version, 'shadow', 'retired');
    expect(await names()).toEqual([]);
  });
});
