import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHistory } from '../features/history-store.ts';
import { isVisible, parseSnapshot } from '../features/snapshot.ts';
import { toTimestamp } from '../features/time.ts';
import { Degradation, Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { atDecisions } from '../pipelines/point-in-time.ts';
import { verify } from '../pipelines/verify.ts';
import { newId } from '../platform/ids.ts';
import { createContext } from '../server/context.ts';
import { createScore } from '../server/routes/score.ts';
import { type Loop, silent, startLoop } from './_util/loop.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const id = () => newId(Date.now());
const candidates = [
  { id: 'a', kind: TipKind.TASK, source: TipSource.TASK_DIRECT, features: { isOverdue: true, priority: 4 } },
  { id: 'b', kind: TipKind.ADVICE, source: TipSource.LLM, features: { taskAgeDays: 2 } },
];

type ScoreInit = Omit<Exclude<MessageInitShape<typeof ScoreRequestSchema>, { $typeName: string }>, 'candidates'>;
const score = (request: ScoreInit) => loop.client.score({ candidates, ...request });

const show = (userId: string, at: Date = new Date()) =>
  loop.publisher.publish({
    userId,
    occurredAt: toTimestamp(at.getTime()),
    payload: { case: 'tipServed', value: { tipId: 'a' } },
  });
const react = (userId: string, reaction: Reaction) =>
  loop.publisher.publish({
    userId,
    payload: { case: 'tipFeedback', value: { tipId: 'a', reaction, dwellMs: 1_500n, hourOfDay: 9 } },
  });

/** What a verification of some people finds, once all that was published is stored. */
async function verified(...userIds: readonly string[]) {
  await loop.drained();
  return verify(loop.database, { userIds });
}

/** The past decisions of a person, as far as their events tell. */
async function pastDecisions(userId: string) {
  const history = [];
  for await (const event of readHistory(loop.database, [userId])) history.push(event);
  return [...atDecisions(history)].map((past) => ({ ...past, buckets: structuredClone(past.buckets) }));
}

/** Scores while no table of the person can be read. */
async function scoreWithoutStore(userId: string) {
  const client = await loop.database.connect();
  try {
    await client.query('BEGIN');
    await client.query('LOCK TABLE user_daily IN ACCESS EXCLUSIVE MODE');
    return await score({ userId });
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

describe('a verification', () => {
  it('finds every decision equal that was made while events arrived', async () => {
    const people = ['busy-1', 'busy-2', 'busy-3'];
    const reactions = [Reaction.DONE, Reaction.DISMISS, Reaction.SNOOZE, Reaction.HELPFUL];
    const report = async (userId: string) => {
      for (let i = 0; i < 40; i++) {
        await show(userId, new Date(Date.now() - (i % 35) * 86_400_000));
        await react(userId, reactions[i % reactions.length] ?? Reaction.DONE);
      }
    };
    const decide = async (userId: string) => {
      for (let i = 0; i < 20; i++) {
        const request = {
          requestId: id(),
          userId,
          context: { timeZone: i % 2 ? 'Asia/Tokyo' : 'America/New_York' },
          ...(i % 3 === 0 && { profileFeatures: { completionRate30d: 0.1 * (i % 10), tipVolume30d: i } }),
          ...(i % 5 === 0 && { context: { hourOfDay: i } }),
        };
        const first = await score(request);
        if (i % 4 === 0) expect(await score(request)).toEqual(first);
      }
    };
    await Promise.all(people.flatMap((userId) => [report(userId), decide(userId), decide(userId)]));
    const { degradations } = await scoreWithoutStore('busy-1');
    expect(degradations).toContain(Degradation.PROFILE_UNAVAILABLE);

    const found = await verified(...people);
    expect(found.examples).toEqual([]);
    expect(found).toMatchObject({ people: 3, decisions: 121, equal: 121, tooOld: 0 });
    expect(found.withoutPerson).toBeGreaterThanOrEqual(1);
    expect(found.notReplayed.size).toBe(0);
    const seen = new Set((await pastDecisions('busy-2')).map(({ buckets }) => JSON.stringify(buckets)));
    expect(seen.size).toBeGreaterThan(5); // they were not all made before or after the events
  });

  it('finds a row that was changed by hand before a decision, and names the feature', async () => {
    const userId = 'changed-row';
    await show(userId);
    await loop.drained();
    await loop.database.query('UPDATE user_daily SET served = served + 5 WHERE user_id = $1', [userId]);
    const { decisionId } = await score({ userId });
    const report = await verified(userId);
    expect(report).toMatchObject({ decisions: 1, equal: 0 });
    expect(report.examples).toContainEqual(
      expect.objectContaining({
        decisionId,
        part: 'feature',
        name: 'tip_volume_30d',
        verdict: 'mismatch',
        logged: expect.objectContaining({ value: 6 }),
        recomputed: expect.objectContaining({ value: 1 }),
      }),
    );
  });

  it('finds an event whose transaction was changed afterwards, and names what the log has too much', async () => {
    const userId = 'changed-transaction';
    const eventId = await show(userId);
    await loop.drained();
    const { decisionId } = await score({ userId });
    expect(await verified(userId)).toMatchObject({ decisions: 1, equal: 1 });
    await loop.database.query('UPDATE events SET transaction_id = pg_current_xact_id() WHERE event_id = $1', [eventId]);
    const report = await verified(userId);
    expect(report).toMatchObject({ decisions: 1, equal: 0 });
    expect(report.examples).toContainEqual(
      expect.objectContaining({ decisionId, part: 'feature', name: 'tip_volume_30d', verdict: 'missing' }),
    );
  });

  it('lets no correction that came late into the decision before it', async () => {
    const userId = 'late';
    await score({ userId });
    await loop.drained();
    await show(userId, new Date(Date.now() - 3_600_000));
    await loop.drained();
    const { featureValues } = await score({ userId });
    expect(featureValues.find(({ name }) => name === 'tip_volume_30d')?.value).toBe(1);

    expect(await verified(userId)).toMatchObject({ decisions: 2, equal: 2, examples: [] });
    const [before, after] = await pastDecisions(userId);
    expect(before?.buckets.user_daily).toEqual([]);
    expect(after?.buckets.user_daily).toMatchObject([{ served: 1 }]);
  });

  it('has both of two decisions of one person at the same instant', async () => {
    const userId = 'same-instant';
    await show(userId);
    await loop.drained();
    const nowMs = Date.now();
    const context = await createContext(
      { policy: 'egreedy-v2', promptVersion: 'v1', llm: undefined, feast: undefined },
      { database: loop.database, bus: loop.bus, log: silent, clock: () => nowMs },
    );
    const decide = createScore(context);
    const requests = [1, 2].map(() => create(ScoreRequestSchema, { requestId: id(), userId, candidates }));
    const answers = await Promise.all(requests.map((request) => decide(request, { requestHeader: new Headers() })));
    expect(await verified(userId)).toMatchObject({ decisions: 2, equal: 2, examples: [] });
    const past = await pastDecisions(userId);
    expect(past.map(({ decidedAtMs }) => decidedAtMs)).toEqual([nowMs, nowMs]);
    expect(past.map(({ decisionId }) => decisionId).sort()).toEqual(answers.map(({ decisionId }) => decisionId).sort());
  });
});

describe('a snapshot', () => {
  const anySnapshot = fc
    .tuple(fc.bigInt({ min: 1n, max: 1n << 62n }), fc.nat({ max: 60 }))
    .chain(([xmin, width]) =>
      fc.record({
        xmin: fc.constant(xmin),
        xmax: fc.constant(xmin + BigInt(width)),
        running: fc.subarray(Array.from({ length: width }, (_, i) => xmin + BigInt(i))),
      }),
    )
    .map(({ xmin, xmax, running }) => ({ xmin, xmax, text: `${xmin}:${xmax}:${running.join(',')}` }));

  it('sees what Postgres says that it sees', async () => {
    await fc.assert(
      fc.asyncProperty(anySnapshot, async ({ xmin, xmax, text }) => {
        const around = Array.from({ length: Number(xmax - xmin) + 4 }, (_, i) => xmin - 2n + BigInt(i));
        const ids = around.filter((transactionId) => transactionId > 0n);
        const { rows } = await loop.database.query<{ visible: boolean[] }>(
          `SELECT array_agg(pg_visible_in_snapshot(id::xid8, $1::pg_snapshot) ORDER BY position) AS visible
           FROM unnest($2::text[]) WITH ORDINALITY AS ids (id, position)`,
          [text, ids.map(String)],
        );
        const snapshot = parseSnapshot(text);
        expect(snapshot && ids.map((each) => isVisible(snapshot, each))).toEqual(rows[0]?.visible);
      }),
    );
  });

  it('is read as Postgres writes it, with transactions that go on', async () => {
    const clients = await Promise.all([1, 2, 3].map(() => loop.database.connect()));
    try {
      const running: bigint[] = [];
      for (const client of clients) {
        await client.query('BEGIN');
        const { rows } = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
        running.push(BigInt(rows[0]?.id ?? 0));
      }
      await clients[1]?.query('COMMIT');
      const { rows } = await loop.database.query<{ text: string }>('SELECT pg_current_snapshot()::text AS text');
      const snapshot = parseSnapshot(rows[0]?.text ?? '');
      expect(running.map((each) => snapshot && isVisible(snapshot, each))).toEqual([false, true, false]);
    } finally {
      for (const client of clients) await client.query('ROLLBACK').finally(() => client.release());
    }
  });
});
