import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { create, type DescMethodUnary, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type HandlerContext,
  type Interceptor,
  type MethodImplSpec,
  type UnaryRequest,
  type UnaryResponse,
} from '@connectrpc/connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { type DomainError, invalidArgument, resourceExhausted } from '../platform/errors.ts';
import { type Caller, callerKey } from './interceptors/authenticate.ts';
import { type DeadlineRule, deadlinePassed, deadlineRule, grpcTimeoutMs } from './interceptors/deadline.ts';
import type { ErrorMapper } from './interceptors/errors.ts';
import type { ServerLimits } from './limits.ts';

type UnarySpec = Extract<MethodImplSpec, { kind: 'unary' }>;

export interface GrpcUnaryOptions {
  readonly specs: readonly MethodImplSpec[];
  readonly interceptors: readonly Interceptor[];
  /** Lets a call in and says who calls, or throws. Runs before the body is read. */
  readonly admit: (method: DescMethodUnary, authorization: string | undefined) => Caller;
  readonly toConnectError: ErrorMapper;
  readonly shutdownSignal: AbortSignal;
  readonly limits: ServerLimits;
}

/** Answers the call on this stream if it can; false leaves the stream untouched. */
export type GrpcUnary = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

/**
 * The fast path: uncompressed unary gRPC over HTTP/2, which is what generated clients send. The framework's own way
 * passes every message through a dozen async generators, at more than twice the CPU per call; this one runs the same
 * interceptors and handlers on whole buffers. Everything else (streams, compression, JSON, gRPC-Web, Connect) is left
 * to the framework.
 */
export function createGrpcUnary(options: GrpcUnaryOptions): GrpcUnary {
  const methods = new Map<string, UnaryMethod>();
  for (const spec of options.specs) {
    if (spec.kind !== 'unary') continue;
    methods.set(`/${spec.method.parent.typeName}/${spec.method.name}`, {
      spec,
      rule: deadlineRule(spec.method, options.limits),
    });
  }
  const calls = new Set<AbortController>();
  options.shutdownSignal.addEventListener('abort', () => {
    for (const call of calls) call.abort(options.shutdownSignal.reason);
  });
  return (stream, headers) => {
    const method = methods.get(headers[':path'] ?? '');
    if (method === undefined || !isPlainGrpc(headers)) return false;
    answer(stream, headers, method, options, calls).catch(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    return true;
  };
}

interface UnaryMethod {
  readonly spec: UnarySpec;
  readonly rule: DeadlineRule;
}

function isPlainGrpc(headers: IncomingHttpHeaders): boolean {
  const type = headers['content-type'];
  const encoding = headers['grpc-encoding'];
  return (
    headers[':method'] === 'POST' &&
    (type === 'application/grpc' || type === 'application/grpc+proto') &&
    (encoding === undefined || encoding === 'identity')
  );
}

/** Rejects only if not even an error can be sent. */
async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { spec, rule }: UnaryMethod,
  options: GrpcUnaryOptions,
  calls: Set<AbortController>,
): Promise<void> {
  const { limits } = options;
  const call = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  calls.add(call);
  // Without a listener, a caller's reset would end the process.
  stream.on('error', () => {});
  stream.once('close', () => {
    clearTimeout(timer);
    calls.delete(call);
    call.abort(callEnded);
  });
  try {
    const timeoutMs = grpcTimeoutMs(headers['grpc-timeout']?.toString(), rule);
    const endMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    if (timeoutMs !== undefined && timeoutMs <= 0) throw deadlinePassed();
    if (timeoutMs !== undefined) {
      timer = setTimeout(() => {
        call.abort(deadlinePassed());
        // Whoever does not take the answer is cut off.
        timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), limits.overdueMs);
      }, timeoutMs);
    }
    const caller = options.admit(spec.method, headers.authorization);
    const body = await readBody(stream, limits.readMaxBytes, call.signal);
    const request = parse(spec.method, unframe(body, limits.readMaxBytes));
    const values = createContextValues().set(callerKey, caller);
    const context = lazyContext(spec.method, headers, values, call.signal, endMs);
    const response = await invoke(spec, request, context, options.interceptors);
    respond(stream, serialize(spec.method, response.message, limits.writeMaxBytes), response);
  } catch (reason) {
    respondError(stream, options.toConnectError(reason, spec.method));
  }
}

const callEnded = new ConnectError('the call is over', Code.Canceled);

/**
 * All bytes of a call's request. Throws as soon as there are more than one message may have, and when the call ends
 * before they are complete.
 */
function readBody(stream: ServerHttp2Stream, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (done: () => void) => {
      signal.removeEventListener('abort', onAbort);
      stream.off('data', onData);
      done();
    };
    const onAbort = () => settle(() => reject(signal.reason));
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > frameHeaderBytes + maxBytes) settle(() => reject(tooLarge(maxBytes)));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    stream.on('data', onData);
    stream.once('end', () =>
      settle(() => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))),
    );
  });
}

// One byte of flags, four of length, the message.
const frameHeaderBytes = 5;

/** The bytes of the one message in a body. */
function unframe(body: Buffer, maxBytes: number): Uint8Array {
  if (body.length === 0) throw new ConnectError('a unary call needs one message, got none', Code.Unimplemented);
  if (body.length < frameHeaderBytes) throw malformed('the message is cut off');
  const end = frameHeaderBytes + body.readUInt32BE(1);
  if (end > frameHeaderBytes + maxBytes) throw tooLarge(maxBytes);
  if (body.length < end) throw malformed('the message is cut off');
  if (body.length > end) throw new ConnectError('a unary call needs one message, got more', Code.Unimplemented);
  if (body[0] !== 0) throw malformed('the message is flagged as compressed, but no grpc-encoding is named');
  // Not a Buffer: slices of bytes fields are to be copies, as everywhere else.
  return new Uint8Array(body.buffer, body.byteOffset + frameHeaderBytes, end - frameHeaderBytes);
}

function parse(method: DescMethodUnary, bytes: Uint8Array): Message {
  try {
    return fromBinary(method.input, bytes);
  } catch (error) {
    throw malformed(`this is no ${method.input.typeName}: ${error instanceof Error ? error.message : ''}`);
  }
}

function malformed(description: string): DomainError {
  return invalidArgument([{ field: '', description }], { reason: 'MALFORMED_MESSAGE' });
}

function tooLarge(maxBytes: number): DomainError {
  return resourceExhausted('MESSAGE_TOO_LARGE', `the message is larger than ${maxBytes} bytes`, {
    metadata: { maxBytes: String(maxBytes) },
  });
}

interface CallContext extends HandlerContext {
  /** The headers and trailers that anybody has asked for; undefined: nobody has. */
  readonly asked: () => { readonly header: Headers | undefined; readonly trailer: Headers | undefined };
}

/** Headers cost more to build than a small message costs to decode, and few handlers look at them: made when asked for. */
function lazyContext(
  method: DescMethodUnary,
  headers: IncomingHttpHeaders,
  values: ContextValues,
  signal: AbortSignal,
  endMs: number | undefined,
): CallContext {
  let requestHeader: Headers | undefined;
  let header: Headers | undefined;
  let trailer: Headers | undefined;
  return {
    method,
    service: method.parent,
    requestMethod: 'POST',
    protocolName: 'grpc',
    values,
    signal,
    timeoutMs: () => (endMs === undefined ? undefined : endMs - performance.now()),
    get url() {
      return `http://${headers[':authority'] ?? headers.host ?? ''}${headers[':path'] ?? ''}`;
    },
    get requestHeader() {
      requestHeader ??= toWebHeaders(headers);
      return requestHeader;
    },
    get responseHeader() {
      header ??= new Headers();
      return header;
    },
    get responseTrailer() {
      trailer ??= new Headers();
      return trailer;
    },
    asked: () => ({ header, trailer }),
  };
}

interface Answer {
  readonly message: Message;
  readonly header: Headers | undefined;
  readonly trailer: Headers | undefined;
}

/** Calls the handler through the interceptors, as the framework does, with objects that are safe to spread. */
async function invoke(
  spec: UnarySpec,
  message: Message,
  context: CallContext,
  interceptors: readonly Interceptor[],
): Promise<Answer> {
  const { method } = spec;
  const request: UnaryRequest = {
    stream: false,
    message,
    method,
    service: method.parent,
    requestMethod: context.requestMethod,
    signal: context.signal,
    contextValues: context.values,
    get url() {
      return context.url;
    },
    get header() {
      return context.requestHeader;
    },
  };
  let own: UnaryResponse | undefined;
  const handle: AnyFn = async (req) => {
    const output = await spec.impl(req.message as Message, req === request ? context : contextOf(context, req));
    own = {
      stream: false,
      method,
      service: method.parent,
      message: create(method.output, output),
      get header() {
        return context.responseHeader;
      },
      get trailer() {
        return context.responseTrailer;
      },
    };
    return own;
  };
  const next = interceptors.reduceRight((inner, interceptor) => interceptor(inner), handle);
  const response = (await next(request)) as UnaryResponse;
  return { message: response.message, ...(response === own ? context.asked() : headersOf(response)) };
}

type AnyFn = Parameters<Interceptor>[0];

/** What an interceptor changed about the request reaches the handler. */
function contextOf(context: HandlerContext, req: Parameters<AnyFn>[0]): HandlerContext {
  return { ...context, requestHeader: req.header, signal: req.signal, values: req.contextValues };
}

function headersOf({ header, trailer }: UnaryResponse) {
  return { header, trailer };
}

function serialize(method: DescMethodUnary, message: Message, maxBytes: number): Buffer {
  const bytes = toBinary(method.output, message);
  if (bytes.length > maxBytes) {
    throw resourceExhausted('RESPONSE_TOO_LARGE', `the response is larger than ${maxBytes} bytes`);
  }
  const frame = Buffer.allocUnsafe(frameHeaderBytes + bytes.length);
  frame[0] = 0;
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, frameHeaderBytes);
  return frame;
}

const grpcHeaders = { ':status': 200, 'content-type': 'application/grpc+proto' };
const statusOk = { 'grpc-status': '0' };

function respond(stream: ServerHttp2Stream, frame: Buffer, { header, trailer }: Answer): void {
  if (isGone(stream)) return;
  const headers = header === undefined ? grpcHeaders : { ...toNodeHeaders(header), ...grpcHeaders };
  const trailers = trailer === undefined ? statusOk : { ...toNodeHeaders(trailer), ...statusOk };
  stream.respond(headers, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(frame);
}

/** One frame of headers with the status in it, which the protocol calls a trailers-only response. */
function respondError(stream: ServerHttp2Stream, error: ConnectError): void {
  if (isGone(stream)) return;
  const status = toNodeHeaders(setTrailerStatus(new Headers(), error));
  const message = { 'grpc-message': percentEncode(error.rawMessage) };
  stream.respond({ ...status, ...message, ...grpcHeaders }, { endStream: true });
  if (stream.readableEnded) return;
  // The rest of the request is not wanted: tells the caller to stop sending it.
  stream.resume();
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** A stream that its caller or we have given up cannot be written to, even before it is destroyed. */
function isGone(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed;
}

/** As gRPC defines it. The framework escapes more than that, which some clients then show. */
function percentEncode(text: string): string {
  return text.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent);
}

function toWebHeaders(headers: IncomingHttpHeaders): Headers {
  const web = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) web.append(name, one);
  }
  return web;
}

// Of HTTP/1.1 only: HTTP/2 throws on them, in the middle of a response.
const connectionHeaders = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'];

function toNodeHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => !connectionHeaders.includes(name)));
}
