import { create, fromBinary, toJson, toJsonString } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decide } from '../experiments/decide.ts';
import { noStatistics } from '../experiments/linear-model.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { FeatureSource, FeatureStatus } from '../gen/proto/oo/features/v1/features_pb.ts';
import {
  ScoreRequestSchema,
  type ScoreResponse,
  ScoreResponseSchema,
  ServingService,
} from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, rowsOf, runTool, startLoop } from './_util/loop.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const id = () => newId(Date.now());
const candidates = [
  {
    id: 'a',
    kind: TipKind.TASK,
    source: TipSource.TASK_DIRECT,
    taskId: '7',
    features: { isOverdue: true, taskAgeDays: 3, priority: 4 },
  },
  {
    id: 'b',
    kind: TipKind.ADVICE,
    source: TipSource.LLM,
    model: 'qwen2.5:7b',
    promptVersion: 'v2-mentor',
    content: 'Take a walk',
  },
];
const asJson = (response: ScoreResponse) => toJson(ScoreResponseSchema, response);

describe('a Score', () => {
  it('is the same for the generated client, curl over HTTP/1.1 and buf by reflection, before and after it is stored', async () => {
    const request = { requestId: id(), userId: 'three-ways', candidates, context: { timeZone: 'Europe/Amsterdam' } };
    const path = 'oo.serving.v1.ServingService/Score';
    const json = toJsonString(ScoreRequestSchema, create(ScoreRequestSchema, request));
    const curl = async () =>
      (
        await fetch(`${loop.baseUrl}/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: json,
        })
      ).json();
    const buf = async (protocol: string) =>
      JSON.parse(
        await runTool(
          'buf',
          'curl',
          '--http2-prior-knowledge',
          '--protocol',
          protocol,
          '-d',
          json,
          `${loop.baseUrl}/${path}`,
        ),
      );
    const connectClient = createClient(
      ServingService,
      createConnectTransport({ baseUrl: loop.baseUrl, httpVersion: '2' }),
    );

    const first = asJson(await loop.client.score(request));
    const repeats = [curl(), buf('grpc'), buf('grpcweb'), buf('connect'), connectClient.score(request).then(asJson)];
    for (const repeat of await Promise.all(repeats)) expect(repeat).toEqual(first);
    await loop.drained();
    for (const repeat of await Promise.all([curl(), buf('grpc'), loop.client.score(request).then(asJson)]))
      expect(repeat).toEqual(first);
    expect(
      await loop.database.query('SELECT FROM tip_scores WHERE request_id = $1', [request.requestId]),
    ).toMatchObject({ rowCount: 1 });
  });

  it('is the same from any replica, also where both are asked at once', async () => {
    const replica = await loop.startReplica();
    for (let i = 0; i < 20; i++) {
      const request = { requestId: id(), userId: 'two-replicas', candidates };
      const [one, other] = await Promise.all([loop.client.score(request), replica.client.score(request)]);
      expect(asJson(other)).toEqual(asJson(one));
    }
  });

  it('refuses a request id that was used for another request, and leaves the first as it is', async () => {
    const request = { requestId: id(), userId: 'reuse', candidates };
    const first = await loop.client.score(request);
    const others = [
      { ...request, userId: 'someone-else' },
      { ...request, candidates: candidates.slice(1) },
    ];
    for (const when of ['within the window', 'once stored']) {
      for (const other of others) {
        await expect(loop.client.score(other), when).rejects.toMatchObject({
          code: 6,
          rawMessage: expect.stringContaining('request_id'),
        });
      }
      expect(asJson(await loop.client.score(request)), when).toEqual(asJson(first));
      await loop.drained();
    }
  });

  it('is a row in tip_scores when it is answered, with the prompt version that the candidate had', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        loop.client.score({
          requestId: id(),
          userId: `row-${i % 7}`,
          candidates: i % 2 ? candidates.slice(1) : candidates,
        }),
      ),
    );
    await loop.drained();
    const rows = await rowsOf(loop.database, 'tip_scores', 'decision_id');
    for (const answer of answers) {
      const row = rows.find(({ decision_id }) => decision_id === answer.decisionId);
      const chosen = answer.ranked.find(({ tipId }) => tipId === answer.tipId);
      expect(row).toMatchObject({
        tip_id: answer.tipId,
        policy: 'egreedy-v2',
        score: chosen?.score,
        propensity: chosen?.propensity,
        prompt_version: answer.tipId === 'b' ? 'v2-mentor' : null,
        llm_model: answer.tipId === 'b' ? 'qwen2.5:7b' : null,
        tip_kind: answer.tipId === 'b' ? 'advice' : 'task',
        degradations: [],
      });
    }
  });

  it('says how long it took from the arrival of the call to the decision, whatever it waited for', async () => {
    const elapsedOf = async (userId: string) => {
      const begin = performance.now();
      const { decisionId } = await loop.client.score({ userId, candidates });
      return { decisionId, waitedMicros: (performance.now() - begin) * 1000 };
    };
    const quick = await elapsedOf('quick');
    const blocker = await loop.database.connect();
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE user_daily IN ACCESS EXCLUSIVE MODE'); // the profile is waited for, but not for long
    const late = await elapsedOf('late');
    await blocker.query('ROLLBACK');
    blocker.release();
    await loop.drained();
    const rows = await rowsOf(loop.database, 'tip_scores', 'decision_id');
    const [quickMicros, lateMicros] = [quick, late].map(({ decisionId, waitedMicros }) => {
      const micros = Number(rows.find(({ decision_id }) => decision_id === decisionId)?.elapsed_micros);
      expect(micros).toBeLessThanOrEqual(waitedMicros);
      return micros;
    });
    expect(quickMicros).toBeGreaterThanOrEqual(1);
    expect(lateMicros).toBeGreaterThan(200_000);
  });

  it('is logged with all that made it: deciding again from the event gives the same, bit for bit', async () => {
    const { decisionId, tipId, ranked } = await loop.client.score({ userId: 'replay', candidates });
    await loop.drained();
    const { rows } = await loop.database.query<{ envelope: Buffer }>(
      'SELECT envelope FROM events WHERE event_id = $1',
      [decisionId],
    );
    const { payload } = fromBinary(EnvelopeSchema, rows[0]?.envelope ?? Buffer.of());
    if (payload.case !== 'tipScored') throw new Error('no decision');
    const logged = payload.value;
    const nothing = noStatistics(logged.vectorNames.length);
    const again = decide(
      egreedyV2,
      logged.candidates.map(({ vector }) => vector),
      logged.requestId,
      { person: nothing, population: nothing },
    );
    expect(logged).toMatchObject({
      tipId,
      seed: again.seed,
      draw: again.draw,
      policy: 'egreedy-v2',
      policyVersion: egreedyV2.version,
    });
    expect(logged.candidates.map(({ score, propensity }) => [score, propensity])).toEqual(
      again.scores.map((score, i) => [score, again.propensities[i]]),
    );
    expect(logged.candidates[again.chosen]?.tipId).toBe(tipId);
    expect(ranked.map(({ score }) => score)).toEqual(again.scores.toSorted((a, b) => b - a));
  });

  it('names the snapshot it was read at: exactly the events before it are visible in it', async () => {
    const userId = 'snapshot';
    const publish = () => loop.publisher.publish({ userId, payload: { case: 'tipServed', value: { tipId: 't' } } });
    const [before] = [await publish(), await loop.drained()];
    const { decisionId } = await loop.client.score({ userId, candidates });
    const after = await publish();
    await loop.drained();
    const { rows } = await loop.database.query<{ envelope: Buffer }>(
      'SELECT envelope FROM events WHERE event_id = $1',
      [decisionId],
    );
    const { payload } = fromBinary(EnvelopeSchema, rows[0]?.envelope ?? Buffer.of());
    const snapshot = payload.case === 'tipScored' ? payload.value.snapshot : '';
    const seen = await loop.database.query<{ event_id: string }>(
      'SELECT event_id FROM events WHERE user_id = $1 AND pg_visible_in_snapshot(transaction_id, $2::pg_snapshot)',
      [userId, snapshot],
    );
    expect(seen.rows.map(({ event_id }) => event_id)).toEqual([before]);
    expect(after).not.toBe(before);
  });

  it('lets what the caller knows of the person win, and says where each value came from', async () => {
    await loop.publisher.publish({ userId: 'known', payload: { case: 'tipServed', value: { tipId: 't' } } });
    await loop.drained();
    const { featureValues } = await loop.client.score({
      userId: 'known',
      candidates,
      profileFeatures: { completionRate30d: 0.25 },
      context: { hourOfDay: 5 },
    });
    const by = Object.fromEntries(featureValues.map((value) => [value.name, value]));
    expect(by.completion_rate_30d).toMatchObject({
      value: 0.25,
      status: FeatureStatus.PRESENT,
      source: FeatureSource.REQUEST,
    });
    expect(by.tip_volume_30d).toMatchObject({ value: 1, status: FeatureStatus.PRESENT, source: FeatureSource.STORE });
    expect(by.preferred_hour).toMatchObject({ status: FeatureStatus.MISSING, source: FeatureSource.UNSPECIFIED });
    expect(by.hour_of_day).toMatchObject({ value: 5, source: FeatureSource.REQUEST });
    expect(by.day_of_week).toMatchObject({ source: FeatureSource.CLOCK });
  });

  it('explains itself: the parts of a score sum to it, and chances to 1', async () => {
    const { ranked } = await loop.client.score({ userId: 'explain', candidates });
    for (const { score, contributions } of ranked) {
      expect(contributions.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(score, 12);
    }
    expect(ranked.reduce((sum, { propensity }) => sum + propensity, 0)).toBeCloseTo(1, 12);
    expect(ranked.map(({ tipId }) => tipId)).toEqual(['a', 'b']);
  });

  it('follows the policy that is configured', async () => {
    const replica = await loop.startReplica({ policy: 'random' });
    const answer = await replica.client.score({ userId: 'random', candidates });
    expect(answer).toMatchObject({
      policy: 'random',
      modelVersion: '',
      ranked: [{ propensity: 0.5, score: 0, contributions: [] }, { propensity: 0.5 }],
    });
  });
});
