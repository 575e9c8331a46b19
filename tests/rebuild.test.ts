// Tables made anew from events while consumers write and people read.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deltas } from '../consumers/deltas.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { createErasureStore } from '../features/erasure-store.ts';
import { createEventStore, type EventStore } from '../features/event-store.ts';
import { readBuckets } from '../features/person-store.ts';
import { tableNames } from '../features/tables.ts';
import { toTimestamp } from '../features/time.ts';
import { vectorNames, vectorVersion } from '../features/vector.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { type RebuildOptions, type RebuildResult, rebuild, rebuildScope } from '../pipelines/rebuild.ts';
import { dayMs } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import type { Payload } from './_util/arbitraries.ts';
import { expectedOf, sorted } from './_util/buckets.ts';
import { startNode } from './_util/node-process.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import {
  anyDamage,
  anyEvents,
  inflict,
  isWaitedFor,
  rowVersions,
  shown,
  storePatiently,
  tableRows,
} from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
let store: EventStore;
beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 10 });
  store = createEventStore(database);
});
afterEach(async () => {
  await database.end();
  await testDatabase.drop();
});

const everything = rebuildScope({});
/** Some take seconds, and a minute on a machine with other work. */
const slow = { timeout: 120_000 };

function run(options: Partial<RebuildOptions> = {}, signal = new AbortController().signal): Promise<RebuildResult> {
  return rebuild({ database, deltas, signal, random: Math.random }, { scope: everything, ...options });
}

/** One person after the other, and stops after so many. */
function runUntil(count: number): Promise<RebuildResult> {
  const stop = new AbortController();
  const onProgress = ({ people }: { people: number }) => people === count && stop.abort();
  const deps = { database, deltas, signal: stop.signal, random: Math.random, onProgress };
  return rebuild(deps, { scope: everything, peopleAtOnce: 1 });
}

const noonMs = Date.UTC(2026, 1, 14, 12);
const sample = (userIds: readonly string[], length: number, seed: number): readonly Envelope[] =>
  fc.sample(anyEvents(userIds, { minLength: length, maxLength: length }), { numRuns: 1, seed })[0] ?? [];

/** A decision about a tip that was sent away. */
function rewarded(userId: string): readonly Envelope[] {
  const [decisionId, tipId] = [newId(noonMs), 'tip'];
  const event = (eventId: string, payload: Payload) =>
    create(EnvelopeSchema, { userId, eventId, schemaVersion: 'v1', occurredAt: toTimestamp(noonMs), payload });
  const candidates = [{ tipId, vector: vectorNames.map((_, i) => 100 * i), propensity: 1 }];
  const experiments = [{ experiment: 'e', version: '1', arm: 'a' }];
  const scored = { requestId: newId(noonMs), tipId, policy: 'p', candidates, vectorVersion, experiments };
  return [
    event(decisionId, { case: 'tipScored', value: scored }),
    event(newId(noonMs), { case: 'tipFeedback', value: { tipId, decisionId, reaction: Reaction.DISMISS } }),
  ];
}

const rebuildRows = async () => (await database.query('SELECT * FROM rebuilds ORDER BY started_at')).rows;

/** Holds a row of a person, so that whoever writes it waits. */
async function holdRow(userId: string) {
  const client = await database.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM user_daily WHERE user_id = $1 LIMIT 1 FOR UPDATE', [userId]);
  return {
    isWaitedFor: () => waitFor('somebody to wait for the row', () => isWaitedFor(database)),
    release: async () => {
      await client.query('COMMIT');
      client.release();
    },
  };
}

describe('a rebuild', () => {
  it('leaves the tables equal to the events, whatever was wrong, while others write', slow, async () => {
    await using oracleDatabase = await createTestDatabase();
    const oracle = openDatabase({ url: oracleDatabase.url, applicationName: 'test', maxConnections: 2 });
    const userIds = ['anna', 'ben', 'Çelik', '😀'];
    const anyStory = fc.record({
      before: anyEvents(userIds, { minLength: 1, maxLength: 60 }),
      during: anyEvents(userIds, { minLength: 0, maxLength: 60 }),
      damages: fc.array(anyDamage, { maxLength: 30, size: 'max' }),
      writers: fc.integer({ min: 1, max: 4 }),
      peopleAtOnce: fc.integer({ min: 1, max: 4 }),
      eventsAtOnce: fc.integer({ min: 1, max: 100 }),
    });
    try {
      await fc.assert(
        fc.asyncProperty(anyStory, async ({ before, during, damages, writers, ...sizes }) => {
          for (const each of [database, oracle]) {
            await each.query(`TRUNCATE events, event_ids, ${tableNames.join(', ')}`);
          }
          await storePatiently(store, before);
          for (const damage of damages) await inflict(database, damage, [...userIds, 'nobody']);
          const batches = Array.from({ length: writers }, (_, i) => during.filter((_, j) => j % writers === i));
          await Promise.all([
            run(sizes),
            ...batches.map(async (batch) => {
              for (const event of batch) await storePatiently(store, [event]);
            }),
          ]);
          const events = [...before, ...during];
          await storePatiently(createEventStore(oracle), events);
          expect(await tableRows(database)).toEqual(await tableRows(oracle));
          for (const userId of userIds) {
            expect(sorted(await readBuckets(database, userId))).toEqual(expectedOf(events, userId));
          }
        }),
        { numRuns: 25 },
      );
    } finally {
      await oracle.end();
    }
  });

  it('writes nothing where nothing is wrong', async () => {
    await storePatiently(store, sample(['anna', 'ben', 'cem'], 200, 1));
    await createRewardStore(database).rewardTips();
    const before = await rowVersions(database);
    const result = await run({ peopleAtOnce: 1 });
    expect(result).toMatchObject({ isFinished: true, people: 3, events: 200, changes: {} });
    expect(await rowVersions(database)).toEqual(before);
    expect(await rebuildRows()).toMatchObject([{ people: '3', events: '200', rows_changed: '0', done_up_to: '' }]);
    expect(await rebuildRows()).toMatchObject([{ finished_at: expect.any(Date) }]);
  });

  it('counts each event once, also of people with more of them than are read at once', async () => {
    const events = ['anna', 'ben'].flatMap((userId) => Array.from({ length: 2_001 }, () => shown(userId, noonMs)));
    await storePatiently(store, events);
    expect(await run({ isDryRun: true })).toMatchObject({ events: events.length, changes: {} });
  });

  it('shows a person as they were or as they must be, and nothing between', slow, async () => {
    const userIds = ['anna', 'ben'];
    await storePatiently(store, sample(userIds, 400, 2));
    const right = await Promise.all(userIds.map(async (userId) => sorted(await readBuckets(database, userId))));
    const seen = new Map(userIds.map((userId) => [userId, new Set<string>()]));
    let wrongSightings = 0;
    for (let round = 0; round < 8; round++) {
      await database.query('UPDATE user_daily SET served = served + 1');
      await database.query('UPDATE user_hourly SET done = done + 1');
      await database.query("UPDATE tip_outcomes SET tip_kind = 'wrong'");
      await database.query('DELETE FROM user_tasks');
      await database.query('DELETE FROM user_integrations');
      const wrong = await Promise.all(userIds.map(async (userId) => sorted(await readBuckets(database, userId))));
      const stop = new AbortController();
      const readers = userIds.map(async (userId, i) => {
        while (!stop.signal.aborted) {
          const now = JSON.stringify(sorted(await readBuckets(database, userId)));
          const was = [right[i], wrong[i]].map((state) => JSON.stringify(state)).indexOf(now);
          if (was < 0) wrongSightings++;
          seen.get(userId)?.add(['new', 'old'][was] ?? 'half');
        }
      });
      await run({ peopleAtOnce: 1 });
      stop.abort();
      await Promise.all(readers);
      for (const [i, userId] of userIds.entries())
        expect(sorted(await readBuckets(database, userId))).toEqual(right[i]);
    }
    expect(wrongSightings).toBe(0);
    for (const each of seen.values()) expect([...each].sort()).toEqual(['new', 'old']);
  });

  it('makes way for a consumer who was there first, and takes what they added into account', async () => {
    await storePatiently(store, [shown('anna', noonMs), shown('anna', noonMs)]);
    await database.query('UPDATE user_daily SET served = 50');
    const client = await database.connect();
    await client.query('BEGIN');
    await client.query('UPDATE user_daily SET served = served + 1 WHERE user_id = $1', ['anna']);
    const rebuilding = run();
    await waitFor('the rebuild to wait', () => isWaitedFor(database));
    await client.query('COMMIT');
    client.release();
    await rebuilding;
    expect((await readBuckets(database, 'anna')).user_daily).toMatchObject([{ served: 2 }]);
  });

  it('gets on where others write the same rows every time: in the end they wait', async () => {
    await storePatiently(store, [shown('anna', noonMs)]);
    await database.query('UPDATE user_daily SET served = 50, done = 9');
    let writes = 0;
    let refused = 0;
    const meddle = async () => {
      const client = await database.connect();
      await client.query('BEGIN; SET LOCAL lock_timeout = 100');
      const isWritten = await client.query('UPDATE user_daily SET done = done + 1').then(
        () => true,
        () => false, // the table is locked
      );
      await client.query('COMMIT');
      client.release();
      if (isWritten) writes++;
      else refused++;
    };
    /** Somebody always writes between what the rebuild reads and what it writes. */
    const connect = async () => {
      const client = await database.connect();
      const query = async (text: string, values?: unknown[]) => {
        const result = await client.query(text, values);
        if (/FROM user_daily WHERE user_id = ANY/.test(text)) await meddle();
        return result;
      };
      const [on, off, release] = [client.on.bind(client), client.off.bind(client), client.release.bind(client)];
      return { query, on, off, release };
    };
    const meddled = { query: database.query.bind(database), connect } as unknown as Database;
    const scope = rebuildScope({ table: 'user_daily' });
    const deps = { database: meddled, deltas, signal: new AbortController().signal, random: Math.random };
    expect(await rebuild(deps, { scope })).toMatchObject({ isFinished: true });
    expect({ writes, refused }).toEqual({ writes: 6, refused: 1 });
    expect(await run({ isDryRun: true })).toMatchObject({ changes: {} });
  });

  it('of one feature fills the column of a new one, and touches no other table', async () => {
    const events = sample(['anna', 'ben'], 300, 4);
    await storePatiently(store, events);
    const right = await tableRows(database);
    await database.query('UPDATE user_daily SET done = 0'); // as a migration that adds the column leaves it
    await database.query('UPDATE user_hourly SET weekday = NULL');
    const damaged = await tableRows(database);
    const result = await run({ scope: rebuildScope({ feature: 'done_streak_days' }) });
    expect(Object.keys(result.changes)).toEqual(['user_daily']);
    expect(await tableRows(database)).toEqual({ ...damaged, user_daily: right.user_daily });
    await run({ scope: rebuildScope({ table: 'user_hourly' }) });
    expect(await tableRows(database)).toEqual(right);
  });

  it.each([
    ['tip_outcomes', "SET outcome = 'helpful', reward_milli = 3"],
    ['tip_scores', 'SET vector[1] = vector[1] + 1'],
    ['prompt_rewards', 'SET served = 7, dismissed = 0, done = 5, reward_milli = 9'],
    ['experiment_stats', 'SET decisions = 7, rewards = 5, reward_milli = 9'],
  ])('of %s gives rewards, and what is learnt from them, anew', async (table, damage) => {
    await storePatiently(store, [...rewarded('anna'), ...rewarded('ben')]);
    await createRewardStore(database).rewardTips();
    const learnt = async () => [
      (await database.query('SELECT * FROM policy_stats ORDER BY user_id')).rows,
      (await database.query('SELECT outcome, reward_milli FROM tip_outcomes ORDER BY user_id')).rows,
      (await database.query('SELECT * FROM prompt_rewards ORDER BY user_id')).rows,
      (await database.query('SELECT * FROM experiment_stats ORDER BY user_id')).rows,
    ];
    const before = await learnt();
    expect(before).toMatchObject([
      [{ count: '1' }, { count: '1' }],
      [{ reward_milli: -1000 }, { reward_milli: -1000 }],
      [1, 2].map(() => ({ served: 1, dismissed: 1, reward_milli: -1000 })),
      [1, 2].map(() => ({ decisions: '1', rewards: '1', reward_milli: '-1000' })),
    ]);
    await database.query(`UPDATE ${table} ${damage}`);
    await database.query('UPDATE policy_stats SET xx[1] = 9');
    await run({ scope: rebuildScope({ table: 'user_tasks' }) });
    expect(await learnt()).not.toEqual(before);
    await run({ scope: rebuildScope({ table }) });
    expect(await learnt()).toEqual(before);
  });

  it('of one person touches nobody else, and does not keep who it was', async () => {
    await storePatiently(store, sample(['anna', 'ben'], 200, 5));
    const right = {
      anna: sorted(await readBuckets(database, 'anna')),
      ben: sorted(await readBuckets(database, 'ben')),
    };
    await database.query('UPDATE user_daily SET served = 99');
    const damagedBen = sorted(await readBuckets(database, 'ben'));
    const result = await run({ scope: rebuildScope({ user: 'anna' }) });
    expect(result).toMatchObject({ isFinished: true, people: 1 });
    expect(sorted(await readBuckets(database, 'anna'))).toEqual(right.anna);
    expect(sorted(await readBuckets(database, 'ben'))).toEqual(damagedBen);
    const [row] = await rebuildRows();
    expect(JSON.stringify(row)).not.toContain('anna');
    expect(row).toMatchObject({ done_up_to: '', scope: expect.stringMatching(/ of [0-9a-f]{64}$/) });
  });

  it('that only looks says what is wrong, and changes nothing', async () => {
    await storePatiently(store, [shown('anna', noonMs), shown('ben', noonMs)]);
    await database.query("UPDATE user_daily SET served = 9 WHERE user_id = 'anna'");
    await database.query("DELETE FROM tip_outcomes WHERE user_id = 'ben'");
    await database.query("INSERT INTO user_hourly (user_id, day, hour) VALUES ('nobody', '2026-02-14', 7)");
    const before = await rowVersions(database);
    expect(await run({ isDryRun: true })).toMatchObject({
      isFinished: true,
      people: 3,
      changes: {
        user_daily: { missing: 0, differing: 1, surplus: 0 },
        tip_outcomes: { missing: 1, differing: 0, surplus: 0 },
        user_hourly: { missing: 0, differing: 0, surplus: 1 },
      },
    });
    expect(await rowVersions(database)).toEqual(before);
    expect(await rebuildRows()).toEqual([]);
  });

  it('continues where it was stopped, unless it is told to begin anew', async () => {
    await storePatiently(store, sample(['a', 'b', 'c', 'd'], 100, 6));
    expect(await runUntil(2)).toMatchObject({ isFinished: false, people: 2 });
    expect(await rebuildRows()).toMatchObject([{ done_up_to: 'b', finished_at: null }]);

    await database.query("UPDATE user_daily SET served = 9 WHERE user_id IN ('a', 'd')");
    const other = await run({ scope: rebuildScope({ table: 'user_hourly' }) });
    expect(other, 'another scope is another rebuild').toMatchObject({ people: 4, continuedFrom: undefined });
    const continued = await run({ peopleAtOnce: 1 });
    expect(continued).toMatchObject({ isFinished: true, people: 4, continuedFrom: expect.any(Date) });
    const wrongOnes = async () =>
      (await database.query<{ user_id: string }>('SELECT DISTINCT user_id FROM user_daily WHERE served = 9')).rows;
    expect(await wrongOnes()).toEqual([{ user_id: 'a' }]);

    await runUntil(2); // a new one
    const begunAt = Number((await rebuildRows()).at(-1)?.started_at);
    await database.query("UPDATE user_daily SET served = 9 WHERE user_id IN ('a', 'd')");
    const anew = await run({ restart: true });
    expect(anew).toMatchObject({ isFinished: true, people: 4, events: 100, continuedFrom: undefined });
    expect(Number((await rebuildRows()).at(-1)?.started_at)).toBeGreaterThan(begunAt);
    expect(await wrongOnes()).toEqual([]);
    expect((await rebuildRows()).map(({ people }) => people)).toEqual(['4', '4', '4']);
  });

  it('is not continued by a build whose tables have other columns', async () => {
    await storePatiently(store, [shown('anna', noonMs), shown('ben', noonMs)]);
    await runUntil(1);
    await database.query("UPDATE rebuilds SET scope = regexp_replace(scope, '[0-9a-f]{8}', 'deadbeef')");
    await database.query('UPDATE user_daily SET served = 9');
    expect(await run()).toMatchObject({ isFinished: true, people: 2, continuedFrom: undefined });
    expect(await run({ isDryRun: true })).toMatchObject({ changes: {} });
  });

  it('can run twice at once: both do the same rebuild', async () => {
    await storePatiently(store, sample(['a', 'b', 'c', 'd', 'e', 'f'], 200, 7));
    const right = await tableRows(database);
    await database.query('UPDATE user_daily SET served = 9');
    const results = await Promise.all([run({ peopleAtOnce: 1 }), run({ peopleAtOnce: 1 })]);
    expect(results.map(({ isFinished }) => isFinished)).toEqual([true, true]);
    expect(await tableRows(database)).toEqual(right);
    expect(await rebuildRows()).toMatchObject([{ people: '6', events: '200', finished_at: expect.any(Date) }]); // each once
  });

  it('goes on where another run of it has come meanwhile', async () => {
    await storePatiently(store, sample(['a', 'b', 'c', 'd', 'e', 'f'], 200, 7));
    await runUntil(1);
    await database.query('UPDATE user_daily SET served = 9');
    const other = await database.connect();
    await other.query('BEGIN');
    await other.query("UPDATE rebuilds SET done_up_to = 'd', people = 4");
    const rebuilding = run({ peopleAtOnce: 1 }); // has read that it continues after the first
    await waitFor('the rebuild to wait', () => isWaitedFor(database));
    await other.query('COMMIT');
    other.release();
    expect(await rebuilding).toMatchObject({ isFinished: true });
    expect(await rebuildRows()).toMatchObject([{ people: '6', finished_at: expect.any(Date) }]);
    const { rows } = await database.query('SELECT DISTINCT user_id FROM user_daily WHERE served = 9 ORDER BY 1');
    expect(rows.map(({ user_id }) => user_id)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('never brings back a person who is being erased', async () => {
    await storePatiently(store, [shown('anna', noonMs), shown('ben', noonMs), shown('anna', noonMs + dayMs)]);
    await database.query("DELETE FROM tip_outcomes WHERE user_id = 'anna'");
    await database.query("UPDATE user_daily SET served = 9 WHERE user_id = 'ben'");
    const held = await holdRow('ben');
    const rebuilding = run(); // has folded both, and waits for ben's row before it comes to anna's outcomes
    await held.isWaitedFor();
    const erasing = createErasureStore(database).erase('anna', 'asked', async () => {});
    await sleep(300);
    await held.release();
    await Promise.all([rebuilding, erasing]);
    for (const rows of Object.values(await tableRows(database))) expect(rows.join()).not.toContain('anna');
    expect(await run({ isDryRun: true })).toMatchObject({ changes: {} });
  });
});

describe('the command', slow, () => {
  const script = fileURLToPath(new URL('../scripts/rebuild.ts', import.meta.url));
  const start = (...args: string[]) =>
    startNode(script, { PATH: process.env.PATH, DATABASE_URL: testDatabase.url }, args);

  it('survives kill -9 in the middle: done again, it continues, and all is right', async () => {
    const people = Array.from({ length: 700 }, (_, i) => `p-${String(i).padStart(4, '0')}`);
    await storePatiently(
      store,
      people.flatMap((userId) => [shown(userId, noonMs), shown(userId, noonMs + dayMs)]),
    );
    const right = await tableRows(database);
    await database.query('UPDATE user_daily SET served = 9');
    await database.query('DELETE FROM tip_outcomes');
    const held = await holdRow('p-0600'); // in the third chunk
    const killed = start();
    await held.isWaitedFor();
    await killed.kill();
    await held.release();
    await waitFor('its connection to be gone', async () => {
      const { rows } = await database.query("SELECT FROM pg_stat_activity WHERE application_name = 'oo-rebuild'");
      return rows.length === 0;
    });
    expect(await rebuildRows()).toMatchObject([{ done_up_to: 'p-0511', people: '512', finished_at: null }]);
    const half = await tableRows(database);
    expect(half.tip_outcomes).toHaveLength(512);
    expect(half.user_daily.filter((row) => / 9,/.test(row))).toHaveLength((700 - 512) * 2);

    const again = start();
    expect(await again.ended, again.output()).toBe(0);
    expect(again.output()).toMatch(
      /continuing the rebuild of .* after 512 people[\s\S]*█ +\d+ % +[\d,]+ of about [\d,]+ events +[\d,]+\/s[\s\S]*rebuilt: 700 people, 1,400 events/,
    );
    expect(await tableRows(database)).toEqual(right);
    expect(await rebuildRows()).toMatchObject([{ done_up_to: '', people: '700', finished_at: expect.any(Date) }]);
  });

  it.each(['SIGTERM', 'SIGINT'])('stops after the chunk on a %s, and says how to go on', async (signal) => {
    await storePatiently(
      store,
      Array.from({ length: 600 }, (_, i) => shown(`p-${1000 + i}`, noonMs)),
    );
    await database.query('UPDATE user_daily SET served = 9');
    const held = await holdRow('p-1000');
    const stopped = start();
    await held.isWaitedFor();
    process.kill(stopped.pid, signal);
    await sleep(100);
    await held.release();
    expect(await stopped.ended).toBe(130);
    expect(stopped.output()).toMatch(/stopped after 256 people.*the same command continues there/);
    expect(await rebuildRows()).toMatchObject([{ people: '256', finished_at: null }]);
  });

  it('says with its exit code that it failed, and how to go on if it had begun', async () => {
    await storePatiently(store, [shown('anna', noonMs)]);
    await database.query('UPDATE user_daily SET served = 9');
    const held = await holdRow('anna');
    const failed = start();
    await held.isWaitedFor();
    await database.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'oo-rebuild' AND wait_event_type = 'Lock'",
    );
    expect(await failed.ended, failed.output()).toBe(1);
    expect(failed.output()).toMatch(/terminating connection[\s\S]*The same command continues where this ended/);
    await held.release();
    const again = start();
    expect(await again.ended, again.output()).toBe(0);

    const env = { PATH: process.env.PATH, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
    const away = startNode(script, env, []);
    expect(await away.ended, away.output()).toBe(1);
    expect(away.output()).not.toContain('The same command');
  });

  it('ends at once when it is asked twice, and continues when it is done again', async () => {
    await storePatiently(store, [shown('anna', noonMs)]);
    await database.query('UPDATE user_daily SET served = 9');
    const held = await holdRow('anna');
    const stopped = start();
    await held.isWaitedFor();
    const asking = setInterval(() => stopped.isRunning() && process.kill(stopped.pid, 'SIGINT'), 100);
    expect(await stopped.ended, stopped.output()).toBeUndefined();
    clearInterval(asking);
    await held.release();
    const again = start();
    expect(await again.ended, again.output()).toBe(0);
    expect(await run({ isDryRun: true })).toMatchObject({ changes: {} });
  });

  it('says with its exit code whether tables differ', async () => {
    await storePatiently(store, [shown('anna', noonMs)]);
    const look = async (...args: string[]) => {
      const command = start('--dry-run', ...args);
      return { code: await command.ended, output: command.output() };
    };
    expect(await look()).toMatchObject({ code: 0, output: expect.stringContaining('the tables equal') });
    await database.query('UPDATE user_daily SET served = 9');
    expect(await look()).toMatchObject({ code: 3, output: expect.stringMatching(/differ[\s\S]*user_daily +0 +1 +0/) });
    expect(await look('--user', 'ben')).toMatchObject({ code: 0 });
    expect(await look('--feature', 'nothing')).toMatchObject({ code: 2 });
    expect(await look('--what')).toMatchObject({ code: 2, output: expect.stringContaining('Usage:') });
  });
});
