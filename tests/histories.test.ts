// What a verification and a training set read of the events: everything once, as of one instant, or it says what is gone.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { createEventStore, type EventStore } from '../features/event-store.ts';
import { ensurePartitions } from '../features/partitions-store.ts';
import { type History, readHistories, type Selection } from '../pipelines/histories.ts';
import { isSampled } from '../pipelines/point-in-time.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import { isWaitedFor, shown, storedOf, storedOn } from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
let store: EventStore;
beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 4 });
  store = createEventStore(database);
});
afterEach(async () => {
  await database.end();
  await testDatabase.drop();
});

const noonMs = Date.UTC(2026, 0, 15, 12);
const shownTo = (userId: string, count: number, atMs = noonMs) =>
  Array.from({ length: count }, (_, i) => shown(userId, atMs + i));
const storeAll = (...events: ReturnType<typeof shown>[]) => store.store(events.map(storedOf));

async function historiesOf(selection?: Selection): Promise<readonly History[]> {
  const histories: History[] = [];
  for await (const history of readHistories(database, selection)) histories.push(history);
  return histories;
}

it('people come once each and in order, however many there are, in whatever order they were asked for', async () => {
  const people = Array.from({ length: 230 }, (_, i) => `p-${String(i).padStart(3, '0')}`);
  await storeAll(...people.flatMap((userId) => shownTo(userId, 2)));
  const idsOf = async (selection?: Selection) => (await historiesOf(selection)).map(({ userId }) => userId);
  expect(await idsOf()).toEqual(people);
  expect(await idsOf({ userIds: people.toReversed() })).toEqual(people);
  expect(await idsOf({ sample: 0.3 })).toEqual(people.filter((userId) => isSampled(userId, 0.3)));
});

it('a person has every event once, over any number of pages, whoever else stands on them', async () => {
  const events = [
    ...shownTo('ben', 4_100),
    ...shownTo('anna', 1_000, noonMs + 1),
    ...shownTo('zoe', 10, noonMs - 9_999), // her ids are smaller than where a page of Ben's ends
  ];
  await storeAll(...events);
  for (const { userId, events: read } of await historiesOf()) {
    const expected = events.filter((event) => event.userId === userId).map(({ eventId }) => eventId.toLowerCase());
    expect(read.map(({ event: { eventId } }) => eventId.toLowerCase())).toEqual(expected.toSorted());
  }
  expect((await historiesOf()).map(({ userId }) => userId)).toEqual(['anna', 'ben', 'zoe']);
});

it('people who are read together are read as of one instant, though events arrive before their last page', async () => {
  await storeAll(...shownTo('anna', 1), ...shownTo('ben', 2_500));
  const counts: number[] = [];
  for await (const { userId, events } of readHistories(database)) {
    counts.push(events.length);
    if (userId === 'anna') await storeAll(...shownTo('ben', 3, noonMs + 9_999));
  }
  expect(counts).toEqual([1, 2_500]);
});

it('whoever stops in the middle leaves no transaction behind', async () => {
  const one = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 1 });
  try {
    await storeAll(...shownTo('anna', 1), ...shownTo('ben', 1));
    for await (const _ of readHistories(one)) break;
    await one.query('DELETE FROM user_daily'); // refused in a transaction that only reads
  } finally {
    await one.end();
  }
  expect((await database.query('SELECT FROM user_daily')).rows).toHaveLength(0);
});

it('no month can be dropped between looking which were and reading what is left', async () => {
  await ensurePartitions(database, noonMs);
  const [event] = shownTo('anna', 1);
  if (event) await storeAll(event);
  await storedOn(database, event?.eventId ?? '', '2026-01-15');
  const dropper = await database.connect();
  let reading: Promise<readonly History[]>;
  try {
    await dropper.query('BEGIN');
    await dropper.query('LOCK TABLE dropped_partitions IN ACCESS EXCLUSIVE MODE');
    reading = historiesOf({ userIds: ['anna'] });
    await waitFor('the reader to look which were dropped', () => isWaitedFor(database));
    await dropper.query("SET LOCAL lock_timeout = '300ms'");
    await expect(dropper.query('ALTER TABLE events DETACH PARTITION events_2026_01')).rejects.toThrow('lock timeout');
  } finally {
    dropper.release(true); // closed, and rolled back by that
  }
  expect(await reading).toMatchObject([{ userId: 'anna', events: [{}], completeFromDay: undefined }]);
});
