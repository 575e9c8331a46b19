// For the tests beside it: a real server with a toy Score, and a client of every kind.
import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  ConnectError,
  type ConnectRouter,
  createClient,
  type HandlerContext,
  type Transport,
} from '@connectrpc/connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import {
  type ScoreRequest,
  ScoreRequestSchema,
  type ScoreResponse,
  ScoreResponseSchema,
  ServingService,
} from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { notFound } from '../platform/errors.ts';
import { createServer, type Server, type ServerOptions } from './create-server.ts';
import { callerKey } from './interceptors/authenticate.ts';

export type ScoreInit = MessageInitShape<typeof ScoreRequestSchema>;

export interface ToyServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  /** What was logged: fields and message. */
  readonly lines: readonly (readonly unknown[])[];
  /** Of each call that a handler has begun: its user, and its context. */
  readonly calls: readonly { readonly userId: string; readonly context: HandlerContext }[];
}

/** Serves on a free loopback port, and says that it does. */
export async function startServer(options: Partial<ServerOptions> = {}): Promise<ToyServer> {
  const lines: unknown[][] = [];
  const calls: { userId: string; context: HandlerContext }[] = [];
  const log = { error: (...line: unknown[]) => lines.push(line), warn: (...line: unknown[]) => lines.push(line) };
  const server = createServer({ authKeys: [], log, routes: (router) => toyRoutes(router, calls), ...options });
  const { url, port } = await server.listen({ port: 0, host: '127.0.0.1' });
  server.setServing(true);
  return { url, port, server, lines, calls, [Symbol.asyncDispose]: () => server.drain(0) };
}

function toyRoutes(router: ConnectRouter, calls: { userId: string; context: HandlerContext }[]): void {
  router.service(ServingService, {
    score: (request, context) => {
      calls.push({ userId: request.userId, context });
      return behave(request, context);
    },
    async *generateStream({ generate }, context) {
      calls.push({ userId: generate?.userId ?? '', context });
      yield { part: { case: 'candidate', value: { id: 'first' } } };
      if (generate?.userId === 'throws') throw new Error('secret');
      if (generate?.userId === 'ignores-signal') await sleep(60_000, undefined, { ref: false });
      yield { part: { case: 'done', value: { promptVersion: 'v1' } } };
    },
  });
  router.service(AdminService, { listModels: () => ({}) });
}

/** The user's name says what becomes of the call. Others get the candidate with the highest priority. */
async function behave(
  request: ScoreRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof ScoreResponseSchema>> {
  switch (request.userId) {
    case 'throws':
      throw new Error('secret');
    case 'misses':
      throw notFound('TIP_UNKNOWN', 'no such tip', { metadata: { tip: 'a' } });
    case 'waits':
      await sleep(300);
      return { decisionId: 'waited' };
    case 'ignores-signal':
      await sleep(60_000, undefined, { ref: false });
      return { decisionId: 'too late' };
    case 'follows-signal':
      await sleep(60_000, undefined, { ref: false, signal: context.signal });
      return { decisionId: 'too late' };
    case 'asks-who':
      return { decisionId: context.values.get(callerKey).name };
    case 'asks-when':
      return { decisionId: String(context.timeoutMs()) };
    case 'uses-headers':
      context.responseHeader.set('x-answer', `header ${context.requestHeader.get('x-question')}`);
      context.responseTrailer.set('x-last', 'trailer');
      return { decisionId: context.protocolName };
    case 'is-large':
      return { decisionId: 'x'.repeat(5 * 1024 * 1024) };
  }
  const best = request.candidates.toSorted((a, b) => (b.features?.priority ?? 1) - (a.features?.priority ?? 1))[0];
  return { decisionId: request.requestId, tipId: best?.id ?? '' };
}

export function scoreRequest(init: ScoreInit = {}) {
  return {
    requestId: '018f3c5e-7a1b-7c2d-8e3f-0123456789ab',
    userId: 'somebody',
    candidates: [candidate('low', 1), candidate('high', 4)],
    ...init,
  };
}

export function candidate(id: string, priority: number, content = '') {
  return { id, content, kind: TipKind.TASK, source: TipSource.LLM, features: { priority } };
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onHeader?: (headers: Headers) => void;
  readonly onTrailer?: (trailers: Headers) => void;
}

export interface ToyClient {
  /** Rejects with a ConnectError. */
  readonly score: (request: ScoreInit, options?: CallOptions) => Promise<ScoreResponse>;
}

export interface ClientKind {
  readonly name: string;
  readonly connect: (url: string, options?: { readonly compress?: boolean }) => ToyClient;
}

const compression = (compress = false) => (compress ? { sendCompression: compressionGzip, compressMinBytes: 0 } : {});

const overTransport =
  (create: (baseUrl: string, compress?: boolean) => Transport): ClientKind['connect'] =>
  (url, { compress } = {}) => ({
    score: (request, options) => createClient(ServingService, create(url, compress)).score(request, options),
  });

export const clientKinds: readonly ClientKind[] = [
  {
    name: 'gRPC',
    connect: overTransport((baseUrl, compress) => createGrpcTransport({ baseUrl, ...compression(compress) })),
  },
  { name: 'gRPC of grpc-js', connect: connectGrpcJs },
  ...(['1.1', '2'] as const).flatMap((httpVersion): ClientKind[] => [
    {
      name: `gRPC-Web, HTTP/${httpVersion}`,
      connect: overTransport((baseUrl, compress) =>
        createGrpcWebTransport({ baseUrl, httpVersion, ...compression(compress) }),
      ),
    },
    ...[true, false].map((useBinaryFormat) => ({
      name: `Connect ${useBinaryFormat ? 'binary' : 'JSON'}, HTTP/${httpVersion}`,
      connect: overTransport((baseUrl, compress) =>
        createConnectTransport({ baseUrl, httpVersion, useBinaryFormat, ...compression(compress) }),
      ),
    })),
  ]),
];

function connectGrpcJs(url: string, { compress = false }: { readonly compress?: boolean } = {}): ToyClient {
  const client = new grpc.Client(new URL(url).host, grpc.credentials.createInsecure(), {
    'grpc.default_compression_algorithm': compress
      ? grpc.compressionAlgorithms.gzip
      : grpc.compressionAlgorithms.identity,
  });
  const score: ToyClient['score'] = (request, { timeoutMs, signal, headers = {}, onHeader, onTrailer } = {}) =>
    new Promise((resolve, reject) => {
      const metadata = new grpc.Metadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      const call = client.makeUnaryRequest<ScoreRequest, ScoreResponse>(
        '/oo.serving.v1.ServingService/Score',
        (message) => Buffer.from(toBinary(ScoreRequestSchema, message)),
        (bytes) => fromBinary(ScoreResponseSchema, bytes),
        create(ScoreRequestSchema, request),
        metadata,
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error) reject(toConnectError(error));
          else if (response) resolve(response);
        },
      );
      call.on('metadata', (values) => onHeader?.(toHeaders(values)));
      call.on('status', (status) => onTrailer?.(toHeaders(status.metadata)));
      signal?.addEventListener('abort', () => call.cancel());
    });
  return { score };
}

function toConnectError({ code, details, metadata }: grpc.ServiceError): ConnectError {
  return findTrailerError(toHeaders(metadata)) ?? new ConnectError(details, code as number);
}

function toHeaders(metadata: grpc.Metadata): Headers {
  const headers = new Headers();
  for (const name of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(name)) {
      headers.append(name, typeof value === 'string' ? value : value.toString('base64'));
    }
  }
  return headers;
}
