import { create, fromBinary, toBinary, toJson, toJsonString } from '@bufbuild/protobuf';
import { connect, headers } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTipClient } from '../client/index.ts';
import { decide } from '../experiments/decide.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { subjects } from '../gen/proto/oo/contract.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Degradation, Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { FeatureSource, FeatureStatus } from '../gen/proto/oo/features/v1/features_pb.ts';
import { ScoreRequestSchema, type ScoreResponse, ScoreResponseSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, rowsOf, runTool, startLoop } from './_util/loop.ts';
import { hangs, says, startUnrulyLlm } from './_util/unruly-llm.ts';

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

describe('an event published by hand', () => {
  const event = (userId: string, payload: Envelope['payload']) =>
    create(EnvelopeSchema, {
      eventId: id(),
      occurredAt: { seconds: BigInt(Math.floor(Date.now() / 1000)) },
      schemaVersion: 'v1',
      producer: 'by-hand',
      userId,
      payload,
    });

  it.each(['binary', 'JSON'] as const)(
    'in %s moves the right feature, and published again does not',
    async (encoding) => {
      const userId = `by-hand-${encoding}`;
      const served = event(userId, { case: 'tipServed', value: { tipId: 't' } } as Envelope['payload']);
      const done = event(userId, {
        case: 'tipFeedback',
        value: { tipId: 't', reaction: Reaction.DONE, dwellMs: 30_000n, hourOfDay: 9 },
      } as Envelope['payload']);
      const connection = await connect({ servers: loop.nats.url });
      const publish = async (subject: string, envelope: Envelope) => {
        const head = headers();
        if (encoding === 'JSON') head.set('Content-Type', 'application/json');
        const data = encoding === 'JSON' ? toJsonString(EnvelopeSchema, envelope) : toBinary(EnvelopeSchema, envelope);
        await connection.jetstream().publish(subject, data, { headers: head }); // no message id: the stream keeps repeats
      };
      const known = async () => {
        await loop.drained();
        const { featureValues } = await loop.client.score({ userId, candidates });
        return Object.fromEntries(featureValues.map(({ name, value }) => [name, value]));
      };

      expect(await known()).toMatchObject({ completion_rate_30d: undefined, tip_volume_30d: undefined });
      await publish('signals.tip.served', served);
      expect(await known()).toMatchObject({ completion_rate_30d: 0, tip_volume_30d: 1, preferred_hour: undefined });
      await publish('feedback.tip.reacted', done);
      const after = await known();
      expect(after).toMatchObject({ completion_rate_30d: 1, mean_dwell_ms_30d: 30_000, preferred_hour: 9 });
      await publish('signals.tip.served', served);
      await publish('feedback.tip.reacted', done);
      await publish('signals.tip.feedback', done); // the older subject, another stream: still the same event
      expect(await known()).toEqual({ ...after, hour_of_day: expect.any(Number) });
      await connection.close();
    },
  );
});

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
    const connectClient = createTipClient({ baseUrl: loop.baseUrl, protocol: 'connect' });

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
    const again = decide(
      { ...egreedyV2, weights: logged.weights },
      logged.candidates.map(({ vector }) => vector),
      logged.requestId,
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

describe('a Generate', () => {
  const signals = [
    { id: 'task-1', detail: { case: 'task' as const, value: { title: 'Call the dentist', isOverdue: true } } },
  ];

  it('without a language model is written by templates, marked as such, and logged without its texts', async () => {
    const answer = await loop.client.generate({ userId: 'gen', context: { signals } });
    expect(answer).toMatchObject({
      promptVersion: 'fallback',
      model: '',
      degradations: [Degradation.LLM_NOT_CONFIGURED],
      promptTokens: 0,
    });
    expect(answer.candidates).toHaveLength(3);
    expect(
      answer.candidates.every(
        ({ source, promptVersion }) => source === TipSource.FALLBACK && promptVersion === 'fallback',
      ),
    ).toBe(true);
    await loop.drained();
    const rows = (await rowsOf(loop.database, 'generated_tips', 'tip_id')).filter(
      ({ event_id }) => event_id === answer.generationId,
    );
    expect(rows.map(({ tip_id }) => tip_id).toSorted()).toEqual(answer.candidates.map((tip) => tip.id).toSorted());
    expect(rows[0]).toMatchObject({
      prompt_version: 'fallback',
      prompt_hash: answer.promptHash,
      tip_source: 'fallback',
      llm_model: null,
    });
    const { rows: events } = await loop.database.query<{ envelope: Buffer }>(
      'SELECT envelope FROM events WHERE event_id = $1',
      [answer.generationId],
    );
    expect(events[0]?.envelope.toString('latin1')).not.toContain('dentist');
  });

  it('hands its prompt version on: a Score of its tips stores it', async () => {
    const { candidates: written } = await loop.client.generate({ userId: 'gen-score', n: 2 });
    const { decisionId } = await loop.client.score({ userId: 'gen-score', candidates: written });
    await loop.drained();
    const rows = await loop.database.query('SELECT prompt_version, tip_source FROM tip_scores WHERE decision_id = $1', [
      decisionId,
    ]);
    expect(rows.rows).toEqual([{ prompt_version: 'fallback', tip_source: 'fallback' }]);
  });

  it('with a language model says truthfully which prompt and model wrote the tips, all the way into tip_scores', async () => {
    const answer = {
      tips: [
        {
          content: 'Ring the dentist before lunch',
          kind: 'task',
          rationale: 'It is overdue',
          signal_ids: ['task-1'],
          confidence: 0.8,
        },
      ],
    };
    await using llm = await startUnrulyLlm(says(JSON.stringify(answer)));
    const replica = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'qwen2.5:7b', apiKey: undefined } });
    const written = await replica.client.generate({
      userId: 'gen-llm',
      context: { signals },
      promptVersion: 'v2-mentor',
      n: 1,
    });
    expect(written).toMatchObject({ promptVersion: 'v2-mentor', degradations: [] });
    expect(written.candidates).toMatchObject([
      {
        content: 'Ring the dentist before lunch',
        source: TipSource.LLM,
        kind: TipKind.TASK,
        signalIds: ['task-1'],
        confidence: 0.8,
      },
    ]);
    const { decisionId } = await replica.client.score({ userId: 'gen-llm', candidates: written.candidates });
    await loop.drained();
    const { rows } = await loop.database.query(
      `SELECT s.prompt_version, s.llm_model, g.prompt_version AS written_by, g.prompt_hash, g.signal_ids
       FROM tip_scores s JOIN generated_tips g USING (tip_id) WHERE decision_id = $1`,
      [decisionId],
    );
    expect(rows).toEqual([
      {
        prompt_version: 'v2-mentor',
        llm_model: written.model,
        written_by: 'v2-mentor',
        prompt_hash: written.promptHash,
        signal_ids: ['task-1'],
      },
    ]);
  });

  it('with a language model that fails is written by templates in time, and the version says so', async () => {
    await using llm = await startUnrulyLlm(hangs);
    const replica = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', apiKey: undefined } });
    const answer = await replica.client.generate({ userId: 'gen-slow' }, { timeoutMs: 800 });
    expect(answer).toMatchObject({ promptVersion: 'fallback', model: '', degradations: [Degradation.LLM_TIMEOUT] });
  });

  it('streams each tip, and the whole answer last', async () => {
    const parts = [];
    for await (const { part } of loop.client.serving.generateStream({
      generate: { requestId: id(), userId: 'gen', n: 2 },
    }))
      parts.push(part);
    expect(parts.map(({ case: name }) => name)).toEqual(['candidate', 'candidate', 'done']);
    expect(parts[2]?.case === 'done' && parts[2].value.candidates).toEqual(parts.slice(0, 2).map((part) => part.value));
  });

  it('names the known versions where an unknown one is asked for', async () => {
    await expect(loop.client.generate({ userId: 'gen', promptVersion: 'v3x' })).rejects.toMatchObject({
      code: 3,
      rawMessage: expect.stringMatching(/prompt_version.*v1.*v2-mentor.*v3-few-shot/),
    });
  });

  it('does not start on an unknown default', async () => {
    await expect(loop.startReplica({ promptVersion: 'v9' })).rejects.toThrow(/v9.*known versions/);
  });
});

describe('the contract', () => {
  it('keeps every subject within the streams that exist', async () => {
    for (const { stream, subject } of Object.values(subjects)) {
      expect(['signals', 'feedback', 'decisions']).toContain(stream);
      expect(subject.split('.').length).toBe(3);
    }
  });
});
