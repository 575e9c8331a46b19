import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { ScoreRequestSchema, ScoreResponseSchema, ServingService } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { clientKinds, scoreRequest, startServer, type ToyServer } from './server.fixture.ts';

const headers = {
  ':method': 'POST',
  ':path': '/oo.serving.v1.ServingService/Score',
  'content-type': 'application/grpc',
  te: 'trailers',
};
const message = toBinary(ScoreRequestSchema, create(ScoreRequestSchema, scoreRequest()));

function frame(bytes: Uint8Array, { flags = 0, length = bytes.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

let toy: ToyServer;
let session: ClientHttp2Session;
beforeAll(async () => {
  toy = await startServer();
  session = connectHttp2(toy.url);
});
afterAll(async () => {
  session.destroy();
  await toy[Symbol.asyncDispose]();
});

test.each([
  ['application/grpc', {}],
  ['application/grpc+proto', {}],
  ['application/grpc', { 'grpc-encoding': 'identity' }],
  ['application/grpc', { 'grpc-encoding': 'gzip' }],
  ['application/grpc', { 'grpc-accept-encoding': 'gzip,deflate' }],
])('answers %s %o with one message and a status', async (type, extra) => {
  const answer = await call([frame(message)], { 'content-type': type, ...extra });
  expect(answer.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc+proto' });
  expect(answer.trailers).toMatchObject({ 'grpc-status': '0' });
  expect(answer.body.readUInt8()).toBe(0);
  expect(answer.body.readUInt32BE(1)).toBe(answer.body.length - 5);
  expect(fromBinary(ScoreResponseSchema, answer.body.subarray(5))).toMatchObject({ tipId: 'high' });
});

test('answers a message that comes byte by byte', async () => {
  const answer = await call([...frame(message)].map((byte) => Buffer.of(byte)));
  expect(answer.trailers['grpc-status']).toBe('0');
});

test('answers a compressed message', async () => {
  const answer = await call([frame(gzipSync(message), { flags: 1 })], { 'grpc-encoding': 'gzip' });
  expect(answer.trailers['grpc-status']).toBe('0');
});

describe('refuses', () => {
  test.each([
    ['no message', [], {}, Code.Unimplemented, 'a unary call needs one message, got none'],
    ['a cut header', [Buffer.alloc(4)], {}, Code.InvalidArgument, 'the message is cut off'],
    ['a cut message', [frame(message, { length: 9999 })], {}, Code.InvalidArgument, 'the message is cut off'],
    [
      'two messages',
      [frame(message), frame(message)],
      {},
      Code.Unimplemented,
      'a unary call needs one message, got more',
    ],
    [
      'bytes after the message',
      [frame(message), Buffer.of(0)],
      {},
      Code.Unimplemented,
      'a unary call needs one message, got more',
    ],
    [
      'compression that is not named',
      [frame(message, { flags: 1 })],
      {},
      Code.InvalidArgument,
      /flagged as compressed/,
    ],
    ['flags that do not exist', [frame(message, { flags: 128 })], {}, Code.InvalidArgument, /flagged/],
    [
      'a length over the limit',
      [frame(message, { length: 2 ** 32 - 1 })],
      {},
      Code.ResourceExhausted,
      /larger than 1048576 bytes/,
    ],
    [
      'a message over the limit',
      [frame(new Uint8Array(2 ** 20 + 1))],
      {},
      Code.ResourceExhausted,
      /larger than 1048576 bytes/,
    ],
    [
      'bytes that are no message',
      [frame(Buffer.from('hello'))],
      {},
      Code.InvalidArgument,
      /^this is no oo\.serving\.v1\.ScoreRequest: /,
    ],
    ['a string that is no UTF-8', [frame(Buffer.of(10, 1, 0xff))], {}, Code.InvalidArgument, /./],
    [
      'a timeout that is none',
      [frame(message)],
      { 'grpc-timeout': 'soon' },
      Code.InvalidArgument,
      /invalid grpc timeout/,
    ],
    [
      'a timeout of nothing',
      [frame(message)],
      { 'grpc-timeout': '0m' },
      Code.DeadlineExceeded,
      'the deadline has passed',
    ],
    ['unknown compression', [frame(message)], { 'grpc-encoding': 'snappy' }, Code.Unimplemented, /unknown compression/],
    [
      'compression that is a lie',
      [frame(message, { flags: 1 })],
      { 'grpc-encoding': 'gzip' },
      Code.InvalidArgument,
      /decompression/,
    ],
  ] as const)('%s', async (_, chunks, extra, code, text) => {
    const before = toy.calls.length;
    const { headers, trailers } = await call(chunks, extra);
    const error = findTrailerError(new Headers({ ...pick(headers), ...pick(trailers) }));
    expect(error).toMatchObject({ code, rawMessage: typeof text === 'string' ? text : expect.stringMatching(text) });
    expect(toy.calls).toHaveLength(before);
  });

  test('as soon as a message is too large, without waiting for its end', async () => {
    const stream = session.request(headers);
    stream.write(frame(new Uint8Array(2 ** 20), { length: 2 ** 20 + 1 }));
    stream.write(Buffer.alloc(1));
    const outcome = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
    expect(outcome).toMatchObject({ 'grpc-status': String(Code.ResourceExhausted) });
    await new Promise((resolve) => stream.once('close', resolve).resume());
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  });

  test('in one frame of headers, with the text as gRPC escapes it', async () => {
    const { headers, trailers, body } = await call([frame(message)], { 'grpc-timeout': '5% "ü": a/b' });
    expect(headers['grpc-message']).toBe('protocol error: invalid grpc timeout value: 5%25 "%C3%BC": a/b');
    expect({ trailers, body: body.length }).toEqual({ trailers: {}, body: 0 });
  });

  test.each(clientKinds.slice(0, 2))('hundreds of calls of $name in a row, cleanly', async ({ connect }) => {
    const client = connect(toy.url);
    const bad = scoreRequest({ candidates: [] });
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, () => client.score(bad).then(() => undefined, ConnectError.from)),
    );
    for (const error of outcomes) {
      expect(error?.code).toBe(Code.InvalidArgument);
      expect(error?.findDetails(ErrorInfoSchema)).toHaveLength(1);
    }
  });
});

test('a call that is reset while its handler runs ends the process neither at once nor later', async () => {
  const stream = session.request(headers).on('error', () => {});
  const waiting = toBinary(ScoreRequestSchema, create(ScoreRequestSchema, scoreRequest({ userId: 'waits' })));
  stream.end(frame(waiting));
  await vi.waitFor(() => expect(toy.calls.at(-1)?.userId).toBe('waits'));
  const context = toy.calls.at(-1)?.context;
  stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  await vi.waitFor(() => expect(context?.signal.aborted).toBe(true));
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect((await call([frame(message)])).trailers['grpc-status']).toBe('0');
});

test.each(['header', 'trailer', 'error'] as const)('drops what HTTP/2 forbids from a %s', async (place) => {
  await using odd = await startServer({
    interceptors: [
      (next) => async (req) => {
        const forbidden = { connection: 'close', 'transfer-encoding': 'chunked', upgrade: 'x', te: 'x' };
        if (place === 'error') throw new ConnectError('refused', Code.Aborted, forbidden);
        const response = await next(req);
        for (const [name, value] of Object.entries(forbidden)) response[place].set(name, value);
        return response;
      },
    ],
  });
  const outcome = clientKinds[0]?.connect(odd.url).score(scoreRequest());
  if (place === 'error') await expect(outcome).rejects.toMatchObject({ rawMessage: 'refused' });
  else await expect(outcome).resolves.toMatchObject({ tipId: 'high' });
});

test('an answer that comes after its stream was given up goes nowhere', async () => {
  await using late = await startServer({ limits: { deadlineMaxMs: 50, overdueMs: 20 } });
  const deaf = connectHttp2(late.url, { settings: { initialWindowSize: 0 } });
  const stream = deaf.request(headers).on('error', () => {});
  stream
    .resume()
    .end(frame(toBinary(ScoreRequestSchema, create(ScoreRequestSchema, scoreRequest({ userId: 'waits' })))));
  await new Promise((resolve) => stream.once('close', resolve));
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(late.lines).toEqual([]);
  deaf.destroy();
});

test('an interceptor may replace request and response', async () => {
  await using changed = await startServer({
    interceptors: [
      (next) => async (req) => {
        const response = await next({ ...req, header: new Headers({ 'x-question': 'changed' }) });
        response.header.set('x-seen', req.header.get('te') ?? '');
        return { ...response, trailer: new Headers({ 'x-last': 'changed' }) };
      },
    ],
  });
  const got: Record<string, string | null> = {};
  await clientKinds[0]?.connect(changed.url).score(scoreRequest({ userId: 'uses-headers' }), {
    onHeader: (header) => Object.assign(got, { answer: header.get('x-answer'), seen: header.get('x-seen') }),
    onTrailer: (trailer) => Object.assign(got, { last: trailer.get('x-last') }),
  });
  expect(got).toEqual({ answer: 'header changed', seen: 'trailers', last: 'changed' });
});

test('the signal of a call is aborted once it is over, like the framework does', async () => {
  await call([frame(message)]);
  await vi.waitFor(() => expect(toy.calls.at(-1)?.context.signal.aborted).toBe(true));
});

test.each(clientKinds)('nothing of a call over $name is kept once it is over', async ({ connect }) => {
  const contexts: WeakRef<object>[] = [];
  await using plain = await startServer({
    routes: (router) =>
      router.service(ServingService, {
        score: (_, context) => {
          contexts.push(new WeakRef(context.signal));
          return {};
        },
      }),
  });
  const client = connect(plain.url);
  for (let i = 0; i < 20; i++) await client.score(scoreRequest());
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  await vi.waitFor(() => {
    collect();
    // The engine may still hold the last few.
    expect(contexts.filter((context) => context.deref() !== undefined).length).toBeLessThan(5);
  });
});

interface Answer {
  headers: Record<string, unknown>;
  trailers: Record<string, unknown>;
  body: Buffer;
}

function call(chunks: readonly Uint8Array[], extra: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const answer: Answer = { headers: {}, trailers: {}, body: Buffer.alloc(0) };
    const stream = session.request({ ...headers, ...extra });
    stream.on('response', (headers) => Object.assign(answer, { headers }));
    stream.on('trailers', (trailers) => Object.assign(answer, { trailers }));
    stream.on('data', (chunk: Buffer) => Object.assign(answer, { body: Buffer.concat([answer.body, chunk]) }));
    stream.on('error', reject).once('close', () => resolve(answer));
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
  });
}

/** The headers that hold a status. */
function pick(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => name.startsWith('grpc-'));
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}
