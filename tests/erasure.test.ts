// A person is removed everywhere, and nothing brings them back.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EventInit } from '../client/index.ts';
import { durablesOf } from '../consumers/durables.ts';
import { runConsumers } from '../consumers/run-consumers.ts';
import { random } from '../experiments/policies/random.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { createShadowStore } from '../experiments/shadow-store.ts';
import { createDeadLetterStore, type SeenLetter } from '../features/dead-letter-store.ts';
import { createErasureStore, personalTables } from '../features/erasure-store.ts';
import { createEventStore, type EventStore, type StoredEvent } from '../features/event-store.ts';
import { BadRequestSchema, ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { freePort } from '../platform/embedded/free-port.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { createContext } from '../server/context.ts';
import { createServer } from '../server/create-server.ts';
import { createRoutes } from '../server/routes/index.ts';
import { type Loop, rowsOf, silent, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { putExperiments } from './_util/put-experiments.ts';
import { createTestDatabase } from './_util/servers.ts';
import { runSql } from './_util/sql.ts';
import { anyEvents, isWaitedFor, storedOf } from './_util/tables.ts';

type Admin = Client<typeof AdminService>;

const adminOf = (baseUrl: string): Admin =>
  createClient(AdminService, createGrpcTransport({ baseUrl, defaultTimeoutMs: 30_000 }));

const failureOf = (call: Promise<unknown>): Promise<ConnectError> =>
  call.then(() => new ConnectError('answered', Code.Unknown), ConnectError.from);
const reasonOf = (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0]?.reason;
const fieldsOf = (error: ConnectError) =>
  error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));

let loop: Loop;
let admin: Admin;
beforeAll(async () => {
  loop = await startLoop();
  admin = adminOf(loop.baseUrl);
  const arms = ['a', 'b'].map((key) => ({ key, weight: 0.5 }));
  await putExperiments(loop, { experiments: [{ key: 'e', version: '1', status: 'running', arms }] });
});
afterAll(() => loop[Symbol.asyncDispose]());

let anna: string;
let ben: string;
beforeEach(() => {
  const run = newId(Date.now());
  anna = `anna é "${run}"`;
  ben = `ben ${run}`;
});

const candidates = [{ id: 'a', kind: TipKind.ADVICE, source: TipSource.LLM, promptVersion: 'v1' }];
const tip = { tipId: 'a', decisionId: '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d' };
const payloads: readonly EventInit['payload'][] = [
  { case: 'tipServed', value: tip },
  { case: 'tipFeedback', value: { ...tip, reaction: Reaction.DONE, hourOfDay: 9, dayOfWeek: 1 } },
  { case: 'taskSynced', value: { provider: 'todoist', openTasks: 3, overdueTasks: 1 } },
  { case: 'healthSampled', value: { provider: 'watch', steps: 9_000 } },
  { case: 'integrationConnected', value: { provider: 'todoist' } },
];

const bytesOf = (userId: string, eventId = newId(Date.now())) =>
  toBinary(
    EnvelopeSchema,
    create(EnvelopeSchema, {
      eventId,
      userId,
      occurredAt: { seconds: BigInt(Math.floor(Date.now() / 1000)) },
      schemaVersion: 'v1',
      producer: 'test',
      payload: { case: 'tipServed', value: { tipId: 'a' } },
    }),
  );

const publish = (subject: string, data: Uint8Array, headers: Record<string, string> = {}) =>
  loop.bus.publish(subject, data, { id: newId(Date.now()), timeoutMs: 2_000, headers });

/** Publishes what becomes a dead letter: events without a subject of theirs, and events that break off. */
async function publishBad(userId: string): Promise<void> {
  const json = { 'Content-Type': 'application/json' };
  await publish('signals.no.such', bytesOf(userId));
  await publish('feedback.no.such', bytesOf(userId));
  await publish('signals.tip.served', Buffer.from(`{"userId": ${JSON.stringify(userId)}, "tipServed": {`), json);
  await publish('signals.tip.served', bytesOf(userId).subarray(0, -3));
}
const badOfEach = 4;

/** Leaves something about a person in every table. */
async function live(userId: string): Promise<void> {
  for (const payload of payloads) await loop.publisher.publish({ userId, payload });
  const { tipId, decisionId } = await loop.client.score({ userId, candidates });
  const reacted = { tipId, decisionId, reaction: Reaction.DONE };
  await loop.publisher.publish({ userId, payload: { case: 'tipFeedback', value: reacted } });
  await loop.client.generate({ userId });
  await publishBad(userId);
  await loop.drained();
  await createRewardStore(loop.database).rewardTips();
}

/** Leaves something about a person in the tables that follow from others, too. */
async function teach(userId: string): Promise<void> {
  const { tipId, decisionId } = await loop.client.score({ userId, candidates });
  const reaction = Reaction.DONE;
  await loop.publisher.publish({ userId, payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction } } });
  await loop.drained();
  while ((await createRewardStore(loop.database).rewardTips()) > 0);
  const isScored = async () => {
    await createShadowStore(loop.database).scoreNext(random);
    return (await rowsOf(loop.database, 'shadow_scores', 'decision_id')).some(({ user_id }) => user_id === userId);
  };
  await waitFor('the decision to be scored in the shadow', isScored);
}

interface Column {
  readonly table_name: string;
  readonly column_name: string;
  readonly data_type: string;
}

async function columnsOf(database: Database): Promise<readonly Column[]> {
  const { rows } = await database.query<Column>(`
    SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables
      USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name, column_name`);
  return rows;
}

/** Every column in which a person's id stands, as text or in bytes, in quotes of JSON or not. */
async function tracesOf(database: Database, userId: string): Promise<string[]> {
  const traces: string[] = [];
  for (const { table_name, column_name, data_type } of await columnsOf(database)) {
    const bytes = data_type === 'bytea' ? column_name : `convert_to(${column_name}::text, 'UTF8')`;
    const { rows } = await database.query(
      `SELECT FROM ${table_name} WHERE position(convert_to($1, 'UTF8') IN ${bytes}) > 0
        OR position(convert_to($2, 'UTF8') IN ${bytes}) > 0 LIMIT 1`,
      [userId, JSON.stringify(userId).slice(1, -1)],
    );
    if (rows.length > 0) traces.push(`${table_name}.${column_name}`);
  }
  return traces;
}

/** How many messages of the stream of dead letters hold a person's id. */
async function lettersInStream(userId: string): Promise<number> {
  const { lastSequence } = await loop.bus.inspect('deadletters');
  const needles = [userId, JSON.stringify(userId)].map((text) => Buffer.from(text));
  let count = 0;
  for (let sequence = 1; sequence <= lastSequence; sequence++) {
    const message = await loop.bus.read('deadletters', sequence).catch(() => undefined);
    if (message && needles.some((needle) => Buffer.from(message.data).includes(needle))) count++;
  }
  return count;
}

/** All rows of a person in all tables. */
async function rowsAbout(database: Database, userId: string): Promise<Record<string, unknown[]>> {
  const tables = personalTables;
  const all = await Promise.all(tables.map((table) => rowsOf(database, table, 't::text')));
  return Object.fromEntries(
    tables.map((table, i) => [table, (all[i] ?? []).filter(({ user_id }) => user_id === userId)]),
  );
}

const erasureOf = async (database: Database, userId: string) =>
  (
    await database.query(
      `SELECT reason, rows_removed::int, refused_events::int, erased_at FROM erasures, erasure_salt
      WHERE user_hash = sha256(salt || convert_to($1, 'UTF8'))`,
      [userId],
    )
  ).rows;

describe('the tables', () => {
  it('with rows about people are those that an erasure empties, and the others name nobody', async () => {
    const columns = await columnsOf(loop.database);
    const personal = new Set(columns.filter((c) => c.column_name === 'user_id').map((c) => c.table_name));
    expect([...personal].filter((table) => !/^events_(default|\d{4}_\d\d)$/.test(table)).toSorted()).toEqual(
      personalTables.toSorted(),
    );
    const others = new Set(columns.map(({ table_name }) => table_name).filter((table) => !personal.has(table)));
    expect([...others]).toEqual(['_prisma_migrations', ...namesNobody].toSorted());
  });

  /** A table that is new must come here, or get a column `user_id`. */
  const namesNobody = [
    'bandit_measurements',
    'dropped_partitions',
    'erasure_salt',
    'erasures',
    'event_ids',
    'experiment_sets',
    'gate_verdicts',
    'model_contents',
    'model_versions',
    'models',
    'pipeline_runs',
    'pipeline_steps',
    'policy_cards',
    'policy_population',
    'population',
    'rebuilds',
    'rollouts',
    'shadow_cursors',
  ];
});

describe('a person who is erased', () => {
  it('is gone from every table and from the dead letters, and nobody else is touched', {
    timeout: 60_000,
  }, async () => {
    await live(anna);
    await live(ben);
    await teach(anna);
    const before = await rowsAbout(loop.database, anna);
    for (const [table, rows] of Object.entries(before)) expect(rows, table).not.toEqual([]);
    expect([await lettersInStream(anna), await lettersInStream(ben)]).toEqual([badOfEach, badOfEach]);
    const others = await rowsAbout(loop.database, ben);

    const { rowsRemoved, streamsCleanWithin } = await admin.eraseUser({ userId: anna, reason: 'asked by mail' });

    expect(await tracesOf(loop.database, anna)).toEqual([]);
    expect([await lettersInStream(anna), await lettersInStream(ben)]).toEqual([0, badOfEach]);
    expect(await rowsAbout(loop.database, ben)).toEqual(others);
    expect(Number(rowsRemoved)).toBe(Object.values(before).flat().length);
    expect(streamsCleanWithin?.seconds).toBe(30n * 86_400n);
    expect(await erasureOf(loop.database, anna)).toMatchObject([
      { reason: 'asked by mail', rows_removed: Number(rowsRemoved), refused_events: 0 },
    ]);
  });

  it('stays gone: what comes late, again, or replayed is refused and counted', { timeout: 60_000 }, async () => {
    await live(anna);
    await live(ben);
    const served: EventInit = { userId: anna, eventId: newId(Date.now()), payload: { case: 'tipServed', value: tip } };
    await loop.publisher.publish(served);
    await loop.drained();
    await admin.eraseUser({ userId: anna, reason: 'asked' });
    const others = await rowsAbout(loop.database, ben);

    for (const payload of payloads) await loop.publisher.publish({ userId: anna, payload });
    await publish('signals.tip.served', bytesOf(anna, served.eventId)); // one that counted before
    await publish('signals.no.such', bytesOf(anna));
    await loop.drained();
    expect(await tracesOf(loop.database, anna)).toEqual([]);
    expect(await lettersInStream(anna)).toBe(0);
    const late = payloads.length + 1;
    expect(await erasureOf(loop.database, anna)).toMatchObject([{ refused_events: late }]);

    await consumeEverythingAgain();
    expect(await tracesOf(loop.database, anna)).toEqual([]);
    expect(await lettersInStream(anna)).toBe(0);
    const decisions = 2;
    const [counted] = await erasureOf(loop.database, anna);
    const all = late + late + payloads.length + 1 + decisions;
    expect([all - 1, all]).toContain(counted?.refused_events); // the repeat may have come with the first, as one
    const { dead_letters: letters, ...tables } = await rowsAbout(loop.database, ben);
    expect(tables).toEqual(Object.fromEntries(Object.entries(others).filter(([table]) => table !== 'dead_letters')));
    expect(letters?.length).toBe(others.dead_letters?.length);
  });

  /** With durables of other names, from the first message of every stream. */
  async function consumeEverythingAgain(): Promise<void> {
    const stop = new AbortController();
    const durables = durablesOf(30_000).map((durable) => ({ ...durable, name: `again-${newId(Date.now())}` }));
    const running = runConsumers({
      bus: loop.bus,
      eventStore: createEventStore(loop.database),
      deadLetterStore: createDeadLetterStore(loop.database),
      log: silent,
      durables,
      signal: stop.signal,
    });
    await waitFor('all to be consumed again', async () => {
      const inspected = Promise.all(durables.map(({ stream, name }) => loop.bus.inspect(stream, name)));
      const states = await inspected.catch(() => undefined); // they are being made
      return states?.every(({ lastSequence, settledSequence }) => settledSequence >= lastSequence) ?? false;
    }).finally(() => stop.abort());
    await running;
  }

  it('gets no more decisions: a Score would be answered and never be stored', async () => {
    await loop.client.score({ userId: anna, candidates, requestId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c77' });
    await admin.eraseUser({ userId: anna, reason: 'asked' });
    const logged = await loop.messages('decisions');
    const calls = [
      loop.client.score({ userId: anna, candidates }),
      loop.client.score({ userId: anna, candidates, requestId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c77' }),
      loop.client.generate({ userId: anna }),
    ];
    for (const call of calls) {
      const error = await failureOf(call);
      expect([error.code, reasonOf(error), fieldsOf(error)]).toEqual([
        Code.FailedPrecondition,
        'PERSON_ERASED',
        ['user_id'],
      ]);
      expect(error.message).not.toContain(anna);
    }
    expect(await loop.messages('decisions')).toBe(logged);
    expect((await loop.client.score({ userId: ben, candidates })).tipId).toBe('a');
  });

  it('may be erased twice: the first time and reason stay, and rows that came by hand go', async () => {
    await live(anna);
    const first = await admin.eraseUser({ userId: anna, reason: 'first' });
    const [recorded] = await erasureOf(loop.database, anna);
    await loop.database.query('INSERT INTO user_daily (user_id, day) VALUES ($1, current_date)', [anna]);
    expect((await admin.eraseUser({ userId: anna, reason: 'second' })).rowsRemoved).toBe(1n);
    expect((await admin.eraseUser({ userId: anna, reason: 'third' })).rowsRemoved).toBe(0n);
    expect(await erasureOf(loop.database, anna)).toEqual([
      { ...recorded, reason: 'first', rows_removed: Number(first.rowsRemoved) + 1 },
    ]);
    expect(await tracesOf(loop.database, anna)).toEqual([]);
  });

  it('may be unknown: their events are refused from then on', async () => {
    expect((await admin.eraseUser({ userId: anna, reason: 'asked' })).rowsRemoved).toBe(0n);
    await loop.publisher.publish({ userId: anna, payload: { case: 'tipServed', value: tip } });
    await loop.drained();
    expect(await erasureOf(loop.database, anna)).toMatchObject([{ rows_removed: 0, refused_events: 1 }]);
  });

  it('leaves no trace in a rebuild: it stands at the person before, or nowhere once it is done', async () => {
    const before = `${anna} `; // between the two
    for (const userId of ['a', anna, `${before}z`])
      await loop.publisher.publish({ userId, payload: { case: 'tipServed', value: tip } });
    await loop.drained();
    await loop.database.query(
      `INSERT INTO rebuilds (id, scope, done_up_to, finished_at)
      VALUES (gen_random_uuid(), 'running', $1, NULL), (gen_random_uuid(), 'done', $1, now())`,
      [`${before}z`],
    );
    await admin.eraseUser({ userId: `${before}z`, reason: 'asked' });
    const { rows } = await loop.database.query('SELECT scope, done_up_to FROM rebuilds ORDER BY scope');
    await loop.database.query('DELETE FROM rebuilds');
    expect(rows).toEqual([
      { scope: 'done', done_up_to: '' },
      { scope: 'running', done_up_to: anna },
    ]);
  });
});

describe('a request to erase', () => {
  it.each([
    ['nobody', { reason: 'r' }, ['user_id']],
    ['a person of 129 bytes', { userId: 'u'.repeat(129), reason: 'r' }, ['user_id']],
    ['a NUL', { userId: 'a\0', reason: 'r\0' }, ['user_id', 'reason']],
    ['no reason', { userId: 'u' }, ['reason']],
    ['a reason of 501 characters', { userId: 'u', reason: 'r'.repeat(501) }, ['reason']],
  ])('with %s is refused and changes nothing', async (_, request, fields) => {
    const before = await rowsOf(loop.database, 'erasures', '1');
    const error = await failureOf(admin.eraseUser(request));
    expect([error.code, fieldsOf(error)]).toEqual([Code.InvalidArgument, fields]);
    expect(await rowsOf(loop.database, 'erasures', '1')).toEqual(before);
  });

  it('by a key without the permission is denied', async () => {
    const authKeys = [{ name: 'recommender', hash: await sha256('key'), permissions: ['serve' as const] }];
    const context = await createContext(
      { policy: 'random', promptVersion: 'v1', llm: undefined, feast: undefined },
      { database: loop.database, bus: loop.bus, log: silent },
    );
    const server = createServer({ routes: createRoutes(context), authKeys, log: silent });
    const { url } = await server.listen({ port: 0, host: '127.0.0.1' });
    try {
      const calls = [{}, { authorization: 'Bearer key' }].map((headers) =>
        failureOf(adminOf(url).eraseUser({ userId: anna, reason: 'r' }, { headers })),
      );
      expect((await Promise.all(calls)).map(reasonOf)).toEqual(['KEY_MISSING', 'PERMISSION_MISSING']);
      expect(await erasureOf(loop.database, anna)).toEqual([]);
    } finally {
      await server.drain(500);
    }
  });

  const sha256 = async (text: string) => Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(text)));

  it('leaves no id in the log', async () => {
    const lines: unknown[] = [];
    const context = await createContext(
      { policy: 'random', promptVersion: 'v1', llm: undefined, feast: undefined },
      {
        database: loop.database,
        bus: loop.bus,
        log: Object.assign(Object.create(silent), { info: (...line: unknown[]) => lines.push(line) }),
      },
    );
    const server = createServer({ routes: createRoutes(context), authKeys: [], log: silent });
    const { url } = await server.listen({ port: 0, host: '127.0.0.1' });
    await adminOf(url).eraseUser({ userId: anna, reason: 'r' });
    await server.drain(500);
    expect(lines).toEqual([
      [{ userHash: expect.stringMatching(/^[0-9a-f]{12}$/), rowsRemoved: 0, caller: 'anonymous' }, 'erased a person'],
    ]);
  });
});

describe('an erasure that cannot be done now', () => {
  /** Holds a lock until it is told to let go. */
  async function hold(sql: string, values: unknown[] = []) {
    const client = await loop.database.connect();
    await client.query('BEGIN');
    await client.query(sql, values);
    return async () => {
      await client.query('ROLLBACK');
      client.release();
    };
  }
  const heldRow = () => hold('SELECT FROM generated_tips WHERE user_id = $1 FOR UPDATE', [anna]); // of the last table

  it('says so, holds up no Score, and leaves all there was', async () => {
    await live(anna);
    const before = await rowsAbout(loop.database, anna);
    const letGo = await heldRow();
    const erasing = failureOf(admin.eraseUser({ userId: anna, reason: 'asked' }));
    await waitFor('the erasure to wait', () => isWaitedFor(loop.database));
    const { degradations } = await loop.client.score({ userId: ben, candidates });
    const error = await erasing;
    await letGo();
    expect([error.code, reasonOf(error), degradations]).toEqual([Code.Unavailable, 'ERASURE_UNAVAILABLE', []]);
    expect(await erasureOf(loop.database, anna)).toEqual([]);
    await loop.drained(); // the Score's decision had waited
    expect(await rowsAbout(loop.database, anna)).toEqual(before);
    await admin.eraseUser({ userId: anna, reason: 'asked' });
    expect(await tracesOf(loop.database, anna)).toEqual([]);
  });

  it('because the database broke off leaves all there was, and the server goes on', async () => {
    await live(anna);
    const before = await rowsAbout(loop.database, anna);
    const letGo = await heldRow();
    const erasing = failureOf(admin.eraseUser({ userId: anna, reason: 'asked' }));
    await waitFor('the erasure to wait', () => isWaitedFor(loop.database));
    await loop.database.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%' AND datname = current_database()",
    );
    expect(reasonOf(await erasing)).toBe('ERASURE_UNAVAILABLE');
    await letGo();
    expect(await rowsAbout(loop.database, anna)).toEqual(before);
    expect((await loop.client.score({ userId: anna, candidates })).degradations).toEqual([]);
    await admin.eraseUser({ userId: anna, reason: 'asked' });
    await loop.drained();
    expect(await tracesOf(loop.database, anna)).toEqual([]);
  });

  it('because NATS is away leaves all there was, so that the letters are found the next time', {
    timeout: 60_000,
  }, async () => {
    await live(anna);
    const before = await rowsAbout(loop.database, anna);
    loop.nats.pause();
    const error = await failureOf(admin.eraseUser({ userId: anna, reason: 'asked' })).finally(() => loop.nats.resume());
    expect([error.code, reasonOf(error)]).toEqual([Code.Unavailable, 'ERASURE_UNAVAILABLE']);
    expect(await rowsAbout(loop.database, anna)).toEqual(before);
    await waitFor('NATS', () => loop.bus.inspect('deadletters').catch(() => false));
    await admin.eraseUser({ userId: anna, reason: 'asked' });
    expect(await lettersInStream(anna)).toBe(0);
    expect(await tracesOf(loop.database, anna)).toEqual([]);
  });

  it('because the server was killed in the middle leaves all there was', { timeout: 60_000 }, async () => {
    await live(anna);
    const before = await rowsAbout(loop.database, anna);
    const port = String(await freePort());
    const server = startNode(fileURLToPath(new URL('../server/main.ts', import.meta.url)), {
      PATH: process.env.PATH,
      DATABASE_URL: loop.databaseUrl,
      NATS_URL: loop.nats.url,
      PORT: port,
    });
    try {
      await server.printed(/serving/, 20_000);
      const letGo = await heldRow();
      const erasing = failureOf(adminOf(`http://127.0.0.1:${port}`).eraseUser({ userId: anna, reason: 'asked' }));
      await waitFor('the erasure to wait', () => isWaitedFor(loop.database));
      await server.kill();
      await letGo();
      await erasing;
    } finally {
      await server.kill();
    }
    await waitFor('its connections to be gone', async () => {
      const { rows } = await loop.database.query(
        "SELECT FROM pg_stat_activity WHERE application_name = 'oo-server' AND datname = current_database()",
      );
      return rows.length === 0;
    });
    expect(await rowsAbout(loop.database, anna)).toEqual(before);
    expect(await erasureOf(loop.database, anna)).toEqual([]);
    await admin.eraseUser({ userId: anna, reason: 'asked' });
    expect(await tracesOf(loop.database, anna)).toEqual([]);
  });
});

describe('dead letters that are stored or replayed while people are erased', () => {
  const letterOf = (userId: string, nth = 0): SeenLetter => ({
    id: `0190a5d2-7b1c-8cc0-8a5e-${String(nth).padStart(12, '0')}`,
    stream: 'signals',
    streamSequence: 1,
    subject: 'signals.raced',
    headers: {},
    data: new Uint8Array(),
    eventId: null,
    userId,
    reason: 'undecodable',
    error: '',
    deliveries: 1,
    seenAtMs: 1,
    sequence: 900_000,
  });
  const isSomebodyWaiting = () => waitFor('somebody to wait', () => isWaitedFor(loop.database));
  const begin = async () => {
    const client = await loop.database.connect();
    await client.query('BEGIN');
    return client;
  };

  it('wait for an erasure that is under way, and are refused', async () => {
    const letters = createDeadLetterStore(loop.database);
    let storing: Promise<readonly number[]> | undefined;
    await createErasureStore(loop.database).erase(anna, 'asked', async () => {
      storing = letters.store([letterOf(anna)]);
      await Promise.race([storing, isSomebodyWaiting()]);
    });
    expect(await storing).toEqual([900_000]); // to be removed from the stream, where the erasure did not look
    expect(await tracesOf(loop.database, anna)).toEqual([]);
  });

  it('are waited for by an erasure that begins later, and go with it', async () => {
    const other = await begin();
    await createDeadLetterStore(other).store([letterOf(ben)]);
    const storing = createDeadLetterStore(loop.database).store([letterOf(anna)]); // waits for the row of the same id
    await isSomebodyWaiting();
    const erasing = createErasureStore(loop.database).erase(anna, 'asked', async () => {});
    await Promise.race([erasing, sleep(300)]);
    await other.query('ROLLBACK');
    other.release();
    await Promise.all([storing, erasing]);
    expect(await rowsAbout(loop.database, anna)).toMatchObject({ dead_letters: [] });
  });

  it('are off their stream before anybody has to wait, but for those that come meanwhile', async () => {
    const letters = createDeadLetterStore(loop.database);
    await letters.store([letterOf(anna, 1), { ...letterOf(anna, 2), sequence: 900_002 }]);
    const told: (readonly number[])[] = [];
    await createErasureStore(loop.database).erase(anna, 'asked', async (sequences) => {
      told.push(sequences);
      if (told.length > 1) return;
      const storing = letters.store([{ ...letterOf(anna, 3), sequence: 900_003 }]);
      const isHeldUp = isSomebodyWaiting().then(() => true);
      expect(await Promise.race([storing, isHeldUp])).toEqual([]);
    });
    expect(told).toEqual([[900_000, 900_002], [900_003]]);
    expect(await tracesOf(loop.database, anna)).toEqual([]);
  });

  it('are locked in the order in which a replay marks them: neither dies in a deadlock', async () => {
    const letters = [2, 1].map((nth) => letterOf(anna, nth));
    for (const letter of letters) await createDeadLetterStore(loop.database).store([letter]);
    const replay = await begin();
    const lock = (letter: SeenLetter | undefined) =>
      replay.query('SELECT FROM dead_letters WHERE id = $1 FOR UPDATE NOWAIT', [letter?.id]);
    await lock(letters[1]);
    const erasing = createErasureStore(loop.database).erase(anna, 'asked', async () => {});
    await isSomebodyWaiting();
    const isFree = await lock(letters[0]).then(
      () => true,
      () => false,
    );
    await replay.query('ROLLBACK');
    replay.release();
    await erasing;
    expect(isFree).toBe(true);
    expect(await rowsAbout(loop.database, anna)).toMatchObject({ dead_letters: [] });
  });
});

describe('events that are stored while people are erased', () => {
  const people = Array.from({ length: 40 }, (_, i) => `racer-${i}`);

  it.each(['prepared', 'prepared by each execution'])(
    'leave nothing behind, with statements %s',
    {
      timeout: 120_000,
    },
    async (how) => {
      await using testDatabase = await createTestDatabase();
      const writersOf = (count: number) =>
        openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: count });
      const [database, eraser] = [writersOf(14), writersOf(2)];
      try {
        const result = await race(how === 'prepared' ? createEventStore(database) : unprepared(database), eraser);
        for (const userId of people) {
          for (const [table, rows] of Object.entries(await rowsAbout(database, userId)))
            expect(rows, table).toEqual([]);
        }
        const { rows } = await database.query('SELECT sum(refused_events)::int AS refused FROM erasures');
        expect(rows[0]).toEqual({ refused: result.refused });
        expect(Math.min(result.stored, result.refused)).toBeGreaterThan(100);
      } finally {
        await Promise.all([database.end(), eraser.end()]);
      }
    },
  );

  const unprepared = (database: Database): EventStore =>
    createEventStore({
      query: ({ text, values }: { text: string; values: string[] }) => database.query({ text, values }),
    } as unknown as Database);

  /** Writers store without a pause while one person after the other is erased. */
  async function race(store: EventStore, eraser: Database) {
    const events = fc.sample(anyEvents(people, { minLength: 25, maxLength: 25 }), { numRuns: 8, seed: 11 });
    const counts = { stored: 0, refused: 0 };
    let isOver = false;
    const write = async (nth: number) => {
      for (let i = nth; !isOver; i++) {
        const { stored, refused } = await store.store(fresh(events[i % events.length] ?? []));
        counts.stored += stored;
        counts.refused += refused;
      }
    };
    const erase = async () => {
      const erasures = createErasureStore(eraser);
      for (const userId of people) {
        await erasures.erase(userId, 'race', async () => {});
        await sleep(20);
      }
      await sleep(200);
      isOver = true;
    };
    await Promise.all([erase(), ...Array.from({ length: 12 }, (_, nth) => write(nth))]).finally(() => {
      isOver = true;
    });
    return counts;
  }

  /** The same under new ids, in any order. */
  const fresh = (events: readonly Envelope[]): StoredEvent[] =>
    events
      .map((event) => storedOf({ ...event, eventId: newId(Date.now()) }))
      .toSorted((a, b) => (a.eventId.slice(-4) < b.eventId.slice(-4) ? -1 : 1));

  it('count on statements that see what was committed before them, whatever the server prefers', async () => {
    await using testDatabase = await createTestDatabase();
    const name = new URL(testDatabase.url).pathname.slice(1);
    await runSql(testDatabase.url, `ALTER DATABASE ${name} SET default_transaction_isolation = 'repeatable read'`);
    const database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 1 });
    const { rows } = await database.query('SHOW default_transaction_isolation');
    await database.end();
    expect(rows).toEqual([{ default_transaction_isolation: 'read committed' }]);
  });
});
