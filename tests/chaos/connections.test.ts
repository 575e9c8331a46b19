import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { classifyFailure, type Database, openDatabase } from '../../platform/database.ts';
import { startProxy, type TcpProxy } from '../_util/proxy.ts';
import { createTestDatabase } from '../_util/servers.ts';

async function connectThroughProxy() {
  const stack = new AsyncDisposableStack();
  const { url } = stack.use(await createTestDatabase());
  const proxy: TcpProxy = stack.use(await startProxy(Number(new URL(url).port)));
  const database: Database = openDatabase({
    url: url.replace(/:\d+(?=\/)/, `:${proxy.port}`),
    applicationName: 'test',
    maxConnections: 1,
    statementTimeoutMs: 500,
  });
  stack.defer(() => database.end());
  return { proxy, database, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const failureOf = (work: Promise<unknown>) => work.then(() => 'none', classifyFailure);

describe.concurrent('a database with a time limit for statements', () => {
  it('ends one that takes longer, as an outage', async () => {
    await using one = await connectThroughProxy();
    expect(await failureOf(one.database.query('SELECT pg_sleep(30)'))).toBe('outage');
    expect((await one.database.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('gives up a connection that the network lost, and drops it for a new one', async () => {
    await using one = await connectThroughProxy();
    await one.database.query('SELECT 1');
    one.proxy.lose();
    expect(await failureOf(one.database.query('SELECT 1'))).toBe('outage');
    one.proxy.heal();
    expect((await one.database.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(one.proxy.taken).toBe(2);
  });

  it('survives a connection that breaks while somebody has it to themselves', async () => {
    await using one = await connectThroughProxy();
    const client = await one.database.connect();
    await client.query('BEGIN');
    await expect(client.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toThrow();
    await sleep(50); // an error that nobody listens to would end this process
    client.release(true);
    expect((await one.database.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});
