import { createHash } from 'node:crypto';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, createFileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { describe, expect, test, vi } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { ServingService } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { createServer, type ServerOptions } from './create-server.ts';
import { parseAuthKeys } from './interceptors/authenticate.ts';
import { createMetrics } from './metrics.ts';
import {
  type CallOptions,
  candidate,
  clientKinds,
  type ScoreInit,
  scoreRequest,
  startServer,
} from './server.fixture.ts';

const keyLine = (name: string, permissions: string) =>
  `${name} ${createHash('sha256').update(`${name}-key`).digest('hex')} ${permissions}`;
const authKeys = parseAuthKeys([keyLine('recommender', 'serve'), keyLine('operator', 'admin')].join('\n'));
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

const scorePath = '/oo.serving.v1.ServingService/Score';
const mebi = 1024 * 1024;
const nearLimit = Array.from({ length: 480 }, (_, i) => candidate(`tip-${i}`, 2, 'x'.repeat(2000)));
const overLimit = [candidate('tip', 2, 'x'.repeat(2 * mebi))];

interface GoodCase {
  readonly title: string;
  readonly server?: Partial<ServerOptions>;
  readonly request?: ScoreInit;
  readonly compress?: boolean;
  readonly call?: CallOptions;
  readonly answer: object;
}

const good: readonly GoodCase[] = [
  { title: 'answers', answer: { tipId: 'high' } },
  { title: 'takes a request just below the limit', request: { candidates: nearLimit }, answer: { tipId: 'tip-0' } },
  { title: 'takes a compressed request', compress: true, answer: { tipId: 'high' } },
  {
    title: 'tells the handler who calls',
    server: { authKeys },
    request: { userId: 'asks-who' },
    call: bearer('recommender-key'),
    answer: { decisionId: 'recommender' },
  },
  {
    title: 'calls everybody anonymous without keys',
    request: { userId: 'asks-who' },
    answer: { decisionId: 'anonymous' },
  },
  {
    title: 'sets a deadline for callers who set none, and the handler knows it',
    server: { limits: { deadlineDefaultMs: 4321 } },
    request: { userId: 'asks-when' },
    answer: { decisionId: expect.stringMatching(/^4[23]\d\d(\.|$)/) },
  },
  {
    title: 'cuts a longer deadline instead of refusing it',
    server: { limits: { deadlineMaxMs: 4321 } },
    request: { userId: 'asks-when' },
    call: { timeoutMs: 86_400_000 },
    answer: { decisionId: expect.stringMatching(/^4[23]\d\d(\.|$)/) },
  },
];

interface BadCase {
  readonly title: string;
  readonly server?: Partial<ServerOptions>;
  readonly request?: ScoreInit;
  readonly compress?: boolean;
  readonly call?: CallOptions;
  readonly code: Code;
  /** The reason in the ErrorInfo. Undefined: the framework refuses by itself, without details. */
  readonly reason?: string;
  readonly text: string | RegExp;
  readonly fields?: readonly string[];
}

const bad: readonly BadCase[] = [
  {
    title: 'a request over the limit',
    request: { candidates: overLimit },
    code: Code.ResourceExhausted,
    text: /larger than/,
  },
  {
    title: 'a small request that grows over the limit when decompressed',
    request: { candidates: overLimit },
    compress: true,
    code: Code.ResourceExhausted,
    text: /larger than/,
  },
  {
    title: 'fields that break the contract, each by its path',
    request: {
      requestId: 'not a uuid',
      candidates: [candidate('a', 1), candidate('b', 1), candidate('c', 1), candidate('d', 9)],
      context: { hourOfDay: 24 },
    },
    code: Code.InvalidArgument,
    reason: 'INVALID_FIELDS',
    text: 'request_id: must be a valid UUID (and 2 more)',
    fields: ['request_id', 'candidates[3].features.priority', 'context.hour_of_day'],
  },
  {
    title: 'numbers that are none',
    request: {
      candidates: [{ ...candidate('a', 1), confidence: Number.NaN, embedding: [1, Number.POSITIVE_INFINITY] }],
    },
    code: Code.InvalidArgument,
    reason: 'INVALID_FIELDS',
    text: /^candidates\[0\]\.confidence: /,
    fields: ['candidates[0].confidence', 'candidates[0].embedding[1]'],
  },
  {
    title: 'an enum value that does not exist',
    request: { candidates: [{ ...candidate('a', 1), kind: 77 as 1 }] },
    code: Code.InvalidArgument,
    reason: 'INVALID_FIELDS',
    text: /^candidates\[0\]\.kind: /,
    fields: ['candidates[0].kind'],
  },
  {
    title: 'a call without a key',
    server: { authKeys },
    code: Code.Unauthenticated,
    reason: 'KEY_MISSING',
    text: /authorization: Bearer/,
  },
  {
    title: 'an unknown key',
    server: { authKeys },
    call: bearer('guess'),
    code: Code.Unauthenticated,
    reason: 'KEY_UNKNOWN',
    text: 'the key is not known',
  },
  {
    title: 'a key without the permission',
    server: { authKeys },
    call: bearer('operator-key'),
    code: Code.PermissionDenied,
    reason: 'PERMISSION_MISSING',
    text: 'this needs the permission serve',
  },
  {
    title: 'a deadline that a handler ignores',
    request: { userId: 'ignores-signal' },
    server: { limits: { deadlineDefaultMs: 100, deadlineGenerateMs: 100 } },
    code: Code.DeadlineExceeded,
    reason: 'DEADLINE_EXCEEDED',
    text: /deadline|timed out/,
  },
  {
    title: 'a deadline that a handler keeps',
    request: { userId: 'follows-signal' },
    server: { limits: { deadlineDefaultMs: 100, deadlineGenerateMs: 100 } },
    code: Code.DeadlineExceeded,
    reason: 'DEADLINE_EXCEEDED',
    text: /deadline|timed out/,
  },
  {
    title: 'what the domain refuses',
    request: { userId: 'misses' },
    code: Code.NotFound,
    reason: 'TIP_UNKNOWN',
    text: 'no such tip',
  },
  {
    title: 'an answer over the limit',
    request: { userId: 'is-large' },
    code: Code.ResourceExhausted,
    text: /larger than/,
  },
  {
    title: 'a fault of ours',
    request: { userId: 'throws' },
    code: Code.Internal,
    reason: 'INTERNAL',
    text: 'internal error',
  },
];

describe.each(clientKinds)('$name', ({ connect }) => {
  test.each(good)('$title', async ({ server, request, compress = false, call, answer }) => {
    await using toy = await startServer(server);
    await expect(connect(toy.url, { compress }).score(scoreRequest(request), call)).resolves.toMatchObject(answer);
  });

  test.each(bad)(
    'refuses $title',
    async ({ server, request, compress = false, call, code, reason, text, fields = [] }) => {
      await using toy = await startServer(server);
      const error = await refusal(connect(toy.url, { compress }).score(scoreRequest(request), call));
      expect(error).toMatchObject({ code, rawMessage: text instanceof RegExp ? expect.stringMatching(text) : text });
      const infos = error.findDetails(ErrorInfoSchema);
      if (reason) expect(infos).toMatchObject([{ reason, domain: 'ml.oo' }]);
      const paths = error
        .findDetails(BadRequestSchema)
        .flatMap(({ fieldViolations }) => fieldViolations.map((v) => v.field));
      expect(paths).toEqual(fields);
      expect(JSON.stringify(error.details)).not.toContain('secret');
      // What a request or an error holds is nobody's business who reads the log.
      expect(JSON.stringify(toy.lines)).not.toMatch(/secret|somebody|not a uuid/);
      // The next call is served as if nothing had been.
      await expect(connect(toy.url).score(scoreRequest(), bearer('recommender-key'))).resolves.toMatchObject({
        tipId: 'high',
      });
    },
  );

  test('logs a fault of ours once, under the id that the caller gets', async () => {
    await using toy = await startServer();
    const error = await refusal(connect(toy.url).score(scoreRequest({ userId: 'throws' })));
    const [info] = error.findDetails(ErrorInfoSchema);
    expect(toy.lines).toHaveLength(1);
    expect(toy.lines[0]?.[0]).toMatchObject({
      errorId: info?.metadata.errorId,
      rpc: 'oo.serving.v1.ServingService/Score',
      error: { name: 'Error', frames: expect.arrayContaining([expect.stringContaining('server.fixture.ts')]) },
    });
  });

  test('tells the handler when the caller goes away', async () => {
    await using toy = await startServer();
    const caller = new AbortController();
    const outcome = refusal(
      connect(toy.url).score(scoreRequest({ userId: 'follows-signal' }), { signal: caller.signal }),
    );
    await vi.waitFor(() => expect(toy.calls).toHaveLength(1));
    expect(toy.calls[0]?.context.signal.aborted).toBe(false);
    caller.abort();
    expect(await outcome).toMatchObject({ code: Code.Canceled });
    await vi.waitFor(() => expect(toy.calls[0]?.context.signal.aborted).toBe(true));
    expect(toy.lines).toEqual([]);
  });

  test('does not begin what is over already', async () => {
    await using toy = await startServer({ limits: { deadlineMaxMs: 0 } });
    expect(await refusal(connect(toy.url).score(scoreRequest()))).toMatchObject({ code: Code.DeadlineExceeded });
    expect(toy.calls).toEqual([]);
  });

  test('sheds calls over the limit at once, and says when to come back', async () => {
    await using toy = await startServer({ limits: { inFlightMax: 2 } });
    const client = connect(toy.url);
    const served = [1, 2].map(() => client.score(scoreRequest({ userId: 'waits' })));
    await vi.waitFor(() => expect(toy.calls).toHaveLength(2));
    const error = await refusal(client.score(scoreRequest()));
    expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: 'too many calls at once' });
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
    await Promise.all(served);
    await expect(client.score(scoreRequest())).resolves.toMatchObject({ tipId: 'high' });
  });

  test('sheds generations apart: those that wait for a model keep no Score out', async () => {
    await using toy = await startServer({ limits: { inFlightMax: 1, generationsMax: 2 } });
    const client = createClient(ServingService, createGrpcTransport({ baseUrl: toy.url }));
    const caller = new AbortController();
    const generate = async (userId: string) => {
      const asked = { requestId: '00000000-0000-7000-8000-000000000000', userId };
      for await (const _ of client.generateStream({ generate: asked }, { signal: caller.signal }));
    };
    const waiting = [1, 2].map(() => refusal(generate('ignores-signal')));
    await vi.waitFor(() => expect(toy.calls).toHaveLength(2));
    expect(await refusal(generate('one-more'))).toMatchObject({ code: Code.Unavailable });
    await expect(client.score(scoreRequest())).resolves.toMatchObject({ tipId: 'high' });
    caller.abort();
    await Promise.all(waiting);
  });

  test('carries headers and trailers both ways', async () => {
    await using toy = await startServer();
    const got: Record<string, string | null> = {};
    await connect(toy.url).score(scoreRequest({ userId: 'uses-headers' }), {
      headers: { 'x-question': 'why' },
      onHeader: (headers) => {
        got.header = headers.get('x-answer');
      },
      onTrailer: (trailers) => {
        got.trailer = trailers.get('x-last');
      },
    });
    expect(got).toEqual({ header: 'header why', trailer: 'trailer' });
  });
});

describe('permissions', () => {
  test.each([
    ['operator-key', undefined],
    ['recommender-key', Code.PermissionDenied],
    ['guess', Code.Unauthenticated],
  ])('%s on the admin service: %s', async (key, code) => {
    await using toy = await startServer({ authKeys });
    const client = createClient(AdminService, createGrpcTransport({ baseUrl: toy.url }));
    const outcome = await client.listModels({}, bearer(key)).then(() => undefined, ConnectError.from);
    expect(outcome?.code).toBe(code);
  });

  test.each([
    ['application/grpc', ''],
    ['application/grpc-web', 'grpc-status: 16'],
    ['application/proto', '"unauthenticated"'],
    ['application/json', '"unauthenticated"'],
  ])('an unknown caller is refused before the body has come: %s', async (type, text) => {
    await using toy = await startServer({ authKeys });
    using session = openSession(toy.url);
    const stream = session.request({ ':method': 'POST', ':path': scorePath, 'content-type': type });
    stream.write('half a bod');
    const { headers, body } = await answerOf(stream);
    expect(headers['grpc-status'] ?? headers[':status']).toBe(
      { 'application/grpc': '16' }[type] ?? (type.includes('grpc') ? 200 : 401),
    );
    expect(body).toContain(text);
  });

  test('a service without a rule does not start', () => {
    const file = create(FileDescriptorProtoSchema, {
      name: 'stray.proto',
      package: 'oo.stray.v1',
      syntax: 'proto3',
      messageType: [{ name: 'Nothing' }],
      service: [
        {
          name: 'StrayService',
          method: [{ name: 'Go', inputType: '.oo.stray.v1.Nothing', outputType: '.oo.stray.v1.Nothing' }],
        },
      ],
    });
    const stray = createFileRegistry(file, () => undefined).getService('oo.stray.v1.StrayService');
    const routes: ServerOptions['routes'] = (router) => stray && router.service(stray, {});
    expect(() => createServer({ authKeys: [], log: noLog, routes })).toThrow(
      'no permission is defined for the service oo.stray.v1.StrayService',
    );
  });

  test('a service cannot bring options that bypass the interceptors', () => {
    const routes: ServerOptions['routes'] = (router) => router.service(ServingService, {}, { interceptors: [] });
    expect(() => createServer({ authKeys: [], log: noLog, routes })).toThrow('would bypass the interceptors');
  });

  test.each(['0.0.0.0', '::', '10.1.2.3', 'example.com', '', '127.0.0.1.example.com', '128.0.0.1'])(
    'without keys, %j is not served',
    async (host) => {
      const server = createServer({ authKeys: [], log: noLog, routes: () => {} });
      await expect(server.listen({ port: 0, host })).rejects.toThrow('without auth keys only this machine may call');
    },
  );

  test.each(['127.0.0.1', 'localhost', '127.9.9.9'])('without keys, %j is served', async (host) => {
    const server = createServer({ authKeys: [], log: noLog, routes: () => {} });
    const { url } = await server.listen({ port: 0, host });
    expect((await fetch(`${url}/healthz`)).status).toBe(503);
    await server.drain(0);
  });

  test('with keys, every host is served', async () => {
    const server = createServer({ authKeys, log: noLog, routes: () => {} });
    await server.listen({ port: 0, host: '0.0.0.0' });
    await server.drain(0);
  });
});

describe('plain JSON', () => {
  const body = (change: object) => JSON.stringify({ requestId: scoreRequest().requestId, userId: 'u', ...change });
  const tip = { id: 'a', kind: 'TIP_KIND_TASK', source: 'TIP_SOURCE_LLM' };

  test.each([
    ['no JSON', '{"requestId": ', /cannot decode message oo\.serving\.v1\.ScoreRequest from JSON: /],
    ['nothing', '', /from JSON/],
    ['another type of JSON', '[]', /from JSON: Array\(0\)/],
    ['a string for a list', body({ candidates: 'many' }), /field oo\.serving\.v1\.ScoreRequest\.candidates from JSON/],
    [
      'a word for a number',
      body({ candidates: [{ ...tip, confidence: 'high' }] }),
      /TipCandidate\.confidence from JSON/,
    ],
    ['NaN for a number', body({ candidates: [{ ...tip, confidence: 'NaN' }] }), /^candidates\[0\]\.confidence: /],
    [
      'a negative count',
      body({ candidates: [{ ...tip, features: { priority: -1 } }] }),
      /TipFeatures\.priority from JSON/,
    ],
    ['a fraction for a count', body({ candidates: [{ ...tip, features: { priority: 1.5 } }] }), /priority from JSON/],
    ['an enum name that does not exist', body({ candidates: [{ ...tip, kind: 'TIP_KIND_SONG' }] }), /kind/],
    ['an enum number that does not exist', body({ candidates: [{ ...tip, kind: 99 }] }), /^candidates\[0\]\.kind: /],
    ['a field twice', '{"userId": "a", "userId": "b"}', /userId/],
    ['nesting without end', '['.repeat(100_000), /from JSON/],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0xfe]), /from JSON/],
  ])('refuses %s', async (_, json, message) => {
    await using toy = await startServer();
    const response = await postJson(toy.url, json);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_argument', message: expect.stringMatching(message) });
    expect(toy.calls).toEqual([]);
  });

  test('answers, and passes over fields it does not know', async () => {
    await using toy = await startServer();
    const response = await postJson(toy.url, body({ candidates: [tip], fromTheFuture: 1 }));
    expect(await response.json()).toEqual({ decisionId: scoreRequest().requestId, tipId: 'a' });
  });

  test('never quotes more of a request than a few words', async () => {
    await using toy = await startServer();
    for (const json of [
      body({ candidates: 'x'.repeat(9999) }),
      'y'.repeat(9999),
      body({ user_id: 'z'.repeat(9999) }),
    ]) {
      expect((await (await postJson(toy.url, json)).text()).length).toBeLessThan(500);
    }
  });
});

describe('other requests', () => {
  test.each([
    ['an unknown path', 'POST', '/nothing/here', 'application/json', 404],
    ['an unknown method', 'POST', `${scorePath}Twice`, 'application/json', 404],
    ['a path beneath a method', 'POST', `${scorePath}/x`, 'application/json', 404],
    ['an unknown content type', 'POST', scorePath, 'text/plain', 415],
    ['GET on a method that changes something', 'GET', scorePath, 'application/json', 405],
    ['PUT', 'PUT', scorePath, 'application/json', 405],
  ])('%s', async (_, method, target, type, status) => {
    await using toy = await startServer();
    const init = { method, headers: { 'content-type': type } };
    expect((await fetch(toy.url + target, init)).status).toBe(status);
  });

  test.each(['application/grpc', 'application/grpc-web+proto'])('an unknown method over %s', async (type) => {
    await using toy = await startServer();
    using session = openSession(toy.url);
    const stream = session.request({ ':method': 'POST', ':path': `${scorePath}Twice`, 'content-type': type });
    stream.end();
    const { headers } = await answerOf(stream);
    expect(headers).toMatchObject({ ':status': 200, 'grpc-status': '12', 'grpc-message': 'there is no such method' });
  });

  test('a method that the service does not implement', async () => {
    await using toy = await startServer();
    const client = createClient(ServingService, createGrpcTransport({ baseUrl: toy.url }));
    const request = { requestId: scoreRequest().requestId, userId: 'u' };
    const error = await refusal(client.generate(request));
    expect(error).toMatchObject({ code: Code.Unimplemented });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: 'UNIMPLEMENTED' }]);
  });

  test('GET /healthz follows the status', async () => {
    await using toy = await startServer();
    const probe = async () => {
      const response = await fetch(`${toy.url}/healthz?verbose`);
      return [response.status, await response.text()];
    };
    expect(await probe()).toEqual([200, 'ok']);
    toy.server.setServing(false);
    expect(await probe()).toEqual([503, 'not serving']);
  });

  test('GET /metrics is for whoever may administer', async () => {
    await using toy = await startServer({ authKeys, metrics: createMetrics() });
    const ask = async (name: string | undefined, method = 'GET') => {
      const headers: Record<string, string> = name === undefined ? {} : { authorization: `Bearer ${name}-key` };
      return (await fetch(`${toy.url}/metrics`, { method, headers })).status;
    };
    expect(await ask(undefined)).toBe(401);
    expect(await ask('stranger')).toBe(401);
    expect(await ask('recommender')).toBe(403);
    expect(await ask('operator')).toBe(200);
    expect(await ask('operator', 'HEAD')).toBe(200);
    expect(await ask('operator', 'POST')).toBe(405);
  });

  test('GET /metrics is open where everything is, and nowhere without metrics', async () => {
    await using open = await startServer({ metrics: createMetrics() });
    const response = await fetch(`${open.url}/metrics`);
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      expect.stringMatching(/^text\/plain/),
    ]);
    expect(await response.text()).toContain('# HELP oo_feature_skew_total ');
    await using closed = await startServer();
    expect((await fetch(`${closed.url}/metrics`)).status).toBe(404);
  });
});

describe('streams', () => {
  const generate = (userId: string) => ({ generate: { requestId: scoreRequest().requestId, userId } });
  const open = (url: string) => createClient(ServingService, createGrpcTransport({ baseUrl: url }));
  const read = async (url: string, userId: string, options?: { signal: AbortSignal }) => {
    const cases: unknown[] = [];
    const outcome = (async () => {
      for await (const { part } of open(url).generateStream(generate(userId), options)) cases.push(part.case);
    })();
    return { cases, error: await outcome.then(() => undefined, ConnectError.from) };
  };

  test('are answered part by part', async () => {
    await using toy = await startServer();
    expect(await read(toy.url, 'u')).toEqual({ cases: ['candidate', 'done'], error: undefined });
  });

  test.each([
    ['what breaks the contract', '', Code.InvalidArgument, 'INVALID_FIELDS', []],
    ['a fault of ours', 'throws', Code.Internal, 'INTERNAL', ['candidate']],
    [
      'a deadline that the handler ignores',
      'ignores-signal',
      Code.DeadlineExceeded,
      'DEADLINE_EXCEEDED',
      ['candidate'],
    ],
  ])('%s', async (_, userId, code, reason, cases) => {
    await using toy = await startServer({ limits: { deadlineGenerateMs: 200 } });
    const result = await read(toy.url, userId);
    expect(result).toMatchObject({ cases, error: { code, rawMessage: expect.not.stringContaining('secret') } });
    expect(result.error?.findDetails(ErrorInfoSchema)).toMatchObject([{ reason }]);
  });
});

describe('drain', () => {
  test.each(clientKinds)('lets a call over $name finish, and takes no new one', async ({ connect }) => {
    await using toy = await startServer();
    const client = connect(toy.url);
    const call = client.score(scoreRequest({ userId: 'waits' }));
    await vi.waitFor(() => expect(toy.calls).toHaveLength(1));
    const drained = toy.server.drain(5000);
    await expect(fetch(`${toy.url}/healthz`)).rejects.toThrow();
    await expect(call).resolves.toMatchObject({ decisionId: 'waited' });
    const startMs = performance.now();
    await drained;
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(toy.calls).toHaveLength(1);
  });

  test.each(clientKinds)('aborts a call over $name that does not finish', async ({ connect }) => {
    await using toy = await startServer();
    const outcome = refusal(connect(toy.url).score(scoreRequest({ userId: 'ignores-signal' })));
    await vi.waitFor(() => expect(toy.calls).toHaveLength(1));
    const startMs = performance.now();
    await toy.server.drain(200);
    expect(performance.now() - startMs).toBeLessThan(1000);
    const error = await outcome;
    expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: 'the server is shutting down' });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: 'SHUTTING_DOWN' }]);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect(toy.calls[0]?.context.signal.aborted).toBe(true);
  });

  test('closes idle connections at once, and is the same drain however often it is asked for', async () => {
    await using toy = await startServer();
    await Promise.all(clientKinds.map(({ connect }) => connect(toy.url).score(scoreRequest())));
    const startMs = performance.now();
    expect(toy.server.drain(10_000)).toBe(toy.server.drain(1));
    await toy.server.drain(10_000);
    expect(performance.now() - startMs).toBeLessThan(500);
  });

  test('cuts off whoever does not leave', async () => {
    await using toy = await startServer({ limits: { abortMs: 100 } });
    using session = openSession(toy.url);
    const stream = session.request({ ':method': 'POST', ':path': scorePath, 'content-type': 'application/json' });
    stream.on('error', () => {});
    stream.write('half a bod');
    await sleep(100);
    const startMs = performance.now();
    await toy.server.drain(100);
    expect(performance.now() - startMs).toBeLessThan(1000);
  });
});

const noLog = { error: () => {}, warn: () => {} };

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => 'answered',
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw new Error(`expected a refusal, got ${error}`);
  return error;
}

function postJson(url: string, body: string | Buffer<ArrayBuffer>): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url + scorePath, { method: 'POST', headers, body });
}

function openSession(url: string) {
  const session = connectHttp2(url);
  session.on('error', () => {});
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

async function answerOf(stream: ClientHttp2Stream) {
  const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
    stream.once('response', resolve).once('error', reject);
  });
  return { headers, body: await text(stream) };
}
