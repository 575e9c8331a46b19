import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { clientKinds, scoreRequest, startServer, type ToyServer } from './server.fixture.ts';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const scorePath = '/oo.serving.v1.ServingService/Score';
const request = (lines: readonly string[], body = '') => `${[...lines, '', body].join('\r\n')}`;

describe('garbage on the port is refused, and harms nobody', () => {
  test.each([
    ['a word', 'hello', 'HTTP/1.1 400'],
    ['lines', 'hello\r\n\r\n', 'HTTP/1.1 400'],
    ['zeros', '\0'.repeat(1000), 'HTTP/1.1 400'],
    ['TLS', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 'HTTP/1.1 400'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'HTTP/1.1 400'],
    ['a preface with a flaw', `${preface.slice(0, 20)}XXXX`, 'HTTP/1.1 400'],
    ['half a preface', preface.slice(0, 10), ''],
    ['a preface, then garbage', `${preface}${'garbage!'.repeat(50)}`, undefined],
    ['a preface, then HTTP/1.1', `${preface}GET / HTTP/1.1\r\n\r\n`, undefined],
    ['headers over the limit', request(['GET / HTTP/1.1', 'host: a', `x: ${'y'.repeat(20_000)}`]), 'HTTP/1.1 431'],
    [
      'no host',
      request([`POST ${scorePath} HTTP/1.0`, 'content-type: application/json', 'content-length: 2'], '{}'),
      'HTTP/1.1 400',
    ],
    [
      'a host that is none',
      request([`POST ${scorePath} HTTP/1.1`, 'host: [', 'content-type: application/json', 'content-length: 2'], '{}'),
      'HTTP/1.1 400',
    ],
    [
      'two lengths',
      request([`POST ${scorePath} HTTP/1.1`, 'host: a', 'content-length: 2', 'content-length: 3'], '{}'),
      'HTTP/1.1 400',
    ],
    ['CONNECT', request(['CONNECT example.com:443 HTTP/1.1', 'host: example.com']), ''],
    ['an upgrade', request(['GET / HTTP/1.1', 'host: a', 'connection: upgrade', 'upgrade: websocket']), 'HTTP/1.1 404'],
  ])('%s', async (_, bytes, answer) => {
    await using toy = await startServer({ limits: { headersTimeoutMs: 300 } });
    const got = await exchange(toy, (socket) => socket.write(bytes, 'latin1'));
    if (answer !== undefined) expect(got.text.slice(0, answer.length || undefined)).toBe(answer);
    await expectServing(toy);
  });

  test('a connection that is reset at any point', async () => {
    await using toy = await startServer();
    for (let length = 0; length <= preface.length; length += 6) {
      const socket = connect(toy.port, '127.0.0.1').on('error', () => {});
      await new Promise((resolve) => socket.write(preface.slice(0, length) || 'G', resolve));
      socket.resetAndDestroy();
    }
    await expectServing(toy);
  });
});

describe('whoever is slow is cut off', () => {
  const limits = { headersTimeoutMs: 300, bodyTimeoutMs: 600, deadlineDefaultMs: 300, overdueMs: 200, idleMs: 300 };
  const post = request([
    `POST ${scorePath} HTTP/1.1`,
    'host: a',
    'content-type: application/json',
    'content-length: 9',
  ]);
  test.each([
    ['says nothing', '', ''],
    ['sends the preface byte by byte', preface.slice(0, 10), ''],
    ['sends headers byte by byte', request(['GET /healthz HTTP/1.1', 'host: a', 'x: y'.repeat(100)]), 'HTTP/1.1 408'],
    ['sends a body byte by byte', `${post}{        }`, /HTTP\/1\.1 (408|504)|^$/],
    ['opens HTTP/2 and sends nothing more', undefined, undefined],
  ])('%s', async (_, bytes, answer) => {
    await using toy = await startServer({ limits });
    const startMs = performance.now();
    const got = await exchange(toy, async (socket) => {
      if (bytes === undefined) socket.write(`${preface}\0\0\0\x04\0\0\0\0\0`, 'latin1');
      // The last ten bytes come one by one.
      else socket.write(bytes.slice(0, -10), 'latin1');
      for (const byte of (bytes ?? '').slice(-10)) {
        await sleep(150);
        if (!socket.destroyed) socket.write(byte, 'latin1');
      }
    });
    if (answer instanceof RegExp) expect(got.text.slice(0, 12)).toMatch(answer);
    else if (answer !== undefined) expect(got.text.slice(0, answer.length || undefined)).toBe(answer);
    expect(performance.now() - startMs).toBeLessThan(2600);
    await expectServing(toy);
  });

  test.each(['application/grpc', 'application/json', 'application/grpc-web', 'application/connect+proto'])(
    'sends half a body of %s over HTTP/2',
    async (type) => {
      await using toy = await startServer({ limits });
      const session = connectHttp2(toy.url).on('error', () => {});
      const stream = session.request({ ':method': 'POST', ':path': scorePath, 'content-type': type });
      let status: unknown;
      stream
        .on('error', () => {})
        .on('response', (headers) => {
          status = headers['grpc-status'];
        });
      stream.resume();
      stream.write('\0\0');
      const startMs = performance.now();
      await new Promise((resolve) => stream.once('close', resolve));
      expect(performance.now() - startMs).toBeLessThan(1500);
      if (type === 'application/grpc') expect(status).toBe('4');
      session.destroy();
    },
  );

  test.each(['application/grpc', 'application/grpc-web'])('does not read the answer to %s', async (type) => {
    await using toy = await startServer({ limits });
    const session = connectHttp2(toy.url, { settings: { initialWindowSize: 0 } }).on('error', () => {});
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), Buffer.alloc(0)]);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': type,
    });
    stream.on('error', () => {}).resume();
    stream.end(frame);
    const startMs = performance.now();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(performance.now() - startMs).toBeLessThan(1500);
    session.destroy();
  });
});

describe('connections', () => {
  test('over the limit are closed at once', async () => {
    await using toy = await startServer({ limits: { connectionsMax: 2 } });
    const sockets = await Promise.all([1, 2].map(() => open(toy)));
    const { text } = await exchange(toy, (socket) => socket.write(request(['GET /healthz HTTP/1.1', 'host: a'])));
    expect(text).toBe('');
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(async () => expect((await fetch(`${toy.url}/healthz`)).status).toBe(200));
  });

  test('of HTTP/1.1 carry one request after another, also after one that was too large', async () => {
    await using toy = await startServer();
    const socket = await open(toy);
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk;
    });
    const chunk = `${(2 ** 20).toString(16)}\r\n${' '.repeat(2 ** 20)}\r\n`;
    const head = [
      `POST ${scorePath} HTTP/1.1`,
      'host: a',
      'content-type: application/json',
      'transfer-encoding: chunked',
    ];
    socket.write(request(head, `${chunk}${chunk}0\r\n\r\n`));
    await vi.waitFor(() => expect(got).toContain('HTTP/1.1 429'));
    socket.write(request(['GET /healthz HTTP/1.1', 'host: a']));
    await vi.waitFor(() => expect(got).toContain('HTTP/1.1 200'));
    socket.destroy();
  });

  test.each(['', 'G', preface.slice(0, 9), 'GET / HTTP', `${preface}\0\0\0\x04\0\0\0\0\0`])(
    'end when the caller stops sending after %j',
    async (bytes) => {
      await using toy = await startServer();
      const startMs = performance.now();
      await exchange(toy, (socket) => socket.end(bytes, 'latin1'));
      expect(performance.now() - startMs).toBeLessThan(1000);
      await expectServing(toy);
    },
  );

  test('that have said nothing yet do not hold up a drain', async () => {
    await using toy = await startServer();
    await open(toy);
    await sleep(20);
    const startMs = performance.now();
    await toy.server.drain(5000);
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  test('of HTTP/1.1 are closed when the rest of an answered request does not come', async () => {
    await using toy = await startServer({ limits: { headersTimeoutMs: 200, bodyTimeoutMs: 400 } });
    const startMs = performance.now();
    const { text } = await exchange(
      toy,
      (socket) => {
        socket.write(request(['POST /nothing HTTP/1.1', 'host: a', 'content-length: 9'], 'half'));
      },
      'keep open',
    );
    expect(text).toMatch(/^HTTP\/1\.1 404/);
    expect(performance.now() - startMs).toBeLessThan(2000);
  });

  test.each([
    ['application/json', scorePath, 2 ** 20 + 1],
    ['application/grpc-web', scorePath, 2 ** 20 + 1],
    ['application/json', '/nothing', 1],
    ['application/grpc', '/nothing', 1],
  ])('of HTTP/2 do not take the rest of a request that is answered: %s to %s', async (type, path, size) => {
    await using toy = await startServer();
    const session = connectHttp2(toy.url).on('error', () => {});
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type });
    const answered = new Promise((resolve) => stream.once('end', resolve));
    stream.resume().write(Buffer.alloc(size, 0xff));
    await answered;
    await vi.waitFor(() => expect(stream.closed).toBe(true));
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    session.destroy();
  });

  test('of HTTP/2 are not closed for idleness while a call is open', async () => {
    await using toy = await startServer({ limits: { idleMs: 100 } });
    const call = clientKinds[0]?.connect(toy.url).score(scoreRequest({ userId: 'waits' }));
    await expect(call).resolves.toMatchObject({ decisionId: 'waited' });
  });

  test('of HTTP/2 carry only so many calls at once', async () => {
    await using toy = await startServer({ limits: { streamsMax: 3 } });
    const session = connectHttp2(toy.url).on('error', () => {});
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    expect(session.remoteSettings.maxConcurrentStreams).toBe(3);
    session.destroy();
  });

  test('of HTTP/2 refuse a call whose headers are over the limit', async () => {
    await using toy = await startServer();
    const session = connectHttp2(toy.url).on('error', () => {});
    const call = (size: number) =>
      new Promise((resolve) => {
        const stream = session.request({ ':path': '/healthz', 'x-large': 'y'.repeat(size) }).on('error', () => {});
        stream
          .on('response', (headers) => resolve(headers[':status']))
          .once('close', () => resolve(stream.rstCode))
          .end();
      });
    expect(await call(10_000)).toBe(200);
    expect(await call(20_000)).not.toBe(200);
    session.destroy();
    await expectServing(toy);
  });

  test('of HTTP/2 survive many cancelled calls, but not a flood of them', async () => {
    await using toy = await startServer({ limits: { streamResetBurst: 2000, streamResetRatePerS: 1 } });
    const session = connectHttp2(toy.url).on('error', () => {});
    const cancel = async (calls: number) => {
      for (let i = 0; i < calls && !session.destroyed; i += 100) {
        const headers = { ':method': 'POST', ':path': scorePath, 'content-type': 'application/grpc' };
        const streams = Array.from({ length: 100 }, () => session.request(headers).on('error', () => {}));
        await sleep(5);
        for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
      }
      await sleep(50);
    };
    await cancel(1500);
    expect(session.destroyed).toBe(false);
    await cancel(1500);
    await vi.waitFor(() => expect(session.destroyed).toBe(true));
    await expectServing(toy);
  });
});

/** What comes back until the server closes the connection, or has answered. */
function exchange(
  { port }: ToyServer,
  talk: (socket: Socket) => unknown,
  afterAnswer: 'close' | 'keep open' = 'close',
): Promise<{ readonly text: string }> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.setEncoding('latin1').on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk;
      if (afterAnswer === 'close' && /^HTTP\/1\.1 \d+.*\r\n\r\n/s.test(text)) socket.end();
    });
    socket.on('end', () => socket.end()).once('close', () => resolve({ text }));
    void talk(socket);
  });
}

function open({ port }: ToyServer): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket)).on('error', () => {});
  });
}

async function expectServing({ url }: ToyServer): Promise<void> {
  expect(await (await fetch(`${url}/healthz`, { headers: { connection: 'close' } })).text()).toBe('ok');
  const answers = clientKinds.slice(0, 3).map(({ connect }) => connect(url).score(scoreRequest()));
  expect(await Promise.all(answers)).toMatchObject([{ tipId: 'high' }, { tipId: 'high' }, { tipId: 'high' }]);
}
