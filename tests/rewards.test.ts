import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import type { Payload } from './_util/arbitraries.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import { storePatiently } from './_util/tables.ts';

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

interface Story {
  readonly vector: readonly number[];
  /** Reactions in the order in which they occur: 1 to 5, or 0 for silence. */
  readonly outcomes: readonly { readonly reaction: Reaction; readonly dwellMs: bigint; readonly atMs: number }[];
}

const reactions = [0, 1, 2, 3, 4, 5] as const satisfies readonly Reaction[];

const anyStory: fc.Arbitrary<Story> = fc.record({
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
function eventsOf(userId: string, { vector, outcomes }: Story): Envelope[] {
  const decisionId = newId(Date.now());
  const tipId = `tip-${decisionId}`;
  const scored = event(userId, decisionId, startMs, {
    case: 'tipScored',
    value: {
      requestId: newId(Date.now()),
      tipId,
      policy: 'p',
      candidates: [{ tipId, vector: [...vector], propensity: 1 }],
      vectorNames: [...vectorNames],
      vectorVersion,
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
      payload.case === 'tipScored' ? [[eventId, payload.value.candidates[0]?.vector ?? []]] : [],
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

  it('are given anew where rewards or sums were wrong, and what is right is not touched', async () => {
    const userId = newId(Date.now());
    const outcomes = [{ reaction: 1 as const, dwellMs: 20_000n, atMs: 1 }];
    const events = [1, 2].flatMap((entry) => eventsOf(userId, { vector: vectorNames.map(() => entry), outcomes }));
    await storePatiently(createEventStore(database), events);
    await rewardAll();
    for (const damage of [
      'UPDATE policy_stats SET count = 7, xx[1] = 9 WHERE user_id = $1',
      'UPDATE tip_outcomes SET reward_milli = 3 WHERE user_id = $1',
      'DELETE FROM policy_stats WHERE user_id = $1',
      'UPDATE tip_outcomes SET reward_event_id = NULL WHERE user_id = $1',
    ]) {
      await database.query(damage, [userId]);
      await relearn(database, [userId]);
      await rewardAll();
      expect(await storedFor(userId)).toEqual(learntFrom(events));
      const { rows } = await database.query('SELECT reward_milli FROM tip_outcomes WHERE user_id = $1', [userId]);
      expect(rows).toEqual([{ reward_milli: 1000 }, { reward_milli: 1000 }]);
    }
    const versions = () =>
      database.query(
        'SELECT xmin FROM policy_stats WHERE user_id = $1 UNION ALL SELECT xmin FROM tip_outcomes WHERE user_id = $1',
        [userId],
      );
    const { rows } = await versions();
    await relearn(database, [userId]);
    expect((await versions()).rows).toEqual(rows);
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
});
