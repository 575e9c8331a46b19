// What people do changes what they are shown: decisions, reactions, sums, and the next decision, over the real servers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TipClient } from '../client/index.ts';
import { policies } from '../experiments/policies/index.ts';
import { measureLearnt } from '../experiments/population-store.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { verify } from '../pipelines/verify.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, startLoop } from './_util/loop.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const task = { kind: TipKind.TASK, source: TipSource.TASK_DIRECT };
const candidates = [
  { id: 'overdue', ...task, features: { isOverdue: true, taskAgeDays: 9, priority: 4 } },
  { id: 'fresh', ...task, features: { isOverdue: false, taskAgeDays: 0, priority: 1 } },
];

async function score(client: TipClient, userId: string) {
  const answer = await client.score({ requestId: newId(Date.now()), userId, candidates });
  const overdue = answer.ranked.find(({ tipId }) => tipId === 'overdue');
  return { ...answer, overdue: { score: overdue?.score ?? 0, propensity: overdue?.propensity ?? 0 } };
}

/** Tips, and what a person does who cannot bear what is overdue. */
async function live(client: TipClient, userId: string, tips: number): Promise<void> {
  for (let i = 0; i < tips; i++) {
    const { tipId, decisionId } = await score(client, userId);
    const reaction = tipId === 'overdue' ? Reaction.DISMISS : Reaction.HELPFUL;
    await loop.publisher.publish({ userId, payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction } } });
  }
}

async function learn(): Promise<void> {
  await loop.drained();
  const store = createRewardStore(loop.database);
  while ((await store.rewardTips()) > 0);
  await measureLearnt(loop.database);
}

const learning = [...policies.values()].filter((policy) => policy.learning).map(({ name }) => name);

describe.each(learning)('%s', (policy) => {
  it('learns from a person, then from everybody for somebody new, and every decision replays', async () => {
    await loop.database.query('UPDATE policy_population SET version = $1', ['another']); // nobody starts from the last one
    await loop.database.query('UPDATE policy_stats SET version = $1', ['another']);
    const { client } = await loop.startReplica({ policy });
    const userId = `${policy}/liver`;
    const before = await score(client, userId);
    await live(client, userId, 40);
    await learn();

    const after = await score(client, userId);
    expect(after.overdue.score).toBeLessThan(before.overdue.score - 0.2);
    expect(after.overdue.propensity).toBeLessThan(before.overdue.propensity);
    const { rows } = await loop.database.query('SELECT count::int FROM policy_stats WHERE user_id = $1', [userId]);
    expect(rows).toEqual([{ count: 40 }]);

    const somebodyNew = await score(client, `${policy}/new`);
    expect(somebodyNew.overdue.score).toBeLessThan(before.overdue.score - 0.1);

    await loop.drained();
    const report = await verify(loop.database);
    expect(report.examples).toEqual([]);
    expect(report.equal).toBe(report.decisions);
    expect([...report.notReplayed]).toEqual([]);
  });
});

describe('a person whose sums no rewards can lead to', () => {
  it('is decided about at random, and the log of the decision says so', async () => {
    const userId = 'broken';
    const { client } = await loop.startReplica({ policy: 'egreedy-v2' });
    await live(client, userId, 3);
    await learn();
    await loop.database.query("UPDATE policy_stats SET count = -1 WHERE user_id = 'broken'");
    const answer = await score(client, userId);
    expect(answer).toMatchObject({ policy: 'random', overdue: { propensity: 0.5 } });
    expect(answer.degradations).toHaveLength(1);
    await loop.drained();
    expect((await verify(loop.database)).examples).toEqual([]);

    await measureLearnt(loop.database);
    expect(await score(client, 'whole')).toMatchObject({ policy: 'egreedy-v2', degradations: [] }); // nobody else suffers
  });
});
