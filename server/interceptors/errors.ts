import type { DescMethod, Message } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/proto/google/rpc/error_details_pb.ts';
import { classifyFailure } from '../../platform/database.ts';
import { DomainError, type ErrorCode, unavailable } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';

/** Turns whatever was thrown into what the caller may know of it. */
export type ErrorMapper = (reason: unknown, method: DescMethod) => ConnectError;

/** The `domain` of every ErrorInfo: whose reasons these are. */
export const errorDomain = 'ml.oo';

/** Violations listed in one error. The message says how many there are in all. */
export const violationsMax = 20;

// Together they keep an error below the 8 KiB of headers that some gRPC clients accept.
const textMaxChars = 96;
const messageMaxChars = 300;
const metadataMax = 8;

/** Outermost, so that nothing leaves without passing the mapper. */
export function createErrorsInterceptor(toConnectError: ErrorMapper): Interceptor {
  return (next) => async (req) => {
    try {
      const response = await next(req);
      if (!response.stream) return response;
      return { ...response, message: mapErrors(response.message, (reason) => toConnectError(reason, req.method)) };
    } catch (reason) {
      throw toConnectError(reason, req.method);
    }
  };
}

/**
 * Domain errors keep their code, and carry `google.rpc` details: one ErrorInfo always, BadRequest for bad fields,
 * RetryInfo where a retry helps. So do errors that the framework raises for the caller. A database that is away may be
 * back soon. Everything else is a fault of ours: the caller gets `internal error` and an id, under which the log says
 * where it happened.
 */
export function createErrorMapper(log: Pick<Log, 'error'>, newErrorId: () => string): ErrorMapper {
  // A call's error may pass here twice.
  const mapped = new WeakSet<ConnectError>();
  const map: ErrorMapper = (reason, method) => {
    if (reason instanceof DomainError) return fromDomainError(reason);
    if (reason instanceof ConnectError && isForCaller(reason)) return withErrorInfo(reason);
    const rpc = `${method.parent.typeName}/${method.name}`;
    if (classifyFailure(reason) === 'outage') {
      log.error({ rpc, error: traceOf(reason) }, 'the database is unavailable');
      return fromDomainError(unavailable('DATABASE_UNAVAILABLE', 'the database is unavailable', { cause: reason }));
    }
    const errorId = newErrorId();
    log.error({ errorId, rpc, error: traceOf(reason) }, 'request failed');
    return new ConnectError('internal error', Code.Internal, undefined, [errorInfo('INTERNAL', { errorId })], reason);
  };
  return (reason, method) => {
    if (reason instanceof ConnectError && mapped.has(reason)) return reason;
    const error = map(reason, method);
    mapped.add(error);
    return error;
  };
}

async function* mapErrors<Item extends Message>(
  items: AsyncIterable<Item>,
  map: (reason: unknown) => ConnectError,
): AsyncGenerator<Item> {
  try {
    yield* items;
  } catch (reason) {
    throw map(reason);
  }
}

const codes: Record<ErrorCode, Code> = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  failed_precondition: Code.FailedPrecondition,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
};

type Detail = NonNullable<ConstructorParameters<typeof ConnectError>[3]>[number];

function fromDomainError(error: DomainError): ConnectError {
  const details: Detail[] = [errorInfo(error.reason, error.metadata)];
  if (error.violations.length > 0) {
    const fieldViolations = error.violations
      .slice(0, violationsMax)
      .map(({ field, description }) => ({ field: cut(field), description: cut(description) }));
    details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if (error.retryAfterMs !== undefined) {
    details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(error.retryAfterMs) } });
  }
  return new ConnectError(cut(error.message, messageMaxChars), codes[error.code], undefined, details, error);
}

/** An error that the framework, or a handler using it, meant for the caller. One from another server is not. */
function isForCaller(error: ConnectError): boolean {
  return !error.isWireError && ![Code.Unknown, Code.Internal, Code.DataLoss].includes(error.code);
}

function withErrorInfo(error: ConnectError): ConnectError {
  const reason = (Code[error.code] ?? 'UNKNOWN').replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
  const details = [...error.details.filter(isOutgoing), errorInfo(reason, {})];
  return new ConnectError(cut(error.rawMessage, messageMaxChars), error.code, error.metadata, details, error);
}

/** The others came from another server. */
function isOutgoing(detail: ConnectError['details'][number]): detail is Detail {
  return 'desc' in detail;
}

function errorInfo(reason: string, metadata: Readonly<Record<string, string>>): Detail {
  const entries = Object.entries(metadata).slice(0, metadataMax);
  const kept = Object.fromEntries(entries.map(([key, value]) => [cut(key, 64), cut(value)]));
  return { desc: ErrorInfoSchema, value: { reason, domain: errorDomain, metadata: kept } };
}

function cut(text: string, maxChars = textMaxChars): string {
  // Half a surrogate pair cannot be sent.
  return (text.length <= maxChars ? text : `${text.slice(0, maxChars - 1)}…`).toWellFormed();
}

/**
 * Where an error came from. Its message is left out: messages of parsers and databases quote what they were given, and
 * what a request holds must not reach the log.
 */
export function traceOf(reason: unknown, depth = 3): unknown {
  if (!(reason instanceof Error)) return { name: typeof reason };
  const code = 'code' in reason && ['string', 'number'].includes(typeof reason.code) ? reason.code : undefined;
  const cause = reason.cause === undefined || depth === 0 ? undefined : traceOf(reason.cause, depth - 1);
  return { name: reason.constructor.name, code, frames: framesOf(reason), cause };
}

function framesOf({ stack = '', message }: Error): string[] {
  const start = message === '' ? 0 : stack.indexOf(message);
  const frames = stack.slice(start === -1 ? 0 : start + message.length).split('\n');
  return frames.filter((line) => /^ {4}at .*(:\d+:\d+|<anonymous>|native)\)?$/.test(line)).map((line) => line.trim());
}
