import { connect as connectSocket } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import type { ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, rowsOf, startLoop } from './_util/loop.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const tip = (id: string, more: object = {}) => ({ id, kind: TipKind.ADVICE, source: TipSource.LLM, ...more });
const request = (change: MessageInitShape<typeof ScoreRequestSchema> = {}) => ({
  requestId: newId(Date.now()),
  userId: 'u',
  candidates: [tip('a')],
  ...change,
});

/** What is stored and logged: bad input changes none of it. */
async function traces(): Promise<unknown> {
  await loop.drained();
  const counts = await Promise.all(
    (['signals', 'feedback', 'decisions', 'deadletters'] as const).map((stream) => loop.messages(stream)),
  );
  return [
    counts,
    (await rowsOf(loop.database, 'tip_scores', 'decision_id')).length,
    (await rowsOf(loop.database, 'events', 'event_id')).length,
  ];
}

const fieldsOf = (error: unknown): string[] =>
  ConnectError.from(error)
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));

describe('a bad Score', () => {
  const cases: readonly [string, MessageInitShape<typeof ScoreRequestSchema>, string[]][] = [
    ['without a request id', request({ requestId: '' }), ['request_id']],
    ['with a request id that is no UUID', request({ requestId: 'seven' }), ['request_id']],
    ['without a person', request({ userId: '' }), ['user_id']],
    ['with a person of 129 bytes', request({ userId: 'u'.repeat(129) }), ['user_id']],
    ['with a NUL in the person', request({ userId: 'a\0b' }), ['user_id']],
    ['without candidates', request({ candidates: [] }), ['candidates']],
    [
      'with 501 candidates',
      request({ candidates: Array.from({ length: 501 }, (_, i) => tip(`t${i}`)) }),
      ['candidates'],
    ],
    ['with the same candidate twice', request({ candidates: [tip('a'), tip('b'), tip('a')] }), ['candidates[2].id']],
    ['with a candidate without an id', request({ candidates: [tip('a'), tip('')] }), ['candidates[1].id']],
    ['with an over-long candidate id', request({ candidates: [tip('x'.repeat(129))] }), ['candidates[0].id']],
    [
      'with a control character in a task id',
      request({ candidates: [tip('a', { taskId: 'a\u0007' })] }),
      ['candidates[0].task_id'],
    ],
    ['with a candidate of no kind', request({ candidates: [tip('a', { kind: 0 })] }), ['candidates[0].kind']],
    ['with a kind nobody knows', request({ candidates: [tip('a', { kind: 99 })] }), ['candidates[0].kind']],
    [
      'with a confidence of NaN',
      request({ candidates: [tip('a', { confidence: Number.NaN })] }),
      ['candidates[0].confidence'],
    ],
    [
      'with an infinite age',
      request({ candidates: [tip('a', { features: { taskAgeDays: Number.POSITIVE_INFINITY } })] }),
      ['candidates[0].features.task_age_days'],
    ],
    [
      'with a negative age',
      request({ candidates: [tip('a', { features: { taskAgeDays: -1 } })] }),
      ['candidates[0].features.task_age_days'],
    ],
    [
      'with priority 5',
      request({ candidates: [tip('a', { features: { priority: 5 } })] }),
      ['candidates[0].features.priority'],
    ],
    [
      'with NaN in an embedding',
      request({ candidates: [tip('a', { embedding: [0, Number.NaN] })] }),
      ['candidates[0].embedding[1]'],
    ],
    ['at hour 24', request({ context: { hourOfDay: 24 } }), ['context.hour_of_day']],
    ['on day 0', request({ context: { dayOfWeek: 0 } }), ['context.day_of_week']],
    ['in a time zone nobody lives in', request({ context: { timeZone: 'Mars/Olympus' } }), ['context.time_zone']],
    [
      'with a completion rate of 2',
      request({ profileFeatures: { completionRate30d: 2 } }),
      ['profile_features.completion_rate_30d'],
    ],
    [
      'with a completion rate of NaN',
      request({ profileFeatures: { completionRate30d: Number.NaN } }),
      ['profile_features.completion_rate_30d'],
    ],
    ['with two faults', request({ userId: '', candidates: [tip('')] }), ['user_id', 'candidates[0].id']],
  ];

  it.each(cases)('%s is refused, naming the field, and changes nothing', async (_, bad, fields) => {
    const before = await traces();
    const error = await loop.client.serving.score(bad).then(() => 'answered', ConnectError.from);
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    expect(fieldsOf(error)).toEqual(fields);
    expect(ConnectError.from(error).findDetails(ErrorInfoSchema)).toHaveLength(1);
    expect(await traces()).toEqual(before);
  });

  it('at the limits is answered', async () => {
    const most = request({
      userId: 'é'.repeat(64),
      candidates: Array.from({ length: 500 }, (_, i) => tip(`${i}`.padEnd(128, 'x'), { confidence: 1 })),
    });
    const { ranked } = await loop.client.serving.score(most);
    expect(ranked).toHaveLength(500);
    expect(await loop.drained()).toBeUndefined();
    expect(
      (await rowsOf(loop.database, 'tip_scores', 'decision_id')).some(({ candidates }) => candidates === 500),
    ).toBe(true);
  });
});

describe('bad JSON over HTTP/1.1', () => {
  const post = (body: string, type = 'application/json') =>
    fetch(`${loop.baseUrl}/oo.serving.v1.ServingService/Score`, {
      method: 'POST',
      headers: { 'content-type': type },
      body,
    });
  const valid = {
    requestId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d',
    userId: 'u',
    candidates: [{ id: 'a', kind: 'TIP_KIND_ADVICE', source: 'TIP_SOURCE_LLM' }],
  };

  it.each([
    ['no JSON', '{"userId":', 400, /JSON/i],
    ['a number where a text belongs', JSON.stringify({ ...valid, userId: 7 }), 400, /user/i],
    [
      'an enum value nobody knows',
      JSON.stringify({ ...valid, candidates: [{ ...valid.candidates[0], kind: 'TIP_KIND_JOKE' }] }),
      400,
      /kind/i,
    ],
    [
      'NaN',
      JSON.stringify({ ...valid, candidates: [{ ...valid.candidates[0], confidence: 'NaN' }] }),
      400,
      /confidence/,
    ],
    ['a rule broken', JSON.stringify({ ...valid, userId: '' }), 400, /user_id/],
  ])('%s is INVALID_ARGUMENT in words', async (_, body, status, message) => {
    const before = await traces();
    const response = await post(body);
    const answer = (await response.json()) as JsonObject;
    expect([response.status, answer.code]).toEqual([status, 'invalid_argument']);
    expect(answer.message).toMatch(message);
    expect(await traces()).toEqual(before);
  });

  it('an oversize body is RESOURCE_EXHAUSTED', async () => {
    const response = await post(
      JSON.stringify({ ...valid, candidates: [{ ...valid.candidates[0], content: 'x'.repeat(1_100_000) }] }),
    );
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ code: 'resource_exhausted' });
  });

  it('another content type is refused', async () => {
    expect((await post('hello', 'text/plain')).status).toBe(415);
  });

  it('an unknown method is UNIMPLEMENTED', async () => {
    const response = await fetch(`${loop.baseUrl}/oo.serving.v1.ServingService/Guess`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect([response.status, await response.json()]).toEqual([
      404,
      { code: 'unimplemented', message: expect.any(String) },
    ]);
  });
});

describe('garbage on the port', () => {
  it('harms nobody: the next call is answered', async () => {
    for (const bytes of [
      Buffer.alloc(4096, 0xff),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage after the preface'),
      Buffer.from('\0\0\0'),
    ]) {
      const socket = connectSocket(Number(new URL(loop.baseUrl).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.write(bytes);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.destroy();
    }
    expect((await loop.client.score(request())).tipId).toBe('a');
  });
});

describe('bad events among good ones', () => {
  it('become dead letters with their bytes and reason, and the good ones are stored', async () => {
    const before = await loop.messages('deadletters');
    const at = { seconds: BigInt(Math.floor(Date.now() / 1000)) };
    const envelope = (change: object) =>
      create(EnvelopeSchema, {
        eventId: newId(Date.now()),
        occurredAt: at,
        schemaVersion: 'v1',
        producer: 'test',
        userId: 'good-neighbour',
        payload: { case: 'tipServed', value: { tipId: 't' } },
        ...change,
      } as MessageInitShape<typeof EnvelopeSchema>);
    const encode = (change: object) => toBinary(EnvelopeSchema, envelope(change));
    const bad: readonly [string, string, Uint8Array][] = [
      ['undecodable', 'signals.tip.served', new Uint8Array([0xff, 0xff, 0xff])],
      ['rule_violated', 'signals.tip.served', new Uint8Array()],
      ['rule_violated', 'signals.tip.served', encode({ userId: '' })],
      ['unsupported_version', 'signals.tip.served', encode({ schemaVersion: 'v7' })],
      ['wrong_subject', 'signals.task.synced', encode({})],
      ['wrong_subject', 'signals.nobody.knows', encode({})],
      // valid by the contract; only the database refuses it
      [
        'row_refused',
        'signals.tip.feedback',
        encode({ payload: { case: 'tipFeedback', value: { tipId: 'a\0b', reaction: 1 } } }),
      ],
    ];
    const publish = (subject: string, data: Uint8Array) =>
      loop.bus.publish(subject, data, { id: newId(Date.now()), timeoutMs: 2000 });
    const published = [];
    for (const [, subject, data] of bad) {
      published.push(
        publish('signals.tip.served', encode({})),
        publish(subject, data),
        publish('signals.tip.served', encode({})),
      );
    }
    await Promise.all(published);
    await loop.drained();

    const [daily] = (await rowsOf(loop.database, 'user_daily', 'day')).filter(
      ({ user_id }) => user_id === 'good-neighbour',
    );
    expect(daily).toMatchObject({ served: bad.length * 2 });
    expect(await loop.messages('deadletters')).toBe(before + bad.length);
    const letters = await Promise.all(bad.map((_, i) => loop.bus.read('deadletters', before + i + 1)));
    const found = letters.map(({ subject, headers, data }) => [
      subject,
      headers['Oo-Reason'],
      headers['Oo-Subject'],
      Buffer.from(data).toString('hex'),
    ]);
    const expected = bad.map(([reason, subject, data]) => [
      'deadletters.signals',
      reason,
      subject,
      Buffer.from(data).toString('hex'),
    ]);
    expect(found.toSorted()).toEqual(expected.toSorted());
    for (const { headers } of letters) expect(headers['Oo-Error']?.length).toBeGreaterThan(10);
  });
});
