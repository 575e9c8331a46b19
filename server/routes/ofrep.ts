import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Assignment, assign, assignOne, type NoArm } from '../../experiments/assignment.ts';
import type { ExperimentSource } from '../../experiments/experiment.ts';
import type { Clock } from '../../platform/clock.ts';
import { DomainError, deadlineExceeded, type ErrorCode, invalidArgument, notFound } from '../../platform/errors.ts';
import type { ServerLimits } from '../limits.ts';

export interface OfrepDeps {
  readonly experiments: ExperimentSource;
  /** Lets a request in, given its header `authorization`, or throws. Runs before the body is read. */
  readonly admit: (authorization: string | undefined) => unknown;
  /** Logs what is a fault of ours. Returns the id that the caller gets to name it by. */
  readonly reportFault: (reason: unknown) => string;
  readonly limits: Pick<ServerLimits, 'readMaxBytes' | 'deadlineDefaultMs'>;
  readonly clock: Clock;
}

export interface HttpRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  iterator(options: { readonly destroyOnReturn: boolean }): AsyncIterable<Buffer>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Empty, or JSON. */
  readonly body: string;
}

/** Answers a request for a path under `ofrepPath`. Never rejects. */
export type Ofrep = (path: string, request: HttpRequest) => Promise<HttpAnswer>;

export const ofrepPath = '/ofrep/v1/';

const bulkPath = `${ofrepPath}evaluate/flags`;

/**
 * Experiments as feature flags, for whoever speaks the OpenFeature Remote Evaluation Protocol 0.3
 * (github.com/open-feature/protocol, service/openapi.yaml). Reads what is in memory and logs nothing: who acts upon an
 * answer has to say so themselves.
 */
export function createOfrep({ experiments, admit, reportFault, limits, clock }: OfrepDeps): Ofrep {
  const evaluate = async (key: string | undefined, request: HttpRequest): Promise<HttpAnswer> => {
    admit(request.headers.authorization);
    const refusal = checkForm(request);
    if (refusal) return refusal;
    const userId = readTargetingKey(await readBody(request, limits));
    const set = experiments.current();
    if (key === undefined) {
      const flags = assign(set, userId, clock()).map(toFlag);
      return unlessKnown(request, JSON.stringify({ flags, metadata: { version: set.version } }));
    }
    const experiment = set.experiments.find((each) => each.key === key);
    if (!experiment) throw notFound('FLAG_NOT_FOUND', 'there is no such experiment');
    return { status: 200, body: JSON.stringify(toFlag(assignOne(experiment, set.holdouts, userId, clock()))) };
  };

  return async (path, request) => {
    const key = path.startsWith(`${bulkPath}/`) ? path.slice(bulkPath.length + 1) : undefined;
    if (key === undefined && path !== bulkPath) return failed(404, 'GENERAL', 'there is no such path', undefined);
    try {
      return await evaluate(key, request);
    } catch (reason) {
      if (reason instanceof DomainError) return toFailure(reason, key);
      return failed(500, 'GENERAL', `internal error ${reportFault(reason)}`, key);
    }
  };
}

/** As JSON only: a form of another site could send anything else without asking the browser. */
function checkForm({ method, headers }: HttpRequest): HttpAnswer | undefined {
  if (method !== 'POST') return { ...failed(405, 'GENERAL', 'only POST', undefined), headers: { allow: 'POST' } };
  const isJson = /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '');
  return isJson ? undefined : failed(415, 'PARSE_ERROR', 'the content-type must be application/json', undefined);
}

/** Throws for a body that is too large, or not complete in time. */
async function readBody(request: HttpRequest, limits: OfrepDeps['limits']): Promise<Buffer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(deadlineExceeded('GENERAL', 'the body took too long to come')),
      limits.deadlineDefaultMs,
    );
  });
  try {
    return await Promise.race([collect(request, limits.readMaxBytes), late]);
  } catch (reason) {
    throw reason instanceof DomainError ? reason : badRequest('PARSE_ERROR', 'the body is cut off');
  } finally {
    clearTimeout(timer);
  }
}

async function collect(request: HttpRequest, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Destroyed, the request would take its connection with it, and the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length > maxBytes) throw badRequest('INVALID_CONTEXT', `the body is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const userIdMaxBytes = 128;

/** The id of the person asked about, within the bounds that the contract sets for a `user_id`. */
function readTargetingKey(body: Buffer): string {
  const request = parseJson(body);
  if (!isObject(request)) throw badRequest('PARSE_ERROR', 'the body must be an object');
  const { context } = request;
  if (!isObject(context)) throw badRequest('INVALID_CONTEXT', 'context must be an object');
  const { targetingKey } = context;
  if (targetingKey === undefined || targetingKey === '') {
    throw badRequest('TARGETING_KEY_MISSING', 'context.targetingKey must be the id of a user');
  }
  if (typeof targetingKey !== 'string' || !isUserId(targetingKey)) {
    throw badRequest(
      'INVALID_CONTEXT',
      `context.targetingKey must be a string of at most ${userIdMaxBytes} bytes without control characters`,
    );
  }
  return targetingKey;
}

function isUserId(text: string): boolean {
  const isPrintable = [...text].every((character) => character >= ' ' && character !== '\x7f');
  return isPrintable && text.isWellFormed() && Buffer.byteLength(text) <= userIdMaxBytes;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw badRequest('PARSE_ERROR', 'the body is no JSON');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A flag's answer. Without `value` the caller's own default is what to use. */
interface Flag {
  readonly key: string;
  readonly reason: 'SPLIT' | 'TARGETING_MATCH' | 'DISABLED' | 'UNKNOWN';
  readonly variant?: string;
  readonly value?: string | object;
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

function toFlag(assignment: Assignment): Flag {
  const { kind, experiment } = assignment;
  const { key, version } = experiment;
  if (kind === 'none') {
    return { key, reason: reasons[assignment.reason], metadata: { version, assignment: assignment.reason } };
  }
  if (kind === 'enrolled') {
    // Each request to us draws an arm: there is none that the person has, and no reward of another's would be learnt from.
    return { key, reason: 'SPLIT', metadata: { version, assignment: 'bandit', bucket: assignment.bucket } };
  }
  const { arm } = assignment;
  const value = arm.parameters ?? arm.key;
  const metadata = { version, assignment: kind };
  if (kind === 'forced') return { key, reason: 'TARGETING_MATCH', variant: arm.key, value, metadata };
  const { bucket, propensity } = assignment;
  return { key, reason: 'SPLIT', variant: arm.key, value, metadata: { ...metadata, bucket, propensity } };
}

/** The protocol has no word for "drawn, and not among them": a draw it was. */
const reasons: Readonly<Record<NoArm, Flag['reason']>> = {
  'not-active': 'DISABLED',
  holdout: 'SPLIT',
  namespace: 'SPLIT',
  'not-enrolled': 'SPLIT',
  'outside-weights': 'SPLIT',
  'unknown-hash-version': 'UNKNOWN',
};

/** The body, or 304 where the caller has it already: same people, same experiments, same answer. */
function unlessKnown({ headers }: HttpRequest, body: string): HttpAnswer {
  const etag = `"${hash('sha256', body, 'base64url')}"`;
  const known = (headers['if-none-match'] ?? '').split(',').map((each) => each.trim().replace(/^W\//, ''));
  return known.includes(etag) ? { status: 304, headers: { etag }, body: '' } : { status: 200, headers: { etag }, body };
}

/** Reasons are the protocol's error codes. */
function badRequest(reason: 'PARSE_ERROR' | 'INVALID_CONTEXT' | 'TARGETING_KEY_MISSING', description: string) {
  return invalidArgument([{ field: '', description }], { reason });
}

const errorCodes = ['PARSE_ERROR', 'TARGETING_KEY_MISSING', 'INVALID_CONTEXT', 'FLAG_NOT_FOUND'];

const statuses: Partial<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  deadline_exceeded: 408,
  // Too many at once. With this status providers wait as long as they are told.
  unavailable: 429,
};

function toFailure({ code, reason, message, retryAfterMs }: DomainError, key: string | undefined): HttpAnswer {
  const errorCode = errorCodes.includes(reason) ? reason : 'GENERAL';
  const headers = retryAfterMs === undefined ? {} : { 'retry-after': `${Math.ceil(retryAfterMs / 1000)}` };
  return { ...failed(statuses[code] ?? 500, errorCode, message, key), headers };
}

function failed(status: number, errorCode: string, errorDetails: string, key: string | undefined): HttpAnswer {
  return { status, body: JSON.stringify({ key, errorCode, errorDetails }) };
}
