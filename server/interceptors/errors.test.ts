import { Code, ConnectError } from '@connectrpc/connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { describe, expect, test } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/proto/google/rpc/error_details_pb.ts';
import { ServingService } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import {
  alreadyExists,
  DomainError,
  deadlineExceeded,
  failedPrecondition,
  invalidArgument,
  notFound,
  permissionDenied,
  resourceExhausted,
  unauthenticated,
  unavailable,
} from '../../platform/errors.ts';
import { createErrorMapper } from './errors.ts';

const method = ServingService.method.score;

function map(reason: unknown) {
  const lines: unknown[][] = [];
  const toConnectError = createErrorMapper({ error: (...line: unknown[]) => lines.push(line) }, () => 'id-1');
  const error = toConnectError(reason, method);
  return { error, lines, again: toConnectError(error, method) };
}

describe('a database that is away', () => {
  const shutdown = Object.assign(new Error('terminating connection of ada'), { code: '57P01', severity: 'FATAL' });
  const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:5432'), { code: 'ECONNREFUSED' });

  test.each([shutdown, refused])('may be back soon, the caller hears, and nothing of where it is: %s', (reason) => {
    const { error, lines } = map(reason);
    expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: 'the database is unavailable' });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: 'DATABASE_UNAVAILABLE' }]);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect(JSON.stringify(lines)).not.toMatch(/ada|10\.0/);
    expect(lines).toHaveLength(1);
  });
});

describe('what the domain throws', () => {
  test.each([
    [invalidArgument([{ field: 'a', description: 'is bad' }]), Code.InvalidArgument, 'INVALID_FIELDS', 'a: is bad'],
    [notFound('TIP_UNKNOWN', 'no tip'), Code.NotFound, 'TIP_UNKNOWN', 'no tip'],
    [alreadyExists('REQUEST_ID_USED', 'used'), Code.AlreadyExists, 'REQUEST_ID_USED', 'used'],
    [resourceExhausted('TOO_MANY', 'many'), Code.ResourceExhausted, 'TOO_MANY', 'many'],
    [unavailable('DATABASE_DOWN', 'down'), Code.Unavailable, 'DATABASE_DOWN', 'down'],
    [deadlineExceeded('MODEL_SLOW', 'slow'), Code.DeadlineExceeded, 'MODEL_SLOW', 'slow'],
    [failedPrecondition('NOT_READY', 'wait'), Code.FailedPrecondition, 'NOT_READY', 'wait'],
    [unauthenticated('KEY_MISSING', 'who?'), Code.Unauthenticated, 'KEY_MISSING', 'who?'],
    [permissionDenied('NOT_YOURS', 'no'), Code.PermissionDenied, 'NOT_YOURS', 'no'],
  ])('%s keeps code, reason and text', (reason, code, expectedReason, text) => {
    const { error, lines, again } = map(reason);
    expect(error).toMatchObject({ code, rawMessage: text });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: expectedReason, domain: 'ml.oo' }]);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(code === Code.Unavailable ? 1 : 0);
    expect(error.findDetails(BadRequestSchema)).toHaveLength(code === Code.InvalidArgument ? 1 : 0);
    expect(lines).toEqual([]);
    expect(again).toBe(error);
  });

  test('says how long to wait, where that is known', () => {
    const { error } = map(resourceExhausted('TOO_MANY', 'many', { retryAfterMs: 2500 }));
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 2n, nanos: 500_000_000 } }]);
  });

  test('lists 20 bad fields and counts the rest', () => {
    const violations = Array.from({ length: 45 }, (_, i) => ({ field: `f[${i}]`, description: 'is bad' }));
    const { error } = map(invalidArgument(violations));
    expect(error.rawMessage).toBe('f[0]: is bad (and 44 more)');
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations.map(({ field }) => field)).toEqual(
      violations.slice(0, 20).map(({ field }) => field),
    );
  });

  test('stays below the 8 KiB of headers that some clients accept', () => {
    const { error } = map(
      new DomainError({
        code: 'invalid_argument',
        reason: 'X',
        message: 'm'.repeat(999),
        violations: Array.from({ length: 99 }, () => ({ field: 'f'.repeat(999), description: 'd'.repeat(999) })),
        metadata: Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`k${i}`, 'v'.repeat(999)])),
      }),
    );
    const headers = [...setTrailerStatus(new Headers(), error)].map(([name, value]) => name.length + value.length + 32);
    expect(headers.reduce((sum, bytes) => sum + bytes)).toBeLessThan(8192);
  });

  test('can be sent whatever its text', () => {
    const halfPairs = `\ud83d${'😀'.repeat(999)}\ude00`;
    const { error } = map(notFound('X', halfPairs, { metadata: { a: halfPairs } }));
    expect(() => setTrailerStatus(new Headers(), error)).not.toThrow();
  });
});

describe('what the framework throws', () => {
  test.each([
    [Code.Unimplemented, 'UNIMPLEMENTED'],
    [Code.DeadlineExceeded, 'DEADLINE_EXCEEDED'],
    [Code.Canceled, 'CANCELED'],
    [Code.ResourceExhausted, 'RESOURCE_EXHAUSTED'],
    [Code.InvalidArgument, 'INVALID_ARGUMENT'],
  ])('for the caller passes, with a reason: %d', (code, reason) => {
    const { error, lines } = map(new ConnectError('text', code, { 'x-kept': 'yes' }));
    expect(error).toMatchObject({ code, rawMessage: 'text' });
    expect(error.metadata.get('x-kept')).toBe('yes');
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: 'ml.oo' }]);
    expect(lines).toEqual([]);
  });
});

describe('a fault of ours', () => {
  const wire = Object.assign(new ConnectError('from another server', Code.NotFound), { isWireError: true });
  test.each([
    ['an Error', new Error('secret')],
    ['an Error of several lines', new Error('secret\n    at secret (secret.ts:1:1)\nsecret')],
    ['an Error with a cause', new Error('secret', { cause: new TypeError('secret', { cause: 'secret' }) })],
    ['an Error that names itself', Object.assign(new Error('secret'), { name: 'secret' })],
    ['an Error with a changed text', Object.assign(new Error('secret'), { message: 'other' })],
    ['an AbortError', AbortSignal.abort().reason],
    ['a string', 'secret'],
    ['nothing', undefined],
    ['an object', { secret: 'secret' }],
    ['an internal ConnectError', new ConnectError('secret', Code.Internal)],
    ['an unknown ConnectError', new ConnectError('secret')],
    ['lost data', new ConnectError('secret', Code.DataLoss)],
    ['the error of another server', wire],
    ['an Error with a code', Object.assign(new Error('secret'), { code: 'P2024' })],
  ])('%s is an internal error with an id, and nothing of it shows', (_, reason) => {
    const { error, lines, again } = map(reason);
    expect(error).toMatchObject({ code: Code.Internal, rawMessage: 'internal error', cause: reason });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: 'INTERNAL', domain: 'ml.oo', metadata: { errorId: 'id-1' } },
    ]);
    expect(lines).toMatchObject([[{ errorId: 'id-1', rpc: 'oo.serving.v1.ServingService/Score' }, 'request failed']]);
    expect(JSON.stringify(lines)).not.toMatch(/secret|another server/);
    expect(again).toBe(error);
    expect(lines).toHaveLength(1);
  });

  test('is logged with its place, its code and its causes', () => {
    const cause = Object.assign(new TypeError('secret'), { code: 'ECONNREFUSED' });
    const { lines } = map(new Error('secret', { cause }));
    const frames = expect.arrayContaining([expect.stringMatching(/^at .*errors\.test\.ts:\d+:\d+/)]);
    expect(lines[0]?.[0]).toMatchObject({
      error: { name: 'Error', frames, cause: { name: 'TypeError', code: 'ECONNREFUSED', frames } },
    });
  });
});
