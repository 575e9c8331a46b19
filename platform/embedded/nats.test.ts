import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect } from 'nats';
import { describe, expect, it, onTestFinished } from 'vitest';
import { natsBinary, newFolder } from '../../tests/_util/servers.ts';
import { freePort } from './free-port.ts';
import { ensureNats, findNats, natsConfig, natsInfo, parseInfo, stopNats } from './nats.ts';
import { isRunning, sendSignal } from './process.ts';

function options(port?: number) {
  const dir = newFolder('nats');
  onTestFinished(() => stopNats(dir));
  return { dir, cache: dir, binary: natsBinary(), ...(port === undefined ? {} : { port }) };
}

describe('ensureNats', () => {
  it('finds the one that runs, which only its starter stops', async () => {
    const settings = options();
    const first = await ensureNats(settings);
    const second = await ensureNats(settings);
    expect([first.started, second.started]).toEqual([true, false]);
    expect([second.url, second.pid]).toEqual([first.url, first.pid]);
    await second.stop();
    expect(await findNats(settings.dir)).toBe(first.url);
    await first.stop();
    expect(await findNats(settings.dir)).toBeUndefined();
    await first.stop();
  });

  it('starts one for many who ask at once', async () => {
    const settings = options();
    const servers = await Promise.all([1, 2, 3].map(() => ensureNats(settings)));
    expect(new Set(servers.map(({ pid }) => pid)).size).toBe(1);
    expect(servers.filter(({ started }) => started)).toHaveLength(1);
  });

  it('keeps streams and address through kill -9', async () => {
    const settings = options();
    const first = await ensureNats(settings);
    const before = await connect({ servers: first.url });
    await (await before.jetstreamManager()).streams.add({ name: 's', subjects: ['s.>'] });
    await before.jetstream().publish('s.a', 'kept');
    await before.close();
    sendSignal(first.pid, 'SIGKILL');
    const second = await ensureNats(settings);
    expect(second.started).toBe(true);
    expect(second.url).toBe(first.url);
    const after = await connect({ servers: second.url });
    const message = await (await after.jetstreamManager()).streams.getMessage('s', { seq: 1 });
    expect(message.string()).toBe('kept');
    await after.close();
  });

  it('takes another port, and remembers it, where somebody else listens', async () => {
    const stranger = await ensureNats(options());
    const settings = options(stranger.port);
    const mine = await ensureNats(settings);
    expect(mine.port).not.toBe(stranger.port);
    await mine.stop();
    expect((await ensureNats(settings)).port).toBe(mine.port);
  });

  it('ends one whose folder was removed under it, and starts afresh', async () => {
    const settings = options();
    const first = await ensureNats(settings);
    rmSync(settings.dir, { recursive: true });
    const second = await ensureNats(settings);
    expect(second.started).toBe(true);
    expect(isRunning(first.pid, join(settings.dir, 'nats.conf'))).toBe(false);
  });

  it('reports a server that refuses to start, with its own words', async () => {
    const settings = { ...options(), binary: '/bin/sh' };
    await expect(ensureNats(settings)).rejects.toThrow(/sh/);
  });

  it('asks for acknowledgements that mean disk, where the server can', async () => {
    const settings = options();
    await ensureNats(settings);
    const version = (await natsInfo((await ensureNats(settings)).port))?.version ?? '';
    const canSync = !version.startsWith('2.9.');
    expect(readFileSync(join(settings.dir, 'nats.conf'), 'utf8').includes('sync_interval: always')).toBe(canSync);
  });
});

describe('natsInfo', () => {
  it('is nothing where nobody listens, or somebody who does not speak NATS', async () => {
    const port = await freePort();
    expect(await natsInfo(port)).toBeUndefined();
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(port, '127.0.0.1');
    onTestFinished(() => void server.close());
    expect(await natsInfo(port)).toBeUndefined();
  });

  it.each([
    [
      'INFO {"server_name":"a","version":"2.10.27","jetstream":true,"max_payload":1} \r\n',
      { serverName: 'a', version: '2.10.27', jetstream: true },
    ],
    ['INFO {"server_name":"a","version":"2.9.10"}\r\n', { serverName: 'a', version: '2.9.10', jetstream: false }],
    ['INFO {"server_na\r\n', undefined],
    ['-ERR no\r\n', undefined],
  ])('reads %j', (line, info) => {
    expect(parseInfo(line)).toEqual(info);
  });
});

describe('natsConfig', () => {
  const common = { name: 'n', dir: '/a "b"', port: 1, sync: true } as const;

  it('escapes paths, and stays on this machine', () => {
    const text = natsConfig({ ...common, version: [2, 10, 0] });
    expect(text).toContain('store_dir: "/a \\"b\\"/store"');
    expect(text).toContain('host: 127.0.0.1\n');
  });

  it.each([
    [[2, 9, 25], true, false],
    [[2, 10, 0], true, true],
    [[3, 0, 0], true, true],
    [[2, 10, 0], false, false],
  ] as const)('for %j, sync %j: says so %j', (version, sync, said) => {
    expect(natsConfig({ ...common, version, sync }).includes('sync_interval')).toBe(said);
  });
});
