// Towards people, one step at a time: the DAG `promote`, on a real Postgres.

import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { egreedyV1 } from '../experiments/policies/egreedy-v1.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { linUcb } from '../experiments/policies/linucb-v1.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { openArtifacts } from '../pipelines/artifacts.ts';
import { type JudgePolicies, promote } from '../pipelines/dags/promote.ts';
import { runDag } from '../pipelines/run-dag.ts';
import { openRun } from '../pipelines/step-store.ts';
import { dayMs } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { createCardStore } from '../registry/card-store.ts';
import {
  firstStep,
  foldRollouts,
  moveRollout,
  type StoredVerdict,
  servingOf,
  standingOf,
  subjectName,
} from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { policyCardOf } from './_util/cards.ts';
import { silent } from './_util/loop.ts';
import { putCards, takeSteps, wayTo } from './_util/rollouts.ts';
import { createTestDatabase, newFolder, type TestDatabase } from './_util/servers.ts';
import { isWaitedFor } from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
const artifacts = openArtifacts(newFolder('artifacts'));
const by = { actor: 'test', caller: '', reason: 'a test' };
const subjectOf = ({ name, version }: Pick<Policy, 'name' | 'version'>) => ({ policy: name, version });

beforeEach(async () => {
  await openNew();
  const atMs = Date.now() - 60 * dayMs;
  await createRolloutStore(database).append([firstStep(subjectOf(egreedyV2), { ...by, atMs })]);
});
async function openNew() {
  await close();
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 8 });
}
afterAll(() => close());
async function close() {
  await database?.end();
  await testDatabase?.drop();
}

type Status = StoredVerdict['status'];

/** A gate that says of each policy on its way what it is told to say, of some criterion. */
function gateThatSays(says: Readonly<Record<string, Status>>, criterion?: Status): JudgePolicies {
  return async (database, nowMs) => {
    const store = createRolloutStore(database);
    const { canary, shadows } = servingOf(foldRollouts((await store.readSteps(0)) ?? []));
    const verdicts = [...(canary ? [canary] : []), ...shadows].flatMap((standing): StoredVerdict[] => {
      const status = says[standing.policy];
      if (!status) return [];
      const sentence = 'For a test.';
      const criteria = [{ criterion: 'test', status: criterion ?? status, numbers: {}, limit: 0, sentence }];
      const of = { subject: subjectName(standing), step: standing.number };
      return [{ ...of, judgedAtMs: nowMs, limitsVersion: 'test', status, criteria }];
    });
    for (const verdict of verdicts) await store.putVerdict(verdict);
    return verdicts;
  };
}

/** What a run answers of each policy. */
async function run(judge: JudgePolicies, id: string) {
  const dag = promote(judge);
  const deps = { database, artifacts, log: silent, signal: new AbortController().signal, random: () => 0 };
  const { outcomes, failures } = await runDag(deps, dag, await openRun(database, dag.id, id, undefined), {
    workers: 2,
  });
  expect([...failures]).toEqual([]);
  const outcome = outcomes.get('promote');
  return outcome?.status === 'done' ? outcome.output : outcome;
}

async function standing(policy: Pick<Policy, 'name' | 'version'>) {
  const rollouts = foldRollouts((await createRolloutStore(database).readSteps(0)) ?? []);
  const { stage, percent } = standingOf(rollouts, subjectOf(policy)) ?? {};
  return `${stage} ${percent}`;
}
const lastStep = async () => (await createRolloutStore(database).readSteps(0))?.at(-1);

const passes = { softmax: 'PASS' } as const;

describe('promote', () => {
  it('takes who passes one step further, with what it goes by', async () => {
    await takeSteps(database, softmax, wayTo('shadow'));
    await putCards(database, [softmax]);
    expect(await run(gateThatSays(passes), 'r')).toEqual([{ policy: 'softmax', went: 'canary 1 %', because: null }]);
    expect(await standing(softmax)).toBe('canary 1');
    expect(await lastStep()).toMatchObject({
      ...{ actor: 'pipeline promote', reason: 'the gate says PASS', cardHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    const { steps } = await createRolloutStore(database).list({ limit: 1, before: undefined, policy: 'softmax' });
    expect(steps[0]?.verdict).toMatchObject({ subject: subjectName(subjectOf(softmax)), step: 3, status: 'PASS' });
  });

  it('goes all the way to everybody, one step each run, and then has nothing to do', async () => {
    await takeSteps(database, softmax, wayTo('shadow'));
    await putCards(database, [softmax]);
    const went: unknown[] = [];
    for (let i = 0; i < 7; i++) went.push(await run(gateThatSays(passes), `r${i}`));
    const places = ['canary 1 %', 'canary 5 %', 'canary 10 %', 'canary 25 %', 'canary 50 %', 'active 100 %'];
    expect(went).toEqual([...places.map((place) => [{ policy: 'softmax', went: place, because: null }]), []]);
    expect([await standing(softmax), await standing(egreedyV2)]).toEqual(['active 100', 'retired 0']);
  });

  it('takes one step however often a run is asked for, also if its last word was lost', async () => {
    await takeSteps(database, softmax, wayTo('canary 5'));
    await putCards(database, [softmax]);
    const judge = gateThatSays(passes);
    const first = await run(judge, 'r');
    expect(first).toEqual([{ policy: 'softmax', went: 'canary 10 %', because: null }]);
    expect(await run(judge, 'r')).toEqual(first);
    expect(await standing(softmax)).toBe('canary 10');
    await database.query("DELETE FROM pipeline_steps WHERE step = 'promote'");
    expect(await run(judge, 'r')).toEqual([
      { policy: 'softmax', went: null, because: 'the gate was last asked before the policy came to this stage' },
    ]);
    expect(await standing(softmax)).toBe('canary 10');
  });

  const card = policyCardOf(subjectOf(softmax));
  const incomplete = { ...card, owner: '' };

  it.each<{ who: string; gate: JudgePolicies; card: object | undefined; sinceMs?: number; because: string }>([
    {
      ...{ who: 'has no card', gate: gateThatSays(passes), card: undefined },
      because: 'it has no model card: make one before it serves anyone',
    },
    {
      ...{ who: 'has a card on which something is missing', gate: gateThatSays(passes), card: incomplete },
      because: 'its model card is not complete, so make another one: owner must not be empty',
    },
    {
      ...{ who: 'was not judged', gate: async () => [], card },
      because: 'a step towards more people needs a verdict of the gate',
    },
    {
      ...{ who: 'harms', gate: gateThatSays({ softmax: 'FAIL' }), card },
      because: 'the verdict is FAIL; an override needs a reason',
    },
    {
      ...{ who: 'has too little evidence', gate: gateThatSays({ softmax: 'INSUFFICIENT' }), card },
      because: 'the verdict is INSUFFICIENT; an override needs a reason',
    },
    {
      ...{ who: 'passes by no criterion of its own', gate: gateThatSays(passes, 'FAIL'), card },
      because: 'the verdict is PASS; an override needs a reason',
    },
    {
      ...{ who: 'came to the shadow today', gate: gateThatSays(passes), card, sinceMs: Date.now() - 1.5 * dayMs },
      because: 'it must be in the shadow for 24 hours before it serves anyone',
    },
  ])('leaves who $who, and says why', async ({ gate, card, sinceMs, because }) => {
    await takeSteps(database, softmax, wayTo('shadow'), sinceMs);
    const cards = createCardStore(database);
    if (card) await cards.put({ ...{ subject: subjectOf(softmax), actor: 'test', atMs: 0 }, card: card as never });
    const before = await lastStep();
    expect(await run(gate, 'r')).toEqual([{ policy: 'softmax', went: null, because }]);
    expect(await lastStep()).toEqual(before);
  });

  it('asks the gate once a run, and keeps what it said', async () => {
    await takeSteps(database, softmax, wayTo('shadow'));
    let asked = 0;
    const judge: JudgePolicies = (...args) => {
      asked++;
      return gateThatSays({ softmax: 'FAIL' })(...args);
    };
    await run(judge, 'r');
    await run(judge, 'r');
    expect(asked).toBe(1);
    const { rows } = await database.query("SELECT output FROM pipeline_steps WHERE step = 'gate:judge'");
    expect(rows).toEqual([{ output: [{ subject: subjectName(subjectOf(softmax)), status: 'FAIL' }] }]);
  });

  it('lets a canary go before a shadow, so that the next can follow it', async () => {
    const all = { 'egreedy-v1': 'PASS', softmax: 'PASS', 'linucb-v1': 'PASS' } as const;
    await takeSteps(database, egreedyV1, wayTo('shadow'));
    await takeSteps(database, linUcb, wayTo('shadow'));
    await takeSteps(database, softmax, wayTo('canary 50'));
    await putCards(database, [egreedyV1, softmax, linUcb]);
    expect(await run(gateThatSays(all), 'r')).toEqual([
      { policy: 'softmax', went: 'active 100 %', because: null },
      { policy: 'egreedy-v1', went: 'canary 1 %', because: null },
      {
        ...{ policy: 'linucb-v1', went: null },
        because: 'egreedy-v1 is a canary: one at a time is compared with the active policy',
      },
    ]);
    expect(await Promise.all([softmax, egreedyV1, linUcb].map(standing))).toEqual([
      ...['active 100', 'canary 1', 'shadow 0'],
    ]);
  });

  it('does not hold one policy up for another that may not go on', async () => {
    await takeSteps(database, linUcb, wayTo('shadow'));
    await takeSteps(database, softmax, wayTo('shadow'));
    await putCards(database, [softmax]);
    expect(await run(gateThatSays(passes), 'r')).toMatchObject([
      { policy: 'linucb-v1', went: null },
      { policy: 'softmax', went: 'canary 1 %' },
    ]);
  });

  it('gives way to somebody who takes a step at the same time, and says so', async () => {
    await takeSteps(database, softmax, wayTo('shadow'));
    await putCards(database, [softmax]);
    const rollouts = foldRollouts((await createRolloutStore(database).readSteps(0)) ?? []);
    const moved = moveRollout(rollouts, {
      ...{ ...subjectOf(softmax), ...by, to: 'retired', atMs: Date.now(), expectedNumber: undefined },
    });
    const client = await database.connect();
    try {
      await client.query('BEGIN');
      if (moved.kind === 'appended') await createRolloutStore(client).append(moved.steps);
      const running = run(gateThatSays(passes), 'r');
      await waitFor('the run to come to that step', () => isWaitedFor(database));
      await client.query('COMMIT');
      expect(await running).toEqual([
        { policy: 'softmax', went: null, because: 'somebody else took a step meanwhile' },
      ]);
    } finally {
      client.release();
    }
    expect(await standing(softmax)).toBe('retired 0');
  });

  it('has nothing to do before a server has begun, or where nobody is on the way', async () => {
    expect(await run(gateThatSays(passes), 'r')).toEqual([]);
    await openNew();
    expect(await run(gateThatSays(passes), 'r')).toEqual([]);
  });
});
