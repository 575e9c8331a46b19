import { createHash } from 'node:crypto';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { type Client, OpenFeature } from '@openfeature/server-sdk';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { parseExperiments } from '../../experiments/experiment.ts';
import { parseAuthKeys } from '../interceptors/authenticate.ts';
import { startServer } from '../server.fixture.ts';

const nowMs = Date.parse('2026-12-01T00:00:00Z');
const clock = () => nowMs;

const halves = [
  { key: 'control', weight: 0.5 },
  { key: 'random', weight: 0.5 },
];

// In `policy` dora has 0.0276, anna 0.6637: they are in different halves. gus is in the holdout. In `prompts` who has less
// than 0.3, or 0.5 to 0.8, keeps an arm.
const set = parseExperiments(
  {
    holdouts: [{ key: 'winter', share: 0.15 }],
    experiments: [
      { key: 'policy', version: '3', status: 'running', arms: halves, holdout: 'winter', forced: { tester: 'random' } },
      {
        key: 'banner',
        version: '1',
        status: 'running',
        arms: [
          { key: 'plain', weight: 0, parameters: { colour: 'grey' } },
          { key: 'loud', weight: 1, parameters: { colour: 'red', size: 2, blink: false } },
        ],
      },
      { key: 'nobody', version: '1', status: 'running', arms: halves, coverage: 0 },
      { key: 'over', version: '1', status: 'running', arms: halves, end: '2026-12-01T00:00:00Z' },
      {
        key: 'prompts',
        version: '1',
        status: 'running',
        bandit: { policy: 'ucb1', fixed: 0.6 },
        arms: ['v1', 'v2'].map((promptVersion) => ({ key: promptVersion, promptVersion })),
        forced: { tester: 'v2' },
      },
    ],
  },
  { policies: new Set(), promptVersions: new Set(['v1', 'v2']) },
);
const experiments = { current: () => set };

const authKeys = parseAuthKeys(
  ['recommender serve', 'operator admin']
    .map((line) => line.split(' '))
    .map(([name, permission]) => `${name} ${createHash('sha256').update(`${name}-key`).digest('hex')} ${permission}`)
    .join('\n'),
);

const flagsPath = '/ofrep/v1/evaluate/flags';
const json = { 'content-type': 'application/json' };
const about = (targetingKey: unknown) => JSON.stringify({ context: { targetingKey } });

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}
interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

async function overHttp1(url: string, { path = flagsPath, method = 'POST', headers = json, body }: Asked) {
  const content =
    body === undefined || method === 'GET' ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) };
  const response = await fetch(url + path, { method, headers, ...content });
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

async function overHttp2(
  url: string,
  { path = flagsPath, method = 'POST', headers = json, body }: Asked,
): Promise<Answered> {
  const session = openSession(url);
  try {
    const stream = session.request({ ':method': method, ':path': path, ...headers });
    stream.end(method === 'GET' ? undefined : body);
    const response = await new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.once('response', resolve).once('error', reject);
    });
    return { status: Number(response[':status']), headers: response, body: await text(stream) };
  } finally {
    session.destroy();
  }
}

function openSession(url: string): ClientHttp2Session {
  const session = connectHttp2(url);
  session.on('error', () => {});
  return session;
}

describe.each([
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
])('over %s', (_, ask) => {
  const askOne = async (key: string, body: string) => {
    await using toy = await startServer({ experiments, clock });
    const answer = await ask(toy.url, { path: `${flagsPath}/${key}`, body });
    expect(answer.headers['content-type']).toBe('application/json');
    return [answer.status, JSON.parse(answer.body)];
  };

  test.each([
    [
      'an arm that was drawn',
      'policy',
      'dora',
      {
        key: 'policy',
        reason: 'SPLIT',
        variant: 'control',
        value: 'control',
        metadata: { version: '3', assignment: 'assigned', bucket: 0.0276, propensity: 0.5 },
      },
    ],
    [
      'the other arm',
      'policy',
      'anna',
      {
        key: 'policy',
        reason: 'SPLIT',
        variant: 'random',
        value: 'random',
        metadata: { version: '3', assignment: 'assigned', bucket: 0.6637, propensity: 0.5 },
      },
    ],
    [
      'parameters where arms have them',
      'banner',
      'anna',
      {
        key: 'banner',
        reason: 'SPLIT',
        variant: 'loud',
        value: { colour: 'red', size: 2, blink: false },
        metadata: { version: '1', assignment: 'assigned', bucket: 0.9012, propensity: 1 },
      },
    ],
    [
      'an arm that was forced, without a propensity',
      'policy',
      'tester',
      {
        key: 'policy',
        reason: 'TARGETING_MATCH',
        variant: 'random',
        value: 'random',
        metadata: { version: '3', assignment: 'forced' },
      },
    ],
    [
      'no value to the held out',
      'policy',
      'gus',
      { key: 'policy', reason: 'SPLIT', metadata: { version: '3', assignment: 'holdout' } },
    ],
    [
      'no value to the others',
      'nobody',
      'anna',
      { key: 'nobody', reason: 'SPLIT', metadata: { version: '1', assignment: 'not-enrolled' } },
    ],
    [
      'an arm that is kept, in a bandit',
      'prompts',
      'anna',
      {
        ...{ key: 'prompts', reason: 'SPLIT', variant: 'v2', value: 'v2' },
        metadata: { version: '1', assignment: 'assigned', bucket: 0.7038, propensity: 0.5 },
      },
    ],
    [
      'no value where a bandit draws for each request',
      'prompts',
      'dora',
      { key: 'prompts', reason: 'SPLIT', metadata: { version: '1', assignment: 'bandit', bucket: 0.4234 } },
    ],
    [
      'an arm of a bandit that was forced',
      'prompts',
      'tester',
      {
        ...{ key: 'prompts', reason: 'TARGETING_MATCH', variant: 'v2', value: 'v2' },
        metadata: { version: '1', assignment: 'forced' },
      },
    ],
    [
      'no value when it is over',
      'over',
      'anna',
      { key: 'over', reason: 'DISABLED', metadata: { version: '1', assignment: 'not-active' } },
    ],
  ])('tells %s', async (_title, key, userId, expected) => {
    expect(await askOne(key, about(userId))).toEqual([200, expected]);
  });

  const bad = [
    ['no JSON', '{"context": ', 'PARSE_ERROR', /no JSON/],
    ['nothing', '', 'PARSE_ERROR', /no JSON/],
    ['a list', '[]', 'PARSE_ERROR', /must be an object/],
    [
      'bytes that are no UTF-8',
      Buffer.from('{"context": {"targetingKey": "\xff"}}', 'latin1'),
      'PARSE_ERROR',
      /no JSON/,
    ],
    ['no context', '{}', 'INVALID_CONTEXT', /^context must/],
    ['a context that is null', '{"context": null}', 'INVALID_CONTEXT', /^context must/],
    ['a context that is a list', '{"context": []}', 'INVALID_CONTEXT', /^context must/],
    ['no targeting key', '{"context": {"user": "anna"}}', 'TARGETING_KEY_MISSING', /targetingKey/],
    ['an empty targeting key', about(''), 'TARGETING_KEY_MISSING', /targetingKey/],
    ['a number for a targeting key', about(7), 'INVALID_CONTEXT', /targetingKey must be a string/],
    ['null for a targeting key', about(null), 'INVALID_CONTEXT', /targetingKey must be a string/],
    ['a targeting key too long', about('é'.repeat(65)), 'INVALID_CONTEXT', /at most 128 bytes/],
    ['a targeting key of two lines', about('an\nna'), 'INVALID_CONTEXT', /control characters/],
    ['half a character', '{"context": {"targetingKey": "\\ud83d"}}', 'INVALID_CONTEXT', /targetingKey/],
    ['a body over the limit', about('x'.repeat(2000)), 'INVALID_CONTEXT', /larger than 1000 bytes/],
  ] as const;

  test.each(bad)('refuses %s, for one flag and for all', async (_title, body, errorCode, details) => {
    await using toy = await startServer({ experiments, clock, limits: { readMaxBytes: 1000 } });
    const error = { errorCode, errorDetails: expect.stringMatching(details) };
    const one = await ask(toy.url, { path: `${flagsPath}/policy`, body });
    expect([one.status, JSON.parse(one.body)]).toEqual([400, { key: 'policy', ...error }]);
    const all = await ask(toy.url, { body });
    expect([all.status, JSON.parse(all.body)]).toEqual([400, error]);
    expect((await ask(toy.url, { body: about('anna') })).status).toBe(200);
    expect(toy.lines).toEqual([]);
  });

  test.each<[string, Asked, number]>([
    ['a path beside it', { path: '/ofrep/v1/configuration' }, 404],
    ['a path above it', { path: '/ofrep/v1/' }, 404],
    ['GET', { method: 'GET' }, 405],
    ['PUT', { method: 'PUT', body: about('anna') }, 405],
    ['what a form can send', { headers: { 'content-type': 'text/plain' }, body: about('anna') }, 415],
    ['what only begins like JSON', { headers: { 'content-type': 'application/jsonp' }, body: about('anna') }, 415],
    [
      'JSON with a charset',
      { headers: { 'content-type': 'application/json; charset=utf-8' }, body: about('anna') },
      200,
    ],
    ['a query', { path: `${flagsPath}?flagConfigEtag=x`, body: about('anna') }, 200],
  ])('%s', async (_title, asked, status) => {
    await using toy = await startServer({ experiments, clock });
    expect((await ask(toy.url, asked)).status).toBe(status);
  });

  test.each([
    [undefined, 401],
    ['guess', 401],
    ['operator-key', 403],
    ['recommender-key', 200],
  ])('with the key %s: %d', async (key, status) => {
    await using toy = await startServer({ experiments, clock, authKeys });
    const headers = { ...json, ...(key && { authorization: `Bearer ${key}` }) };
    for (const path of [flagsPath, `${flagsPath}/policy`]) {
      expect((await ask(toy.url, { path, headers, body: about('anna') })).status).toBe(status);
    }
    // What there is, is nobody's business either.
    if (status !== 200) expect((await ask(toy.url, { path: `${flagsPath}/x`, headers, body: '' })).status).toBe(status);
  });

  test('all flags at once, and nothing while nothing has changed', async () => {
    let current = set;
    await using toy = await startServer({ experiments: { current: () => current }, clock });
    const all = (etag: string, userId = 'anna') =>
      ask(toy.url, { headers: { ...json, 'if-none-match': etag }, body: about(userId) });
    const first = await all('"other"');
    const etag = String(first.headers.etag);
    expect(first.status).toBe(200);
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    expect(JSON.parse(first.body)).toMatchObject({
      flags: [
        { key: 'banner', variant: 'loud' },
        { key: 'nobody', reason: 'SPLIT' },
        { key: 'over', reason: 'DISABLED' },
        { key: 'policy', variant: 'random' },
        { key: 'prompts', variant: 'v2' },
      ],
      metadata: { version: set.version },
    });
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      expect(await all(known)).toMatchObject({ status: 304, headers: { etag }, body: '' });
    }
    expect((await all(etag, 'dora')).status).toBe(200);
    current = { ...set, version: 'next' };
    expect((await all(etag)).status).toBe(200);
  });

  test('a fault of ours has an id, under which the log says where it was', async () => {
    const broken = {
      current: () => {
        throw new Error('secret');
      },
    };
    await using toy = await startServer({ experiments: broken, clock });
    const answer = await ask(toy.url, { path: `${flagsPath}/policy`, body: about('anna') });
    const [{ errorId } = {}] = (toy.lines[0] ?? []) as readonly { readonly errorId?: string }[];
    expect(errorId).toHaveLength(36);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      500,
      { key: 'policy', errorCode: 'GENERAL', errorDetails: `internal error ${errorId}` },
    ]);
    expect(toy.lines).toHaveLength(1);
    expect(JSON.stringify(toy.lines)).toContain('ofrep.test.ts');
    expect(JSON.stringify(toy.lines)).not.toMatch(/secret|anna/);
  });

  test('sheds what is too much, and says when to come back', async () => {
    await using toy = await startServer({ experiments, clock, limits: { inFlightMax: 0 } });
    const answer = await ask(toy.url, { path: `${flagsPath}/policy`, body: about('anna') });
    expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(JSON.parse(answer.body)).toMatchObject({ key: 'policy', errorCode: 'GENERAL' });
  });
});

test.each(['unknown', '', 'policy/x', '%70olicy', 'constructor', '..'])('does not know the flag %j', async (key) => {
  await using toy = await startServer({ experiments, clock });
  const answer = await overHttp2(toy.url, { path: `${flagsPath}/${key}`, body: about('anna') });
  expect([answer.status, JSON.parse(answer.body)]).toEqual([
    404,
    { key, errorCode: 'FLAG_NOT_FOUND', errorDetails: 'there is no such experiment' },
  ]);
});

test('without experiments to ask about there is no such path', async () => {
  await using toy = await startServer();
  expect((await overHttp1(toy.url, { body: about('anna') })).status).toBe(404);
});

describe('a caller who does not finish', () => {
  test('sending over HTTP/2 is answered at the deadline', async () => {
    await using toy = await startServer({ experiments, clock, limits: { deadlineDefaultMs: 100 } });
    const session = openSession(toy.url);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': flagsPath, ...json });
    stream.on('error', () => {}).write('{"context"');
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
    expect(headers[':status']).toBe(408);
    expect(JSON.parse(await text(stream))).toEqual({
      errorCode: 'GENERAL',
      errorDetails: expect.stringMatching(/too long/),
    });
  });

  test('sending over HTTP/1.1 too, and the connection is cut off after that', async () => {
    await using toy = await startServer({
      experiments,
      clock,
      limits: { deadlineDefaultMs: 100, headersTimeoutMs: 300, bodyTimeoutMs: 300 },
    });
    const socket = connectTcp(toy.port, '127.0.0.1');
    socket.write(
      `POST ${flagsPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{`,
    );
    const received = await text(socket);
    expect(received).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('reading the answer is cut off', async () => {
    await using toy = await startServer({ experiments, clock, limits: { deadlineDefaultMs: 100, overdueMs: 100 } });
    const session = connectHttp2(toy.url, { settings: { initialWindowSize: 0 } });
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': flagsPath, ...json });
    stream.end(about('anna'));
    await new Promise((resolve) => stream.once('error', () => {}).once('close', resolve));
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  });

  test('and goes away leaves nothing behind', async () => {
    await using toy = await startServer({ experiments, clock, limits: { inFlightMax: 1 } });
    const socket = connectTcp(toy.port, '127.0.0.1');
    socket.write(
      `POST ${flagsPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await vi.waitFor(async () => {
      expect((await overHttp1(toy.url, { body: about('anna') })).status).toBe(200);
    });
    expect(toy.lines).toEqual([]);
  });
});

describe("OpenFeature's own provider", () => {
  const connect = async (baseUrl: string, headers: Record<string, string> = {}): Promise<Client> => {
    await OpenFeature.setProviderAndWait(baseUrl, new OFREPProvider({ baseUrl, headers: Object.entries(headers) }));
    onTestFinished(() => OpenFeature.close());
    return OpenFeature.getClient(baseUrl);
  };

  test('reads an arm, and what was logged of it', async () => {
    await using toy = await startServer({ experiments, clock, authKeys });
    const client = await connect(toy.url, { authorization: 'Bearer recommender-key' });
    expect(await client.getStringDetails('policy', 'none', { targetingKey: 'dora', locale: 'nl' })).toMatchObject({
      value: 'control',
      variant: 'control',
      reason: 'SPLIT',
      flagMetadata: { version: '3', assignment: 'assigned', propensity: 0.5 },
    });
    expect(await client.getStringDetails('policy', 'none', { targetingKey: 'tester' })).toMatchObject({
      value: 'random',
      reason: 'TARGETING_MATCH',
    });
  });

  test('reads parameters', async () => {
    await using toy = await startServer({ experiments, clock });
    const client = await connect(toy.url);
    expect(await client.getObjectValue('banner', {}, { targetingKey: 'anna' })).toEqual({
      colour: 'red',
      size: 2,
      blink: false,
    });
  });

  test.each([
    ['no targeting key', 'policy', {}, 'TARGETING_KEY_MISSING'],
    ['a bad one', 'policy', { targetingKey: 'x'.repeat(129) }, 'INVALID_CONTEXT'],
    ['an unknown flag', 'unknown', { targetingKey: 'anna' }, 'FLAG_NOT_FOUND'],
    ['another type', 'banner', { targetingKey: 'anna' }, 'TYPE_MISMATCH'],
    // This provider (0.1.3) is older than answers without a value (protocol 0.3, ADR 6): it errs, and uses the default.
    ['nobody in it', 'nobody', { targetingKey: 'anna' }, 'GENERAL'],
  ])('gets the default for %s', async (_, key, context, errorCode) => {
    await using toy = await startServer({ experiments, clock });
    const client = await connect(toy.url);
    const details = await client.getStringDetails(key, 'default', context);
    expect(details).toMatchObject({ value: 'default', reason: 'ERROR', errorCode });
    expect(details.variant).toBeUndefined();
  });

  test('gets the default without a key', async () => {
    await using toy = await startServer({ experiments, clock, authKeys });
    const client = await connect(toy.url);
    expect(await client.getStringDetails('policy', 'default', { targetingKey: 'anna' })).toMatchObject({
      value: 'default',
      errorCode: 'GENERAL',
    });
  });

  test('waits as long as it is told when there is too much to do', async () => {
    const limits = { inFlightMax: 0 };
    await using toy = await startServer({ experiments, clock, limits });
    const client = await connect(toy.url);
    for (const message of [/rate limit exceeded/, /paused due to TooManyRequests/]) {
      const details = await client.getStringDetails('policy', 'default', { targetingKey: 'anna' });
      expect(details).toMatchObject({ value: 'default', errorMessage: expect.stringMatching(message) });
    }
  });
});
