// A training set as of an instant: whatever comes in later, the same again gives the same bytes.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deltas } from '../consumers/deltas.ts';
import { storeStatement } from '../features/event-store.ts';
import { toTimestamp } from '../features/time.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { RefusedInstant, settle } from '../pipelines/training/as-of.ts';
import { writeTrainingSet } from '../pipelines/training/parquet.ts';
import { pseudonymOf } from '../pipelines/training/people.ts';
import { openTrainingFile } from '../pipelines/training/read.ts';
import { type TrainingExample, trainingExamples } from '../pipelines/training-set.ts';
import { dayMs } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { newFolder } from './_util/servers.ts';

let loop: Loop;
let folder: string;
beforeAll(async () => {
  loop = await startLoop();
  folder = newFolder('training');
  await mkdir(folder);
});
afterAll(() => loop[Symbol.asyncDispose]());

let people = 0;
const newPerson = () => `person-${++people}`;
const candidates = [
  { id: 'a', kind: TipKind.TASK, source: TipSource.TASK_DIRECT, features: { isOverdue: true, priority: 4 } },
  { id: 'b', kind: TipKind.ADVICE, source: TipSource.LLM, promptVersion: 'v1' },
];
const score = (userId: string) =>
  loop.client.score({ userId, candidates, context: { timeZone: 'Europe/Amsterdam', hourOfDay: 7 } });
type Answer = Awaited<ReturnType<typeof score>>;
const reacted = (
  userId: string,
  { tipId, decisionId }: Answer,
  reaction: Reaction = Reaction.DONE,
  atMs = Date.now(),
) =>
  loop.publisher.publish({
    userId,
    occurredAt: toTimestamp(atMs),
    payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction, dwellMs: 30_000n } },
  });

/** By the database's clock, which says when an event was stored. */
async function clock(): Promise<number> {
  const { rows } = await loop.database.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]?.now.getTime() ?? 0;
}

/** An instant after everything that was stored so far, and before now. */
async function now(): Promise<number> {
  const instant = Math.ceil(await clock()) + 1;
  await waitFor('time to pass', async () => (await clock()) > instant);
  return instant;
}

let files = 0;
async function written(asOfMs?: number) {
  const path = join(folder, `${++files}.parquet`);
  const file = await writeTrainingSet(trainingExamples(loop.database, { asOfMs }), { path, asOfMs });
  return { ...file, path };
}

async function examplesAsOf(asOfMs: number, ...userIds: string[]): Promise<TrainingExample[]> {
  const examples: TrainingExample[] = [];
  for await (const example of trainingExamples(loop.database, { asOfMs, userIds })) examples.push(example);
  return examples;
}

describe('a training set as of an instant', () => {
  it('is the same, byte for byte, however much came in since', async () => {
    const userIds = Array.from({ length: 4 }, newPerson);
    const open: [string, Answer][] = [];
    for (const userId of userIds) {
      const [answered, unanswered] = [await score(userId), await score(userId)];
      await reacted(userId, answered);
      open.push([userId, unanswered]);
    }
    await loop.drained();
    const asOfMs = await now();
    const before = await written(asOfMs);
    expect(before.rows).toBe(8);

    for (const [userId, answer] of open) {
      await reacted(userId, answer, Reaction.DISMISS, asOfMs - 60_000); // occurred before, stored after
      await reacted(userId, await score(userId));
      await loop.publisher.publish({
        userId,
        occurredAt: toTimestamp(asOfMs - 2 * dayMs),
        payload: { case: 'tipServed', value: { tipId: 'late', kind: TipKind.TASK, source: TipSource.LLM } },
      });
    }
    await score(newPerson());
    await loop.drained();
    const after = await written(asOfMs);
    expect(after.sha256).toBe(before.sha256);
    expect((await readFile(after.path)).equals(await readFile(before.path))).toBe(true);

    const present = await written();
    expect(present.rows).toBe(13);
    expect((await written(await now())).rows).toBe(13);
    const rewards: (number | null)[] = [];
    for await (const row of (await openTrainingFile(before.path)).read(['reward_milli']))
      rewards.push(row.reward_milli);
    expect(rewards.filter((milli) => milli === null)).toHaveLength(4);
    expect(rewards.filter((milli) => milli === 1000)).toHaveLength(4);
  });

  it('waits for an event that is being stored: it counts, since its transaction began before', async () => {
    const userId = newPerson();
    const answer = await score(userId);
    await loop.drained();
    const event = create(EnvelopeSchema, {
      eventId: newId(Date.now()),
      userId,
      occurredAt: toTimestamp(Date.now()),
      schemaVersion: 'v1',
      producer: 'test',
      payload: {
        case: 'tipFeedback',
        value: { tipId: answer.tipId, decisionId: answer.decisionId, reaction: Reaction.DONE, dwellMs: 30_000n },
      },
    });
    const client = await loop.database.connect();
    try {
      await client.query('BEGIN');
      const { eventId, schemaVersion, producer } = event;
      const envelope = toBinary(EnvelopeSchema, event);
      const stored = { eventId, userId, schemaVersion, producer, envelope, occurredAtMs: Date.now() };
      await client.query(storeStatement([{ ...stored, type: 'oo.events.v1.TipFeedback', deltas: deltas(event) }]));
      const asOfMs = await now();
      await waitFor('time to pass', async () => (await now()) > asOfMs + 1_100);
      let isThere = false;
      const examples = examplesAsOf(asOfMs, userId).finally(() => {
        isThere = true;
      });
      const asked = await now();
      await waitFor('time to pass', async () => (await now()) > asked + 300);
      expect(isThere).toBe(false);
      await client.query('COMMIT');
      expect((await examples).map(({ row }) => row.reward_milli)).toEqual([1000]);
    } finally {
      client.release();
    }
  });

  it('cannot be as of an instant that is yet to come', async () => {
    await expect(settle(loop.database, Date.now() + 3_600_000)).rejects.toThrow(RefusedInstant);
    await expect(examplesAsOf(Date.now() + 3_600_000)).rejects.toThrow('that is yet to come');
  });

  const shown = (userId: string, tipId: string, agoMs: number) =>
    loop.publisher.publish({
      userId,
      occurredAt: toTimestamp(Date.now() - agoMs),
      payload: { case: 'tipServed', value: { tipId, kind: TipKind.TASK, source: TipSource.LLM } },
    });

  it('has what a trainer needs beside the row, and nobody by name', async () => {
    const userId = newPerson();
    await shown(userId, 'first', 3 * dayMs + 60_000);
    await loop.drained();
    const answer = await score(userId);
    await loop.drained();
    const [example, ...more] = await examplesAsOf(await now(), userId);
    expect(more).toEqual([]);
    expect(example).toMatchObject({
      person: pseudonymOf(userId),
      vectorVersion: '1',
      hourOfDay: 7,
      timeZoneArea: 'Europe',
      tenureDays: 3,
      chosen: candidates.findIndex(({ id }) => id === answer.tipId),
      propensities: candidates.map(({ id }) => answer.ranked.find(({ tipId }) => tipId === id)?.propensity),
    });
    expect(example?.vectors[example.chosen ?? -1]).toEqual(example?.row.vector);
    expect(JSON.stringify(example)).not.toContain(userId);

    const stranger = newPerson();
    await score(stranger);
    await loop.drained();
    const [first] = await examplesAsOf(await now(), stranger);
    expect(first?.tenureDays).toBeNull(); // their first event is this decision, which had not seen it
  });

  it('counts the days of a person from the first event that the decision had seen, whoever else was writing', async () => {
    const userId = newPerson();
    await shown(userId, 'before', dayMs + 60_000);
    await loop.drained();
    const other = await loop.database.connect();
    try {
      await other.query('BEGIN');
      const { rows } = await other.query('SELECT pg_current_xact_id()::text AS id');
      await score(userId);
      await shown(userId, 'beside', 3 * dayMs + 60_000);
      await loop.drained();
      await score(userId);
      const unseen = await shown(userId, 'by the other', 5 * dayMs + 60_000);
      await loop.drained();
      await loop.database.query('UPDATE events SET transaction_id = $1::xid8 WHERE user_id = $2 AND event_id = $3', [
        ...[rows[0].id, userId, unseen],
      ]);
      const tenures = (await examplesAsOf(await now(), userId)).map(({ tenureDays }) => tenureDays);
      expect(tenures).toEqual([1, 3]);
    } finally {
      other.release(true);
    }
  });
});

describe('npm run training-set', () => {
  const script = fileURLToPath(new URL('../scripts/training-set.ts', import.meta.url));
  async function run(...args: string[]) {
    const started = startNode(script, { PATH: process.env.PATH, DATABASE_URL: loop.databaseUrl }, args);
    return { code: await started.ended, output: started.output() };
  }

  it('writes Parquet as of an instant, and says its SHA-256', async () => {
    const asOfMs = await now();
    const { sha256, rows } = await written(asOfMs);
    const path = join(folder, 'by-script.parquet');
    const { code, output } = await run('--out', path, '--as-of', new Date(asOfMs).toISOString());
    expect([code, output]).toEqual([0, expect.stringContaining(`${rows} decisions in ${path}\nSHA-256 ${sha256}\n`)]);
    expect((await openTrainingFile(path)).asOf).toBe(new Date(asOfMs).toISOString());
  });

  it('refuses an instant that is none, or is yet to come, and writes nothing', async () => {
    const path = join(folder, 'none.parquet');
    for (const asOf of ['yesterday', '2026-11-23', '2026-11-23T00:00:00', '2026-02-30T00:00:00Z']) {
      const { code, output } = await run('--out', path, '--as-of', asOf);
      expect([asOf, code, output]).toEqual([asOf, 2, expect.stringContaining('--as-of must be an instant')]);
    }
    const { code, output } = await run('--out', path, '--as-of', '2999-01-01T00:00:00Z');
    expect([code, output]).toEqual([2, expect.stringContaining('that is yet to come')]);
    await expect(readFile(path)).rejects.toThrow('ENOENT');
  });
});
