/** Why a request cannot be answered. Each becomes the RPC status of the same name. */
export type ErrorCode =
  | 'invalid_argument'
  | 'not_found'
  | 'already_exists'
  | 'resource_exhausted'
  | 'unavailable'
  | 'deadline_exceeded'
  | 'failed_precondition'
  | 'unauthenticated'
  | 'permission_denied';

/** One bad field: its path, for example `candidates[3].features.priority`, and what is wrong with it. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface DomainErrorInit {
  readonly code: ErrorCode;
  /** UPPER_SNAKE_CASE, constant per cause: what a program switches on. */
  readonly reason: Uppercase<string>;
  /** One sentence for the caller. Holds nothing that the caller does not know or may not see. */
  readonly message: string;
  readonly violations?: readonly FieldViolation[];
  /** Facts for a program, for example `{ limit: '500' }`. Same rule as for `message`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds after which the same request may succeed. Unset: a retry does not help. */
  readonly retryAfterMs?: number;
  /** Where it came from. Never shown to the caller. */
  readonly cause?: unknown;
}

/** What an `unavailable` error tells the caller to wait, unless it says otherwise. */
export const retryAfterMsDefault = 1000;

/** The one error that domain code throws on purpose. Anything else that is thrown counts as a bug of ours. */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  readonly reason: Uppercase<string>;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(init: DomainErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.reason = init.reason;
    this.violations = init.violations ?? [];
    this.metadata = init.metadata ?? {};
    this.retryAfterMs = init.retryAfterMs;
  }
}

/**
 * A request with bad fields. The message names the first one and how many more there are; `count` says how many were
 * found where not all are listed.
 */
export function invalidArgument(
  violations: readonly FieldViolation[],
  { reason = 'INVALID_FIELDS', count = violations.length }: { reason?: Uppercase<string>; count?: number } = {},
): DomainError {
  const { field, description } = violations[0] ?? { field: '', description: 'the request is invalid' };
  const more = count > 1 ? ` (and ${count - 1} more)` : '';
  const message = `${field === '' ? '' : `${field}: `}${description}${more}`;
  return new DomainError({ code: 'invalid_argument', reason, message, violations });
}

type Rest = Omit<DomainErrorInit, 'code' | 'reason' | 'message' | 'violations'>;

const constructorOf =
  (code: ErrorCode, defaults: Rest = {}) =>
  (reason: Uppercase<string>, message: string, rest: Rest = {}): DomainError =>
    new DomainError({ ...defaults, ...rest, code, reason, message });

export const notFound = constructorOf('not_found');
export const alreadyExists = constructorOf('already_exists');
export const resourceExhausted = constructorOf('resource_exhausted');
export const unavailable = constructorOf('unavailable', { retryAfterMs: retryAfterMsDefault });
export const deadlineExceeded = constructorOf('deadline_exceeded');
export const failedPrecondition = constructorOf('failed_precondition');
export const unauthenticated = constructorOf('unauthenticated');
export const permissionDenied = constructorOf('permission_denied');
