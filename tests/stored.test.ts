import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deltas } from '../consumers/deltas.ts';
import { statisticsVersion } from '../experiments/statistics.ts';
import { createEventStore, type StoredEvent } from '../features/event-store.ts';
import { createPersonStore, readBuckets } from '../features/person-store.ts';
import { type ColumnType, columnsOf, type Table, tableNames, tables } from '../features/tables.ts';
import { toMs, toTimestamp } from '../features/time.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { dayMs } from '../platform/clock.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { anyPersonEvent } from './_util/arbitraries.ts';
import { expectedOf, sorted } from './_util/buckets.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';

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

const stored = (event: Envelope): StoredEvent => ({
  eventId: event.eventId,
  type: 'test',
  userId: event.userId,
  occurredAtMs: toMs(event.occurredAt),
  schemaVersion: 'v1',
  producer: 'test',
  envelope: toBinary(EnvelopeSchema, event),
  deltas: deltas(event),
});

describe('the tables', () => {
  it('equal the pure fold over the distinct events, whatever the order, the batches, the repeats and the writers', async () => {
    const store = createEventStore(database);
    const anyStory = fc
      .uniqueArray(anyPersonEvent(['anna', 'ben']), { minLength: 1, maxLength: 60, selector: ({ eventId }) => eventId })
      .chain((events) =>
        fc.record({
          events: fc.constant(events),
          deliveries: fc
            .array(fc.constantFrom(...events), { maxLength: 60 })
            .chain((repeats) =>
              fc.shuffledSubarray([...events, ...repeats], { minLength: events.length + repeats.length }),
            ),
          batchSize: fc.integer({ min: 1, max: 40 }),
          writers: fc.integer({ min: 1, max: 6 }),
        }),
      );
    await fc.assert(
      fc.asyncProperty(anyStory, async ({ events, deliveries, batchSize, writers }) => {
        const run = newId(Date.now());
        const fresh = new Map(
          events.map((event) => [
            event.eventId,
            { ...event, eventId: newId(Date.now()), userId: `${run}/${event.userId}` } as Envelope,
          ]),
        );
        const batches = Array.from({ length: Math.ceil(deliveries.length / batchSize) }, (_, i) =>
          deliveries.slice(i * batchSize, (i + 1) * batchSize).flatMap(({ eventId }) => fresh.get(eventId) ?? []),
        );
        const counts = await Promise.all(
          Array.from({ length: writers }, async (_, writer) => {
            let count = 0;
            for (const [i, batch] of batches.entries())
              if (i % writers === writer) count += (await store.store(batch.map(stored))).stored;
            return count;
          }),
        );
        expect(counts.reduce((sum, count) => sum + count)).toBe(fresh.size);
        for (const userId of ['anna', 'ben'].map((name) => `${run}/${name}`)) {
          expect(sorted(await readBuckets(database, userId))).toEqual(expectedOf([...fresh.values()], userId));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('survive many writers on the same people: they wait for each other and do not deadlock', async () => {
    const store = createEventStore(database);
    const events = fc.sample(anyPersonEvent(Array.from({ length: 50 }, (_, i) => `crowd-${i}`)), {
      numRuns: 4_000,
      seed: 7,
    });
    const batches = Array.from({ length: 16 }, (_, i) =>
      events.slice(i * 250, (i + 1) * 250).map((event) => stored({ ...event, eventId: newId(Date.now()) })),
    );
    const writers = batches.flatMap((batch) => [batch, batch.toReversed()]); // everything delivered twice, the other way round
    const counts = await Promise.all(writers.map((batch) => store.store(batch)));
    expect(counts.reduce((sum, { stored }) => sum + stored, 0)).toBe(4_000);
  });

  it('survive writers who meet the same people once each, in opposite orders', async () => {
    const store = createEventStore(database);
    const [event] = fc.sample(anyPersonEvent(), { numRuns: 1, seed: 7 }) as [Envelope];
    const batch = Array.from({ length: 300 }, (_, i) => ({ ...event, userId: `meeting-${i}` }));
    const writers = Array.from({ length: 24 }, (_, i) =>
      (i % 2 ? batch : batch.toReversed()).map((each) => stored({ ...each, eventId: newId(Date.now()) })),
    );
    const counts = await Promise.all(writers.map((events) => store.store(events)));
    expect(counts.reduce((sum, { stored }) => sum + stored, 0)).toBe(300 * 24);
  });

  it('keep the first of two events with one id', async () => {
    const store = createEventStore(database);
    const [first, second] = fc.sample(anyPersonEvent(['first-wins']), { numRuns: 2, seed: 3 }) as [Envelope, Envelope];
    const eventId = newId(Date.now());
    expect(await store.store([stored({ ...first, eventId }), stored({ ...second, eventId })])).toEqual({
      stored: 1,
      refused: 0,
    });
    expect(await store.store([stored({ ...second, eventId })])).toEqual({ stored: 0, refused: 0 });
    expect(sorted(await readBuckets(database, 'first-wins'))).toEqual(
      expectedOf([{ ...first, eventId }], 'first-wins'),
    );
  });

  it('hold every text as it came, whatever the database might read into it', async () => {
    const store = createEventStore(database);
    const [event] = fc.sample(anyPersonEvent(), { numRuns: 1, seed: 9 }) as [Envelope];
    const odd = [
      'NULL',
      'null',
      '',
      ' ',
      '{}',
      '{a,b}',
      'a"b',
      "a'b",
      'a\\b',
      '\\x41',
      'a,b',
      'a\nb',
      'ünï 👋',
      '$1',
      '%s',
    ];
    const users = odd.map((text) => `odd/${text}`);
    const events = users.map((userId) => ({ ...event, eventId: newId(Date.now()), userId }));
    await store.store(events.map(stored));
    await store.store(odd.map((userId) => stored({ ...event, eventId: newId(Date.now()), userId })));
    const { rows } = await database.query<{ user_id: string }>('SELECT user_id FROM events WHERE user_id = ANY ($1)', [
      [...users, ...odd],
    ]);
    expect(rows.map(({ user_id }) => user_id).toSorted()).toEqual([...users, ...odd].toSorted());
    for (const userId of users) {
      expect(sorted(await readBuckets(database, userId))).toEqual(expectedOf(events, userId));
    }
  });

  it('change not at all where one row of a batch is refused', async () => {
    const store = createEventStore(database);
    const [event] = fc.sample(anyPersonEvent(['all-or-nothing']), { numRuns: 1, seed: 5 }) as [Envelope];
    const bad = { ...stored({ ...event, eventId: newId(Date.now()) }), producer: 'a\0b' };
    await expect(store.store([stored(event), bad])).rejects.toMatchObject({ code: '22021' });
    const { rows } = await database.query("SELECT FROM events WHERE user_id = 'all-or-nothing'");
    expect(rows).toEqual([]);
  });
});

describe('the person store', () => {
  it('reads no further back than the features look, gives every caller their own, and finds the decision asked for', async () => {
    const store = createEventStore(database);
    const people = createPersonStore(database, { statisticsVersion });
    const nowMs = Date.UTC(2026, 5, 30, 12);
    const tip = { tipId: 't', policy: 'p', policyVersion: '1', candidates: [{ tipId: 't' }] };
    const events = Array.from({ length: 100 }, (_, i) => {
      const event = (payload: Envelope['payload']) =>
        create(EnvelopeSchema, {
          eventId: newId(nowMs),
          userId: `reader-${i}`,
          occurredAt: toTimestamp(nowMs - (i % 2 ? 29 : 30) * dayMs),
          payload,
        });
      return {
        shown: stored(event({ case: 'tipServed', value: { tipId: 't' } } as Envelope['payload'])),
        decided: stored(
          event({ case: 'tipScored', value: { ...tip, requestId: newId(nowMs) } } as unknown as Envelope['payload']),
        ),
      };
    });
    await store.store(events.flatMap(({ shown, decided }) => [shown, decided]));
    const read = await Promise.all(
      events.map(({ decided: { userId, eventId } }) => people.read(userId, eventId, nowMs)),
    );
    for (const [i, { buckets, decision, snapshot }] of read.entries()) {
      expect(buckets.user_daily.map(({ served }) => served)).toEqual(i % 2 ? [1] : []);
      expect(Buffer.from(decision?.envelope ?? [])).toEqual(Buffer.from(events[i]?.decided.envelope ?? []));
      expect(snapshot).toMatch(/^\d+:\d+:/);
    }
    const [first] = events;
    expect((await people.read('nobody', newId(nowMs), nowMs)).decision).toBeUndefined();
    expect((await people.read('another', first?.decided.eventId, nowMs)).decision?.envelope).toBeDefined();
    await database.query('DELETE FROM events WHERE event_id = $1', [first?.decided.eventId]); // as if its month were dropped
    expect((await people.read('nobody', first?.decided.eventId, nowMs)).decision).toEqual({ envelope: undefined });
  });

  it('tells every caller of a read that fails, and works again afterwards', async () => {
    const broken = openDatabase({
      url: testDatabase.url.replace(/\/[^/]*$/, '/no_such_database'),
      applicationName: 'test',
      maxConnections: 1,
    });
    const people = createPersonStore(broken, { statisticsVersion });
    const reads = await Promise.allSettled([1, 2, 3].map(() => people.read('u', newId(0), 0)));
    expect(reads.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await expect(people.read('u', newId(0), 0)).rejects.toMatchObject({ code: '3D000' });
    await broken.end();
  });
});

describe('the declared tables', () => {
  const sqlTypes: Readonly<Record<ColumnType, readonly string[]>> = {
    uuid: ['uuid'],
    text: ['text'],
    'text[]': ['ARRAY'],
    'int[]': ['ARRAY'],
    int: ['integer', 'smallint'],
    bigint: ['bigint'],
    float: ['double precision'],
    day: ['date'],
    timestamp: ['timestamp with time zone'],
  };

  it.each(tableNames)('%s are those of the database: every column, its type, the key', async (table) => {
    const { rows } = await database.query<{ name: string; type: string; is_key: boolean }>(
      `SELECT column_name AS name, data_type AS type, column_name IN (
         SELECT column_name FROM information_schema.key_column_usage k WHERE k.table_name = c.table_name AND k.constraint_name LIKE '%_pkey'
       ) AS is_key
       FROM information_schema.columns c WHERE table_name = $1 ORDER BY column_name`,
      [table],
    );
    const { derived = {} }: Table = tables[table];
    const ofOthers = Object.entries(derived).map(([name, type]) => ({ name, type, role: 'derived' }));
    const declared = [...columnsOf(table), ...ofOthers].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    expect(rows.map(({ name, is_key }) => [name, is_key])).toEqual(
      declared.map(({ name, role }) => [name, role === 'key']),
    );
    for (const [i, { name, type }] of declared.entries()) expect(sqlTypes[type], name).toContain(rows[i]?.type);
  });
});
