// Policies in the shadow: every logged decision is scored once by each, whatever happens on the way.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createShadowChores, runChores } from '../consumers/chores.ts';
import { deltas } from '../consumers/deltas.ts';
import { contributionOf, type Statistics } from '../experiments/linear-model.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { policies } from '../experiments/policies/index.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { measureLearnt } from '../experiments/population-store.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { type ShadowScore, scoreShadow } from '../experiments/score-shadow.ts';
import { addShadow, noShadow, type ShadowCounters } from '../experiments/shadow.ts';
import { counterColumns, createShadowStore, measuredColumns, rescore } from '../experiments/shadow-store.ts';
import { nothingLearnt } from '../experiments/statistics.ts';
import { createErasureStore } from '../features/erasure-store.ts';
import { createEventStore, storeStatement } from '../features/event-store.ts';
import { type Vector, vectorNames } from '../features/vector.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { rebuild, rebuildScope } from '../pipelines/rebuild.ts';
import { reportShadows } from '../pipelines/shadow-report.ts';
import { dayMs, systemClock, utcDay } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { unchanging } from '../platform/follow.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { decided, decisionBy, keepPopulation } from './_util/decisions.ts';
import { silent, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import { shown, storedOf, storePatiently } from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 10 });
});
afterAll(async () => {
  await database.end();
  await testDatabase.drop();
});
beforeEach(async () => {
  await database.query(
    'TRUNCATE events, event_ids, tip_scores, tip_outcomes, shadow_cursors, shadow_daily, shadow_scores',
  );
});

const nowMs = Date.now();
const slow = { timeout: 120_000 };

/** Fails on some decisions, in two ways. */
const clumsy: Policy = {
  ...random,
  name: 'clumsy',
  choose(model, vectors, draws) {
    if ((vectors[0]?.[0] ?? 0) % 3 === 1) throw new Error('no');
    const outcome = random.choose(model, vectors, draws);
    return (vectors[0]?.[0] ?? 0) % 3 === 2 ? { ...outcome, propensities: [Number.NaN] } : outcome;
  },
};
const shadows: readonly Policy[] = [random, softmax, egreedyV2, clumsy];
const known = new Map(shadows.map((policy) => [policy.name, policy]));

const behind = async ({ name, version }: Policy): Promise<number> => {
  const { rows } = await database.query<{ count: number }>(
    `SELECT count(*)::int FROM events WHERE type LIKE '%.TipScored' AND (transaction_id, event_id) > (
      SELECT transaction_id, decision_id FROM shadow_cursors WHERE (policy, policy_version) = ($1, $2))`,
    [name, version],
  );
  return rows[0]?.count ?? 0;
};

/** Until none is left. Transactions of other tests in the same cluster hold shadows up for a while. */
async function scoreAll(all: readonly Policy[] = shadows, on: Database = database): Promise<void> {
  const store = createShadowStore(on);
  for (const policy of all) {
    await waitFor(
      'all decisions to be scored',
      async () => {
        while ((await store.scoreNext(policy)) > 0);
        return (await behind(policy)) === 0;
      },
      60_000,
    );
  }
}

interface Kept {
  readonly days: Readonly<Record<string, ShadowCounters>>;
  readonly scores: Readonly<Record<string, ShadowScore>>;
}

/** What shadows should have kept of decisions, by the pure fold alone. What was measured is none of it. */
function foldOf(
  events: readonly Envelope[],
  populations: ReadonlyMap<string, Statistics>,
  all: readonly Policy[] = shadows,
): Kept {
  const days: Record<string, ShadowCounters> = {};
  const scores: Record<string, ShadowScore> = {};
  for (const policy of all) {
    for (const { eventId, userId, occurredAt, payload } of events) {
      if (payload.case !== 'tipScored') continue;
      const { populationId } = payload.value;
      const population = populationId === '' ? nothingLearnt : populations.get(populationId);
      const shadowed = scoreShadow(policy, payload.value, population);
      const day = utcDay(Number(occurredAt?.seconds ?? 0n) * 1000);
      const key = [userId, policy.name, day].join(' ');
      days[key] = addShadow(days[key] ?? noShadow, shadowed.counters);
      if (shadowed.kind === 'scored') scores[[userId, policy.name, eventId.toLowerCase()].join(' ')] = shadowed.score;
    }
  }
  return { days, scores };
}

async function keptIn(on: Database = database): Promise<Kept> {
  const names = Object.keys(noShadow);
  const days = await on.query<{ key: string; counts: readonly number[] }>(
    `SELECT concat_ws(' ', user_id, policy, day - date '1970-01-01') AS key,
      ARRAY[${counterColumns.map((column) => (measuredColumns.includes(column) ? '0' : `${column}::float8`)).join(', ')}] AS counts
    FROM shadow_daily`,
  );
  const scores = await on.query<{ key: string } & ShadowScore>(
    `SELECT concat_ws(' ', user_id, policy, decision_id) AS key, propensity, unsupported, top_tip_id AS "topTipId",
      expected_vector AS "expectedVector" FROM shadow_scores`,
  );
  return {
    days: Object.fromEntries(
      days.rows.map(({ key, counts }) => [
        key,
        Object.fromEntries(names.map((name, i) => [name, counts[i] ?? 0])) as unknown as ShadowCounters,
      ]),
    ),
    scores: Object.fromEntries(scores.rows.map(({ key, ...score }) => [key, score])),
  };
}

const anyEntry = fc.integer({ min: -4096, max: 4096 });
const anyVector: fc.Arbitrary<Vector> = fc.array(anyEntry, {
  minLength: vectorNames.length,
  maxLength: vectorNames.length,
});
const anyLearnt = fc
  .tuple(anyVector, fc.integer({ min: -1000, max: 1000 }))
  .map(([vector, milli]) => contributionOf(vector, milli) ?? nothingLearnt);

/** What may be wrong with a logged decision, or nothing. */
const oddities = ['', '', '', '', 'old', 'foreign', 'impossible', 'lost', 'sums'] as const;

const anyDecision = (userIds: readonly string[], populations: ReadonlyMap<string, Statistics>) =>
  fc
    .record({
      userId: fc.constantFrom(...userIds),
      vectors: fc.array(anyVector, { minLength: 1, maxLength: 4 }),
      policy: fc.constantFrom(egreedyV2, egreedyV2, random),
      populationId: fc.constantFrom('', ...populations.keys()),
      person: anyLearnt,
      agoDays: fc.integer({ min: 0, max: 3 }),
      oddity: fc.constantFrom(...oddities),
    })
    .map(({ userId, vectors, policy, populationId, person, agoDays, oddity }): Envelope => {
      const population = populations.get(populationId) ?? nothingLearnt;
      const value = decisionBy(policy, { vectors, learnt: { person, population }, populationId });
      if (oddity === 'old') value.vectorVersion = '';
      if (oddity === 'foreign') value.vectorVersion = '0';
      if (oddity === 'impossible') for (const candidate of value.candidates) candidate.propensity = 0;
      if (oddity === 'lost') value.populationId = newId(0);
      if (oddity === 'sums' && value.statistics) value.statistics.count = 2n ** 60n;
      return decided(userId, nowMs - agoDays * dayMs, value);
    });

type Around = (run: () => Promise<unknown>, statement: unknown) => Promise<unknown>;

/** A database on whose clients something happens around every statement. */
function intercepted(on: Database, around: Around): Database {
  const connect = async () => {
    const client = await on.connect();
    return new Proxy(client, {
      get(target, name) {
        if (name === 'release') return (error?: boolean) => target.release(error);
        if (name !== 'query') return Reflect.get(target, name);
        return (...args: readonly unknown[]) => around(() => Reflect.apply(target.query, target, args), args[0]);
      },
    });
  };
  return new Proxy(on, { get: (target, name) => (name === 'connect' ? connect : Reflect.get(target, name)) });
}

/** The statement at which it has counted down to 0 breaks the connection, before or after it was done. */
function breaking(on: Database, { left, isDone }: { readonly left: number; readonly isDone: boolean }): Database {
  let count = left;
  return intercepted(on, async (run) => {
    const isLast = count-- === 0;
    if (isLast && !isDone) throw new Error('broken before');
    const result = await run();
    if (isLast) throw new Error('broken after');
    return result;
  });
}

describe('the counters and scores of shadows', () => {
  it(
    'equal the pure fold over the distinct decisions, whatever the order, the batches, the repeats, the workers and the crashes',
    slow,
    async () => {
      const sums = fc.sample(anyLearnt, { numRuns: 2, seed: 5 });
      const populations = new Map<string, Statistics>();
      for (const each of sums) populations.set(await keepPopulation(database, each), each);
      const users = ['anna', 'ben "é"', 'Çelik'];
      const anyStory = fc.array(anyDecision(users, populations), { minLength: 1, maxLength: 30 }).chain((events) =>
        fc.record({
          events: fc.constant(events),
          deliveries: fc.shuffledSubarray([...events, ...events], { minLength: 2 * events.length }),
          batchSize: fc.integer({ min: 1, max: 12 }),
          workers: fc.integer({ min: 1, max: 3 }),
          crashes: fc.array(fc.record({ left: fc.nat(12), isDone: fc.boolean() }), { maxLength: 4 }),
        }),
      );
      await fc.assert(
        fc.asyncProperty(anyStory, async ({ events, deliveries, batchSize, workers, crashes }) => {
          await database.query('TRUNCATE events, event_ids, shadow_cursors, shadow_daily, shadow_scores');
          const store = createEventStore(database);
          const todo = [...crashes];
          const work = async (worker: number) => {
            const broken = todo.pop();
            const on = createShadowStore(broken ? breaking(database, broken) : database);
            const policy = shadows[worker % shadows.length] ?? random;
            await on.scoreNext(policy).catch((error: Error) => {
              if (!/broken/.test(error.message)) throw error;
            });
          };
          for (let i = 0; i < deliveries.length; i += batchSize) {
            await Promise.all([
              storePatiently(store, deliveries.slice(i, i + batchSize)),
              ...Array.from({ length: workers }, (_, worker) => work(i + (worker % 2))),
            ]);
          }
          await scoreAll();
          expect(await keptIn()).toEqual(foldOf(events, populations));
        }),
        { numRuns: 25 },
      );
    },
  );

  it('pass over no decision that is committed late', async () => {
    const late = decided('late', nowMs, decisionBy(egreedyV2, { vectors: [vectorNames.map(() => 1)] }));
    const early = decided('early', nowMs, decisionBy(egreedyV2, { vectors: [vectorNames.map(() => 2)] }));
    const store = createShadowStore(database);
    const client = await database.connect();
    await client.query('BEGIN');
    await client.query(storeStatement([storedOf(late)]));
    await storePatiently(createEventStore(database), [early]);
    for (let i = 0; i < 3; i++) await store.scoreNext(random);
    const before = await keptIn();
    await client.query('COMMIT');
    client.release();
    expect(before).toEqual({ days: {}, scores: {} }); // who comes later waits for who began before
    await scoreAll([random]);
    expect(await keptIn()).toEqual(foldOf([late, early], new Map(), [random]));
  });

  it('wait for no decision that will never be', async () => {
    const client = await database.connect();
    await client.query('BEGIN');
    await client.query(storeStatement([storedOf(decided('never', nowMs, decisionBy(random, { vectors: [[1]] })))]));
    await client.query('ROLLBACK');
    client.release();
    const kept = decided('kept', nowMs, decisionBy(random, { vectors: [[1]] }));
    await storePatiently(createEventStore(database), [kept, shown('kept', nowMs)]);
    await scoreAll([random]);
    expect(await keptIn()).toEqual(foldOf([kept], new Map(), [random]));
  });

  it('are complete after processes were killed with -9 in the middle of it', slow, async () => {
    const events = fc.sample(anyDecision(['anna', 'ben'], new Map()), { numRuns: 1_500, seed: 11 });
    const store = createEventStore(database);
    for (let i = 0; i < events.length; i += 300) await storePatiently(store, events.slice(i, i + 300));
    const script = fileURLToPath(new URL('_util/shadow-worker.ts', import.meta.url));
    const env = { PATH: process.env.PATH, DATABASE_URL: testDatabase.url };
    for (let round = 0; round < 3; round++) {
      const workers = [random, egreedyV2].flatMap(({ name }) => [
        startNode(script, env, [name]),
        startNode(script, env, [name]),
      ]);
      await Promise.race(workers.map((worker) => worker.printed(/scored 200/, 30_000)));
      await sleep(10 * round);
      await Promise.all(workers.map((worker) => worker.kill()));
    }
    await scoreAll([random, egreedyV2]);
    expect(await keptIn()).toEqual(foldOf(events, new Map(), [random, egreedyV2]));
  });

  it('hold how much time the shadow took, failures included', async () => {
    const vectors = [0, 1].map((entry) => [vectorNames.map(() => entry)]); // clumsy fails on the second
    const events = vectors.map((each) => decided('timed', nowMs, decisionBy(random, { vectors: each })));
    await storePatiently(createEventStore(database), events);
    const readings = [0, 5_000, 5_000, 10_001]; // before and after each
    const store = createShadowStore(database, () => readings.shift() ?? 0);
    await waitFor('both', async () => {
      await store.scoreNext(clumsy);
      return (await behind(clumsy)) === 0;
    });
    const { rows } = await database.query(
      'SELECT decisions::int, errors::int, cpu_micros::int, slow::int FROM shadow_daily',
    );
    expect(rows).toEqual([{ decisions: 1, errors: 1, cpu_micros: 10_001, slow: 1 }]);
  });

  it('of each decision are kept for 90 days, and the counters stay', async () => {
    const decision = decisionBy(random, { vectors: [[1]] });
    const events = [89, 91].map((days) => decided(`p${days}`, nowMs - days * dayMs, decision));
    await storePatiently(createEventStore(database), events);
    await scoreAll([random]);
    await createShadowStore(database).forget(nowMs);
    const { rows } = await database.query('SELECT user_id FROM shadow_scores');
    expect(rows).toEqual([{ user_id: 'p89' }]);
    await rescoreAll(['p89', 'p91']);
    expect((await database.query('SELECT user_id FROM shadow_scores')).rows).toEqual(rows);
    expect(Object.keys((await keptIn()).days)).toHaveLength(2);
  });
});

/** As a rebuild does it. */
async function rescoreAll(userIds: readonly string[]): Promise<void> {
  const client = await database.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await rescore(client, userIds, known);
    await client.query('COMMIT');
  } finally {
    client.release(true);
  }
}

const versions = async () =>
  (
    await database.query(
      'SELECT xmin::text, ctid::text FROM shadow_daily UNION ALL SELECT xmin::text, ctid::text FROM shadow_scores ORDER BY 1, 2',
    )
  ).rows;

describe('a rebuild', () => {
  it(
    'makes them anew, as far as each shadow has come, whatever was wrong, and touches nothing that is right',
    slow,
    async () => {
      const userIds = ['anna', 'ben'];
      const events = fc.sample(anyDecision(userIds, new Map()), { numRuns: 60, seed: 3 });
      const store = createEventStore(database);
      await storePatiently(store, events.slice(0, 40));
      await scoreAll();
      await storePatiently(store, events.slice(40));
      await scoreAll([random]); // the others are behind
      const right = await keptIn();
      const cpu = async () =>
        (await database.query('SELECT sum(cpu_micros)::int AS cpu, sum(slow)::int AS slow FROM shadow_daily')).rows;
      await database.query('UPDATE shadow_daily SET slow = decisions');
      const spent = await cpu();
      const before = await versions();
      await rescoreAll(userIds);
      expect(await versions()).toEqual(before);
      for (const damage of [
        'UPDATE shadow_daily SET weight_micro = weight_micro + 1, errors = 9',
        'UPDATE shadow_scores SET propensity = 0.123',
        "UPDATE shadow_scores SET expected_vector = '{1}' WHERE user_id = 'ben'",
        "DELETE FROM shadow_scores WHERE user_id = 'anna'",
        "INSERT INTO shadow_scores SELECT user_id, gen_random_uuid(), policy, policy_version, decided_at, 1, 0, 'x', '{}' FROM shadow_scores",
        `INSERT INTO shadow_daily SELECT user_id, policy, policy_version, day + 1000, ${counterColumns.join(', ')} FROM shadow_daily`,
      ]) {
        await database.query(damage);
        await rescoreAll(userIds);
        expect(await keptIn()).toEqual(right);
      }
      expect(await cpu()).toEqual(spent);
      await database.query('DELETE FROM shadow_daily');
      await rescoreAll(userIds);
      expect(await keptIn()).toEqual(right);
      await scoreAll();
      expect(await keptIn()).toEqual(foldOf(events, new Map()));
    },
  );

  it('leaves alone what dropped events left behind, and versions that this build does not have', async () => {
    const decision = decisionBy(random, { vectors: [[1]] });
    const gone = decided('anna', nowMs - 40 * dayMs, decision);
    await storePatiently(createEventStore(database), [gone, decided('anna', nowMs, decision)]);
    await scoreAll([random]);
    await database.query(
      "INSERT INTO shadow_daily SELECT user_id, policy, 'old', day, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7 FROM shadow_daily",
    );
    await database.query(
      "INSERT INTO shadow_cursors SELECT policy, 'old', transaction_id, decision_id FROM shadow_cursors",
    );
    const right = await keptIn();
    await database.query('DELETE FROM events WHERE event_id = $1', [gone.eventId]);
    await database.query(
      "INSERT INTO dropped_partitions (name, from_day, to_day, events) VALUES ('events_x', CURRENT_DATE - 60, CURRENT_DATE - 10, 1)",
    );
    await rescoreAll(['anna']);
    expect(await keptIn()).toEqual(right);
    await database.query('DELETE FROM dropped_partitions');
  });

  it('of everything, and of tip_scores alone, does so while others score', slow, async () => {
    const userIds = ['anna', 'ben', 'cem'];
    const events = fc.sample(anyDecision(userIds, new Map()), { numRuns: 200, seed: 4 });
    const store = createEventStore(database);
    await storePatiently(store, events.slice(0, 100));
    await scoreAll();
    for (const table of [undefined, 'tip_scores']) {
      await database.query('UPDATE shadow_daily SET weight_micro = weight_micro + 1');
      await database.query("DELETE FROM shadow_scores WHERE policy = 'random'");
      const signal = new AbortController().signal;
      const deps = { database, deltas, signal, random: Math.random };
      await Promise.all([
        rebuild(deps, { scope: rebuildScope(table ? { table } : {}), peopleAtOnce: 1 }),
        storePatiently(store, events.slice(100)).then(() => scoreAll([random, egreedyV2, softmax])),
      ]);
      await scoreAll();
      const all = [random, egreedyV2, softmax]; // clumsy is none of this build's policies
      const { days } = await keptIn();
      const own = Object.fromEntries(Object.entries(days).filter(([key]) => !key.includes('clumsy')));
      expect(own).toEqual(foldOf(events, new Map(), all).days);
    }
  });
});

describe('a person who is erased', () => {
  it('has no shadows left, also where they are scored at the same time', async () => {
    const signed = (userId: string) => decided(userId, nowMs, decisionBy(random, { vectors: [[1]] }));
    const store = createShadowStore(database);
    for (let i = 0; i < 10; i++) {
      const userId = newId(Date.now());
      await storePatiently(
        createEventStore(database),
        Array.from({ length: 5 }, () => signed(userId)),
      );
      if (i % 2) await scoreAll([random]);
      await Promise.all([
        createErasureStore(database).erase(userId, 'asked', async () => {}),
        store.scoreNext(random),
        store.scoreNext(clumsy),
      ]);
      await scoreAll([random, clumsy]);
      await rescoreAll([userId]);
      expect(await keptIn()).toEqual({ days: {}, scores: {} });
    }
    const after = signed('after');
    await storePatiently(createEventStore(database), [after]);
    await scoreAll([random]);
    expect((await keptIn()).days).toEqual(foldOf([after], new Map(), [random]).days);
  });

  it('has none left where the erasure comes between reading the decisions and writing what was made of them', async () => {
    const userId = 'between';
    await storePatiently(createEventStore(database), [decided(userId, nowMs, decisionBy(random, { vectors: [[1]] }))]);
    let erasing: Promise<unknown> | undefined;
    const on = intercepted(database, async (run, statement) => {
      if (Object(statement).name === 'add-shadow') {
        erasing ??= createErasureStore(database).erase(userId, 'asked', async () => {});
        await Promise.race([erasing, sleep(300)]); // it would be done by then, if it did not wait
      }
      return run();
    });
    const store = createShadowStore(on);
    await waitFor('the decision to be scored', async () => (await store.scoreNext(random)) > 0);
    expect(erasing).toBeDefined();
    await erasing;
    expect(await keptIn()).toEqual({ days: {}, scores: {} });
  });
});

describe('shadows of the real service', () => {
  it(
    'are scored beside it; what random would have earned is covered by its interval, and what throws harms nobody',
    slow,
    async () => {
      await using loop = await startLoop({ config: { policy: 'egreedy-v2' } });
      const thrower: Policy = {
        ...random,
        name: 'thrower',
        choose() {
          throw new Error('no');
        },
      };
      const stop = new AbortController();
      const chores = runChores(
        createShadowChores(loop.database, unchanging(new Set<Policy>([thrower, random, softmax]))),
        {
          clock: systemClock,
          log: silent,
          signal: stop.signal,
        },
      );
      const task = { kind: TipKind.TASK, source: TipSource.TASK_DIRECT };
      const candidates = [
        { id: 'overdue', ...task, features: { isOverdue: true, taskAgeDays: 9, priority: 4 } },
        { id: 'fresh', ...task, features: { isOverdue: false, taskAgeDays: 0, priority: 1 } },
        { id: 'other', ...task, features: { isOverdue: false, taskAgeDays: 3, priority: 2 } },
      ];
      /** Helpful 500, not helpful -500, snooze 100: a mean of 33 thousandths for whoever shows each as often. */
      const reactions = new Map([
        ['overdue', Reaction.HELPFUL],
        ['fresh', Reaction.NOT_HELPFUL],
        ['other', Reaction.SNOOZE],
      ]);
      const truth = (0.5 - 0.5 + 0.1) / 3;
      const ids = idsOf(2026);
      for (let person = 0; person < 100; person++) {
        const userId = `person-${person}`;
        await Promise.all(
          Array.from({ length: 16 }, async () => {
            const { tipId, decisionId } = await loop.client.score({ requestId: ids.next().value, userId, candidates });
            const reaction = reactions.get(tipId) ?? Reaction.DISMISS;
            await loop.publisher.publish({
              userId,
              payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction } },
            });
          }),
        );
      }
      await loop.drained();
      const rewards = createRewardStore(loop.database);
      while ((await rewards.rewardTips()) > 0);
      await measureLearnt(loop.database);
      await waitFor(
        'the shadows to be done',
        async () =>
          (await reportShadows(loop.database, { replicates: 10 })).every(
            ({ behind, counters }) => behind === 0 && counters.decisions + counters.errors === 1_600,
          ),
        60_000,
      );
      stop.abort();
      await chores;

      const reports = await reportShadows(loop.database);
      expect(reports.map(({ policy }) => policy)).toEqual(['random', 'softmax', 'thrower']);
      const [atRandom, soft, throwing] = reports;
      const [dr, snips, ips] = atRandom?.evaluation?.estimates ?? [];
      for (const estimate of [dr, snips, ips]) {
        for (const { low, high } of [estimate?.normal, estimate?.bootstrap].flatMap((each) => each ?? [])) {
          expect(low).toBeLessThan(truth);
          expect(high).toBeGreaterThan(truth);
          expect(high - low).toBeLessThan(0.3);
        }
      }
      expect([dr?.name, snips?.name, ips?.name]).toEqual(['DR', 'SNIPS', 'IPS']);
      expect(atRandom).toMatchObject({ rewarded: 1_600, people: 100, days: expect.toBeOneOf([1, 2]) });
      expect(atRandom?.evaluation?.logged.value).toBeGreaterThan(0.3);
      expect(atRandom?.summary?.meanWeight).toBeCloseTo(1, 0);
      expect(atRandom?.summary?.agreement).toBeCloseTo(1 / 3, 1);
      expect(soft?.summary?.decisions).toBe(1_600);
      expect(soft?.cpuMicros).toBeGreaterThan(0);
      expect(throwing?.counters).toMatchObject({ decisions: 0, errors: 1_600 });
      expect(throwing?.doubts.join()).toMatch(/compared with no decision.*failed on 1,600 decisions of 1,600/);
      const { rows } = await loop.database.query('SELECT count(*)::int FROM tip_scores');
      expect(rows).toEqual([{ count: 1_600 }]);
    },
  );
});

/** Ids that are the same in every run: what is drawn by them is too. */
function* idsOf(seed: number): Generator<string, never> {
  for (let i = 0; ; i++) {
    const digits = (seed * 1_000_000 + i).toString(16).padStart(12, '0');
    yield `0190a5d2-7b1c-7cc0-8a5e-${digits}`;
  }
}

it('every policy of this build can be a shadow', async () => {
  const decision = decided(
    'all',
    nowMs,
    decisionBy(egreedyV2, { vectors: [vectorNames.map(() => 9), vectorNames.map(() => 8)] }),
  );
  await storePatiently(createEventStore(database), [decision]);
  await scoreAll([...policies.values()]);
  expect(await keptIn()).toEqual(foldOf([decision], new Map(), [...policies.values()]));
});
