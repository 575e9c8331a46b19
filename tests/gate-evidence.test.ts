// What the gate is told of a policy: from the events, through the stores that fill the tables, to the numbers.

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { momentsByArm, noCounts, rewardPerDecision, type UserCounts } from '../experiments/analysis/counters.ts';
import { alwaysValidFactor, analyse } from '../experiments/analysis/difference.ts';
import { seedOf, uniform } from '../experiments/draw.ts';
import { collectEvidence, type EvidenceRequest } from '../experiments/evidence-store.ts';
import type { Experiment } from '../experiments/experiment.ts';
import { type Evidence, type GroupEvidence, judge } from '../experiments/gate.ts';
import { evaluate } from '../experiments/off-policy/evaluate.ts';
import { startRewardModel } from '../experiments/off-policy/reward-model.ts';
import { toRow } from '../experiments/off-policy/row.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { rewardMilli } from '../experiments/rewards.ts';
import { createShadowStore } from '../experiments/shadow-store.ts';
import { createEventStore } from '../features/event-store.ts';
import { toTimestamp } from '../features/time.ts';
import { vectorNames } from '../features/vector.ts';
import type { ReactionName } from '../gen/proto/oo/contract.ts';
import { ExperimentAssignmentSchema, type TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Degradation, Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import type { Payload } from './_util/arbitraries.ts';
import { decided, decisionBy } from './_util/decisions.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import { shown, storePatiently } from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 4 });
});
afterAll(async () => {
  await database.end();
  await testDatabase.drop();
});

const tables = 'events, event_ids, tip_scores, tip_outcomes, tip_feedback, user_daily, user_integrations';
const derivedTables = 'experiment_stats, policy_stats, shadow_cursors, shadow_daily, shadow_scores';
const emptyTables = () => database.query(`TRUNCATE ${tables}, ${derivedTables}`);

/** In the middle of a UTC day. */
const sinceMs = (utcDay(Date.now()) - 3) * dayMs + 12.5 * 3_600_000;
const sinceDayMs = utcDay(sinceMs) * dayMs;

function eventOf(userId: string, atMs: number, payload: Payload): Envelope {
  const about: MessageInitShape<typeof EnvelopeSchema> = {
    ...{ eventId: newId(atMs), userId, occurredAt: toTimestamp(atMs), schemaVersion: 'v1', producer: 'test', payload },
  };
  return create(EnvelopeSchema, about);
}

const connected = (userId: string, atMs: number, provider: string) =>
  eventOf(userId, atMs, { case: 'integrationConnected', value: { provider } });
const expired = (userId: string, atMs: number, provider: string) =>
  eventOf(userId, atMs, { case: 'integrationTokenExpired', value: { provider } });
const served = (userId: string, atMs: number, count: number) =>
  Array.from({ length: count }, (_, i) => shown(userId, atMs, `shown-${i}`));

interface Plan {
  readonly activity: string;
  readonly integrations: string;
  /** What the person did before, or too late to count. */
  readonly past: (userId: string) => readonly Envelope[];
}

const plans: readonly Plan[] = [
  { activity: 'new', integrations: 'none', past: () => [] },
  {
    ...{ activity: 'new', integrations: 'one' },
    past: (id) => [...served(id, sinceDayMs - 1, 4), connected(id, sinceMs - 1, 'a')],
  },
  {
    ...{ activity: 'light', integrations: 'none' },
    past: (id) => [...served(id, sinceDayMs - dayMs, 2), ...served(id, sinceDayMs - 1, 3), connected(id, sinceMs, 'a')],
  },
  {
    ...{ activity: 'light', integrations: 'several' },
    past: (id) => [
      ...served(id, sinceDayMs - 5 * dayMs, 59),
      ...served(id, sinceDayMs, 1), // on the very day, which was not over
      ...served(id, sinceDayMs + dayMs, 1),
      ...['a', 'b'].map((provider) => connected(id, sinceMs - 60 * dayMs, provider)),
    ],
  },
  {
    ...{ activity: 'regular', integrations: 'one' },
    past: (id) => [
      ...served(id, sinceDayMs - 5 * dayMs, 60),
      connected(id, sinceMs - 2 * dayMs, 'a'),
      ...[connected(id, sinceMs - 2 * dayMs, 'b'), expired(id, sinceMs - dayMs, 'b')],
    ],
  },
  {
    ...{ activity: 'new', integrations: 'none' },
    past: (id) => [
      ...served(id, sinceDayMs - 30 * dayMs - 1, 60), // a day too early
      connected(id, sinceMs + 1, 'a'),
    ],
  },
  {
    ...{ activity: 'light', integrations: 'several' },
    past: (id) => [
      ...served(id, sinceDayMs - 30 * dayMs, 5), // the first day that counts
      ...['a', 'b', 'c'].map((provider) => connected(id, sinceMs - 1, provider)),
    ],
  },
];
const nobody: Plan = { activity: 'new', integrations: 'none', past: () => [] };
const planOf = (i: number): Plan => (i < 280 ? (plans[i % plans.length] ?? nobody) : nobody);

const reactions: readonly (readonly [Reaction, ReactionName])[] = [
  [Reaction.HELPFUL, 'helpful'],
  [Reaction.NOT_HELPFUL, 'not_helpful'],
  [Reaction.DISMISS, 'dismiss'],
  [Reaction.SNOOZE, 'snooze'],
];

/** A decision, the reaction to it, and the reward of that in thousandths. */
interface Story {
  readonly userId: string;
  readonly decision: Envelope;
  readonly feedback: Envelope | undefined;
  readonly milli: number | undefined;
}

interface Told {
  readonly userId: string;
  /** Of the story, among all. */
  readonly number: number;
  readonly policy: Policy;
  readonly change?: (value: TipScored) => void;
  readonly atMs?: number;
}

/** Every sixth is left without a reaction; what the others say follows from the vector in part. */
function story({ userId, number, policy, change, atMs = sinceMs + 1000 * number }: Told): Story {
  const drawn = (j: number) => uniform(seedOf(`story ${number}`), j);
  const vectors = [0, 1, 2].map((k) => vectorNames.map((_, j) => Math.floor(drawn(20 * k + j) * 8192) - 4096));
  const requestId = `0190a5d2-7b1c-7cc0-8a5e-${number.toString(16).padStart(12, '0')}`;
  const value = decisionBy(policy, { vectors, requestId });
  change?.(value);
  const decision = decided(userId, atMs, value);
  const chosen = value.candidates.find(({ tipId }) => tipId === value.tipId);
  const liking = (chosen?.vector[2] ?? 0) / 8192 + drawn(90);
  const [reaction, name] = reactions[Math.min(3, Math.max(0, Math.floor(3 - 3 * liking)))] ?? [];
  if (number % 6 === 5 || reaction === undefined || name === undefined)
    return { userId, decision, feedback: undefined, milli: undefined };
  const said = { tipId: value.tipId, decisionId: decision.eventId, reaction };
  const feedback = eventOf(userId, atMs + 500, { case: 'tipFeedback', value: said });
  return { userId, decision, feedback, milli: rewardMilli(name, undefined) };
}

async function keep(events: readonly Envelope[]): Promise<void> {
  const store = createEventStore(database);
  for (let i = 0; i < events.length; i += 1_000) await storePatiently(store, events.slice(i, i + 1_000));
}

async function live(stories: readonly Story[]): Promise<void> {
  await keep(stories.flatMap(({ decision, feedback }) => (feedback ? [decision, feedback] : [decision])));
  while ((await createRewardStore(database).rewardTips()) > 0);
}

const groupNamed = ({ groups = [] }: Evidence, name: string): GroupEvidence | undefined =>
  groups.find(({ segment, group }) => `${segment} ${group}` === name);

const scoredIn = ({ decision }: Story) => {
  if (decision.payload.case !== 'tipScored') throw new Error('no decision');
  return decision.payload.value;
};

const shadowRequest: EvidenceRequest = {
  ...{ subject: 'random', step: 3, policy: random, active: egreedyV2, sinceMs },
  expectedDivergence: { by: 'anna', reason: 'it is even' },
};

const experiment: Experiment = {
  ...{ key: 'canary', version: '2', status: 'running', seed: 's', hashVersion: 2, coverage: 1, forced: {} },
  arms: [
    { key: 'active', weight: 0.5 },
    { key: 'canary', weight: 0.5, policy: 'softmax' },
  ],
};
const canaryRequest: EvidenceRequest = {
  ...{ subject: 'softmax', step: 3, policy: softmax, active: egreedyV2, sinceMs, canary: { experiment } },
};

it('nothing is known of what nobody has seen, and that is not 0', async () => {
  await emptyTables();
  expect(await collectEvidence(database, shadowRequest)).toEqual({
    subject: 'random',
    step: 3,
    sampleRatio: 'no arms',
  });
  const canary = await collectEvidence(database, canaryRequest);
  expect(canary).toEqual({ subject: 'softmax', step: 3 });
  expect(judge(canary, 0).criteria.map(({ status }) => status)).not.toContain('PASS');
});

describe('of a policy in the shadow', () => {
  const people = Array.from({ length: 1_050 }, (_, i) => `person-${i}`);
  const stories = people.flatMap((userId, i) => {
    const number = 10 * i;
    const own = story({ userId, number, policy: egreedyV2 });
    if (i >= 280) return [own];
    const atMs = sinceMs - (1 + (i % 4)) * dayMs;
    const old = (value: TipScored) => {
      value.policyVersion = 'old';
    };
    const foreign = (value: TipScored) => {
      value.policy = 'foreign';
    };
    return [
      own,
      story({ userId, number: number + 1, policy: egreedyV2, atMs }),
      story({ userId, number: number + 2, policy: random }),
      story({ userId, number: number + 3, policy: egreedyV2, change: old }),
      story({ userId, number: number + 4, policy: egreedyV2, change: foreign }),
    ];
  });
  const ofActive = stories.filter((each) => {
    const { policy, policyVersion } = scoredIn(each);
    return policy === egreedyV2.name && policyVersion === egreedyV2.version;
  });
  let cpuMicros = 0;
  let evidence: Evidence;

  /** From whole decisions, in memory: nothing that shadows keep, and no SQL. */
  const expectedOf = (isIn: (plan: Plan) => boolean) => {
    const model = startRewardModel(vectorNames.length);
    const known = ofActive.flatMap((each) => {
      const { tipId, candidates } = scoredIn(each);
      if (each.milli === undefined) return [];
      const vectors = candidates.map(({ vector }) => vector);
      const chosen = candidates.findIndex((candidate) => candidate.tipId === tipId);
      model.add(each.userId, vectors[chosen] ?? [], each.milli / 1000);
      const propensities = candidates.map(({ propensity }) => propensity);
      const targetProbabilities = candidates.map(() => 1 / candidates.length);
      return [{ user: each.userId, chosen, propensities, targetProbabilities, reward: each.milli / 1000, vectors }];
    });
    const fitted = model.fit();
    const rows = known
      .filter(({ user }) => isIn(planOf(people.indexOf(user))))
      .map((decision) =>
        toRow(
          decision,
          decision.vectors.map((vector) => fitted.predict(decision.user, vector)),
        ),
      );
    const { spread, estimates } = evaluate(rows, { replicates: 0 });
    const gain = estimates.find(({ name }) => name === 'DR')?.gain;
    const half = (gain?.standardError ?? Number.NaN) * 1000 * alwaysValidFactor(spread.people, 0.05, 5000);
    const value = (gain?.value ?? Number.NaN) * 1000;
    return { spread, lower: value - half, upper: value + half };
  };

  beforeAll(async () => {
    await emptyTables();
    await keep(people.flatMap((userId, i) => planOf(i).past(userId)));
    await live(stories);
    // one in ten takes 6 ms, the others 4 ms
    let calls = 0;
    const store = createShadowStore(database, () => {
      cpuMicros += calls++ % 2 === 0 ? 0 : Math.floor(calls / 2) % 10 === 0 ? 6_000 : 4_000;
      return cpuMicros;
    });
    let scored = 0;
    await waitFor(
      'the shadow to have gone through all',
      async () => {
        for (let next = await store.scoreNext(random); next > 0; next = await store.scoreNext(random)) scored += next;
        return scored === stories.length;
      },
      60_000,
    );
    evidence = await collectEvidence(database, shadowRequest);
  }, 120_000);

  it('says for how long, how often and how it agreed, with everything that served', () => {
    const { shadow, serving, subject, sampleRatio } = evidence;
    expect(shadow).toMatchObject({ decisions: stories.length, divergenceExplained: shadowRequest.expectedDivergence });
    expect(shadow?.days).toBe(5);
    expect(shadow?.agreement).toBeCloseTo(1 / 3, 5); // of three candidates, whichever is best
    expect(serving).toEqual({ requests: stories.length, slow: Math.floor(stories.length / 10), errors: 0, limitMs: 5 });
    expect({ subject, sampleRatio }).toEqual({ subject: 'random', sampleRatio: 'no arms' });
  });

  it('has the difference from the decisions of the active policy and version alone', () => {
    const { spread, lower, upper } = expectedOf(() => true);
    const { offPolicy } = evidence;
    expect(spread.rows).toBeGreaterThan(1_000); // more than a page
    expect(offPolicy?.difference?.lower).toBeCloseTo(lower, 5);
    expect(offPolicy?.difference?.upper).toBeCloseTo(upper, 5);
    expect(offPolicy?.effectiveDecisions).toBeCloseTo(spread.effectiveRows, 6);
    expect(offPolicy?.maxWeight).toBeCloseTo(spread.maxWeight, 9);
    expect(offPolicy?.meanWeight).toBeCloseTo(spread.meanWeight, 9);
  });

  it.each([
    ['activity', 'new', true],
    ['activity', 'light', true],
    ['activity', 'regular', false],
    ['integrations', 'none', true],
    ['integrations', 'one', false],
    ['integrations', 'several', false],
  ] as const)('and for %s: %s', (segment, group, isLarge) => {
    const { spread, lower, upper } = expectedOf((plan) => plan[segment] === group);
    const found = groupNamed(evidence, `${segment} ${group}`);
    expect(found?.users).toBe(spread.people);
    expect(spread.people >= 100).toBe(isLarge);
    if (!isLarge) expect(found?.difference).toBeUndefined();
    else {
      expect(found?.difference?.lower).toBeCloseTo(lower, 5);
      expect(found?.difference?.upper).toBeCloseTo(upper, 5);
    }
  });

  it('knows nothing of another version of it, nor where another version was active', async () => {
    const other = { name: random.name, version: 'other' };
    expect(await collectEvidence(database, { ...shadowRequest, policy: other })).toEqual({
      ...{ subject: 'random', step: 3, sampleRatio: 'no arms' },
    });
    const { shadow, offPolicy, groups } = await collectEvidence(database, {
      ...{ ...shadowRequest, active: { name: egreedyV2.name, version: 'other' } },
    });
    expect(shadow).toEqual(evidence.shadow);
    expect({ offPolicy, groups }).toEqual({ offPolicy: undefined, groups: undefined });
  });

  it('has no comparison where what is kept of it makes no sense', async () => {
    await database.query('UPDATE tip_scores SET propensity = 0 WHERE policy = $1', [egreedyV2.name]);
    expect(await collectEvidence(database, shadowRequest)).toEqual({
      ...{ subject: 'random', step: 3, sampleRatio: 'no arms', shadow: evidence.shadow, serving: evidence.serving },
    });
  });
});

describe('of a policy in the canary', () => {
  type Change = (value: TipScored) => void;
  const inArm = (arm: string, elapsedMicros: number, version = experiment.version): Change => {
    const assignment = create(ExperimentAssignmentSchema, { experiment: 'canary', version, arm, propensity: 0.5 });
    const other = create(ExperimentAssignmentSchema, { experiment: 'other', version, arm: 'canary', propensity: 1 });
    return (value) => {
      value.experiments = [other, assignment];
      value.elapsedMicros = elapsedMicros;
    };
  };
  const elapsedOf = (number: number) => [0, 25_000, 25_001, 1_000, 90_000][number % 5] ?? 0;
  const people = Array.from({ length: 580 }, (_, i) => ({
    userId: `person-${i}`,
    arm: i % 2 ? 'canary' : 'active',
    i,
  }));

  const stories = people.flatMap(({ userId, arm, i }) =>
    Array.from({ length: 1 + (i % 3) }, (_, k) => {
      const number = 3 * i + k;
      const policy = arm === 'active' ? egreedyV2 : number % 50 === 1 ? random : softmax;
      const change: Change = (value) => {
        inArm(arm, arm === 'active' ? 90_000 : elapsedOf(number))(value);
        if (number % 50 === 11) value.policyVersion = 'old';
        if (number % 50 === 41) value.policy = 'foreign';
        if (number % 50 === 21) value.degradations = [Degradation.POLICY_FALLBACK];
        if (number % 50 === 31) value.degradations = [Degradation.FEAST_UNAVAILABLE];
      };
      return story({ userId, number, policy, change, atMs: sinceMs + ([-1, 0, 1, dayMs][number % 4] ?? 0) });
    }),
  );
  const both = ['active', 'canary'].map((arm, k) =>
    story({ userId: 'both', number: 9_000 + k, policy: softmax, change: inArm(arm, 1) }),
  );
  const before = people
    .slice(0, 20)
    .map(({ userId, i }) =>
      story({ userId, number: 10_000 + i, policy: softmax, change: inArm('canary', 90_000, '1') }),
    );
  let evidence: Evidence;

  const differenceOf = (isIn: (plan: Plan) => boolean) => {
    const rows = people
      .filter(({ i }) => isIn(planOf(i)))
      .map(({ userId, arm }) => {
        const own = stories.filter((each) => each.userId === userId);
        const counts: UserCounts = {
          ...noCounts,
          decisions: own.length,
          rewardMilli: own.reduce((sum, { milli = 0 }) => sum + milli, 0),
        };
        return { arm, counts };
      });
    const smaller = Math.min(...['active', 'canary'].map((arm) => rows.filter((row) => row.arm === arm).length));
    const { comparisons } = analyse(momentsByArm(rows, rewardPerDecision), 'active');
    return { users: smaller, difference: comparisons[0]?.absolute?.alwaysValid };
  };

  beforeAll(async () => {
    await emptyTables();
    await keep(people.flatMap(({ userId, i }) => planOf(i).past(userId)));
    await live([...stories, ...both, ...before]);
    evidence = await collectEvidence(database, canaryRequest);
  }, 120_000);

  it('has the difference between the arms, over whoever is in one of them', () => {
    const { difference } = differenceOf(() => true);
    expect(difference?.lower).toBeLessThan(difference?.upper ?? 0);
    const own = stories.filter(({ userId }) => people.some((each) => each.userId === userId && each.arm === 'canary'));
    expect(evidence.offPolicy).toEqual({ difference, effectiveDecisions: own.length, maxWeight: 1, meanWeight: 1 });
    expect(evidence.sampleRatio).toEqual({ observed: people.length, pValue: 1 });
    expect(evidence).toMatchObject({ subject: 'softmax', shadow: undefined });
  });

  it.each([
    ['activity', 'new', true],
    ['activity', 'light', false],
    ['activity', 'regular', false],
    ['integrations', 'none', true],
    ['integrations', 'one', false],
    ['integrations', 'several', false],
  ] as const)('and for %s: %s', (segment, group, isLarge) => {
    const expected = differenceOf((plan) => plan[segment] === group);
    expect(groupNamed(evidence, `${segment} ${group}`)).toEqual({ segment, group, ...expected });
    expect(expected.difference !== undefined).toBe(isLarge);
  });

  it('counts the decisions of its arm since then: how many were slow, and on how many it failed', () => {
    const own = [...stories, ...both]
      .map((each) => ({ value: scoredIn(each), atMs: Number(each.decision.occurredAt?.seconds) * 1000 }))
      .filter(({ value }) => value.experiments.some(({ experiment: key, arm }) => key === 'canary' && arm === 'canary'))
      .filter(({ atMs }) => atMs >= sinceMs);
    const failed = own.filter(
      ({ value: { policy, policyVersion, degradations } }) =>
        policy !== softmax.name || policyVersion === 'old' || degradations.includes(Degradation.POLICY_FALLBACK),
    );
    const timed = own.filter(({ value }) => value.elapsedMicros > 0);
    expect(own.length - timed.length).toBeGreaterThan(50);
    expect(failed.length).toBeGreaterThan(15);
    expect(evidence.serving).toEqual({
      requests: timed.length,
      slow: timed.filter(({ value }) => value.elapsedMicros > 25_000).length,
      errors: failed.length,
      limitMs: 25,
    });
  });

  it('knows how it got on in the shadow before, and nothing of how it serves from then on', async () => {
    const store = createShadowStore(database);
    await waitFor('some to be scored', async () => (await store.scoreNext(random)) > 0, 60_000);
    const later = { ...canaryRequest, policy: random, sinceMs: sinceMs + 2 * dayMs };
    const { shadow, serving, offPolicy } = await collectEvidence(database, later);
    expect(shadow?.decisions).toBe(200);
    expect(serving).toBeUndefined();
    expect(offPolicy).toEqual(evidence.offPolicy);
  });

  it('has the alarm where somebody is in an arm that there is not', async () => {
    await live([story({ userId: 'odd', number: 20_000, policy: softmax, change: inArm('third', 1) })]);
    const { sampleRatio } = await collectEvidence(database, canaryRequest);
    expect(sampleRatio).toEqual({ observed: people.length + 1, pValue: 0 });
  });
});
