// What must hold while things break. Real processes, killed with -9; real servers, stopped and started.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventPublisher, createTipClient, type EventInit } from '../client/index.ts';
import { readBuckets } from '../features/person-store.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Degradation, Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import type { Bus } from '../platform/bus.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { freePort } from '../platform/embedded/free-port.ts';
import { newId } from '../platform/ids.ts';
import { openBus } from '../platform/nats-bus.ts';
import { streams } from '../platform/streams.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { anyPersonEvent } from './_util/arbitraries.ts';
import { expectedOf, sorted } from './_util/buckets.ts';
import { isDrained } from './_util/loop.ts';
import { type NodeProcess, startNode } from './_util/node-process.ts';
import { startTestNats, startTestPostgres, type TestNats, type TestServer } from './_util/servers.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const users = Array.from({ length: 20 }, (_, i) => `fault-${i}`);
const candidates = [
  { id: 'a', kind: TipKind.TASK, source: TipSource.TASK_DIRECT },
  { id: 'b', kind: TipKind.ADVICE, source: TipSource.LLM, promptVersion: 'v1' },
];

let stack: AsyncDisposableStack;
let postgres: TestServer;
let nats: TestNats;
let database: Database;
let bus: Bus;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  [postgres, nats] = await Promise.all([startTestPostgres(), startTestNats()]);
  stack.use(postgres);
  stack.use(nats);
  database = openDatabase({ url: postgres.url, applicationName: 'test', maxConnections: 4 });
  stack.defer(() => database.end());
  bus = await openBus({ url: nats.url, name: 'test' });
  stack.defer(() => bus.close());
  await bus.ensureStreams(Object.values(streams));
  env = {
    PATH: process.env.PATH,
    DATABASE_URL: postgres.url,
    NATS_URL: nats.url,
    PORT: String(await freePort()),
    LOG_LEVEL: 'warn',
    ACK_WAIT_MS: '2000',
  };
});
afterEach(() => stack.disposeAsync());

const start = (script: string): NodeProcess => {
  const child = startNode(`${root}${script}`, env);
  stack.defer(() => child.kill());
  return child;
};

const isUp = () =>
  fetch(`http://127.0.0.1:${env.PORT}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );

const drained = () => waitFor('all events to be settled', () => isDrained(bus).catch(() => false), 60_000);

/** Publishes distinct random events, each of them with a chance of a second time, and returns the distinct ones. */
async function publishEvents(count: number): Promise<Envelope[]> {
  const publisher = createEventPublisher({ bus, producer: 'test', timeoutMs: 30_000 });
  const events = fc
    .sample(anyPersonEvent(users), { numRuns: count, seed: 42 })
    .map((event) => ({ ...event, eventId: newId(Date.now()) }));
  for (let i = 0; i < events.length; i += 200) {
    const batch = events.slice(i, i + 200).flatMap((event) => (event.eventId.endsWith('0') ? [event, event] : [event]));
    await Promise.all(
      batch.map(({ eventId, userId, occurredAt, payload }) =>
        publisher.publish({ eventId, userId, occurredAt, payload } as EventInit),
      ),
    );
  }
  return events as Envelope[];
}

async function expectTablesToEqualFold(events: readonly Envelope[]): Promise<void> {
  const { rows } = await database.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM events WHERE producer = 'test'",
  );
  expect(rows[0]?.count).toBe(events.length);
  const { rows: own } = await database.query<{ envelope: Buffer }>(
    "SELECT envelope FROM events WHERE producer = 'oo-ml'", // what the consumers say themselves: tips that were ignored
  );
  const all = [...events, ...own.map(({ envelope }) => fromBinary(EnvelopeSchema, envelope))];
  for (const userId of users) {
    expect(sorted(await readBuckets(database, userId))).toEqual(expectedOf(all, userId));
  }
}

describe('every accepted event counts exactly once', () => {
  it('while the consumers are killed over and over', { timeout: 120_000 }, async () => {
    const publishing = publishEvents(3_000);
    for (let i = 0; i < 4; i++) {
      const consumers = start('consumers/main.ts');
      await sleep(700 + i * 150);
      await consumers.kill();
    }
    const events = await publishing;
    start('consumers/main.ts');
    await drained();
    await expectTablesToEqualFold(events);
  });

  it('while Postgres is killed, stays away, and comes back: the same process goes on', {
    timeout: 120_000,
  }, async () => {
    const consumers = start('consumers/main.ts');
    const first = await publishEvents(500);
    await postgres.kill();
    const second = await publishEvents(500);
    await sleep(2_000);
    await postgres.restart();
    await drained();
    expect(consumers.isRunning()).toBe(true);
    await expectTablesToEqualFold([...first, ...second]);
  });

  it('while NATS is killed and comes back: the same processes go on', { timeout: 120_000 }, async () => {
    const consumers = start('consumers/main.ts');
    const first = await publishEvents(300);
    await nats.kill();
    const publishing = publishEvents(300); // waits for the bus, under the same ids
    await sleep(1_500);
    await nats.restart();
    const second = await publishing;
    await drained();
    expect(consumers.isRunning()).toBe(true);
    await expectTablesToEqualFold([...first, ...second]);
  });

  it('and a process that cannot work ends with exit code 1 and says why', { timeout: 60_000 }, async () => {
    await database.query('ALTER TABLE user_daily RENAME TO user_daily_gone');
    const consumers = start('consumers/main.ts');
    await publishEvents(10);
    expect(await consumers.ended).toBe(1);
    expect(consumers.output()).toMatch(/user_daily.*does not exist/);
    await database.query('ALTER TABLE user_daily_gone RENAME TO user_daily');
  });
});

describe('a reaction teaches the policy by itself', () => {
  it('within seconds, and an outage of Postgres only puts it off', { timeout: 120_000 }, async () => {
    start('server/main.ts');
    const consumers = start('consumers/main.ts');
    await waitFor('the server to answer', isUp, 30_000);
    const client = createTipClient({ baseUrl: `http://127.0.0.1:${env.PORT}`, timeoutMs: 5_000 });
    const publisher = createEventPublisher({ bus, producer: 'test' });
    const dismiss = async () => {
      const { tipId, decisionId } = await client.score({ userId: 'anna', candidates });
      const feedback = { tipId, decisionId, reaction: Reaction.DISMISS };
      await publisher.publish({ userId: 'anna', payload: { case: 'tipFeedback', value: feedback } });
    };
    const sums = async () => (await database.query(`SELECT count::int, reward::int FROM policy_stats`)).rows;
    const learnt = (count: number) =>
      waitFor(`${count} rewards`, async () => (await sums().catch(() => []))[0]?.count === count, 30_000);

    await dismiss();
    await learnt(1);
    await postgres.kill();
    await dismiss();
    await dismiss();
    await consumers.printed(/"chore":"rewards".*chore failed/, 15_000);
    await postgres.restart();
    await learnt(3);
    expect(await sums()).toEqual([{ count: 3, reward: -3_000 }]);
    expect(consumers.isRunning()).toBe(true);
  });
});

describe('every answered Score is in tip_scores', () => {
  /** Asks for Scores until stopped; keeps the answers, and how many calls failed. */
  function keepScoring() {
    const client = createTipClient({ baseUrl: `http://127.0.0.1:${env.PORT}`, timeoutMs: 3_000 });
    const answers: { decisionId: string; tipId: string; degradations: readonly Degradation[] }[] = [];
    const codes = new Map<number, number>();
    let isStopped = false;
    const workers = Array.from({ length: 8 }, async (_, worker) => {
      while (!isStopped) {
        await client.score({ userId: users[worker] ?? 'u', candidates }).then(
          ({ decisionId, tipId, degradations }) => answers.push({ decisionId, tipId, degradations }),
          async ({ code }: { code: number }) => {
            codes.set(code, (codes.get(code) ?? 0) + 1);
            await sleep(20);
          },
        );
      }
    });
    return {
      answers,
      codes,
      stop: async () => {
        isStopped = true;
        await Promise.all(workers);
      },
    };
  }

  async function expectAllStored(answers: readonly { decisionId: string; tipId: string }[]): Promise<void> {
    await drained();
    const { rows } = await database.query<{ decision_id: string; tip_id: string; prompt_version: string | null }>(
      'SELECT decision_id, tip_id, prompt_version FROM tip_scores',
    );
    const stored = new Map(rows.map((row) => [row.decision_id, row]));
    for (const { decisionId, tipId } of answers) {
      expect(stored.get(decisionId)).toEqual({
        decision_id: decisionId,
        tip_id: tipId,
        prompt_version: tipId === 'b' ? 'v1' : null,
      });
    }
  }

  it('while the server and the consumers are killed', { timeout: 120_000 }, async () => {
    let server = start('server/main.ts');
    let consumers = start('consumers/main.ts');
    await waitFor('the server', isUp);
    const scoring = keepScoring();
    for (let i = 0; i < 3; i++) {
      await sleep(600);
      await Promise.all([server.kill(), consumers.kill()]);
      server = start('server/main.ts');
      consumers = start('consumers/main.ts');
      await waitFor('the server', isUp);
    }
    await sleep(300);
    await scoring.stop();
    expect(scoring.answers.length).toBeGreaterThan(100);
    await expectAllStored(scoring.answers);
  });

  it('while NATS is away: nothing is answered then, and the server recovers by itself', {
    timeout: 120_000,
  }, async () => {
    start('server/main.ts');
    start('consumers/main.ts');
    await waitFor('the server', isUp);
    const scoring = keepScoring();
    await sleep(500);
    await nats.kill();
    await sleep(200);
    const during = scoring.answers.length;
    await sleep(2_500);
    expect(scoring.answers.length).toBe(during);
    await nats.restart();
    await waitFor('answers again', async () => scoring.answers.length > during + 50);
    await scoring.stop();
    expect([...scoring.codes.keys()].every((code) => code === 14 || code === 4)).toBe(true); // unavailable, or our own deadline
    await expectAllStored(scoring.answers);
  });

  it('while Postgres is away: decided without the profile, saying so', { timeout: 120_000 }, async () => {
    start('server/main.ts');
    start('consumers/main.ts');
    await waitFor('the server', isUp);
    const scoring = keepScoring();
    await sleep(500);
    await postgres.kill();
    const before = scoring.answers.length;
    await waitFor('answers without Postgres', async () => scoring.answers.length > before + 20);
    await postgres.restart();
    await waitFor('whole answers again', async () => scoring.answers.at(-1)?.degradations.length === 0);
    await scoring.stop();
    expect(scoring.codes.size).toBe(0);
    expect(scoring.answers.some(({ degradations }) => degradations.includes(Degradation.PROFILE_UNAVAILABLE))).toBe(
      true,
    );
    await expectAllStored(scoring.answers);
  });

  it('and the log of a decision says so where it was made without the profile', { timeout: 60_000 }, async () => {
    start('server/main.ts');
    start('consumers/main.ts');
    await waitFor('the server', isUp);
    await postgres.kill();
    const { decisionId } = await createTipClient({ baseUrl: `http://127.0.0.1:${env.PORT}` }).score({
      userId: 'u',
      candidates,
    });
    await postgres.restart();
    await drained();
    const { rows } = await database.query<{ envelope: Buffer; degradations: string[] }>(
      'SELECT envelope, degradations FROM events JOIN tip_scores ON decision_id = event_id WHERE event_id = $1',
      [decisionId],
    );
    const { payload } = fromBinary(EnvelopeSchema, rows[0]?.envelope ?? Buffer.of());
    expect(payload.case === 'tipScored' && payload.value.snapshot).toBe('');
    expect(rows[0]?.degradations).toEqual(['profile_unavailable']);
  });
});
