import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from 'node:http2';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescMethod } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createConnectRouter,
  createContextValues,
  createMethodImplSpec,
  createServiceImplSpec,
  type Interceptor,
  type MethodImplSpec,
} from '@connectrpc/connect';
import type { UniversalHandler, UniversalHandlerOptions, UniversalServerRequest } from '@connectrpc/connect/protocol';
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import type { ExperimentSource } from '../experiments/experiment.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { ServingService } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { DomainError, unavailable } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log.ts';
import { createGrpcUnary } from './grpc-unary.ts';
import {
  type Authenticate,
  type AuthKey,
  callerKey,
  createAuthenticate,
  permissionsFor,
} from './interceptors/authenticate.ts';
import { boundTimeoutHeader, deadlineInterceptor, deadlineRule } from './interceptors/deadline.ts';
import { createErrorMapper, createErrorsInterceptor, traceOf } from './interceptors/errors.ts';
import { validateInterceptor, warmUp } from './interceptors/validate.ts';
import { type ServerLimits, serverLimits } from './limits.ts';
import { createListener } from './listener.ts';
import type { Metrics } from './metrics.ts';
import { createHealth } from './routes/health.ts';
import { createOfrep, type Ofrep, ofrepPath } from './routes/ofrep.ts';
import { reflectionRoutes } from './routes/reflection.ts';

export interface ServerOptions {
  /** Registers the services. Health and reflection are added to them. */
  readonly routes: (router: ConnectRouter) => void;
  /** Who may call; see `parseAuthKeys`. Empty: everybody, and only over loopback. */
  readonly authKeys: readonly AuthKey[];
  readonly log: Pick<Log, 'error' | 'warn'>;
  /** What `GET /metrics` tells whoever may call the admin service. Default: there is no such path. */
  readonly metrics?: Pick<Metrics, 'expose' | 'interceptor'>;
  /** What `POST /ofrep/v1/evaluate/flags` answers about. Default: there is no such path. */
  readonly experiments?: ExperimentSource;
  /** For every call, after errors and deadline and before validation. Default: none. */
  readonly interceptors?: readonly Interceptor[];
  readonly limits?: Partial<ServerLimits>;
  readonly clock?: Clock;
}

export interface Server {
  /** Port 0 takes a free one. Throws for a host that others can reach while no auth keys are configured. */
  listen(address: {
    readonly port: number;
    readonly host: string;
  }): Promise<{ readonly url: string; readonly port: number }>;
  /** What health answers. A server starts as not serving, though it answers calls. */
  setServing(isServing: boolean): void;
  /**
   * Stops: health says so, no connection and no call is taken any more, calls in flight have `graceMs` to finish and are
   * `unavailable` after that. Resolves when all connections are closed. Later calls wait for the first.
   */
  drain(graceMs: number): Promise<void>;
}

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

/**
 * Serves gRPC, gRPC-Web, Connect and plain JSON on one port. What every call goes through, and no handler can forget:
 * admission (load, then authentication) before its body is read, then errors, deadline, validation.
 */
export function createServer(options: ServerOptions): Server {
  const { authKeys, log, metrics, experiments, clock = systemClock } = options;
  const limits = { ...serverLimits, ...options.limits };
  const shutdown = new AbortController();
  const toConnectError = createErrorMapper(log, () => newId(clock()));
  const interceptors = [
    ...(metrics ? [metrics.interceptor] : []),
    createErrorsInterceptor(toConnectError),
    deadlineInterceptor,
    ...(options.interceptors ?? []),
    validateInterceptor,
  ];

  const inFlight = { calls: 0, generations: 0 };
  const authenticate = createAuthenticate(authKeys);
  const admitTo = (service: string, path: string, authorization: string | undefined) => {
    const isFull = isGeneration(path)
      ? inFlight.generations > limits.generationsMax
      : inFlight.calls > limits.inFlightMax;
    if (isFull && service !== healthService) throw unavailable('OVERLOADED', 'too many calls at once');
    return authenticate(service, authorization);
  };
  const admit = ({ parent, name }: DescMethod, authorization: string | undefined) =>
    admitTo(parent.typeName, `/${parent.typeName}/${name}`, authorization);

  const router = createConnectRouter({
    interceptors,
    requestGate: ({ method, requestHeader, values }) => {
      try {
        values.set(callerKey, admit(method, requestHeader.get('authorization') ?? undefined));
      } catch (reason) {
        throw toConnectError(reason, method);
      }
    },
    readMaxBytes: limits.readMaxBytes,
    writeMaxBytes: limits.writeMaxBytes,
    acceptCompression: [compressionGzip],
    compressMinBytes: neverCompress,
    shutdownSignal: shutdown.signal,
  });
  const services = () => [...new Set(router.handlers.map(({ service }) => service))];
  const health = createHealth(() => services().map(({ typeName }) => typeName), limits.watchesMax);
  const specs: MethodImplSpec[] = [];
  const recorder = recordSpecs(router, specs);
  options.routes(recorder);
  health.routes(recorder);
  reflectionRoutes(services)(recorder);
  for (const { typeName } of services()) permissionsFor(typeName);
  warmUp(router.handlers.map(({ method }) => method.input));

  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const answerGrpcUnary = createGrpcUnary({
    specs,
    interceptors,
    admit,
    toConnectError,
    shutdownSignal: shutdown.signal,
    limits,
  });

  const ofrep =
    experiments &&
    createOfrep({
      experiments,
      admit: (authorization) => admitTo(ServingService.typeName, ofrepPath, authorization),
      reportFault: (reason) => {
        const errorId = newId(clock());
        log.error({ errorId, rpc: 'ofrep', error: traceOf(reason) }, 'request failed');
        return errorId;
      },
      limits,
      clock,
    });

  const countInFlight = (path: string, carrier: ServerHttp2Stream | ServerResponse) => {
    if (path.startsWith(`/${healthService}/`)) return;
    const kind = isGeneration(path) ? 'generations' : 'calls';
    inFlight[kind]++;
    carrier.once('close', () => inFlight[kind]--);
  };

  const answer = (request: NodeRequest, response: NodeResponse) => {
    const path = pathOf(request.url);
    const handler = handlers.get(path);
    if (handler !== undefined) answerByFramework(handler, request, response, limits, log);
    else if (ofrep && path.startsWith(ofrepPath)) answerOfrep(ofrep, path, request, response, limits);
    else if (path === '/healthz') answerHealthz(health.isServing(), response);
    else if (path === '/metrics' && metrics) answerMetrics(metrics, authenticate, request, response);
    else answerUnknown(request, response);
  };

  const listener = createListener({
    limits,
    log,
    onRequest: (request, response) => {
      countInFlight(pathOf(request.url), response);
      // What is left of a request that was answered early stands before the next one on this connection.
      response.once('finish', () => request.resume());
      answer(request, response);
    },
    onStream: (stream, headers, rawHeaders) => {
      countInFlight(pathOf(headers[':path']), stream);
      if (answerGrpcUnary(stream, headers)) return;
      const request = new Http2ServerRequest(stream, headers, {}, rawHeaders);
      const response = new Http2ServerResponse(stream);
      // Whoever was answered early is told to stop sending, after the last of the answer: a reset overtakes it.
      const stopSending = () => request.complete || stream.close(constants.NGHTTP2_NO_ERROR);
      stream.once('wantTrailers', () => setImmediate(stopSending));
      answer(request, response);
    },
  });

  const drain = async (graceMs: number) => {
    health.setServing(false);
    health.endWatches();
    const closed = listener.close();
    if (await settlesWithin(closed, graceMs)) return;
    shutdown.abort(unavailable('SHUTTING_DOWN', 'the server is shutting down'));
    if (await settlesWithin(closed, limits.abortMs)) return;
    listener.destroy();
    await closed;
  };
  let drained: Promise<void> | undefined;

  return {
    listen: async ({ port, host }) => {
      if (authKeys.length === 0 && !isLoopback(host)) {
        throw new Error(
          `without auth keys only this machine may call: HOST is "${host}", but must be 127.0.0.1, ::1 or localhost. ` +
            'To serve others, set AUTH_KEYS_FILE.',
        );
      }
      const actualPort = await listener.listen({ port, host });
      return { url: `http://${isIPv6(host) ? `[${host}]` : host}:${actualPort}`, port: actualPort };
    },
    setServing: health.setServing,
    drain: (graceMs) => {
      drained ??= drain(graceMs);
      return drained;
    },
  };
}

const healthService = 'grpc.health.v1.Health';

/** Calls that wait for a language model. */
function isGeneration(path: string): boolean {
  return path.startsWith(`/${ServingService.typeName}/Generate`);
}

/**
 * Requests may come compressed; responses are sent as they are. They are a few kilobytes that stay in one network, and
 * compressing one costs more CPU than all else that a Score does.
 */
const neverCompress = 0xffff_ffff;

/** Remembers what is registered, for the fast path, and refuses options with which a service would go its own way. */
function recordSpecs(router: ConnectRouter, specs: MethodImplSpec[]): ConnectRouter {
  const refuseOptions = (name: string, { jsonOptions: _, ...others }: Partial<UniversalHandlerOptions> = {}) => {
    if (Object.keys(others).length > 0)
      throw new Error(`${name} has options of its own, which would bypass the interceptors`);
  };
  const recorder: ConnectRouter = {
    handlers: router.handlers,
    service: (service, implementation, options) => {
      refuseOptions(service.typeName, options);
      specs.push(...Object.values(createServiceImplSpec(service, implementation).methods));
      router.service(service, implementation, options);
      return recorder;
    },
    rpc: (method, implementation, options) => {
      refuseOptions(method.name, options);
      specs.push(createMethodImplSpec(method, implementation));
      router.rpc(method, implementation, options);
      return recorder;
    },
  };
  return recorder;
}

function pathOf(url = ''): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

function answerByFramework(
  handler: UniversalHandler,
  request: NodeRequest,
  response: NodeResponse,
  limits: ServerLimits,
  log: Pick<Log, 'warn'>,
): void {
  let call: UniversalServerRequest;
  try {
    call = universalRequestFromNodeRequest(request, response, undefined, createContextValues());
    // Read as it is, the request would be destroyed once it turns out to be too large, and its connection with it.
    call = { ...call, body: request.iterator({ destroyOnReturn: false }) };
  } catch {
    // Without a host, or with one that is none, there is no URL.
    respond(response, 400, 'text/plain', 'bad host');
    return;
  }
  const timeoutMs = boundTimeoutHeader(call.header, deadlineRule(handler.method, limits));
  if (timeoutMs !== undefined) cutOffAfter(timeoutMs + limits.overdueMs, response);
  handler(call)
    .then((answer) => universalResponseToNodeResponse(answer, response))
    .catch((reason: unknown) => {
      // What the caller broke off is not worth a line.
      if (ConnectError.from(reason).code !== Code.Aborted) {
        log.warn({ rpc: handler.requestPath, error: traceOf(reason) }, 'response failed');
      }
      response.destroy();
    });
}

/** For feature flag clients, with the permission that a Score asks for. */
function answerOfrep(
  ofrep: Ofrep,
  path: string,
  request: NodeRequest,
  response: NodeResponse,
  limits: ServerLimits,
): void {
  cutOffAfter(limits.deadlineDefaultMs + limits.overdueMs, response);
  ofrep(path, request)
    .then(({ status, headers = {}, body }) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      respond(response, status, 'application/json', body);
    })
    .catch(() => response.destroy());
}

/** For callers who neither finish their request nor read the answer. */
function cutOffAfter(timeoutMs: number, response: NodeResponse): void {
  const cutOff = () => {
    if ('stream' in response) response.stream.close(constants.NGHTTP2_CANCEL);
    else response.socket?.destroy();
  };
  const timer = setTimeout(cutOff, timeoutMs);
  response.once('close', () => clearTimeout(timer));
}

/** For load balancers that speak no gRPC. */
function answerHealthz(isServing: boolean, response: NodeResponse): void {
  respond(response, isServing ? 200 : 503, 'text/plain', isServing ? 'ok' : 'not serving');
}

/** For Prometheus, with the permission that the admin service asks for. */
function answerMetrics(
  metrics: Pick<Metrics, 'expose'>,
  authenticate: Authenticate,
  { method, headers }: NodeRequest,
  response: NodeResponse,
): void {
  try {
    authenticate(AdminService.typeName, headers.authorization);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    respond(response, error.code === 'permission_denied' ? 403 : 401, 'text/plain', error.message);
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') {
    respond(response, 405, 'text/plain', 'only GET');
    return;
  }
  metrics.expose().then(
    ({ contentType, text }) => respond(response, 200, contentType, method === 'HEAD' ? '' : text),
    () => response.destroy(),
  );
}

function answerUnknown(request: NodeRequest, response: NodeResponse): void {
  const type = request.headers['content-type'] ?? '';
  const message = 'there is no such method';
  if (type.startsWith('application/grpc')) {
    response.setHeader('grpc-status', Code.Unimplemented);
    response.setHeader('grpc-message', message);
    respond(response, 200, type.startsWith('application/grpc-web') ? 'application/grpc-web' : 'application/grpc', '');
  } else {
    respond(response, 404, 'application/json', JSON.stringify({ code: 'unimplemented', message }));
  }
}

function respond(response: NodeResponse, status: number, contentType: string, body: string): void {
  response.statusCode = status;
  response.setHeader('content-type', contentType);
  if ('stream' in response) response.end(body);
  else response.end(body);
}

function isLoopback(host: string): boolean {
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8);
  loopback.addAddress('::1', 'ipv6');
  return host === 'localhost' || (isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4'));
}

async function settlesWithin(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(timeoutMs, false, { signal: timer.signal });
  const isSettled = await Promise.race([work.then(() => true), late]);
  timer.abort();
  return isSettled;
}
