// What a decision had seen, found again in the events: the verification, the training set and the operator's view.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTipClient, type EventInit } from '../client/index.ts';
import { deltas } from '../consumers/deltas.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { storeStatement } from '../features/event-store.ts';
import { measurePopulation } from '../features/population-store.ts';
import { parseSnapshot } from '../features/snapshot.ts';
import { toMs, toTimestamp } from '../features/time.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { FeatureSource, FeatureStatus, type FeatureValue } from '../gen/proto/oo/features/v1/features_pb.ts';
import type { ScoreResponse } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { isSampled } from '../pipelines/point-in-time.ts';
import { createPopulationAt, type PopulationAt } from '../pipelines/populations.ts';
import { type TrainingRow, type TrainingSetOptions, trainingRows } from '../pipelines/training-set.ts';
import { type VerifyOptions, verify } from '../pipelines/verify.ts';
import { dayMs } from '../platform/clock.ts';
import { openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { createContext } from '../server/context.ts';
import { createServer } from '../server/create-server.ts';
import { createRoutes } from '../server/routes/index.ts';
import { type Loop, silent, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { newFolder } from './_util/servers.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const hourMs = 3_600_000;
let people = 0;
const newPerson = () => `person-${++people}`;

const tell = (userId: string, payload: EventInit['payload'], agoMs = 0) =>
  loop.publisher.publish({ userId, payload, occurredAt: toTimestamp(Date.now() - agoMs) });
const shown = (userId: string, tipId: string, agoMs = 0, decisionId = '') =>
  tell(userId, { case: 'tipServed', value: { tipId, decisionId, kind: TipKind.TASK, source: TipSource.LLM } }, agoMs);
const reacted = (userId: string, tipId: string, reaction: Reaction, agoMs = 0, decisionId = '') =>
  tell(userId, { case: 'tipFeedback', value: { tipId, decisionId, reaction, dwellMs: 30_000n } }, agoMs);

const candidates = [
  { id: 'a', kind: TipKind.TASK, source: TipSource.TASK_DIRECT, features: { isOverdue: true, priority: 4 } },
  { id: 'b', kind: TipKind.ADVICE, source: TipSource.LLM, promptVersion: 'v1' },
];
const score = (userId: string, more: object = {}) => loop.client.score({ userId, candidates, ...more });

/** A person with a history, all of it stored. */
async function livedPerson(): Promise<string> {
  const userId = newPerson();
  for (const day of [1, 2, 3]) {
    await shown(userId, `tip-${day}`, day * dayMs);
    await reacted(userId, `tip-${day}`, day === 2 ? Reaction.DISMISS : Reaction.DONE, day * dayMs - hourMs);
  }
  await tell(userId, { case: 'taskSynced', value: { provider: 'todoist', openTasks: 7, overdueTasks: 2 } }, dayMs);
  await loop.drained();
  return userId;
}

async function verifyPeople(...userIds: string[]) {
  await loop.drained();
  return verify(loop.database, { userIds });
}

const wrongIn = ({ examples }: Awaited<ReturnType<typeof verify>>) =>
  examples.map(({ part, name, verdict }) => `${part} ${name} ${verdict}`);

async function rowsOf(options: TrainingSetOptions): Promise<readonly TrainingRow[]> {
  await loop.drained();
  const rows: TrainingRow[] = [];
  for await (const row of trainingRows(loop.database, options)) rows.push(row);
  return rows;
}

const valueNamed = (values: readonly FeatureValue[], name: string) => values.find((each) => each.name === name);

describe('npm run verify', () => {
  it('finds every decision as it was logged, though events kept arriving, in batches and late', async () => {
    const userIds = await Promise.all(Array.from({ length: 4 }, livedPerson));
    await Promise.all(
      userIds.map(async (userId, i) => {
        for (let round = 0; round < 12; round++) {
          const answer = await score(userId, round % 3 === 0 ? { profileFeatures: { completionRate30d: 0.5 } } : {});
          await Promise.all([
            shown(userId, answer.tipId, 0, answer.decisionId),
            reacted(userId, answer.tipId, Reaction.DONE, (i + round) * hourMs, answer.decisionId),
            score(userId, { context: { timeZone: 'Europe/Amsterdam' } }),
            shown(userId, `late-${round}`, (20 + round) * dayMs),
          ]);
        }
      }),
    );
    const report = await verifyPeople(...userIds);
    expect(wrongIn(report)).toEqual([]);
    expect(report).toMatchObject({ people: 4, decisions: 4 * 24, equal: 4 * 24, withoutPerson: 0, tooOld: 0 });
    for (const { match, mismatch, missing, extra } of report.counts) {
      expect([match, mismatch, missing, extra]).toEqual([4 * 24, 0, 0, 0]);
    }
    expect(report.counts.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['completion_rate_30d', 'hour_of_day', 'hour_sin', 'score', 'propensity', 'tip']),
    );
  });

  it('tells a decision that was made while an event was being stored from one that was made after', async () => {
    const userId = await livedPerson();
    const event = create(EnvelopeSchema, {
      eventId: newId(Date.now()),
      userId,
      occurredAt: toTimestamp(Date.now()),
      schemaVersion: 'v1',
      producer: 'test',
      payload: { case: 'tipServed', value: { tipId: 'slow' } },
    });
    const writer = await loop.database.connect();
    await writer.query('BEGIN');
    await writer.query(
      storeStatement([
        {
          eventId: event.eventId,
          type: 'oo.events.v1.TipServed',
          userId,
          occurredAtMs: toMs(event.occurredAt),
          schemaVersion: 'v1',
          producer: 'test',
          envelope: toBinary(EnvelopeSchema, event),
          deltas: deltas(event),
        },
      ]),
    );
    const other = await livedPerson(); // transactions that begin later and end sooner
    const during = await score(userId);
    await writer.query('COMMIT');
    writer.release();
    const after = await score(userId);
    const volume = ({ featureValues }: ScoreResponse) => valueNamed(featureValues, 'tip_volume_30d')?.value;
    expect([volume(during), volume(after)]).toEqual([3, 4]);
    await score(other);
    expect(await verifyPeople(userId, other)).toMatchObject({ decisions: 3, equal: 3 });
  });

  it('finds a table that says something else than the events', async () => {
    const userId = await livedPerson();
    await score(userId);
    await loop.database.query('UPDATE user_daily SET done = done + 1 WHERE user_id = $1', [userId]);
    const wrong = await score(userId);
    const report = await verifyPeople(userId);
    expect(report).toMatchObject({ decisions: 2, equal: 1 });
    expect(wrongIn(report)).toEqual([
      'feature completion_rate_30d mismatch',
      'feature dismiss_rate_30d mismatch',
      'vector completion_rate_30d mismatch',
      'vector dismiss_rate_30d mismatch',
    ]);
    expect(new Set(report.examples.map(({ decisionId }) => decisionId))).toEqual(new Set([wrong.decisionId]));
    expect(report.counts.find(({ part, name }) => part === 'feature' && name === 'completion_rate_30d')).toMatchObject({
      match: 1,
      mismatch: 1,
    });
  });

  it('finds a row of a table that was lost, and one that nobody wrote', async () => {
    const [lost, added] = [await livedPerson(), newPerson()];
    await loop.database.query('DELETE FROM user_hourly WHERE user_id = $1', [lost]);
    await loop.database.query('INSERT INTO user_daily (user_id, day, served) VALUES ($1, CURRENT_DATE, 1)', [added]);
    await score(lost);
    await score(added);
    expect(wrongIn(await verifyPeople(lost))).toContain('feature preferred_hour extra');
    expect(wrongIn(await verifyPeople(added))).toContain('feature completion_rate_30d missing');
  });

  it('finds an event that says it was there before, and one that says it was not', async () => {
    const userId = await livedPerson();
    await score(userId);
    const eventId = await shown(userId, 'leak');
    expect(await verifyPeople(userId)).toMatchObject({ decisions: 1, equal: 1 });
    const move = (to: string) =>
      loop.database.query(
        `UPDATE events SET transaction_id = (${to})::xid8 WHERE user_id = $1 AND (event_id = $2 OR $3)`,
        [userId, eventId, to !== "'3'"],
      );
    await move("'3'");
    const leaked = await verifyPeople(userId);
    expect(leaked).toMatchObject({ decisions: 1, equal: 0 });
    expect(wrongIn(leaked)).toContain('feature tip_volume_30d mismatch');
    await move("'9000000000'");
    expect(wrongIn(await verifyPeople(userId))).toContain('feature tip_volume_30d missing');
  });

  it('finds a logged value that was changed', async () => {
    const userId = await livedPerson();
    const { decisionId } = await score(userId);
    await loop.drained();
    await changeDecision(userId, decisionId, (decision) => {
      const feature = decision.featureValues[0];
      if (feature) feature.value = 0.123;
    });
    const report = await verifyPeople(userId);
    expect(wrongIn(report)).toEqual(['feature completion_rate_30d mismatch']);
    expect(report.examples[0]).toMatchObject({ decisionId, logged: { value: 0.123 }, recomputed: { value: 2 / 3 } });
  });

  it('takes what the caller said from the log, and what our tables said beside it from the events', async () => {
    const userId = await livedPerson();
    const { featureValues } = await score(userId, { profileFeatures: { completionRate30d: 0.25, tipVolume30d: 3 } });
    expect(valueNamed(featureValues, 'completion_rate_30d')).toMatchObject({
      value: 0.25,
      storeValue: 2 / 3,
      source: FeatureSource.REQUEST,
    });
    expect(await verifyPeople(userId)).toMatchObject({ decisions: 1, equal: 1 });
    await loop.database.query('UPDATE user_daily SET done = 0 WHERE user_id = $1', [userId]);
    await score(userId, { profileFeatures: { completionRate30d: 0.25 } });
    expect(wrongIn(await verifyPeople(userId))).toContain('feature completion_rate_30d mismatch');
  });

  it('counts decisions that had read nothing, and expects them to know nothing', async () => {
    const userId = await livedPerson();
    await using blind = await startBlindServer();
    const answer = await blind.client.score({ userId, candidates, profileFeatures: { preferredHour: 7 } });
    expect(valueNamed(answer.featureValues, 'completion_rate_30d')?.status).toBe(FeatureStatus.MISSING);
    await score(userId);
    expect(await verifyPeople(userId)).toMatchObject({ decisions: 2, equal: 2, withoutPerson: 1 });
  });

  it('says which decisions are no longer verifiable, because a month of their events was dropped', async () => {
    const userId = await livedPerson();
    await score(userId);
    await using blind = await startBlindServer();
    await blind.client.score({ userId, candidates });
    const drop = (toDay: string) =>
      loop.database.query(
        `INSERT INTO dropped_partitions (name, from_day, to_day, events)
        VALUES ('events_older', DATE '2019-12-01', DATE '2020-01-01', 0), ('events_old', DATE '2020-01-01', ${toDay}, 0)`,
      );
    try {
      await drop('CURRENT_DATE - 29');
      expect(await verifyPeople(userId)).toMatchObject({ decisions: 2, equal: 2, tooOld: 0 });
      await loop.database.query('DELETE FROM dropped_partitions');
      await drop('CURRENT_DATE - 28');
      expect(await verifyPeople(userId)).toMatchObject({ people: 1, decisions: 1, withoutPerson: 1, tooOld: 1 });
      let leftOut = 0;
      expect(await rowsOf({ userIds: [userId], onLeftOut: () => leftOut++ })).toHaveLength(0);
      expect(leftOut).toBe(2);
    } finally {
      await loop.database.query('DELETE FROM dropped_partitions');
    }
  });

  it('takes people as a whole into a sample, and everybody without one', async () => {
    const userIds = Array.from({ length: 12 }, newPerson);
    for (const userId of userIds) await Promise.all([score(userId), score(userId)]);
    await loop.drained();
    const sampled = userIds.filter((userId) => isSampled(userId, 0.5));
    const options: VerifyOptions = { userIds, sample: 0.5 };
    expect(await verify(loop.database, options)).toMatchObject({
      people: sampled.length,
      decisions: 2 * sampled.length,
    });
    const { rows } = await loop.database.query("SELECT FROM events WHERE type = 'oo.events.v1.TipScored'");
    const all = await verify(loop.database);
    expect(all.decisions + all.tooOld).toBe(rows.length);
  });

  it('says how far it is after every person', async () => {
    const userIds = [await livedPerson(), await livedPerson()];
    for (const userId of [...userIds, ...userIds]) await score(userId);
    await loop.drained();
    const seen: string[] = [];
    await verify(loop.database, { userIds, onProgress: ({ people, equal }) => seen.push(`${people} ${equal}`) });
    expect(seen).toEqual(['1 2', '2 4']);
  });

  it('has nothing to say where there is nothing', async () => {
    expect(await verifyPeople('nobody')).toMatchObject({ people: 0, decisions: 0, equal: 0, counts: [], examples: [] });
  });
});

describe('the training set', () => {
  it('has the logged vector, what was known then, and what came of it', async () => {
    const userId = await livedPerson();
    const done = await score(userId, { profileFeatures: { preferredHour: 7 } });
    const open = await score(userId);
    await shown(userId, done.tipId, 0, done.decisionId);
    await reacted(userId, done.tipId, Reaction.DONE, 0, done.decisionId);
    const rows = await rowsOf({ userIds: [userId] });
    const row = rows.find(({ decision_id }) => decision_id === done.decisionId);
    const logged = await decisionOf(userId, done.decisionId);
    const chosen = logged.candidates.find(({ tipId }) => tipId === logged.tipId);
    expect(row).toMatchObject({
      policy: 'egreedy-v2',
      candidates: 2,
      propensity: chosen?.propensity,
      vector: chosen?.vector,
      vector_names: logged.vectorNames,
      verified: true,
      outcome: 'done',
      dwell_ms: 30_000,
      reward_milli: 1000,
      reward_version: '2',
    });
    expect(row?.features).toMatchObject({
      completion_rate_30d: 2 / 3,
      preferred_hour: 7,
      tips_served_30d: 3,
      tips_done_30d: 2,
      open_tasks: 7,
      steps_today: null,
    });
    expect(row?.features.done_by_hour_30d).toHaveLength(24);
    expect(rows.find(({ decision_id }) => decision_id === open.decisionId)).toMatchObject({
      outcome: null,
      reward_milli: null,
    });
    expect(JSON.stringify(rows)).not.toContain(userId);
  });

  it('says in every column what the log says of the tip that was chosen', async () => {
    const userId = await livedPerson();
    const chosenTip = { kind: TipKind.INSIGHT, source: TipSource.LLM, model: 'm-1', promptVersion: 'v2' };
    const words = [
      { id: 'a', tip_kind: 'reminder', tip_source: 'task_direct', llm_model: null, prompt_version: null },
      { id: 'b', tip_kind: 'insight', tip_source: 'llm', llm_model: 'm-1', prompt_version: 'v2' },
    ];
    const asked = [
      { id: 'a', kind: TipKind.REMINDER, source: TipSource.TASK_DIRECT, features: { taskAgeDays: 30 } },
      { id: 'b', ...chosenTip, features: { isOverdue: true, priority: 4 } }, // scores higher: of six one, at least, is b
    ];
    await using blind = await startBlindServer();
    const answers = await Promise.all([
      ...Array.from({ length: 6 }, () => score(userId, { candidates: asked })),
      blind.client.score({ userId, candidates: asked }),
    ]);
    const rows = await rowsOf({ userIds: [userId] });
    expect(rows).toHaveLength(7);
    for (const [i, { decisionId, tipId }] of answers.entries()) {
      const { occurredAt } = await envelopeOf(userId, decisionId);
      const logged = await decisionOf(userId, decisionId);
      const chosen = logged.candidates.find((candidate) => candidate.tipId === tipId);
      const { id: _, ...named } = words.find(({ id }) => id === tipId) ?? { id: '' };
      expect(rows.find(({ decision_id }) => decision_id === decisionId)).toEqual({
        decision_id: decisionId,
        decided_at: new Date(toMs(occurredAt)).toISOString(),
        policy: 'egreedy-v2',
        policy_version: egreedyV2.version,
        model_version: 'prior-1',
        ...named,
        candidates: 2,
        score: chosen?.score,
        propensity: chosen?.propensity,
        vector_names: logged.vectorNames,
        vector: chosen?.vector,
        features: expect.any(Object),
        verified: true,
        degradations: i === 6 ? ['profile_unavailable'] : [],
        outcome: null,
        outcome_at: null,
        dwell_ms: null,
        reward_milli: null,
        reward_version: null,
      });
    }
  });

  it('has an outcome where its own decision was answered, not where another showed the same tip', async () => {
    const userId = await livedPerson();
    const only = { candidates: candidates.slice(0, 1) };
    const answers = [await score(userId, only), await score(userId, only), await score(userId, only)];
    const [open, early, late] = answers.map(({ decisionId }) => decisionId);
    const done = (decisionId = '', dwellMs = 0n) =>
      tell(userId, { case: 'tipFeedback', value: { tipId: 'a', decisionId, reaction: Reaction.DONE, dwellMs } });
    const eventId = await done(early, 5_000n);
    await done(late, 300_000n);
    const rows = await rowsOf({ userIds: [userId] });
    const outcomeOf = (id?: string) => {
      const { outcome, outcome_at, dwell_ms, reward_milli } = rows.find((row) => row.decision_id === id) ?? {};
      return { outcome, outcome_at, dwell_ms, reward_milli };
    };
    const doneAt = new Date(toMs((await envelopeOf(userId, eventId)).occurredAt)).toISOString();
    expect(outcomeOf(open)).toEqual({ outcome: null, outcome_at: null, dwell_ms: null, reward_milli: null });
    expect(outcomeOf(early)).toEqual({ outcome: 'done', outcome_at: doneAt, dwell_ms: 5_000, reward_milli: -300 });
    expect(outcomeOf(late)).toMatchObject({ outcome: 'done', dwell_ms: 300_000, reward_milli: 600 });
  });

  it('has windows that end when it was decided, and a zero where nothing of a kind happened', async () => {
    const userId = newPerson();
    for (const daysAgo of [1, 2, 12, 13, 38, 45]) await shown(userId, `tip-${daysAgo}`, daysAgo * dayMs);
    await loop.drained();
    await using past = await startServer({ nowMs: Date.now() - 10 * dayMs });
    await past.client.score({ userId, candidates });
    const [row] = await rowsOf({ userIds: [userId] });
    expect(row?.features).toMatchObject({ tip_volume_30d: 3, tips_served_30d: 3, tips_served_7d: 2, tips_done_30d: 0 });
    expect(row?.verified).toBe(true);
    expect(await verifyPeople(userId)).toMatchObject({ decisions: 1, equal: 1 });
  });

  it('says of each row whether it is what was logged', async () => {
    const userId = await livedPerson();
    const [altered, right] = [await score(userId), await score(userId)];
    await loop.drained();
    await changeDecision(userId, altered.decisionId, (decision) => {
      decision.draw = 0.123;
    });
    const rows = await rowsOf({ userIds: [userId] });
    expect(new Map(rows.map(({ decision_id, verified }) => [decision_id, verified]))).toEqual(
      new Map([
        [altered.decisionId, false],
        [right.decisionId, true],
      ]),
    );
  });

  it('is of the same people as a verification of that sample', async () => {
    const userIds = Array.from({ length: 12 }, newPerson);
    for (const userId of userIds) await score(userId);
    const rows = await rowsOf({ userIds, sample: 0.5 });
    expect(rows).toHaveLength(userIds.filter((userId) => isSampled(userId, 0.5)).length);
    expect(rows).toHaveLength((await verify(loop.database, { userIds, sample: 0.5 })).decisions);
  });

  it('knows nothing of what arrived later, however early it occurred', async () => {
    const userId = await livedPerson();
    const early = await score(userId);
    await loop.drained();
    const [before] = await rowsOf({ userIds: [userId] });
    // a correction: what happened the day before yesterday is reported only now
    await shown(userId, 'forgotten', 2 * dayMs);
    await reacted(userId, 'forgotten', Reaction.DONE, 2 * dayMs - hourMs);
    await tell(userId, { case: 'taskSynced', value: { provider: 'todoist', openTasks: 1, overdueTasks: 0 } }, hourMs);
    await loop.drained();
    const late = await score(userId);
    const rows = await rowsOf({ userIds: [userId] });
    expect(rows.find(({ decision_id }) => decision_id === early.decisionId)).toEqual(before);
    expect(rows.find(({ decision_id }) => decision_id === late.decisionId)?.features).toMatchObject({
      tips_served_30d: 4,
      tips_done_30d: 3,
      open_tasks: 1,
    });
    expect(await verifyPeople(userId)).toMatchObject({ decisions: 2, equal: 2 });
  });

  it('has a row for each of two decisions at the same instant', async () => {
    const userId = await livedPerson();
    await using frozen = await startServer({ nowMs: Date.now() });
    const both = await Promise.all([1, 2].map(() => frozen.client.score({ userId, candidates })));
    const rows = await rowsOf({ userIds: [userId] });
    expect(rows.map(({ decision_id }) => decision_id).toSorted()).toEqual(
      both.map((each) => each.decisionId).toSorted(),
    );
    expect(new Set(rows.map(({ decided_at }) => decided_at)).size).toBe(1);
    expect(await verifyPeople(userId)).toMatchObject({ decisions: 2, equal: 2 });
  });

  it('has the population as it was measured then', async () => {
    const userId = newPerson();
    const rateAt = async (decisionId: string) =>
      (await rowsOf({ userIds: [userId] })).find((row) => row.decision_id === decisionId)?.features.done_rate_30d;
    const first = await score(userId);
    await livedPerson();
    await measurePopulation(loop.database, Date.now() - 1000);
    const second = await score(userId);
    const busy = await livedPerson();
    await shown(busy, 'one more');
    await loop.drained();
    await measurePopulation(loop.database, Date.now());
    const third = await score(userId);
    const rates = [await rateAt(first.decisionId), await rateAt(second.decisionId), await rateAt(third.decisionId)];
    expect(rates[0]).toBeNull();
    expect(rates[1]).toBeGreaterThan(0);
    expect(rates[2]).toBeGreaterThan(0);
    expect(rates[2]).not.toBe(rates[1]);
  });

  it('has the population as it was measured then, also while it is measured anew', async () => {
    const userId = newPerson();
    const knownThen = async (populationAt: PopulationAt, decisionId: string) => {
      const { snapshot: text } = await decisionOf(userId, decisionId);
      const snapshot = parseSnapshot(text);
      return snapshot && (await populationAt(snapshot, text))?.measuredAtMs;
    };
    const [earlier, later] = [Date.now() + hourMs, Date.now() + 2 * hourMs];
    await measurePopulation(loop.database, earlier);
    const before = await score(userId);
    const measuring = await loop.database.connect();
    await measuring.query('BEGIN');
    await measurePopulation(measuring, later);
    await livedPerson(); // transactions that begin later and end sooner
    const populationAt = await createPopulationAt(loop.database);
    await measuring.query('COMMIT');
    measuring.release();
    const after = await score(userId);
    await loop.drained();
    expect(await knownThen(populationAt, after.decisionId)).toBe(later);
    expect(await knownThen(populationAt, before.decisionId)).toBe(earlier);
  });

  it('comes in one order, and leaves out what was not asked for', async () => {
    const userIds = [await livedPerson(), await livedPerson()];
    for (const userId of [...userIds, ...userIds]) await score(userId);
    const rows = await rowsOf({ userIds });
    expect(rows).toHaveLength(4);
    expect(await rowsOf({ userIds: userIds.toReversed() })).toEqual(rows);
    const [profileOnly] = await rowsOf({ userIds, features: 'profile' });
    expect(Object.keys(profileOnly?.features ?? {})).toHaveLength(5);
    expect(profileOnly?.vector).toEqual(rows[0]?.vector);
  });

  it('has the last word of silence and of whoever breaks it', async () => {
    const userId = await livedPerson();
    const answer = await score(userId);
    await shown(userId, answer.tipId, 0, answer.decisionId);
    await tell(userId, { case: 'tipIgnored', value: { tipId: answer.tipId, decisionId: answer.decisionId } });
    expect(await rowsOf({ userIds: [userId] })).toMatchObject([{ outcome: 'ignored', reward_milli: 0 }]);
    await reacted(userId, answer.tipId, Reaction.SNOOZE, 0, answer.decisionId);
    expect(await rowsOf({ userIds: [userId] })).toMatchObject([{ outcome: 'snooze', reward_milli: 100 }]);
  });
});

describe('InspectFeatures', () => {
  const inspect = (userId: string, asOfMs?: number) =>
    createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl })).inspectFeatures({
      userId,
      ...(asOfMs !== undefined && { asOf: toTimestamp(asOfMs) }),
    });

  it('shows what a Score would know now, and all else', async () => {
    const userId = await livedPerson();
    const { featureValues, personFeatureValues } = await inspect(userId);
    const answer = await score(userId);
    const known = ({ name, value, status, source, asOf }: FeatureValue) => ({ name, value, status, source, asOf });
    expect(featureValues.map(known)).toEqual(answer.featureValues.slice(0, 5).map(known));
    expect(valueNamed(personFeatureValues, 'open_tasks')).toMatchObject({ value: 7, source: FeatureSource.STORE });
    expect(valueNamed(personFeatureValues, 'done_by_weekday_30d')?.values).toHaveLength(7);
    expect(valueNamed(personFeatureValues, 'steps_today')).toMatchObject({ status: FeatureStatus.MISSING });
  });

  it('shows what had occurred by an instant, whenever it arrived', async () => {
    const userId = await livedPerson();
    const servedBy = async (asOfMs: number) =>
      valueNamed((await inspect(userId, asOfMs)).personFeatureValues, 'tips_served_30d')?.value;
    const nowMs = Date.now();
    expect(await servedBy(nowMs)).toBe(3);
    expect(await servedBy(nowMs - 1.5 * dayMs)).toBe(2);
    expect(await servedBy(nowMs - 10 * dayMs)).toBeUndefined();
    expect(await servedBy(nowMs + 40 * dayMs)).toBeUndefined();
    const eventId = await shown(userId, 'late', 2 * dayMs);
    await loop.drained();
    expect(await servedBy(nowMs - 1.5 * dayMs)).toBe(3);
    const lateMs = toMs((await envelopeOf(userId, eventId)).occurredAt);
    expect([await servedBy(lateMs - 1), await servedBy(lateMs)]).toEqual([2, 3]);
  });

  it('has the population as it was measured by then', async () => {
    await livedPerson();
    const nowMs = Date.now();
    await measurePopulation(loop.database, nowMs);
    const statusBy = async (asOfMs: number) =>
      valueNamed((await inspect('nobody', asOfMs)).personFeatureValues, 'done_rate_30d')?.status;
    expect(await statusBy(nowMs)).toBe(FeatureStatus.DEFAULT);
    expect(await statusBy(nowMs - dayMs)).toBe(FeatureStatus.MISSING);
  });

  it('knows nothing of a person that nobody spoke of, and refuses what can be no id', async () => {
    const { featureValues } = await inspect('nobody');
    expect(featureValues.every(({ status }) => status === FeatureStatus.MISSING)).toBe(true);
    await expect(inspect('a\0b')).rejects.toThrow('user_id');
    await expect(inspect('')).rejects.toThrow('user_id');
  });
});

describe('GET /metrics', () => {
  it('counts, for every fresh decision and every Generate, how the caller’s values differ from ours', async () => {
    await using server = await startServer({});
    const userId = await livedPerson();
    const request = {
      requestId: newId(Date.now()),
      userId,
      candidates,
      profileFeatures: { completionRate30d: 2 / 3, dismissRate30d: 0.5, preferredHour: 3 },
    };
    await server.client.score(request);
    await server.client.score(request); // in the stream's memory
    await loop.drained();
    await server.client.score(request); // in the tables
    await server.client.score({ userId, candidates });
    await server.client.score({ userId: newPerson(), candidates, profileFeatures: { tipVolume30d: 1 } });
    await server.client.generate({ userId, profileFeatures: { preferredHour: 4 } });
    await using blind = await startBlindServer();
    await blind.client.score({ userId, candidates, profileFeatures: { tipVolume30d: 1 } });
    await blind.client.generate({ userId, profileFeatures: { tipVolume30d: 1 } });
    expect(await blind.metrics()).not.toContain('result=');
    const metrics = await server.metrics();
    const counted = [...metrics.matchAll(/^oo_feature_skew_total\{feature="(\w+)",result="(\w+)"\} (\d+)$/gm)];
    expect(counted.map(([, ...each]) => each.join(' ')).toSorted()).toEqual([
      'completion_rate_30d equal 1',
      'completion_rate_30d only_store 1',
      'dismiss_rate_30d different 1',
      'dismiss_rate_30d only_store 1',
      'mean_dwell_ms_30d only_store 2',
      'preferred_hour different 2',
      'tip_volume_30d only_caller 1',
      'tip_volume_30d only_store 2',
    ]);
    expect(metrics).toContain('oo_feature_skew_difference_bucket{le="0",feature="completion_rate_30d"} 1');
    expect(metrics).toContain('oo_feature_skew_difference_bucket{le="0.1",feature="dismiss_rate_30d"} 0');
    expect(metrics).toContain('oo_feature_skew_difference_bucket{le="1",feature="dismiss_rate_30d"} 1');
    expect(metrics).toContain('oo_rpc_duration_seconds_count{method="Score",code="ok"} 5');
  });

  it('counts calls that fail by their code', async () => {
    await using server = await startServer({});
    await expect(server.client.score({ userId: 'u', candidates: [] })).rejects.toThrow();
    expect(await server.metrics()).toContain('oo_rpc_duration_seconds_count{method="Score",code="invalid_argument"} 1');
  });
});

describe('the commands', () => {
  const env = () => ({ PATH: process.env.PATH, DATABASE_URL: loop.databaseUrl });
  const run = async (script: string, ...args: string[]) => {
    const started = startNode(fileURLToPath(new URL(`../scripts/${script}.ts`, import.meta.url)), env(), args);
    return { code: await started.ended, output: started.output() };
  };
  const dropped = `INSERT INTO dropped_partitions (name, from_day, to_day, events)
    VALUES ('events_old', DATE '2020-01-01', CURRENT_DATE, 0)`;

  it('npm run verify ends with 0 if all is as it was logged, with 1 if anything is not, and says what', async () => {
    const userId = await livedPerson();
    const [{ decisionId }] = [await score(userId), await score(userId), await score(userId), await loop.drained()];
    const right = await run('verify', '--user', userId);
    expect(right.output).toContain('3 of 3 decisions about 1 person, recomputed from events alone: 100 % bit-equal');
    expect(right.code).toBe(0);
    await changeDecision(userId, decisionId, (decision) => {
      decision.draw = 0.123;
    });
    const wrong = await run('verify', '--user', userId);
    expect(wrong.output).toContain('2 of 3 decisions about 1 person, recomputed from events alone: 66.66 % bit-equal');
    expect(wrong.output).toMatch(new RegExp(`${decisionId}  decision draw: mismatch, logged .*0\\.123`));
    expect(wrong.code).toBe(1);
  });

  it('say what is no longer verifiable or left out, as its month was dropped', async () => {
    const userId = await livedPerson();
    await score(userId);
    const { file, lines } = await trainingFile();
    try {
      await loop.drained();
      await loop.database.query(dropped);
      const verified = await run('verify', '--user', userId);
      expect(verified.output).toContain('1 more are no longer verifiable');
      expect(verified.code).toBe(0);
      const { output, code } = await run('training-set', '--out', file);
      expect(output).toMatch(/^0 decisions in .*\n[1-9]\d* left out/);
      expect([code, await lines()]).toEqual([0, []]);
    } finally {
      await loop.database.query('DELETE FROM dropped_partitions');
    }
  });

  it('npm run training-set writes a line for each decision of the sample that was asked for', async () => {
    const userIds = Array.from({ length: 12 }, newPerson);
    const answers = await Promise.all(userIds.map((userId) => score(userId)));
    await loop.drained();
    const sampled = userIds.findIndex((userId) => isSampled(userId, 0.5));
    await changeDecision(userIds[sampled] ?? '', answers[sampled]?.decisionId ?? '', (decision) => {
      decision.draw = 0.123;
    });
    const { file, lines } = await trainingFile();
    const rows = await rowsOf({ sample: 0.5, features: 'profile' });
    const { output, code } = await run('training-set', '--out', file, '--sample', '0.5', '--features', 'profile');
    expect([code, await lines()]).toEqual([0, rows]);
    const wrong = rows.filter(({ verified }) => !verified).length;
    expect(output).toContain(`${rows.length} decisions in ${file}\n${wrong} of them are not what was logged`);
  });

  it('fail on an event that nobody can read, and leave no file that looks whole', async () => {
    const userId = await livedPerson();
    const { decisionId } = await score(userId);
    await loop.drained();
    const { file, lines } = await trainingFile();
    const overwrite = (from: string) =>
      loop.database.query(
        `UPDATE events SET envelope = ${from} || substr(envelope, 2) WHERE user_id = $1 AND event_id = $2`,
        [userId, decisionId],
      );
    await overwrite("'\\x07'"); // no such field, of no such type
    try {
      expect((await run('verify', '--user', userId)).code).toBe(1);
      expect((await run('training-set', '--out', file)).code).toBe(1);
      await expect(lines()).rejects.toThrow('ENOENT');
    } finally {
      await overwrite("'\\x0a'");
    }
    expect(await verifyPeople(userId)).toMatchObject({ equal: 1 });
  });

  it.each([
    ['verify', '--sample', '0'],
    ['verify', '--sample', '1.5'],
    ['verify', '--sample', 'half'],
    ['verify', '--usr', 'anna'],
    ['training-set', '--sample', '0.5'],
    ['training-set', '--out', '/tmp/none.csv'],
    ['training-set', '--out', '/tmp/none.jsonl', '--features', 'some'],
  ])('refuse what they cannot make sense of: %s %s %s', async (script, ...args) => {
    const { code, output } = await run(script, ...args);
    expect(output).toContain('Usage: npm run');
    expect(code).toBe(2);
  });

  /** Where a training set may go, and its rows once it is there. */
  async function trainingFile() {
    const folder = newFolder('training-set');
    await mkdir(folder);
    const file = join(folder, 'rows.jsonl');
    const lines = async () =>
      (await readFile(file, 'utf8'))
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    return { file, lines };
  }
});

interface OtherServer extends AsyncDisposable {
  readonly client: Loop['client'];
  metrics(): Promise<string>;
}

/** Another server on the same streams, with a clock of its own, or with a database that does not answer. */
async function startServer({
  nowMs,
  databaseUrl = loop.databaseUrl,
}: {
  nowMs?: number;
  databaseUrl?: string;
}): Promise<OtherServer> {
  const database = openDatabase({ url: databaseUrl, applicationName: 'test', maxConnections: 2 });
  const context = await createContext(
    { policy: 'egreedy-v2', promptVersion: 'v1', llm: undefined, feast: undefined },
    { database, bus: loop.bus, log: silent, ...(nowMs !== undefined && { clock: () => nowMs }) },
  );
  const server = createServer({ routes: createRoutes(context), authKeys: [], log: silent, metrics: context.metrics });
  const { url } = await server.listen({ port: 0, host: '127.0.0.1' });
  return {
    client: createTipClient({ baseUrl: url, timeoutMs: 5_000 }),
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    [Symbol.asyncDispose]: async () => {
      await server.drain(500);
      await database.end();
    },
  };
}

const startBlindServer = () => startServer({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none' });

async function envelopeOf(userId: string, eventId: string) {
  const { rows } = await loop.database.query<{ envelope: Buffer }>(
    'SELECT envelope FROM events WHERE user_id = $1 AND event_id = $2',
    [userId, eventId],
  );
  return fromBinary(EnvelopeSchema, rows[0]?.envelope ?? new Uint8Array());
}

async function decisionOf(userId: string, decisionId: string): Promise<TipScored> {
  const { payload } = await envelopeOf(userId, decisionId);
  if (payload.case !== 'tipScored') throw new Error(`no decision ${decisionId}`);
  return payload.value;
}

async function changeDecision(userId: string, decisionId: string, change: (decision: TipScored) => void) {
  const envelope = await envelopeOf(userId, decisionId);
  if (envelope.payload.case === 'tipScored') change(envelope.payload.value);
  await loop.database.query('UPDATE events SET envelope = $3 WHERE user_id = $1 AND event_id = $2', [
    userId,
    decisionId,
    Buffer.from(toBinary(EnvelopeSchema, envelope)),
  ]);
}
