// Months of events: made ahead, dropped when they are old, and never a reason to count an event twice.

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createChores } from '../consumers/chores.ts';
import { deltas } from '../consumers/deltas.ts';
import { createEventStore, type EventStore } from '../features/event-store.ts';
import { dropPartitions, ensurePartitions, readWholeFromDay } from '../features/partitions-store.ts';
import { readBuckets } from '../features/person-store.ts';
import { tableNames } from '../features/tables.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { rebuild, rebuildScope } from '../pipelines/rebuild.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import {
  anyDamage,
  anyEvents,
  inflict,
  isWaitedFor,
  shown,
  storedOf,
  storedOn,
  storePatiently,
  tableRows,
} from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
let store: EventStore;
beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 12 });
  store = createEventStore(database);
});
afterEach(async () => {
  await database.end();
  await testDatabase.drop();
});

/** Where the events of each month lie, by partition; months without events are left out. */
async function eventsByPartition(): Promise<Record<string, number>> {
  const { rows } = await database.query<{ name: string; events: number }>(
    'SELECT tableoid::regclass::text AS name, count(*)::int AS events FROM events GROUP BY 1 ORDER BY 1',
  );
  return Object.fromEntries(rows.map(({ name, events }) => [name, events]));
}

async function partitions(): Promise<readonly string[]> {
  const { rows } = await database.query<{ name: string }>(
    "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass ORDER BY 1",
  );
  return rows.map(({ name }) => name);
}

const rebuildAll = (signal = new AbortController().signal) =>
  rebuild({ database, deltas, signal, random: Math.random }, { scope: rebuildScope({}) });

const january = Date.UTC(2026, 0, 15);
const may = Date.UTC(2026, 4, 15);

describe('partitions', () => {
  it('are made for this month and the next two, once', async () => {
    expect(await ensurePartitions(database, Date.UTC(2027, 10, 30, 23, 59))).toEqual([
      'events_2027_11',
      'events_2027_12',
      'events_2028_01',
    ]);
    expect(await ensurePartitions(database, Date.UTC(2027, 10, 1))).toEqual([]);
    expect(await ensurePartitions(database, Date.UTC(2027, 11, 1))).toEqual(['events_2028_02']);
  });

  it('are made once by many who ask at the same time, while events are stored', async () => {
    let isDone = false;
    let stored = 0;
    const writers = Array.from({ length: 4 }, async (_, i) => {
      while (!isDone) {
        const more = await storePatiently(store, [shown(`writer-${i}`, january)]);
        stored += more;
      }
    });
    const made = [];
    for (let month = 0; month < 6; month++) {
      const nowMs = Date.UTC(2030, month * 3, 1);
      made.push(...(await Promise.all(Array.from({ length: 4 }, () => ensurePartitions(database, nowMs)))).flat());
    }
    isDone = true;
    await Promise.all(writers);
    expect(made.toSorted()).toEqual([...new Set(made)].toSorted());
    expect(made).toHaveLength(18);
    expect(Object.values(await eventsByPartition()).reduce((sum, events) => sum + events)).toBe(stored);
    expect(stored).toBeGreaterThan(20);
  });

  it('take the events of their month out of the default partition, and refuse none that comes meanwhile', async () => {
    const events = Array.from({ length: 40 }, () => shown('anna', january));
    await storePatiently(store, events);
    // As after months in which nothing made partitions, the current one included.
    for (const name of await partitions()) {
      if (name === 'events_default') continue;
      await database.query(`ALTER TABLE events DETACH PARTITION ${name}`);
      await database.query(`INSERT INTO events SELECT * FROM ${name}`);
      await database.query(`DROP TABLE ${name}`);
    }
    await storedOn(database, events[0]?.eventId ?? '', '2026-01-31');
    await storedOn(database, events[1]?.eventId ?? '', '2026-02-01');
    expect(await eventsByPartition()).toEqual({ events_default: 40 });

    let isDone = false;
    const more: Envelope[] = [];
    const writers = Array.from({ length: 4 }, async () => {
      while (!isDone) {
        const event = shown('anna', january);
        more.push(event);
        await store.store([storedOf(event)]); // one that is refused here would become a dead letter
      }
    });
    await ensurePartitions(database, Date.now());
    isDone = true;
    await Promise.all(writers);
    const by = await eventsByPartition();
    expect(by).toMatchObject({ events_2026_01: 1, events_2026_02: 1 });
    expect(by).not.toHaveProperty('events_default');
    expect(Object.values(by).reduce((sum, events) => sum + events)).toBe(40 + more.length);
    expect((await readBuckets(database, 'anna')).user_daily).toMatchObject([{ served: 40 + more.length }]);
  });

  it('do not hold up writers behind a transaction that reads for long', async () => {
    const reader = await database.connect();
    await reader.query('BEGIN');
    await reader.query('SELECT count(*) FROM events');
    const making = ensurePartitions(database, Date.UTC(2031, 0, 1));
    let slowest = 0;
    for (const until = performance.now() + 1_500; performance.now() < until; ) {
      const startedAt = performance.now();
      await storePatiently(store, [shown('anna', january)]);
      slowest = Math.max(slowest, performance.now() - startedAt);
    }
    await reader.query('COMMIT');
    reader.release();
    expect(await making).toHaveLength(3);
    expect(slowest).toBeLessThan(1_200);
  });
});

describe('dropping months', () => {
  it('keeps the current one and as many whole months as asked, says what went, and keeps the ids', async () => {
    await ensurePartitions(database, january);
    const months = ['2026-01-01', '2026-01-31', '2026-02-28', '2026-03-01'];
    const events = months.map((month) => shown('anna', Date.parse(month)));
    await storePatiently(store, events);
    for (const [i, month] of months.entries()) await storedOn(database, events[i]?.eventId ?? '', month);

    const nowMs = Date.UTC(2026, 3, 30);
    expect(await readWholeFromDay(database)).toBeUndefined();
    expect(await dropPartitions(database, { keepMonths: 12, nowMs })).toEqual([]);
    expect(await dropPartitions(database, { keepMonths: 1, nowMs })).toEqual([
      { name: 'events_2026_01', events: 2 },
      { name: 'events_2026_02', events: 1 },
    ]);
    expect(await dropPartitions(database, { keepMonths: 1, nowMs })).toEqual([]);
    expect(await eventsByPartition()).toEqual({ events_2026_03: 1 });
    const { rows } = await database.query(
      'SELECT name, from_day::text, to_day::text, events::int FROM dropped_partitions ORDER BY 1',
    );
    expect(rows).toEqual([
      { name: 'events_2026_01', from_day: '2026-01-01', to_day: '2026-02-01', events: 2 },
      { name: 'events_2026_02', from_day: '2026-02-01', to_day: '2026-03-01', events: 1 },
    ]);
    expect(await readWholeFromDay(database)).toBe(utcDay(Date.UTC(2026, 2, 1)));
    expect((await database.query('SELECT FROM event_ids')).rows).toHaveLength(4);
  });

  it('adds up what a month held that comes again, such as under a clock that was set back', async () => {
    await ensurePartitions(database, january);
    for (const events of [1, 2]) {
      const again = Array.from({ length: events }, () => shown('anna', january));
      await storePatiently(store, again);
      for (const { eventId } of again) await storedOn(database, eventId, '2026-01-20');
      await ensurePartitions(database, Date.UTC(2026 + events, 0, 1)); // makes what is missing, that month included
      await dropPartitions(database, { keepMonths: 1, nowMs: Date.UTC(2026, 2, 1) });
      expect(await eventsByPartition()).toEqual({});
    }
    const { rows } = await database.query('SELECT name, events::int FROM dropped_partitions');
    expect(rows).toEqual([{ name: 'events_2026_01', events: 3 }]);
  });

  it('is done once by many who ask at the same time, while events are stored and read', async () => {
    await ensurePartitions(database, january);
    const events = Array.from({ length: 30 }, () => shown('anna', january));
    await storePatiently(store, events);
    for (const { eventId } of events) await storedOn(database, eventId, '2026-01-20');
    let isDone = false;
    const others = Array.from({ length: 4 }, async () => {
      while (!isDone) {
        await store.store([storedOf(shown('ben', january))]);
        await database.query("SELECT count(*) FROM events WHERE user_id = 'anna'");
      }
    });
    const asked = Array.from({ length: 4 }, () => dropPartitions(database, { keepMonths: 2, nowMs: may }));
    expect((await Promise.all(asked)).flat().toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: 'events_2026_01', events: 30 },
      { name: 'events_2026_02', events: 0 },
    ]);
    isDone = true;
    await Promise.all(others);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses to keep %d months', async (keepMonths) => {
    await expect(dropPartitions(database, { keepMonths, nowMs: may })).rejects.toThrow(RangeError);
  });

  it('carries on events about days after their month, whatever their clock said', async () => {
    await ensurePartitions(database, january);
    const ahead = shown('anna', Date.UTC(2026, 1, 1));
    const wayAhead = shown('anna', Date.UTC(2099, 1, 1));
    const late = shown('anna', Date.UTC(2026, 0, 31, 23, 59, 59, 999));
    await storePatiently(store, [ahead, wayAhead, late]);
    for (const { eventId } of [ahead, wayAhead]) await storedOn(database, eventId, '2026-01-31');
    await storedOn(database, late.eventId, '2026-02-01');
    const transactions = async () =>
      (await database.query('SELECT event_id, transaction_id::text, received_at FROM events ORDER BY 1')).rows;
    const before = await transactions();

    expect(await dropPartitions(database, { keepMonths: 2, nowMs: Date.UTC(2026, 3, 1) })).toEqual([
      { name: 'events_2026_01', events: 0 },
    ]);
    expect(await eventsByPartition()).toEqual({ events_2026_02: 3 });
    expect(await transactions()).toEqual(before);
    expect(await dropPartitions(database, { keepMonths: 1, nowMs: Date.UTC(2026, 3, 1) })).toEqual([
      { name: 'events_2026_02', events: 2 },
    ]);
    expect(await eventsByPartition()).toEqual({ events_2026_03: 1 });
  });
});

describe('the chores of the consumers', () => {
  it('make the months ahead, and drop old ones only where somebody asks for it', async () => {
    await ensurePartitions(database, january);
    const event = shown('anna', january);
    await storePatiently(store, [event]);
    await storedOn(database, event.eventId, '2026-01-31');
    const bus = { publish: () => Promise.reject(new Error('nothing is to be said')) };
    const doChores = async (keepMonths: number | undefined) => {
      const chores = createChores({ bus, database }, { ignoredAfterMs: dayMs, keepMonths });
      for (const { name, run } of chores) if (['partitions', 'retention'].includes(name)) await run(may);
    };
    await doChores(undefined);
    expect(await eventsByPartition()).toEqual({ events_2026_01: 1 });
    expect(await partitions()).toEqual(expect.arrayContaining(['events_2026_05', 'events_2026_06', 'events_2026_07']));
    await doChores(4);
    expect(await eventsByPartition()).toEqual({ events_2026_01: 1 });
    await doChores(3);
    expect(await eventsByPartition()).toEqual({});
    expect(await partitions()).not.toContain('events_2026_01');
  });
});

describe('an event counts once', () => {
  const served = async () => (await readBuckets(database, 'anna')).user_daily.map(({ day, served }) => [day, served]);

  it('across months, under whatever time it is sent again, also after its month was dropped', async () => {
    await ensurePartitions(database, january);
    const eventId = newId(january);
    const first = shown('anna', january, 'tip', eventId);
    const again = [
      first,
      shown('anna', january + 40 * dayMs, 'tip', eventId),
      shown('anna', january - 400 * dayMs, 'other', eventId.toUpperCase()),
      shown('ben', january, 'tip', eventId),
    ];
    expect(await storePatiently(store, [first])).toBe(1);
    await storedOn(database, eventId, '2026-01-31'); // today is another month
    const once = await tableRows(database);
    expect(await storePatiently(store, again)).toBe(0);
    for (const event of again) expect(await storePatiently(store, [event])).toBe(0);

    await dropPartitions(database, { keepMonths: 1, nowMs: may });
    expect(await eventsByPartition()).toEqual({});
    expect(await storePatiently(store, again)).toBe(0); // such as a dead letter that is replayed
    expect(await tableRows(database)).toEqual(once);
    expect(await served()).toEqual([[utcDay(january), 1]]);
  });

  it('of several that share an id in one batch, the first', async () => {
    const eventId = newId(january);
    const both = [shown('anna', january, 'tip', eventId), shown('ben', january, 'tip', eventId.toUpperCase())];
    expect(await store.store(both.map(storedOf))).toEqual({ stored: 1, refused: 0 });
    expect(await served()).toEqual([[utcDay(january), 1]]);
    expect((await readBuckets(database, 'ben')).user_daily).toEqual([]);
  });

  it('sent at once by many, around the change of a month', async () => {
    const times = [Date.UTC(2026, 0, 31, 23, 59, 59, 999), Date.UTC(2026, 1, 1)];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...times), { minLength: 2, maxLength: 6 }), async (instants) => {
        const eventId = newId(january);
        const userId = `person-${eventId}`;
        const counts = await Promise.all(
          instants.map((atMs) => storePatiently(store, [shown(userId, atMs, 'tip', eventId)])),
        );
        expect(counts.reduce((sum, count) => sum + count)).toBe(1);
        const { user_daily, tip_outcomes } = await readBuckets(database, userId);
        expect(user_daily).toMatchObject([{ served: 1 }]);
        expect(tip_outcomes).toHaveLength(1);
      }),
      { numRuns: 25 },
    );
  });

  it('for the first time from a dead letter whose month is gone, and after a rebuild still', async () => {
    await ensurePartitions(database, january);
    await dropPartitions(database, { keepMonths: 1, nowMs: may });
    const letter = shown('anna', january);
    expect(await storePatiently(store, [letter])).toBe(1);
    expect(await storePatiently(store, [letter])).toBe(0);
    expect(await rebuildAll()).toMatchObject({ changes: {} });
    expect(await served()).toEqual([[utcDay(january), 1]]);
  });
});

describe('a rebuild after months were dropped', () => {
  const userIds = ['anna', 'ben'];
  const dayOf2026 = (day: number) => new Date(Date.UTC(2026, 0, 1 + day)).toISOString().slice(0, 10);
  /** A day on which an event was stored, often in January. */
  const anyDay = fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 110 })).map(dayOf2026);
  const firstWhole = utcDay(Date.UTC(2026, 1, 1));
  /** Whether the row, as text, is about a day whose events are all there. Days are the second column of its tables. */
  const isWhole = (row: string) => Number((JSON.parse(row) as unknown[])[1]) >= firstWhole;

  it('destroys nothing of what it cannot know, and repairs what it can', { timeout: 120_000 }, async () => {
    await ensurePartitions(database, january);
    const anyStory = fc.record({
      events: anyEvents(userIds, { minLength: 1, maxLength: 60 }).chain((events) =>
        fc.tuple(...events.map((event) => fc.tuple(fc.constant(event), anyDay))),
      ),
      damages: fc.array(anyDamage, { maxLength: 20, size: 'max' }),
    });
    await fc.assert(
      fc.asyncProperty(anyStory, async ({ events, damages }) => {
        await database.query(`TRUNCATE events, event_ids, dropped_partitions, ${tableNames.join(', ')}`);
        await ensurePartitions(database, january);
        await storePatiently(
          store,
          events.map(([event]) => event),
        );
        for (const [{ eventId }, day] of events) await storedOn(database, eventId, day);
        const right = await tableRows(database);
        await dropPartitions(database, { keepMonths: 2, nowMs: Date.UTC(2026, 3, 15) });
        expect(await rebuildAll()).toMatchObject({ changes: {} });
        expect(await tableRows(database)).toEqual(right);

        for (const damage of damages) await inflict(database, damage, [...userIds, 'nobody']);
        const damaged = await tableRows(database);
        await rebuildAll();
        const rebuilt = await tableRows(database);
        for (const table of ['user_daily', 'user_hourly', 'user_health'] as const) {
          expect(rebuilt[table].filter(isWhole)).toEqual(right[table].filter(isWhole));
        }
        for (const table of tableNames) {
          const unharmed = right[table].filter((row) => damaged[table].includes(row));
          expect(rebuilt[table]).toEqual(expect.arrayContaining(unharmed));
        }
      }),
      { numRuns: 25 },
    );
  });

  it('does not miss that a month is dropped while it goes on', async () => {
    await ensurePartitions(database, january);
    const event = shown('anna', january);
    await storePatiently(store, [event]);
    await storedOn(database, event.eventId, '2026-01-20');
    const right = await tableRows(database);
    await rebuildAll(AbortSignal.abort()); // begun, and stopped before the first person
    const client = await database.connect();
    await client.query('BEGIN; SELECT FROM rebuilds FOR UPDATE');
    const rebuilding = rebuildAll(); // has its snapshot, and waits for its own row
    await waitFor('the rebuild to wait', () => isWaitedFor(database));
    const dropping = dropPartitions(database, { keepMonths: 1, nowMs: may });
    await Promise.race([dropping, sleep(1_000)]);
    await client.query('COMMIT');
    client.release();
    await Promise.all([rebuilding, dropping]);
    expect(await eventsByPartition()).toEqual({});
    expect(await tableRows(database)).toEqual(right);
  });
});
