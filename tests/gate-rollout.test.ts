// The gate with all its limits, on decisions and outcomes in real tables: what is worse stops in the shadow, what is better
// goes all the way, and too little data blocks.

import { create } from '@bufbuild/protobuf';
import { createContextValues } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgePolicies } from '../consumers/judge-policies.ts';
import { canaryExperiment } from '../experiments/canary.ts';
import { noExperiments } from '../experiments/experiment.ts';
import { gateLimits } from '../experiments/gate.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { createEpsilonGreedy } from '../experiments/policies/epsilon-greedy.ts';
import { policies as ours } from '../experiments/policies/index.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { createShadowStore } from '../experiments/shadow-store.ts';
import { type Treatment, treat, withCanary } from '../experiments/treatment.ts';
import { createEventStore } from '../features/event-store.ts';
import { toTimestamp } from '../features/time.ts';
import { vectorNames } from '../features/vector.ts';
import { AdvanceRolloutRequestSchema, RolloutStage } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { ExperimentAssignmentSchema, type TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { openDatabase } from '../platform/database.ts';
import { DomainError } from '../platform/errors.ts';
import { unchanging } from '../platform/follow.ts';
import { newId } from '../platform/ids.ts';
import { createCardStore } from '../registry/card-store.ts';
import { firstStep, foldRollouts, servingOf, standingOf } from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { gatherCard } from '../scripts/gather-card.ts';
import { toLoggedExperiments } from '../server/logged-experiments.ts';
import { createAdvanceRollout } from '../server/routes/admin/advance-rollout.ts';
import type { Payload } from './_util/arbitraries.ts';
import { decided, decisionBy } from './_util/decisions.ts';
import { silent } from './_util/loop.ts';
import { putCards } from './_util/rollouts.ts';
import { createTestDatabase } from './_util/servers.ts';
import { storePatiently } from './_util/tables.ts';

const dayMs = 86_400_000;
const one = 4096;

/** An overdue task, which people like, one that they do not, and one between: what the prior of `egreedy-v2` expects. */
const overdue = vectorNames.indexOf('is_overdue');
const vectors = [1, 0, 0.5].map((value) =>
  vectorNames.map((_, i) => (i === 0 ? one : i === overdue ? value * one : 0)),
);
const reactions = [Reaction.HELPFUL, Reaction.NOT_HELPFUL, Reaction.SNOOZE] as const;

/** Learns as `egreedy-v2` does, and makes less of it. */
const timid = createEpsilonGreedy({ name: 'timid', code: 2, entries: 12 }, { epsilon: 0.9 });
const policies = new Map([...ours, [timid.name, timid]]);

async function startWorld(active: Policy) {
  const server = await createTestDatabase();
  const database = openDatabase({ url: server.url, applicationName: 'test', maxConnections: 6 });
  const store = createRolloutStore(database);
  let nowMs = Date.now() - 60 * dayMs;
  const by = { actor: 'test', caller: '', reason: 'a test' };
  await store.append([firstStep({ policy: active.name, version: active.version }, { ...by, atMs: nowMs })]);
  const advance = createAdvanceRollout({
    ...{ rolloutStore: store, policies: unchanging(policies), clock: () => nowMs, log: silent },
    ...{ rollouts: { refresh: async () => undefined }, cardStore: createCardStore(database), cardRules: gateLimits },
  });
  const rollouts = async () => foldRollouts((await store.readSteps(0)) ?? []);
  const events = createEventStore(database);
  const storeAll = async (all: readonly Envelope[]) => {
    for (let i = 0; i < all.length; i += 500) await storePatiently(events, all.slice(i, i + 500));
  };

  return {
    database,
    rollouts,
    pass: (days: number) => {
      nowMs += days * dayMs;
    },
    async step(policy: Policy, toStage: RolloutStage, more: object = {}) {
      const expectedPreviousNumber = (await rollouts()).number;
      const asked = { policy: policy.name, toStage, ...by, expectedPreviousNumber, ...more };
      await advance(create(AdvanceRolloutRequestSchema, asked), { values: createContextValues() });
    },
    /** People who were there before: every third has something connected, every other one is shown tips often. */
    async settle(people: number) {
      await storeAll(
        Array.from({ length: people }, (_, i) => [
          ...(i % 3 === 0 ? [event(i, nowMs, { case: 'integrationConnected', value: { provider: 'todoist' } })] : []),
          ...(i % 4 < 2
            ? Array.from({ length: 6 }, (_, tip) => event(i, nowMs, { case: 'tipServed', value: { tipId: `t${tip}` } }))
            : []),
        ]).flat(),
      );
    },
    /** Each of so many people gets tips over some days, decided about as a server would, and reacts to each. */
    async live({ people, tips, days }: { people: number; tips: number; days: number }) {
      const { active, canary } = servingOf(await rollouts());
      const experiment = canary && canaryExperiment({ ...canary, step: canary.number });
      const lived: Envelope[] = [];
      for (let person = 0; person < people; person++) {
        for (let tip = 0; tip < tips; tip++) {
          const atMs = Math.round(nowMs + ((person % 97) / 97 + tip / tips) * (days - 1) * dayMs * 0.5);
          const drawn = treat(noExperiments, userOf(person), atMs);
          const treatment = experiment ? withCanary(drawn, experiment, userOf(person), atMs) : drawn;
          const policy = policies.get(treatment.policy ?? active?.policy ?? '') ?? random;
          const made = pool(policy, person + tip);
          const scored = decided(userOf(person), atMs, logged(made, treatment));
          const shown = Number(made.tipId.at(-1));
          const value = {
            tipId: made.tipId,
            decisionId: scored.eventId,
            reaction: reactions[shown] ?? Reaction.DISMISS,
          };
          lived.push(scored, event(person, atMs + 60_000, { case: 'tipFeedback', value }));
        }
      }
      nowMs += days * dayMs;
      await storeAll(lived);
      await database.query('ANALYZE'); // as autovacuum would, long before so many decisions were made
      const rewards = createRewardStore(database);
      while ((await rewards.rewardTips()) > 0);
    },
    /** What a shadow makes of all decisions. */
    async shadow(policy: Policy, decisions: number) {
      const shadows = createShadowStore(database);
      let done = 0;
      await waitFor(
        'the shadow to be done',
        async () => {
          for (let count = 1; count > 0; done += count) count = await shadows.scoreNext(policy);
          return done >= decisions;
        },
        60_000,
      );
    },
    /** Makes a card of a policy from what the log says by now, and keeps it. */
    async card(policy: Policy) {
      const { subject, card, problems } = await gatherCard(database, policy.name, { owner: 'test' }, nowMs);
      await createCardStore(database).put({ subject, card, actor: 'test', atMs: nowMs });
      return { card, fields: problems.map(({ field }) => field) };
    },
    async judge(freshMs = 0) {
      const verdicts = await judgePolicies({ database, policies: unchanging(policies), freshMs }, nowMs);
      return verdicts[0];
    },
    async [Symbol.asyncDispose]() {
      await database.end();
      await server.drop();
    },
  };
}

/** Nothing was learnt, so decisions differ by their draws alone: some hundred will do for all. */
const made = new Map<string, readonly TipScored[]>();
function pool(policy: Policy, index: number): TipScored {
  const all = made.get(policy.name) ?? Array.from({ length: 997 }, () => decisionBy(policy, { vectors }));
  made.set(policy.name, all);
  const one = all[index % all.length] ?? decisionBy(policy, { vectors });
  return { ...one, requestId: newId(Date.now()) };
}

const userOf = (person: number) => `person-${person}`;

function event(person: number, atMs: number, payload: Payload): Envelope {
  return create(EnvelopeSchema, {
    ...{ userId: userOf(person), eventId: newId(Date.now()), payload, schemaVersion: 'v1', producer: 'test' },
    occurredAt: toTimestamp(atMs),
  });
}

/** As logged by a server that took 4 ms. */
const logged = (made: TipScored, treatment: Treatment): TipScored =>
  Object.assign(made, {
    elapsedMicros: 4_000,
    experiments: toLoggedExperiments(treatment).experiments.map((each) => create(ExperimentAssignmentSchema, each)),
  });

const statuses = (verdict: Awaited<ReturnType<typeof judgePolicies>>[number] | undefined) =>
  Object.fromEntries((verdict?.criteria ?? []).map(({ criterion, status }) => [criterion, status]));

const refusalOf = (step: Promise<unknown>) =>
  step.then(
    () => 'taken',
    (error: unknown) => (error instanceof DomainError ? error.reason : String(error)),
  );

const toCanary = { trafficPercent: 1 };

describe('a policy that is worse', () => {
  it('is stopped in the shadow: the verdict is FAIL, and no step towards people is taken', {
    timeout: 120_000,
  }, async () => {
    await using world = await startWorld(egreedyV2);
    await world.settle(1_500);
    world.pass(1);
    await world.step(random, RolloutStage.REGISTERED);
    await world.step(random, RolloutStage.SHADOW, { expectedDivergence: 'it does not choose' });
    await world.live({ people: 1_500, tips: 4, days: 10 });
    await world.shadow(random, 6_000);
    const verdict = await world.judge();
    expect(verdict).toMatchObject({ status: 'FAIL' });
    expect(statuses(verdict)).toMatchObject({ shadow_decisions: 'PASS', reward: 'FAIL', sample_ratio: 'PASS' });
    expect(await world.card(random)).toMatchObject({ fields: [] }); // it says how much worse
    expect(await refusalOf(world.step(random, RolloutStage.CANARY, toCanary))).toBe('VERDICT_BLOCKS');
    expect(servingOf(await world.rollouts())).toMatchObject({ active: { policy: 'egreedy-v2' }, canary: undefined });
  });
});

describe('a policy of which too little is known', () => {
  it('is INSUFFICIENT, and that blocks', { timeout: 60_000 }, async () => {
    await using world = await startWorld(timid);
    world.pass(1);
    await world.step(egreedyV2, RolloutStage.REGISTERED);
    await world.step(egreedyV2, RolloutStage.SHADOW, { expectedDivergence: 'it has learnt' });
    expect(await refusalOf(world.step(egreedyV2, RolloutStage.CANARY, toCanary))).toBe('SHADOW_TOO_SHORT');
    await world.live({ people: 40, tips: 2, days: 10 });
    await world.shadow(egreedyV2, 80);
    const verdict = await world.judge();
    expect(await world.judge(1)).toBeUndefined(); // it was, just now
    expect(verdict).toMatchObject({ status: 'INSUFFICIENT' });
    expect(Object.values(statuses(verdict))).not.toContain('FAIL');
    expect((await world.card(egreedyV2)).fields).toContain('log.fairness.activity');
    expect(await refusalOf(world.step(egreedyV2, RolloutStage.CANARY, toCanary))).toBe('CARD_INCOMPLETE');
    await putCards(world.database, [egreedyV2]);
    expect(await refusalOf(world.step(egreedyV2, RolloutStage.CANARY, toCanary))).toBe('VERDICT_BLOCKS');
  });
});

describe('a policy that is better', () => {
  let world: Awaited<ReturnType<typeof startWorld>>;
  beforeAll(async () => {
    world = await startWorld(timid);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('passes the shadow, each share of the canary, and becomes active', { timeout: 300_000 }, async () => {
    await world.settle(12_000);
    world.pass(1);
    await world.step(egreedyV2, RolloutStage.REGISTERED);
    await world.step(egreedyV2, RolloutStage.SHADOW, { expectedDivergence: 'it has learnt' });
    await world.live({ people: 1_500, tips: 4, days: 10 });
    await world.shadow(egreedyV2, 6_000);
    const shares = [
      [1, 40_000],
      [5, 12_000],
      [10, 6_000],
      [25, 3_000],
      [50, 2_000],
    ] as const;
    for (const [trafficPercent, people] of shares) {
      const verdict = await world.judge();
      const { card, fields } = await world.card(egreedyV2);
      expect(fields).toEqual([]);
      expect(card.log).toMatchObject({
        source: trafficPercent === 1 ? 'shadow' : 'canary',
        against: 'timid 2;lambda=20;kappa=10;epsilon=0.9',
      });
      expect(verdict?.criteria.filter(({ status }) => status !== 'PASS')).toEqual([]);
      await world.step(egreedyV2, RolloutStage.CANARY, { trafficPercent });
      expect(await refusalOf(world.step(egreedyV2, RolloutStage.ACTIVE))).not.toBe('taken');
      await world.live({ people, tips: trafficPercent === 1 ? 3 : 2, days: 8 });
    }
    expect(await world.judge()).toMatchObject({ status: 'PASS' });
    await world.step(egreedyV2, RolloutStage.ACTIVE);
    const { active, cleared } = servingOf(await world.rollouts());
    expect(active).toMatchObject({ policy: 'egreedy-v2', overrides: [] });
    expect(cleared.map(({ policy }) => policy)).toEqual(['timid', 'egreedy-v2']);
  });
});

describe('a canary that harms people', () => {
  it('is taken away from them by the gate itself, which says why', { timeout: 120_000 }, async () => {
    await using world = await startWorld(egreedyV2);
    await putCards(world.database, [random]);
    world.pass(1);
    await world.step(random, RolloutStage.REGISTERED);
    await world.step(random, RolloutStage.SHADOW);
    world.pass(2);
    await world.judge();
    await world.step(random, RolloutStage.CANARY, { ...toCanary, overrideReason: 'somebody insisted' });
    await world.judge();
    await world.step(random, RolloutStage.CANARY, { trafficPercent: 5, overrideReason: 'and again' });
    expect(servingOf(await world.rollouts()).canary).toMatchObject({ overrides: ['somebody insisted', 'and again'] });
    await world.live({ people: 6_000, tips: 2, days: 4 });
    expect(statuses(await world.judge())).toMatchObject({ reward: 'FAIL' });
    const rollouts = await world.rollouts();
    const subject = { policy: random.name, version: random.version };
    expect(standingOf(rollouts, subject)).toMatchObject({ stage: 'rolled_back' });
    expect(servingOf(rollouts).active).toMatchObject({ policy: 'egreedy-v2' });
    const { steps } = await createRolloutStore(world.database).list({ limit: 1, before: undefined, policy: undefined });
    expect(steps[0]).toMatchObject({ actor: 'gate', to: 'rolled_back', verdict: { status: 'FAIL' } });
    expect(steps[0]?.reason).toContain('of reward per decision against the active policy');
  });
});
