import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createMlflowClient, type MlflowClient, pathOfUri } from './client.ts';
import type { MlflowOptions } from './connection.ts';
import { readMlflowTarget } from './environment.ts';
import { MlflowError } from './error.ts';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server that gives these answers in turn, and the last one for ever. */
async function serverOf(...answers: readonly Answer[]) {
  const asked: { method: string; path: string; headers: IncomingMessage['headers'] }[] = [];
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    asked.push({ method, path, headers });
    request.resume();
    (answers[Math.min(asked.length, answers.length) - 1] as Answer)(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = (options: Partial<MlflowOptions> = {}): MlflowClient =>
    createMlflowClient({ url, credentials: undefined, random: () => 0, ...options });
  return { url, asked, client };
}

const json =
  (body: unknown, status = 200): Answer =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const html =
  (status: number): Answer =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'text/html' }).end('<html>Sign in to proceed</html>');
const cutOff: Answer = (response) => {
  response.writeHead(200, { 'content-length': '100' }).write('half');
  setImmediate(() => response.destroy());
};
const run = {
  info: { run_id: 'r', artifact_uri: 'mlflow-artifacts:/1/r', status: 'RUNNING', lifecycle_stage: 'active' },
};
const newRun = { experimentId: '1', name: 'n', startMs: 1, tags: [] };
const bytes = new TextEncoder().encode('bytes');

describe('a call that may be repeated', () => {
  it.each<[string, Answer]>([
    ['is one too many', json({}, 429)],
    ['fails in the server', json({ error_code: 'INTERNAL_ERROR' }, 500)],
    ['meets a proxy without a server', html(502)],
    ['gets an answer that ends early', cutOff],
    ['loses its connection', (response) => void response.destroy()],
  ])('is tried again where it %s', async (_, fault) => {
    const { client, asked } = await serverOf(fault, (response) => void response.end(bytes));
    expect(await client().findArtifact('a/b #c?.txt', 100)).toEqual(bytes);
    expect(asked.map(({ path }) => path)).toEqual(
      Array(2).fill('/api/2.0/mlflow-artifacts/artifacts/a/b%20%23c%3F.txt'),
    );
  });

  it('is an upload too, which fails in the middle', async () => {
    const { client, asked } = await serverOf(json({}, 500), json({}));
    await client().putArtifact('x', bytes);
    expect(asked).toHaveLength(2);
  });

  it('is given up after three tries', async () => {
    const { client, asked } = await serverOf(json({ error_code: 'BUSY', message: 'later' }, 503));
    const failure = client().endRun('r', 'FINISHED', 1);
    await expect(failure).rejects.toMatchObject({
      code: 'BUSY',
      status: 503,
      message: 'MLflow answered with status 503 BUSY: later (POST runs/update)',
    });
    expect(asked).toHaveLength(3);
  });

  it('is not tried again where it would fail again', async () => {
    const { client, asked } = await serverOf(json({ error_code: 'INVALID_PARAMETER_VALUE', message: 'no' }, 400));
    await expect(client().listVersions('m')).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
    expect(asked).toHaveLength(1);
  });
});

describe('a call that creates', () => {
  it.each<[string, Answer]>([
    ['an error', json({}, 500)],
    ['a lost connection', (response) => void response.destroy()],
  ])('is never repeated: after %s nobody knows what it did', async (_, fault) => {
    const { client, asked } = await serverOf(fault, json({ run }));
    await expect(client().createRun(newRun)).rejects.toThrow(MlflowError);
    expect(asked).toHaveLength(1);
  });

  it('what is there already is content, where its name says that it is the same', async () => {
    const { client } = await serverOf(json({ error_code: 'RESOURCE_ALREADY_EXISTS' }, 400));
    await client().createExperiment('oo-ml');
    await client().createModel({ name: 'm', description: '', tags: [] });
    await expect(client().createRun(newRun)).rejects.toMatchObject({ code: 'RESOURCE_ALREADY_EXISTS' });
  });
});

describe('an answer', () => {
  it.each<[string, Answer, string, string]>([
    ['a page, as of somebody who wants a login', html(200), 'NOT_UNDERSTOOD', 'is the URL right?'],
    [
      'a redirect',
      (response) => void response.writeHead(302, { location: '/login' }).end(),
      'REDIRECT',
      'is not followed',
    ],
    ['of another form', json({ run: { info: {} } }), 'NOT_UNDERSTOOD', 'something else than MLflow does'],
    ['no entry', html(401), 'HTTP_401', 'MLFLOW_TRACKING_USERNAME'],
    ['no entry by host', html(403), 'HTTP_403', '--allowed-hosts'],
    ['a page of an error', html(404), 'HTTP_404', 'answered with status 404'],
  ])('that is %s is refused, and says why', async (_, answer, code, message) => {
    const { client } = await serverOf(answer);
    const failure = client().findRun('r');
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    await expect(failure).rejects.not.toThrow('Sign in');
  });

  it('that never comes is given up in time', async () => {
    const { client } = await serverOf(() => {});
    await expect(client({ timeoutMs: 50 }).createRun(newRun)).rejects.toMatchObject({ code: 'LATE' });
  });

  it('that is longer than it may be is not read to its end', async () => {
    const { client } = await serverOf((response) => void response.end(Buffer.alloc(1_000)));
    await expect(client().findArtifact('x', 999)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('comes in pages, and has large numbers as text or not', async () => {
    const version = (number: string | number) => ({ name: 'm', version: number, status: 'READY' });
    const { client, asked } = await serverOf(
      json({ model_versions: [version('1')], next_page_token: 'more' }),
      json({ model_versions: [version(2)] }),
    );
    expect((await client().listVersions('m')).map((each) => each.version)).toEqual(['1', '2']);
    expect(asked[1]?.path).toContain('page_token=more');
  });

  it('without an alias is none, however the server calls it', async () => {
    const missing = { error_code: 'INVALID_PARAMETER_VALUE', message: 'Registered model alias a not found.' };
    const wrong = { error_code: 'INVALID_PARAMETER_VALUE', message: 'Invalid alias name' };
    const { client } = await serverOf(json(missing, 400), json(wrong, 400));
    expect(await client().findAlias('m', 'a')).toBeUndefined();
    await expect(client().findAlias('m', 'a')).rejects.toThrow('Invalid alias name');
  });

  it('is not waited for once the process stops', async () => {
    const stop = new AbortController();
    const { client } = await serverOf(() => stop.abort(new Error('stopping')));
    await expect(client({ signal: stop.signal }).findRun('r')).rejects.toThrow('stopping');
  });
});

describe('who we are', () => {
  const uri = 'http://user:p%40ss@mlflow:5000/base/';
  it.each<[string, Record<string, string>, object | undefined]>([
    ['the URL', { MLFLOW_TRACKING_URI: uri }, { kind: 'basic', username: 'user', password: 'p@ss' }],
    [
      'the variables, before the token',
      {
        MLFLOW_TRACKING_URI: 'http://m',
        MLFLOW_TRACKING_USERNAME: 'u',
        MLFLOW_TRACKING_PASSWORD: 'p',
        MLFLOW_TRACKING_TOKEN: 't',
      },
      { kind: 'basic', username: 'u', password: 'p' },
    ],
    ['the token', { MLFLOW_TRACKING_URI: 'http://m', MLFLOW_TRACKING_TOKEN: 't' }, { kind: 'bearer', token: 't' }],
    ['nobody', { MLFLOW_TRACKING_URI: 'http://m', MLFLOW_TRACKING_USERNAME: 'u' }, undefined],
  ])('is said by %s', (_, env, credentials) => {
    expect(readMlflowTarget(env)?.credentials).toEqual(credentials);
    expect(readMlflowTarget(env)?.url).not.toContain('@');
  });

  it('is nobody where no MLflow is wanted', () => {
    expect(readMlflowTarget({ MLFLOW_TRACKING_TOKEN: 't' })).toBeUndefined();
  });

  it.each([
    [
      'basic',
      { kind: 'basic', username: 'ü', password: 's3cret' },
      `Basic ${Buffer.from('ü:s3cret').toString('base64')}`,
    ],
    ['bearer', { kind: 'bearer', token: 's3cret' }, 'Bearer s3cret'],
  ] as const)('is sent along (%s), and in no error though the server repeats it', async (_, credentials, header) => {
    const { client, asked } = await serverOf(json({ error_code: 'X', message: 'no: s3cret\nline' }, 400));
    const failure = await client({ credentials }).findRun('r').catch(String);
    expect(failure).toContain('no: *** line');
    expect(asked[0]?.headers.authorization).toBe(header);
  });
});

describe("a path among the server's artifacts", () => {
  it.each([
    ['mlflow-artifacts:/1/r/artifacts', '1/r/artifacts'],
    ['mlflow-artifacts://host:5000/1/r/artifacts/', '1/r/artifacts'],
  ])('is read of %s', (uri, path) => {
    expect(pathOfUri(uri)).toBe(path);
  });

  it.each(['s3://bucket/1/r', '/mlruns/1/r', 'file:///mlruns', ''])(
    'is none of %j, which only its storage gives',
    (uri) => {
      expect(() => pathOfUri(uri)).toThrow('--artifacts-destination');
    },
  );
});
