import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isVisible, parseSnapshot } from '../features/snapshot.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { createEmptyDatabase, type TestDatabase } from './_util/servers.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createEmptyDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 2 });
});
afterAll(async () => {
  await database.end();
  await testDatabase.drop();
});

/** Few ids, so that they meet, with the largest there are among them. */
const anyId = fc.oneof(fc.bigInt({ min: 1n, max: 40n }), fc.bigInt({ min: 2n ** 63n - 20n, max: 2n ** 63n - 1n }));

const anySnapshot = fc
  .record({ a: anyId, b: anyId, running: fc.uniqueArray(anyId, { maxLength: 12 }) })
  .map(({ a, b, running }) => {
    const [xmin, xmax] = a < b ? [a, b] : [b, a];
    const inside = running.filter((id) => id >= xmin && id < xmax).sort((x, y) => (x < y ? -1 : 1));
    return `${xmin}:${xmax}:${inside.join(',')}`;
  });

it('what a snapshot sees is what Postgres says that it sees', async () => {
  const anyQuestions = fc.array(fc.record({ snapshot: anySnapshot, id: anyId }), { minLength: 200, maxLength: 400 });
  let seen = 0;
  let unseen = 0;
  await fc.assert(
    fc.asyncProperty(anyQuestions, async (questions) => {
      const { rows } = await database.query<{ visible: boolean }>(
        `SELECT pg_visible_in_snapshot(id::xid8, snapshot::pg_snapshot) AS visible
          FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q(id, snapshot, position) ORDER BY position`,
        [questions.map(({ id }) => String(id)), questions.map(({ snapshot }) => snapshot)],
      );
      const ours = questions.map(({ snapshot, id }) => {
        const parsed = parseSnapshot(snapshot);
        return parsed && isVisible(parsed, id);
      });
      expect(ours).toEqual(rows.map(({ visible }) => visible));
      for (const { visible } of rows) visible ? seen++ : unseen++;
    }),
    { numRuns: 30 },
  );
  expect(Math.min(seen, unseen)).toBeGreaterThan(500);
});

it('every form in which Postgres writes a snapshot is read', async () => {
  const { rows } = await database.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
  expect(parseSnapshot(rows[0]?.snapshot ?? '')).toBeDefined();
});
