import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { describe, expect, test, vi } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/proto/grpc/health/v1/health_pb.ts';
import { startServer } from '../server.fixture.ts';

const transports: [string, (baseUrl: string) => Transport][] = [
  ['gRPC', (baseUrl) => createGrpcTransport({ baseUrl })],
  ['gRPC-Web', (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' })],
  ['Connect', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '2' })],
];

const names = [
  '',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'oo.admin.v1.AdminService',
  'oo.serving.v1.ServingService',
];

describe.each(transports)('over %s', (_, transport) => {
  test('check and list say the same for the server and each of its services', async () => {
    await using toy = await startServer();
    const client = createClient(Health, transport(toy.url));
    for (const [isServing, status] of [
      [true, Status.SERVING],
      [false, Status.NOT_SERVING],
    ] as const) {
      toy.server.setServing(isServing);
      for (const service of names) expect(await client.check({ service })).toMatchObject({ status });
      const { statuses } = await client.list({});
      expect(Object.keys(statuses).sort()).toEqual(names);
      expect(new Set(Object.values(statuses).map((one) => one.status))).toEqual(new Set([status]));
    }
  });

  test('check does not know other services', async () => {
    await using toy = await startServer();
    const outcome = createClient(Health, transport(toy.url)).check({ service: 'oo.serving.v1.Serving' });
    await expect(outcome).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('watch tells the status, each change, and the end', async () => {
    await using toy = await startServer({ limits: { deadlineDefaultMs: 100 } });
    const told: Status[] = [];
    const watching = watch(transport(toy.url), '', told);
    await vi.waitFor(() => expect(told).toEqual([Status.SERVING]));
    // Longer than the default deadline of other calls.
    await new Promise((resolve) => setTimeout(resolve, 200));
    toy.server.setServing(true);
    toy.server.setServing(false);
    await vi.waitFor(() => expect(told).toEqual([Status.SERVING, Status.NOT_SERVING]));
    toy.server.setServing(true);
    await vi.waitFor(() => expect(told).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING]));
    const startMs = performance.now();
    await toy.server.drain(5000);
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(await watching).toBeUndefined();
    expect(told.at(-1)).toBe(Status.NOT_SERVING);
  });

  test('watch waits for a service that is not known', async () => {
    await using toy = await startServer();
    const told: Status[] = [];
    const watching = watch(transport(toy.url), 'oo.other.v1.Other', told);
    await vi.waitFor(() => expect(told).toEqual([Status.SERVICE_UNKNOWN]));
    await toy.server.drain(1000);
    expect(await watching).toBeUndefined();
  });

  test('watchers who leave make room for others', async () => {
    await using toy = await startServer({ limits: { watchesMax: 1 } });
    const caller = new AbortController();
    const told: Status[] = [];
    const first = watch(transport(toy.url), '', told, caller.signal);
    await vi.waitFor(() => expect(told).toHaveLength(1));
    expect(await watch(transport(toy.url), '', [])).toMatchObject({ code: Code.ResourceExhausted });
    caller.abort();
    expect(await first).toMatchObject({ code: Code.Canceled });
    const second: Status[] = [];
    await vi.waitFor(async () => {
      void watch(transport(toy.url), '', second);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(second).toEqual([Status.SERVING]);
    });
  });
});

test('is answered when the server sheds all other calls, and to callers without a key', async () => {
  await using toy = await startServer({
    limits: { inFlightMax: -1 },
    authKeys: [{ name: 'a', hash: Buffer.alloc(32), permissions: ['serve'] }],
  });
  for (const [, transport] of transports) {
    expect(await createClient(Health, transport(toy.url)).check({})).toMatchObject({ status: Status.SERVING });
  }
});

/** Reads until the server ends the watch; resolves to its error. */
async function watch(transport: Transport, service: string, told: Status[], signal?: AbortSignal) {
  try {
    const responses = createClient(Health, transport).watch({ service }, signal === undefined ? {} : { signal });
    for await (const { status } of responses) told.push(status);
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}
