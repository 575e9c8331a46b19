import { describe, expect, it } from 'vitest';
import { DomainError } from '../platform/errors.ts';
import {
  firstStep,
  foldRollouts,
  moveRollout,
  type RolloutStep,
  rolloutRules,
  type Stage,
  standingOf,
} from './rollout.ts';
import { toShadow } from './to-shadow.ts';

const by = { atMs: 0, actor: 'pipeline', caller: '', reason: 'a test' };
const made = { policy: 'made', version: '1' };
const house = { policy: 'house', version: '1' };

/** What a policy does on the way to a place, and after it. */
const ways = {
  nowhere: [],
  registered: ['registered'],
  shadow: ['registered', 'shadow'],
  canary: ['registered', 'shadow', 'canary'],
  rolled_back: ['registered', 'shadow', 'canary', 'rolled_back'],
  retired: ['registered', 'retired'],
} as const satisfies Record<string, readonly Stage[]>;

/** A log in which the policy has gone some way, and others take steps just before each of the first `faster` appends. */
function storeWith(way: readonly Stage[], faster = 0) {
  let steps: readonly RolloutStep[] = [firstStep(house, by)];
  const take = (to: Stage, subject = made) => {
    const before = foldRollouts(steps);
    const passed = { criterion: 'x', status: 'PASS', numbers: {}, limit: 0, sentence: 'Good.' } as const;
    const judged = { judgedAtMs: 0, limitsVersion: '1', status: 'PASS', criteria: [passed] } as const;
    const verdict = { ...judged, subject: 'made 1', step: standingOf(before, subject)?.number ?? 0 };
    const up = to === 'canary' ? { percent: 1, verdict, card: { kind: 'complete', hash: 'c4rd' } as const } : {};
    const command = { ...subject, ...by, to, expectedNumber: undefined, ...up };
    const moved = moveRollout(before, command, { ...rolloutRules, minShadowMs: 0 });
    if (moved.kind === 'refused') throw new Error(moved.refusal.message);
    steps = [...steps, ...moved.steps];
  };
  for (const to of way) take(to);
  let left = faster;
  return {
    taken: () => steps.filter(({ policy }) => policy === made.policy).map(({ to }) => to),
    steps: () => steps,
    readSteps: async () => steps,
    async append(added: readonly RolloutStep[]) {
      if (left-- > 0) take('registered', { policy: `other-${left}`, version: '1' });
      if (added[0]?.number !== steps.length + 1) return false;
      steps = [...steps, ...added];
      return true;
    },
  };
}

describe('to the shadow', () => {
  it.each(['nowhere', 'registered'] as const)('comes a policy that is %s, over every step on the way', async (from) => {
    const store = storeWith(ways[from]);
    expect(await toShadow(store, made, by)).toEqual({ kind: 'stands', stage: 'shadow' });
    expect(store.taken()).toEqual(['registered', 'shadow']);
    expect(store.steps().at(-1)).toMatchObject({ ...made, ...by, to: 'shadow', percent: 0 });
  });

  it.each(['shadow', 'canary', 'rolled_back', 'retired'] as const)('one that is %s is not brought', async (stage) => {
    const store = storeWith(ways[stage]);
    const before = store.steps();
    expect(await toShadow(store, made, by)).toEqual({ kind: 'stands', stage });
    expect(store.steps()).toEqual(before);
  });

  it('neither is the active one, nor does another version count', async () => {
    const store = storeWith(ways.nowhere);
    expect(await toShadow(store, house, by)).toEqual({ kind: 'stands', stage: 'active' });
    expect(store.steps()).toHaveLength(1);
    expect(await toShadow(store, { ...house, version: '2' }, by)).toEqual({ kind: 'stands', stage: 'shadow' });
    expect(store.steps().map(({ version }) => version)).toEqual(['1', '2', '2']);
  });

  it.each([
    ['nowhere', 0],
    ['nowhere', 1],
    ['nowhere', 8],
    ['registered', 1],
    ['registered', 9],
  ] as const)('comes one that is %s against %d others who take steps at the same time', async (from, faster) => {
    const store = storeWith(ways[from], faster);
    expect(await toShadow(store, made, by)).toEqual({ kind: 'stands', stage: 'shadow' });
    expect(store.taken()).toEqual(['registered', 'shadow']);
    expect(store.steps()).toHaveLength(3 + faster);
  });

  it('is seen where somebody else brought it there meanwhile', async () => {
    const store = storeWith(ways.registered);
    const late = {
      ...store,
      async append(added: readonly RolloutStep[]) {
        await store.append(added); // they were the first to
        return false;
      },
    };
    expect(await toShadow(late, made, by)).toEqual({ kind: 'stands', stage: 'shadow' });
    expect(store.taken()).toEqual(['registered', 'shadow']);
  });

  it('is given up where others take steps all the time, to be tried again', async () => {
    const store = storeWith(ways.nowhere, 10);
    const failure = await toShadow(store, made, by).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DomainError);
    expect(failure).toMatchObject({ code: 'unavailable', reason: 'ROLLOUTS_BUSY' });
    expect(store.taken()).toEqual([]);
  });

  it.each([
    ['before any policy is active', { readSteps: async () => undefined }, by, 'NOT_BEGUN'],
    ['without somebody who answers for it', {}, { ...by, actor: ' ' }, 'ACTOR_MISSING'],
  ])('is refused %s, and changes nothing', async (_, changes, asked, reason) => {
    const store = storeWith(ways.nowhere);
    const answer = await toShadow({ ...store, ...changes }, made, asked);
    expect(answer).toMatchObject({ kind: 'refused', refusal: { reason } });
    expect(store.steps()).toHaveLength(1);
  });
});
