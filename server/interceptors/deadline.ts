import type { DescMethod, Message } from '@bufbuild/protobuf';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { parseTimeout as parseConnectTimeout } from '@connectrpc/connect/protocol-connect';
import { parseTimeout as parseGrpcTimeout } from '@connectrpc/connect/protocol-grpc';
import { DomainError } from '../../platform/errors.ts';
import type { ServerLimits } from '../limits.ts';

/** How long a call may take, in milliseconds. Undefined: as long as the caller stays. */
export interface DeadlineRule {
  readonly defaultMs: number | undefined;
  readonly maxMs: number;
}

// Node's timers hold 31 bits; beyond that they fire at once.
const timerMaxMs = 2 ** 31 - 1;

type DeadlineLimits = Pick<ServerLimits, 'deadlineDefaultMs' | 'deadlineGenerateMs' | 'deadlineMaxMs'>;

/** Watching health has no end by nature; a tool's reflection stream may stay open while its user thinks. */
export function deadlineRule(
  method: DescMethod,
  { deadlineDefaultMs, deadlineGenerateMs, deadlineMaxMs }: DeadlineLimits,
): DeadlineRule {
  const service = method.parent.typeName;
  if (service === 'grpc.health.v1.Health' && method.name === 'Watch')
    return { defaultMs: undefined, maxMs: timerMaxMs };
  if (service.startsWith('grpc.reflection.')) return { defaultMs: deadlineMaxMs, maxMs: deadlineMaxMs };
  const isGenerate = service === 'oo.serving.v1.ServingService' && method.name.startsWith('Generate');
  return { defaultMs: isGenerate ? deadlineGenerateMs : deadlineDefaultMs, maxMs: deadlineMaxMs };
}

/**
 * Milliseconds that a caller over gRPC allows: the `grpc-timeout`, cut to the maximum, or the default. Throws
 * `invalid_argument` for a header that is no timeout.
 */
export function grpcTimeoutMs(header: string | undefined, rule: DeadlineRule): number | undefined {
  const { timeoutMs = rule.defaultMs, error } = parseGrpcTimeout(header ?? null, Number.POSITIVE_INFINITY);
  if (error !== undefined) throw error;
  return timeoutMs === undefined ? undefined : Math.min(timeoutMs, rule.maxMs);
}

/**
 * Writes default and maximum into the headers of a request, where the framework reads them, so that the handler's
 * `signal` and `timeoutMs()` know them too. What is no timeout stays, for the framework to refuse. Returns the
 * milliseconds that the call may take; undefined: no deadline.
 */
export function boundTimeoutHeader(header: Headers, rule: DeadlineRule): number | undefined {
  const isGrpc = (header.get('content-type') ?? '').startsWith('application/grpc');
  const name = isGrpc ? 'grpc-timeout' : 'connect-timeout-ms';
  const parse = isGrpc ? parseGrpcTimeout : parseConnectTimeout;
  const { timeoutMs = rule.defaultMs, error } = parse(header.get(name), Number.POSITIVE_INFINITY);
  if (error !== undefined) return rule.maxMs;
  if (timeoutMs === undefined) return undefined;
  const boundMs = Math.min(timeoutMs, rule.maxMs);
  header.set(name, isGrpc ? grpcTimeout(boundMs) : `${Math.ceil(boundMs)}`);
  return boundMs;
}

/** The protocol asks for at most 8 digits. */
function grpcTimeout(timeoutMs: number): string {
  return timeoutMs < 1e8 ? `${Math.ceil(timeoutMs)}m` : `${Math.ceil(timeoutMs / 1000)}S`;
}

/** Why a call is aborted at its deadline. */
export function deadlinePassed(): ConnectError {
  return new ConnectError('the deadline has passed', Code.DeadlineExceeded);
}

/**
 * Answers as soon as the call's signal aborts (by deadline, caller or shutdown), whether or not the handler listens to
 * it. A handler whose call is already over is not started.
 */
export const deadlineInterceptor: Interceptor = (next) => async (req) => {
  if (req.signal.aborted) throw abortError(req.signal);
  const response = await untilAborted(next(req), req.signal);
  return response.stream ? { ...response, message: eachUntilAborted(response.message, req.signal) } : response;
};

async function* eachUntilAborted<Item extends Message>(
  items: AsyncIterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await untilAborted(iterator.next(), signal);
      if (result.done) return;
      yield result.value;
    }
  } finally {
    // Not awaited: a handler that ignores its signal would hold the answer.
    iterator.return?.().catch(() => {});
  }
}

function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    const settled = () => signal.removeEventListener('abort', onAbort);
    work.then(resolve, reject).finally(settled);
  });
}

function abortError({ reason }: AbortSignal): Error {
  if (reason instanceof DomainError) return reason;
  if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded) return reason;
  return new ConnectError('the caller went away', Code.Canceled, undefined, undefined, reason);
}
