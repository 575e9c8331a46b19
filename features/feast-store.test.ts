import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { ProfileFeatureName } from './definitions.ts';
import { createFeastStore, type FeastStoreOptions } from './feast-store.ts';

interface Asked {
  readonly features: readonly string[];
  readonly entities: Readonly<Record<string, readonly string[]>>;
  readonly full_feature_names: boolean;
}

type Behaviour = (response: ServerResponse, asked: Asked) => void;

/** A feature server that treats every request as it is told. */
async function startFeast(behave: Behaviour) {
  const requests: { readonly url: string; readonly asked: Asked }[] = [];
  let connections = 0;
  const server = createServer(async (request, response) => {
    response.on('error', () => undefined);
    const asked = JSON.parse(Buffer.concat(await request.toArray()).toString()) as Asked;
    requests.push({ url: request.url ?? '', asked });
    behave(response, asked);
  }).on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const features = new Map<ProfileFeatureName, string>([
  ['completion_rate_30d', 'person_stats:done_rate'],
  ['preferred_hour', 'habits:hour'],
]);

const storeOf = (url: string, options: Partial<FeastStoreOptions> = {}) =>
  createFeastStore({ url, features, timeoutMs: 10_000, ...options });

const readingsOf = async (url: string, options?: Partial<FeastStoreOptions>) =>
  Object.fromEntries(await storeOf(url, options).read('anna'));

const time = '2026-11-20T08:00:00Z';
const timeMs = Date.UTC(2026, 10, 20, 8);

interface Column {
  readonly values: readonly unknown[];
  readonly statuses: readonly unknown[];
  readonly event_timestamps?: readonly unknown[];
}

const known = (value: unknown, status: unknown = 'PRESENT', at: unknown = time): Column => ({
  values: [value],
  statuses: [status],
  event_timestamps: [at],
});

/** An answer for one person, as `feast serve` 0.67 writes it; its columns come in no particular order. */
function answer(changes: Readonly<Record<string, Column>> = {}) {
  const columns = {
    user_id: known('anna', 'PRESENT', '1970-01-01T00:00:00Z'),
    habits__hour: known(9),
    person_stats__done_rate: known(0.25),
    ...changes,
  };
  return { results: Object.values(columns), metadata: { feature_names: Object.keys(columns) } };
}

const sends =
  (body: unknown, status = 200): Behaviour =>
  (response) =>
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof body === 'string' ? body : JSON.stringify(body));

describe('a request', () => {
  it('asks by full names for the features of one entity', async () => {
    await using feast = await startFeast(sends(answer()));
    await storeOf(`${feast.url}/below/`, { entityKey: 'person' }).read('anna');
    expect(feast.requests).toEqual([
      {
        url: '/below/get-online-features',
        asked: {
          features: ['person_stats:done_rate', 'habits:hour'],
          entities: { person: ['anna'] },
          full_feature_names: true,
        },
      },
    ]);
  });

  /** Everybody's rate is the length of their name, in percent. */
  const measures: Behaviour = (response, { entities }) => {
    const users = entities.user_id ?? [];
    sends({
      metadata: { feature_names: ['person_stats__done_rate', 'habits__hour'] },
      results: [
        { values: users.map((user) => user.length / 100), statuses: users.map(() => 'PRESENT') },
        { values: users.map(() => null), statuses: users.map(() => 'NOT_FOUND') },
      ],
    })(response, { features: [], entities, full_feature_names: true });
  };

  it('serves all reads of one turn, each with its own answer', async () => {
    await using feast = await startFeast(measures);
    const store = storeOf(feast.url);
    const users = Array.from({ length: 64 }, (_, i) => 'x'.repeat(i + 1));
    const answers = await Promise.all(users.map((user) => store.read(user)));
    expect(feast.requests.map(({ asked }) => asked.entities)).toEqual([{ user_id: users }]);
    expect(answers.map((readings) => readings.get('completion_rate_30d')?.value)).toEqual(
      users.map((user) => user.length / 100),
    );
  });

  it('asks for 64 people at most, two requests at a time', async () => {
    const pending: (() => void)[] = [];
    await using feast = await startFeast((response, asked) => pending.push(() => measures(response, asked)));
    const store = storeOf(feast.url);
    const reads = Array.from({ length: 150 }, () => store.read('anna'));
    await expect.poll(() => pending.length).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(feast.requests.map(({ asked }) => asked.entities.user_id?.length)).toEqual([64, 64]);
    for (const reply of pending.splice(0)) reply();
    await expect.poll(() => pending.length).toBe(1);
    for (const reply of pending) reply();
    expect(await Promise.all(reads)).toHaveLength(150);
    expect(feast.connections()).toBe(2);
  });
});

describe('a value', () => {
  const rate = { value: 0.25, asOfMs: timeMs };

  it('comes with its time, under our name for it', async () => {
    await using feast = await startFeast(sends(answer()));
    expect(await readingsOf(feast.url)).toEqual({
      completion_rate_30d: rate,
      preferred_hour: { value: 9, asOfMs: timeMs },
    });
  });

  it.each([
    ['of status NOT_FOUND', known(9, 'NOT_FOUND')],
    ['of status NULL_VALUE', known(9, 'NULL_VALUE')],
    ['of status OUTSIDE_MAX_AGE', known(9, 'OUTSIDE_MAX_AGE')],
    ['of status INVALID', known(9, 'INVALID')],
    ['of a status that is no text', known(9, 1)],
    ['that is null and PRESENT, as feast serve sends it', known(null)],
    ['that is not finite, as feast serve sends it', known('NaN')],
    ['in text', known('9')],
    ['in a list', known([9])],
    ['that is true', known(true)],
    ['that the type cannot hold', known(9.5)],
    ['that is negative where none may be', known(-1)],
    ['that breaks a rule of the contract', known(24)],
  ])('%s is absent, and the others are there', async (_, column) => {
    await using feast = await startFeast(sends(answer({ habits__hour: column })));
    expect(await readingsOf(feast.url)).toEqual({ completion_rate_30d: rate });
  });

  it.each([
    ['a share above 1', '1.000001'],
    ['a share below 0', '-0.000001'],
    ['no finite number, which JSON can smuggle in', '1e999'],
  ])('that is %s is absent', async (_, value) => {
    const body = JSON.stringify(answer({ person_stats__done_rate: known('here') })).replace('"here"', value);
    await using feast = await startFeast(sends(body));
    expect(await readingsOf(feast.url)).toEqual({ preferred_hour: { value: 9, asOfMs: timeMs } });
  });

  it.each([
    ['to the nanosecond', known(0.25, 'PRESENT', '2026-11-20T08:00:00.123456789Z'), timeMs + 123],
    ['that is the epoch', known(0.25, 'PRESENT', '1970-01-01T00:00:00Z'), undefined],
    ['that is empty', known(0.25, 'PRESENT', ''), undefined],
    ['that is null', known(0.25, 'PRESENT', null), undefined],
    ['that is no date', known(0.25, 'PRESENT', 'yesterday'), undefined],
    ['that is a number', known(0.25, 'PRESENT', timeMs), undefined],
    ['that is not there', { values: [0.25], statuses: ['PRESENT'] }, undefined],
    ['of a column without any', { values: [0.25], statuses: ['PRESENT'], event_timestamps: [] }, undefined],
  ])('may have a time %s', async (_, column, asOfMs) => {
    await using feast = await startFeast(sends(answer({ person_stats__done_rate: column })));
    expect(await readingsOf(feast.url)).toMatchObject({ completion_rate_30d: { value: 0.25, asOfMs } });
  });

  it('is found among columns that nobody asked for, whatever they hold', async () => {
    const extra = { others__hour: { values: [], statuses: [] }, habits__minute: known({ deep: [1] }) };
    await using feast = await startFeast(sends(answer(extra)));
    expect(await readingsOf(feast.url)).toMatchObject({ completion_rate_30d: rate, preferred_hour: { value: 9 } });
  });
});

describe('a fault', () => {
  const secret = 'anna lives in Utrecht';
  const { results, metadata } = answer();
  const two = { values: [1, 2], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [time, time] };

  const truncates: Behaviour = (response) => {
    const body = JSON.stringify(answer());
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.write(body.slice(0, body.length / 2), () => response.destroy());
  };

  const floods: Behaviour = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const more = () => {
      while (!response.destroyed && response.write(' '.repeat(65_536)));
    };
    response.on('drain', more);
    more();
  };

  const trickles: Behaviour = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 10);
    response.on('close', () => clearInterval(timer));
  };

  it.each<[string, Behaviour, string | RegExp]>([
    ['status 500', sends({ detail: secret }, 500), 'Feast answered with status 500'],
    ['status 404', sends('', 404), 'Feast answered with status 404'],
    ['a redirect', (response) => response.writeHead(302, { location: '/elsewhere' }).end(), /status 302/],
    ['a connection reset', (response) => response.socket?.resetAndDestroy(), /^Feast could not be reached: /],
    ['a truncated body', truncates, /^Feast could not be reached: /],
    ['more than 1 MiB', floods, 'Feast answered with more than 1048576 bytes'],
    ['no JSON', sends(`<html>${secret}</html>`), /something else/],
    ['half of JSON', sends(`{"results": ["${secret}"`), /something else/],
    ['JSON of another kind', sends('null'), /something else/],
    ['no metadata', sends({ results }), /something else/],
    ['no results', sends({ metadata }), /something else/],
    ['fewer results than names', sends({ metadata, results: results.slice(0, 2) }), /something else/],
    ['a feature left out', sends({ metadata: { feature_names: ['user_id', 'habits__hour'] }, results }), /something e/],
    [
      'short names',
      sends({ metadata: { feature_names: ['user_id', 'hour', 'done_rate'] }, results }),
      /something else/,
    ],
    ['values that are no list', sends(answer({ habits__hour: { ...two, values: secret as never } })), /something else/],
    ['no values', sends(answer({ habits__hour: { values: [], statuses: [] } })), /another number of people/],
    ['too many values', sends(answer({ habits__hour: two })), /another number of people/],
    ['too few statuses', sends(answer({ habits__hour: { ...known(1), statuses: [] } })), /another number of people/],
    ['too many times', sends(answer({ habits__hour: { ...two, values: [1], statuses: ['PRESENT'] } })), /another numb/],
  ])('%s rejects, without a word of what was sent', async (_, behaviour, message) => {
    await using feast = await startFeast(behaviour);
    const error = (await storeOf(feast.url)
      .read('anna')
      .catch((reason: unknown) => reason)) as Error;
    expect(error).toMatchObject({ name: 'FeastError', message: expect.stringMatching(message) });
    expect(`${error.stack} ${JSON.stringify(error)}`).not.toMatch(/anna|Utrecht/);
    expect(error.cause).toBeUndefined();
  });

  it.each<[string, Behaviour]>([
    ['silent', () => undefined],
    ['trickling', trickles],
  ])('%s ends with the time', async (_, behaviour) => {
    await using feast = await startFeast(behaviour);
    const begunMs = performance.now();
    const store = storeOf(feast.url, { timeoutMs: 100 });
    // The last ones wait for a free place, and no longer than the others.
    const reads = Array.from({ length: 1000 }, () => store.read('anna'));
    const results = await Promise.allSettled(reads);
    expect(performance.now() - begunMs).toBeLessThan(400);
    for (const result of results) {
      expect(result).toMatchObject({ reason: { message: 'Feast did not answer within 100 ms' } });
    }
  });

  it('nobody listening rejects', async () => {
    const feast = await startFeast(() => undefined);
    await feast[Symbol.asyncDispose]();
    await expect(storeOf(feast.url).read('anna')).rejects.toThrow('Feast could not be reached: ECONNREFUSED');
  });

  it('leaves nothing behind: the next read is answered', async () => {
    let isDown = true;
    await using feast = await startFeast((response, asked) => (isDown ? undefined : sends(answer())(response, asked)));
    const store = storeOf(feast.url, { timeoutMs: 200 });
    await expect(store.read('anna')).rejects.toThrow('within 200 ms');
    isDown = false;
    expect((await store.read('anna')).size).toBe(2);
  });
});
