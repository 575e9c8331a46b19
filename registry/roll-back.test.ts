import { describe, expect, it } from 'vitest';
import { rollBack } from './roll-back.ts';
import { firstStep, foldRollouts, moveRollout, type RolloutStep } from './rollout.ts';

const by = { atMs: 0, actor: 'anna', caller: 'ops', reason: 'a test' };
const bad = { policy: 'bad', version: '1' };

/** A log in which a policy came to be a canary, and others take steps just before each of the first `faster` appends. */
function storeWith(faster: number) {
  const verdict = {
    subject: 'bad 1',
    step: 3,
    judgedAtMs: 0,
    limitsVersion: '1',
    status: 'PASS',
    criteria: [],
  } as const;
  const passed = { criterion: 'x', status: 'PASS', numbers: {}, limit: 0, sentence: 'Good.' } as const;
  let steps: readonly RolloutStep[] = [firstStep({ policy: 'house', version: '1' }, by)];
  const take = (command: object) => {
    const moved = moveRollout(
      foldRollouts(steps),
      { ...bad, ...by, to: 'registered', expectedNumber: undefined, ...command },
      {
        minShadowMs: 0,
        maxVerdictAgeMs: 1,
      },
    );
    if (moved.kind === 'appended') steps = [...steps, ...moved.steps];
  };
  take({});
  take({ to: 'shadow' });
  const card = { kind: 'complete', hash: 'c4rd' } as const;
  take({ to: 'canary', percent: 1, verdict: { ...verdict, criteria: [passed] }, card });
  let left = faster;
  return {
    steps: () => steps,
    readSteps: async () => steps,
    async append(added: readonly RolloutStep[]) {
      if (left-- > 0) take({ policy: `other-${left}`, version: '1' });
      if (added[0]?.number !== steps.length + 1) return false;
      steps = [...steps, ...added];
      return true;
    },
  };
}

describe('to roll back', () => {
  it.each([0, 1, 9])('does not lose against %d others who take steps at the same time', async (faster) => {
    const store = storeWith(faster);
    expect(await rollBack(store, () => bad, by)).toMatchObject({ kind: 'appended', steps: [{ to: 'rolled_back' }] });
    expect(store.steps().filter(({ to }) => to === 'rolled_back')).toHaveLength(1);
    expect(store.steps().at(-1)).toMatchObject({ ...bad, number: 5 + faster });
  });

  it('gives up where others take steps all the time, and changes nothing', async () => {
    const store = storeWith(10);
    expect(await rollBack(store, () => bad, by)).toEqual({ kind: 'busy' });
    expect(store.steps().some(({ to }) => to === 'rolled_back')).toBe(false);
  });

  it('says where rollouts stand when it is refused', async () => {
    const house = { policy: 'house', version: '1' };
    expect(await rollBack(storeWith(0), () => house, by)).toMatchObject({
      kind: 'refused',
      refusal: { reason: 'NOTHING_BEFORE' },
      number: 4,
    });
  });
});
