import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError, type StreamResponse, type UnaryRequest, type UnaryResponse } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { Health } from '../../gen/proto/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/proto/grpc/reflection/v1/reflection_pb.ts';
import { ServingService } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { unavailable } from '../../platform/errors.ts';
import { boundTimeoutHeader, deadlineInterceptor, deadlineRule, grpcTimeoutMs } from './deadline.ts';

const limits = { deadlineDefaultMs: 5000, deadlineGenerateMs: 30_000, deadlineMaxMs: 60_000 };
const rule = deadlineRule(ServingService.method.score, limits);

test.each([
  [ServingService.method.score, { defaultMs: 5000, maxMs: 60_000 }],
  [ServingService.method.generate, { defaultMs: 30_000, maxMs: 60_000 }],
  [ServingService.method.generateStream, { defaultMs: 30_000, maxMs: 60_000 }],
  [Health.method.check, { defaultMs: 5000, maxMs: 60_000 }],
  [Health.method.watch, { defaultMs: undefined, maxMs: 2 ** 31 - 1 }],
  [ServerReflection.method.serverReflectionInfo, { defaultMs: 60_000, maxMs: 60_000 }],
])('the rule of %s', (method, expected) => {
  expect(deadlineRule(method, limits)).toEqual(expected);
});

describe('a timeout', () => {
  const type = { grpc: 'application/grpc-web+proto', connect: 'application/json' };
  test.each([
    ['grpc', null, 5000, '5000m'],
    ['grpc', '100m', 100, '100m'],
    ['grpc', '2S', 2000, '2000m'],
    ['grpc', '0m', 0, '0m'],
    ['grpc', '1500u', 1.5, '2m'],
    ['grpc', '1n', 1e-6, '1m'],
    ['grpc', '1H', 60_000, '60000m'],
    ['grpc', '99999999H', 60_000, '60000m'],
    ['grpc', 'soon', 60_000, 'soon'],
    ['grpc', '999999999m', 60_000, '999999999m'],
    ['connect', null, 5000, '5000'],
    ['connect', '100', 100, '100'],
    ['connect', '9999999999', 60_000, '60000'],
    ['connect', '1.5', 60_000, '1.5'],
    ['connect', '-1', 60_000, '-1'],
  ] as const)('over %s of %s is %d ms, written %s', (protocol, value, timeoutMs, written) => {
    const name = protocol === 'grpc' ? 'grpc-timeout' : 'connect-timeout-ms';
    const header = new Headers({ 'content-type': type[protocol], ...(value === null ? {} : { [name]: value }) });
    expect(boundTimeoutHeader(header, rule)).toBeCloseTo(timeoutMs, 9);
    expect(header.get(name)).toBe(written);
  });

  test('is read without a header to write to', () => {
    expect([undefined, '100m', '1H'].map((value) => grpcTimeoutMs(value, rule))).toEqual([5000, 100, 60_000]);
    expect(() => grpcTimeoutMs('soon', rule)).toThrow(expect.objectContaining({ code: Code.InvalidArgument }));
  });

  test('may be absent where a call has no end', () => {
    const header = new Headers({ 'content-type': 'application/grpc' });
    const endless = deadlineRule(Health.method.watch, limits);
    expect(boundTimeoutHeader(header, endless)).toBeUndefined();
    expect(header.has('grpc-timeout')).toBe(false);
    expect(grpcTimeoutMs(undefined, endless)).toBeUndefined();
    header.set('grpc-timeout', '99999999H');
    expect(boundTimeoutHeader(header, endless)).toBe(2 ** 31 - 1);
    expect(header.get('grpc-timeout')).toBe('2147484S');
  });
});

describe('the interceptor', () => {
  const never = () => new Promise<never>(() => {});
  const run = (signal: AbortSignal, handle: () => Promise<unknown>) =>
    deadlineInterceptor(handle as () => Promise<UnaryResponse>)({ signal } as UnaryRequest);

  test.each([
    ['a deadline', new ConnectError('late', Code.DeadlineExceeded), { code: Code.DeadlineExceeded }],
    ['a shutdown', unavailable('SHUTTING_DOWN', 'bye'), { reason: 'SHUTTING_DOWN' }],
    ['a caller', new ConnectError('reset', Code.Canceled), { code: Code.Canceled }],
    ['a broken connection', new ConnectError('protocol error', Code.Internal), { code: Code.Canceled }],
    ['nothing in particular', undefined, { code: Code.Canceled }],
  ])('answers when %s ends the call, whatever the handler does', async (_, reason, expected) => {
    const call = new AbortController();
    const outcome = run(call.signal, never);
    call.abort(reason);
    await expect(outcome).rejects.toMatchObject(expected);
  });

  test('does not start a handler whose call is over', async () => {
    let started = false;
    const outcome = run(AbortSignal.abort(), async () => {
      started = true;
    });
    await expect(outcome).rejects.toMatchObject({ code: Code.Canceled });
    expect(started).toBe(false);
  });

  test('leaves no listener and no rejection behind', async () => {
    const call = new AbortController();
    let listeners = 0;
    const { signal } = call;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    await run(signal, async () => ({}));
    await run(signal, () => Promise.reject(new Error('x'))).catch(() => {});
    await sleep(0);
    expect(listeners).toBe(0);
    // The handler fails after the answer has gone: nobody must be bothered with that.
    const late = run(signal, () => sleep(10).then(() => Promise.reject(new Error('late'))));
    call.abort();
    await expect(late).rejects.toMatchObject({ code: Code.Canceled });
    await sleep(30);
  });

  test('ends a stream between two parts, and lets its source clean up', async () => {
    const call = new AbortController();
    let isCleanedUp = false;
    async function* parts() {
      try {
        yield 1;
        await sleep(20);
        yield 2;
        yield 3;
      } finally {
        isCleanedUp = true;
      }
    }
    const response = (await run(call.signal, async () => ({
      stream: true,
      message: parts(),
    }))) as unknown as StreamResponse;
    const got: unknown[] = [];
    const outcome = (async () => {
      for await (const part of response.message) {
        got.push(part);
        if (got.length === 1) call.abort(new ConnectError('late', Code.DeadlineExceeded));
      }
    })();
    await expect(outcome).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect(got).toEqual([1]);
    await sleep(40);
    expect(isCleanedUp).toBe(true);
  });
});
