import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addCounts, noCounts, type UserCounts } from '../experiments/analysis/counters.ts';
import { add, contributionOf, type Statistics } from '../experiments/linear-model.ts';
import { createPopulationReader, measureLearnt } from '../experiments/population-store.ts';
import { createRewardStore, relearn } from '../experiments/reward-store.ts';
import { rewardMilli, rewards } from '../experiments/rewards.ts';
import { nothingLearnt, statisticsVersion, unpackStatistics } from '../experiments/statistics.ts';
import { fold } from '../features/buckets.ts';
import { personDeltas } from '../features/deltas.ts';
import { createErasureStore } from '../features/erasure-store.ts';
import { createEventStore } from '../features/event-store.ts';
import { createPersonStore, packedStatistics } from '../features/person-store.ts';
import { toTimestamp } from '../features/time.ts';
import { vectorNames, vectorVersion } from '../features/vector.ts';
import { namesOfTipKind } from '../gen/proto/oo/contract.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Reaction, TipKind } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import type { Payload } from './_util/arbitraries.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import { isWaitedFor, storedOf, storePatiently } from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 8 });
});
afterAll(async () => {
  await database.end();
  await testDatabase.drop();
});

const startMs = Date.UTC(2026, 0, 1);

function event(userId: string, eventId: string, atMs: number, payload: Payload): Envelope {
  return create(EnvelopeSchema, {
    ...{ userId, eventId, payload, schemaVersion: 'v1', producer: 'test', occurredAt: toTimestamp(atMs) },
  });
}

type Arm = readonly [experiment: string, version: string, arm: string];

const anyArms: fc.Arbitrary<readonly Arm[]> = fc.subarray<Arm>([
  ['policies', '1', 'control'],
  ['policies', '2', 'control'],
  ['prompts', '', 'mentor "x", {y}'],
  ['prompts/policies', '1', 'x'],
]);

interface Prompt {
  readonly promptVersion: string;
  readonly model: string;
  readonly kind: TipKind;
  readonly policy: string;
  readonly day: number;
}

const noPrompt: Prompt = { promptVersion: '', model: '', kind: 0, policy: 'p', day: 0 };

const anyPrompt: fc.Arbitrary<Prompt> = fc.record({
  promptVersion: fc.constantFrom('', 'v1', 'v2 "x", {y}'),
  model: fc.constantFrom('', 'qwen2.5:7b'),
  kind: fc.constantFrom(0, 1, 2),
  policy: fc.constantFrom('p', 'q'),
  day: fc.integer({ min: 0, max: 1 }),
});

interface Story {
  readonly prompt?: Prompt;
  readonly vector: readonly number[];
  /** Reactions in the order in which they occur: 1 to 5, or 0 for silence. */
  readonly arms?: readonly Arm[];
  readonly outcomes: readonly { readonly reaction: Reaction; readonly dwellMs: bigint; readonly atMs: number }[];
}

const reactions = [0, 1, 2, 3, 4, 5] as const satisfies readonly Reaction[];

const anyStory: fc.Arbitrary<Story> = fc.record({
  prompt: anyPrompt,
  arms: anyArms,
  vector: fc.array(fc.integer({ min: -4096, max: 4096 }), {
    minLength: vectorNames.length,
    maxLength: vectorNames.length,
  }),
  outcomes: fc.array(
    fc.record({
      reaction: fc.constantFrom(...reactions),
      dwellMs: fc.bigInt({ min: 0n, max: 700_000n }),
      atMs: fc.integer({ min: 1, max: 5 }),
    }),
    { maxLength: 3 },
  ),
});

/** A decision about a tip, and all that was said about the tip. */
function eventsOf(userId: string, { prompt = noPrompt, vector, arms = [], outcomes }: Story): Envelope[] {
  const { policy, day, ...words } = prompt;
  const decidedMs = startMs + day * dayMs;
  const decisionId = newId(Date.now());
  const tipId = `tip-${decisionId}`;
  const scored = event(userId, decisionId, decidedMs, {
    case: 'tipScored',
    value: {
      requestId: newId(Date.now()),
      tipId,
      policy,
      candidates: [
        { tipId: 'another', promptVersion: 'of another', propensity: 0 },
        { tipId, vector: [...vector], propensity: 1, ...words },
      ],
      vectorNames: [...vectorNames],
      vectorVersion,
      experiments: arms.map(([experiment, version, arm]) => ({ experiment, version, arm, propensity: 0.5 })),
      forcedExperiments: [{ experiment: 'forced', version: '1', arm: 'x' }],
    },
  });
  const said = outcomes.map(({ reaction, dwellMs, atMs }) => {
    const payload: Payload =
      reaction === 0
        ? { case: 'tipIgnored', value: { tipId, decisionId, waitedMs: 86_400_000n } }
        : { case: 'tipFeedback', value: { tipId, decisionId, reaction, dwellMs } };
    return event(userId, newId(Date.now()), startMs + atMs, payload);
  });
  return [scored, ...said];
}

/** What is learnt from events, by the pure fold alone. */
function learntFrom(events: readonly Envelope[]): Statistics {
  const vectors = new Map(
    events.flatMap(({ eventId, payload }) =>
      payload.case === 'tipScored' ? [[eventId, payload.value.candidates[1]?.vector ?? []]] : [],
    ),
  );
  return fold(events.flatMap((each) => personDeltas(each)))
    .tip_outcomes.flatMap(({ decision_id, outcome, dwell_ms }) => {
      const vector = vectors.get(decision_id);
      const milli = outcome && rewardMilli(outcome as Parameters<typeof rewardMilli>[0], dwell_ms);
      const learnt = vector && milli !== undefined && milli !== '' && contributionOf(vector, milli);
      return learnt ? [learnt] : [];
    })
    .reduce(add, nothingLearnt);
}

/** What the arms are counted with, by the pure fold alone. */
function countsFrom(events: readonly Envelope[]): object[] {
  const outcomes = new Map(
    fold(events.flatMap((each) => personDeltas(each))).tip_outcomes.map((each) => [each.decision_id, each]),
  );
  const arms = new Map<string, UserCounts>();
  for (const { eventId, payload } of events) {
    if (payload.case !== 'tipScored') continue;
    const { outcome, dwell_ms } = outcomes.get(eventId) ?? {};
    const milli = outcome ? rewardMilli(outcome as Parameters<typeof rewardMilli>[0], dwell_ms) : undefined;
    for (const { experiment, version, arm } of payload.value.experiments) {
      const key = JSON.stringify([experiment, version, arm]);
      const added = { decisions: 1, rewards: milli === undefined ? 0 : 1, rewardMilli: milli ?? 0 };
      arms.set(key, addCounts(arms.get(key) ?? noCounts, added));
    }
  }
  return [...arms]
    .toSorted()
    .map(([key, { decisions, rewards, rewardMilli }]) => ({ key, decisions, rewards, rewardMilli }));
}

async function countsFor(userId: string): Promise<object[]> {
  const { rows } = await database.query<{ arm: readonly string[]; decisions: number }>(
    `SELECT ARRAY[experiment, version, arm] AS arm, decisions::int, rewards::int, reward_milli::int AS "rewardMilli"
    FROM experiment_stats WHERE user_id = $1`,
    [userId],
  );
  return rows
    .map(({ arm, ...counts }) => ({ key: JSON.stringify(arm), ...counts }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** What prompts are counted with, by the pure fold alone. */
function promptsFrom(events: readonly Envelope[]): readonly string[] {
  const outcomes = new Map(
    fold(events.flatMap((each) => personDeltas(each))).tip_outcomes.map((each) => [each.decision_id, each]),
  );
  const rows = new Map<string, number[]>();
  for (const { eventId, occurredAt, payload } of events) {
    if (payload.case !== 'tipScored') continue;
    const { promptVersion, model, kind } = payload.value.candidates[1] ?? noPrompt;
    const day = new Date(Number(occurredAt?.seconds) * 1000).toISOString().slice(0, 10);
    const key = JSON.stringify([
      ...[day, promptVersion, model, namesOfTipKind[kind] ?? 'unspecified', payload.value.policy],
    ]);
    const { outcome, dwell_ms } = outcomes.get(eventId) ?? {};
    const milli =
      outcome && outcome !== 'ignored' ? rewardMilli(outcome as Parameters<typeof rewardMilli>[0], dwell_ms) : 0;
    const each = ['done', 'dismiss', 'snooze', 'helpful', 'not_helpful'].map((name) => Number(name === outcome));
    const held = rows.get(key) ?? [];
    rows.set(
      key,
      [1, ...each, milli].map((added, i) => added + (held[i] ?? 0)),
    );
  }
  return [...rows].map((row) => JSON.stringify(row)).toSorted();
}

async function promptsFor(userId: string): Promise<readonly string[]> {
  const { rows } = await database.query<{ key: readonly string[]; counts: readonly number[] }>(
    `SELECT ARRAY[day::text, prompt_version, llm_model, tip_kind, policy] AS key,
      ARRAY[served, done, dismissed, snoozed, helpful, not_helpful, reward_milli] AS counts
    FROM prompt_rewards WHERE user_id = $1`,
    [userId],
  );
  return rows.map(({ key, counts }) => JSON.stringify([JSON.stringify(key), counts])).toSorted();
}

async function storedFor(userId: string): Promise<Statistics> {
  const { rows } = await database.query<{ packed: string }>(
    `SELECT ${packedStatistics} AS packed FROM policy_stats WHERE user_id = $1 AND version = $2`,
    [userId, statisticsVersion],
  );
  return unpackStatistics(rows[0]?.packed ?? null);
}

async function rewardAll(): Promise<number> {
  const store = createRewardStore(database);
  let total = 0;
  for (let count = 1; count > 0; total += count) count = await store.rewardTips();
  return total;
}

describe('rewards', () => {
  it('add up to the fold over the distinct events, whatever the order, the repeats, and when they are given', async () => {
    const anyDelivery = fc.array(anyStory, { minLength: 1, maxLength: 6 }).chain((stories) =>
      fc.record({
        stories: fc.constant(stories),
        order: fc.infiniteStream(fc.nat()).map((stream) => stream),
        batchSize: fc.integer({ min: 1, max: 8 }),
        rewarders: fc.integer({ min: 1, max: 3 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(anyDelivery, async ({ stories, order, batchSize, rewarders }) => {
        const userId = newId(Date.now());
        const events = stories.flatMap((story) => eventsOf(userId, story));
        const deliveries = [...events, ...events]
          .map((each) => ({ each, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => each);
        const store = createEventStore(database);
        const rewarder = createRewardStore(database);
        for (let i = 0; i < deliveries.length; i += batchSize) {
          await Promise.all([
            storePatiently(store, deliveries.slice(i, i + batchSize)),
            ...Array.from({ length: rewarders }, () => rewarder.rewardTips()),
          ]);
        }
        await rewardAll();
        expect(await storedFor(userId)).toEqual(learntFrom(events));
        expect(await countsFor(userId)).toEqual(countsFrom(events));
        expect(await promptsFor(userId)).toEqual(promptsFrom(events));
      }),
      { numRuns: 40 },
    );
  });

  it('stand beside the outcome they are for, with their version', async () => {
    const userId = newId(Date.now());
    const vector = vectorNames.map(() => 1);
    const outcomes = [{ reaction: 1 as const, dwellMs: 130_000n, atMs: 1 }];
    await storePatiently(createEventStore(database), eventsOf(userId, { vector, outcomes }));
    await rewardAll();
    const { rows } = await database.query(
      'SELECT reward_milli, reward_version, reward_event_id = outcome_event_id AS same FROM tip_outcomes WHERE user_id = $1',
      [userId],
    );
    expect(rows).toEqual([{ reward_milli: 600, reward_version: rewards.version, same: true }]);
  });

  it('teach also from decisions that were logged before vectors had a version, as the contract says: it was the first', async () => {
    const userId = newId(Date.now());
    const outcomes = [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }];
    const events = eventsOf(userId, { vector: vectorNames.map(() => 1), outcomes });
    if (events[0]?.payload.case === 'tipScored') events[0].payload.value.vectorVersion = '';
    await storePatiently(createEventStore(database), events);
    await rewardAll();
    expect(await storedFor(userId)).toMatchObject({ count: 1, reward: -1000 });
  });

  it.each([
    ['of another encoding', { vectorVersion: '0' }],
    ['too short', { vector: [1, 2] }],
    ['impossible', { vector: vectorNames.map(() => 1_000_000) }],
  ])('are given, and nothing learnt, where the vector is %s', async (_, wrong) => {
    const userId = newId(Date.now());
    const story = {
      vector: vectorNames.map(() => 1),
      outcomes: [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }],
      ...wrong,
    };
    const events = eventsOf(userId, story);
    const [scored] = events;
    if (scored?.payload.case === 'tipScored' && 'vectorVersion' in wrong)
      scored.payload.value.vectorVersion = wrong.vectorVersion;
    await storePatiently(createEventStore(database), events);
    await rewardAll();
    const { rows } = await database.query('SELECT reward_milli FROM tip_outcomes WHERE user_id = $1', [userId]);
    expect(rows).toEqual([{ reward_milli: -1000 }]);
    expect(await storedFor(userId)).toEqual(nothingLearnt);
  });

  it('count for nothing where the outcome is of a newer build, and are learnt anew without it', async () => {
    const userId = newId(Date.now());
    const arms: Arm[] = [['policies', '1', 'control']];
    const outcomes = [{ reaction: 1 as const, dwellMs: 20_000n, atMs: 1 }];
    const story = { vector: vectorNames.map(() => 1), arms, outcomes };
    const strange = eventsOf(userId, story);
    const known = eventsOf(userId, story);
    await storePatiently(createEventStore(database), [...strange, ...known]);
    const damaged = database.query(
      `UPDATE tip_outcomes SET outcome = 'framed' WHERE user_id = $1 AND decision_id = $2`,
      [userId, strange[0]?.eventId],
    );
    expect((await damaged).rowCount).toBe(1);
    for (const learn of [rewardAll, () => relearn(database, [userId])]) {
      await learn();
      expect(await storedFor(userId)).toEqual(learntFrom(known));
      expect(await countsFor(userId)).toMatchObject([{ rewards: 1, rewardMilli: 1000 }]);
      const { rows } = await database.query(
        'SELECT sum(done)::int AS done, sum(reward_milli)::int AS milli FROM prompt_rewards WHERE user_id = $1',
        [userId],
      );
      expect(rows).toEqual([{ done: 1, milli: 1000 }]);
    }
  });

  it('are given anew where rewards or sums were wrong, and what is right is not touched', async () => {
    const userId = newId(Date.now());
    const outcomes = [{ reaction: 1 as const, dwellMs: 20_000n, atMs: 1 }];
    const arms: Arm[] = [['policies', '1', 'control']];
    const events = [1, 2].flatMap((entry) =>
      eventsOf(userId, { vector: vectorNames.map(() => entry), arms, outcomes }),
    );
    await storePatiently(createEventStore(database), events);
    await rewardAll();
    for (const damage of [
      'UPDATE policy_stats SET count = 7, xx[1] = 9 WHERE user_id = $1',
      'UPDATE tip_outcomes SET reward_milli = 3 WHERE user_id = $1',
      'DELETE FROM policy_stats WHERE user_id = $1',
      'UPDATE tip_outcomes SET reward_event_id = NULL WHERE user_id = $1',
      'UPDATE experiment_stats SET rewards = 5, reward_milli = -7 WHERE user_id = $1',
      `INSERT INTO experiment_stats (user_id, experiment, version, arm, rewards) VALUES ($1, 'policies', '1', 'x', 3)`,
      'UPDATE prompt_rewards SET done = 0, helpful = 4, reward_milli = -7 WHERE user_id = $1',
      `INSERT INTO prompt_rewards VALUES ($1, '2026-01-01', 'v9', '', 'unspecified', 'p', 0, 1, 0, 0, 0, 0, 9)`,
    ]) {
      await database.query(damage, [userId]);
      await relearn(database, [userId]);
      await rewardAll();
      expect(await storedFor(userId)).toEqual(learntFrom(events));
      await database.query("DELETE FROM experiment_stats WHERE user_id = $1 AND arm = 'x' AND rewards = 0", [userId]);
      await database.query(
        "DELETE FROM prompt_rewards WHERE user_id = $1 AND prompt_version = 'v9' AND (done, reward_milli) = (0, 0)",
        [userId],
      );
      expect(await countsFor(userId)).toEqual(countsFrom(events));
      expect(await promptsFor(userId)).toEqual(promptsFrom(events));
      const { rows } = await database.query('SELECT reward_milli FROM tip_outcomes WHERE user_id = $1', [userId]);
      expect(rows).toEqual([{ reward_milli: 1000 }, { reward_milli: 1000 }]);
    }
    const versions = () =>
      database.query(
        `SELECT xmin FROM policy_stats WHERE user_id = $1 UNION ALL SELECT xmin FROM tip_outcomes WHERE user_id = $1
        UNION ALL SELECT xmin FROM experiment_stats WHERE user_id = $1
        UNION ALL SELECT xmin FROM prompt_rewards WHERE user_id = $1`,
        [userId],
      );
    const { rows } = await versions();
    await relearn(database, [userId]);
    expect((await versions()).rows).toEqual(rows);
  });

  it('are taken out of arms and prompts by what they were given, also by another version of the rewards', async () => {
    const userId = newId(Date.now());
    const [decided, reacted] = eventsOf(userId, {
      vector: vectorNames.map(() => 1),
      arms: [['policies', '1', 'control']],
      outcomes: [{ reaction: 3, dwellMs: 0n, atMs: 9 }],
    });
    if (!decided || !reacted || decided.payload.case !== 'tipScored') throw new Error('no story');
    const store = createEventStore(database);
    await storePatiently(store, [decided, reacted]);
    await rewardAll();
    await database.query("UPDATE tip_outcomes SET reward_version = '0', reward_milli = 77 WHERE user_id = $1", [
      userId,
    ]);
    await database.query('UPDATE experiment_stats SET reward_milli = 77 WHERE user_id = $1', [userId]);
    await database.query('UPDATE prompt_rewards SET reward_milli = 77 WHERE user_id = $1', [userId]);
    const { tipId } = decided.payload.value;
    const better = event(userId, newId(Date.now()), startMs + 10, {
      case: 'tipFeedback',
      value: { tipId, decisionId: decided.eventId, reaction: 2, dwellMs: 0n },
    });
    await storePatiently(store, [better]);
    await rewardAll();
    expect(await countsFor(userId)).toEqual(countsFrom([decided, reacted, better]));
    expect(await promptsFor(userId)).toEqual(promptsFrom([decided, reacted, better]));
  });

  it('of arms that are counted at the same time wait for each other and do not deadlock', async () => {
    const userId = newId(Date.now());
    const story: Story = {
      vector: vectorNames.map(() => 1),
      arms: [
        ['policies', '1', 'control'],
        ['prompts', '1', 'mentor'],
      ],
      outcomes: [3, 1, 2].map((reaction, i) => ({ reaction: reaction as Reaction, dwellMs: 0n, atMs: 9 - i })),
    };
    const stories = Array.from({ length: 240 }, () => eventsOf(userId, story));
    const [store, rewarder] = [createEventStore(database), createRewardStore(database)];
    let isDone = false;
    const rewarders = [1, 2].map(async () => {
      while (!isDone) await rewarder.rewardTips();
    });
    // Each batch holds new decisions, and reactions to tips of batches before.
    const rounds = [0, 1, 2, 3];
    try {
      for (let i = 0; i < stories.length; i += 24) {
        const batches = [0, 1, 2].map((writer) =>
          rounds.flatMap((round) =>
            stories.slice(Math.max(0, i - 24 * round), i - 24 * round + 24).flatMap((events, j) => {
              const each = events[round];
              return each && j % 3 === writer ? [each] : [];
            }),
          ),
        );
        await Promise.all(batches.map((batch) => store.store(batch.map(storedOf))));
      }
    } finally {
      isDone = true;
      await Promise.all(rewarders);
    }
    await storePatiently(store, stories.flat());
    await rewardAll();
    expect(await countsFor(userId)).toEqual(countsFrom(stories.flat()));
    expect(await promptsFor(userId)).toEqual(promptsFrom(stories.flat()));
  });

  it('are given, and nothing learnt, where the decision is not in its table', async () => {
    const userId = newId(Date.now());
    const outcomes = [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }];
    await storePatiently(createEventStore(database), eventsOf(userId, { vector: vectorNames.map(() => 1), outcomes }));
    await database.query('DELETE FROM tip_scores WHERE user_id = $1', [userId]);
    expect(await rewardAll()).toBe(1);
    expect(await storedFor(userId)).toEqual(nothingLearnt);
  });

  it('that are made anew leave no sums of whoever has no tips, and those of others and of other versions alone', async () => {
    const [gone, other] = [newId(Date.now()), newId(Date.now())];
    const story = { vector: vectorNames.map(() => 1), outcomes: [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }] };
    await storePatiently(createEventStore(database), [...eventsOf(gone, story), ...eventsOf(other, story)]);
    await rewardAll();
    const copy =
      "INSERT INTO policy_stats SELECT user_id, 'old', count, xx, xy, reward, reward_squared FROM policy_stats";
    await database.query(`${copy} WHERE user_id = $1`, [gone]);
    await database.query('DELETE FROM tip_outcomes WHERE user_id = ANY ($1::text[])', [[gone, other]]);
    await relearn(database, [gone]);
    const versionsOf = async (userId: string) =>
      (await database.query('SELECT version FROM policy_stats WHERE user_id = $1', [userId])).rows;
    expect(await versionsOf(gone)).toEqual([{ version: 'old' }]);
    expect(await versionsOf(other)).toEqual([{ version: statisticsVersion }]);
  });

  it('wait for an erasure that is under way, and find nobody to reward', async () => {
    const userId = newId(Date.now());
    const outcomes = [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }];
    await storePatiently(createEventStore(database), eventsOf(userId, { vector: vectorNames.map(() => 1), outcomes }));
    let rewarding: Promise<number> | undefined;
    let told = 0;
    await createErasureStore(database).erase(userId, 'asked', async () => {
      if (++told === 1) return; // before anybody waits
      rewarding = createRewardStore(database).rewardTips();
      await waitFor('the rewards to wait', () => isWaitedFor(database));
    });
    expect(await rewarding).toBe(0);
  });

  it('wait for nobody: a tip that is being changed is rewarded the next time', async () => {
    const [busy, idle] = [newId(Date.now()), newId(Date.now())];
    const story = { vector: vectorNames.map(() => 1), outcomes: [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }] };
    await storePatiently(createEventStore(database), [...eventsOf(busy, story), ...eventsOf(idle, story)]);
    const writer = await database.connect();
    try {
      await writer.query('BEGIN');
      await writer.query('SELECT FROM tip_outcomes WHERE user_id = $1 FOR UPDATE', [busy]);
      const patience = sleep(5_000).then(() => 'waits');
      expect(await Promise.race([createRewardStore(database).rewardTips(), patience])).toBe(1);
      expect([(await storedFor(idle)).count, (await storedFor(busy)).count]).toEqual([1, 0]);
    } finally {
      await writer.query('COMMIT');
      writer.release();
    }
    expect(await rewardAll()).toBe(1);
    expect((await storedFor(busy)).count).toBe(1);
  });

  it('of another version stay in the sums of that version when an outcome changes', async () => {
    const userId = newId(Date.now());
    const outcomes = [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }];
    const events = eventsOf(userId, { vector: vectorNames.map(() => 1), outcomes });
    await storePatiently(createEventStore(database), events);
    await database.query(
      "UPDATE tip_outcomes SET reward_milli = 300, reward_version = 'old', reward_event_id = $2 WHERE user_id = $1",
      [userId, newId(0)],
    );
    await database.query(
      `INSERT INTO policy_stats (user_id, version, count, reward, reward_squared, xy, xx)
      VALUES ($1, 'old', 1, 300, 90000, '{}', '{}')`,
      [userId],
    );
    await rewardAll();
    await relearn(database, ['nobody']);
    expect(await storedFor(userId)).toEqual(learntFrom(events));
    const { rows } = await database.query(
      "SELECT count::int, reward::int FROM policy_stats WHERE user_id = $1 AND version = 'old'",
      [userId],
    );
    expect(rows).toEqual([{ count: 1, reward: 300 }]);
  });

  it('are nobody’s once the person is erased, also where both happen at once', async () => {
    for (let i = 0; i < 10; i++) {
      const userId = newId(Date.now());
      const outcomes = [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }];
      await storePatiently(
        createEventStore(database),
        eventsOf(userId, { vector: vectorNames.map(() => 1), outcomes }),
      );
      await Promise.all([
        createErasureStore(database).erase(userId, 'asked', async () => {}),
        createRewardStore(database).rewardTips(),
      ]);
      await rewardAll();
      const { rows } = await database.query('SELECT FROM policy_stats WHERE user_id = $1', [userId]);
      expect(rows).toEqual([]);
    }
  });
});

describe('what everybody taught', () => {
  it('is the sum over all people, kept once for each state, found by whoever reads a person, and read by its id', async () => {
    await database.query('TRUNCATE policy_stats, policy_population');
    const people = createPersonStore(database, { statisticsVersion });
    const newest = async () => (await people.read('somebody', undefined, startMs)).populationId;
    await measureLearnt(database);
    expect(await newest()).toBe('');
    const vectors = [1, 2, 3].map((value) => vectorNames.map((_, i) => value * (i - 4)));
    for (const vector of vectors) {
      const outcomes = [{ reaction: 2 as const, dwellMs: 0n, atMs: 1 }];
      await storePatiently(createEventStore(database), eventsOf(newId(Date.now()), { vector, outcomes }));
    }
    await rewardAll();
    await measureLearnt(database);
    const id = await newest();
    const populations = createPopulationReader(database);
    const expected = vectors.map((vector) => contributionOf(vector, -1000) ?? nothingLearnt).reduce(add);
    expect(await populations.read(id)).toEqual(expected);
    await measureLearnt(database);
    expect(await newest()).toBe(id);
    expect(await populations.read('')).toEqual(nothingLearnt);
    expect(await populations.read(newId(0))).toBeUndefined();
  });

  it('moves on with every reward: the newest row is the one that counts, and those before it stay', async () => {
    const people = createPersonStore(database, { statisticsVersion });
    const measured = async () => {
      await measureLearnt(database);
      return (await people.read('somebody', undefined, startMs)).populationId;
    };
    const before = await measured();
    const expected = await createPopulationReader(database).read(before);
    const story = { vector: vectorNames.map((_, i) => i), outcomes: [{ reaction: 1 as const, dwellMs: 0n, atMs: 1 }] };
    await storePatiently(createEventStore(database), eventsOf(newId(Date.now()), story));
    await rewardAll();
    const after = await measured();
    expect([after === before, await measured()]).toEqual([false, after]);
    const learnt = contributionOf(story.vector, -300) ?? nothingLearnt;
    expect(await createPopulationReader(database).read(before)).toEqual(expected);
    expect(await createPopulationReader(database).read(after)).toEqual(add(expected ?? nothingLearnt, learnt));
  });

  it('is asked for again where the database did not answer', async () => {
    const id = newId(0);
    let isAway = true;
    const query = ((...asked: Parameters<Database['query']>) =>
      isAway ? Promise.reject(new Error('away')) : database.query(...asked)) as Database['query'];
    const populations = createPopulationReader({ query });
    await expect(populations.read(id)).rejects.toThrow('away');
    isAway = false;
    expect(await populations.read(id)).toBeUndefined();
  });

  it('and what each person did leave sums of another version out', async () => {
    const people = createPersonStore(database, { statisticsVersion });
    const read = async () => {
      const { statistics, populationId } = await people.read('of-old', undefined, startMs);
      return { statistics, populationId };
    };
    await measureLearnt(database);
    const before = await read();
    expect(before).toMatchObject({ statistics: null, populationId: expect.stringMatching(/./) });
    const { rows } = await database.query('SELECT count(*)::int FROM policy_population');
    await database.query(
      `INSERT INTO policy_stats (user_id, version, count, reward, reward_squared, xy, xx)
      SELECT 'of-old', 'old', count, reward, reward_squared, xy, xx FROM policy_population ORDER BY measured_at DESC LIMIT 1`,
    );
    await database.query(
      `INSERT INTO policy_population (id, version, people, count, reward, reward_squared, xy, xx)
      SELECT gen_random_uuid(), 'old', 1, count + 1, reward, reward_squared, xy, xx FROM policy_population
      ORDER BY measured_at DESC LIMIT 1`,
    );
    await measureLearnt(database);
    expect(await read()).toEqual(before);
    const { rows: later } = await database.query('SELECT count(*)::int FROM policy_population WHERE version = $1', [
      statisticsVersion,
    ]);
    expect(later).toEqual(rows);
  });
});
