import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { createEmptyDatabase } from '../tests/_util/servers.ts';
import { classifyFailure, type Failure, openDatabase } from './database.ts';

const sql = (code: string) => Object.assign(new pg.DatabaseError('failed', 0, 'error'), { code, severity: 'ERROR' });
const socket = (code: string) => Object.assign(new Error('socket'), { code });

describe('classifyFailure', () => {
  it.each([
    ['row_refused', sql('22021'), 'a NUL byte in a string'],
    ['row_refused', sql('22008'), 'a timestamp out of range'],
    ['row_refused', sql('23514'), 'a broken check'],
    ['row_refused', sql('54000'), 'a key too long'],
    ['outage', sql('57P01'), 'the server shuts down'],
    ['outage', sql('57014'), 'a cancelled statement'],
    ['outage', sql('53300'), 'too many connections'],
    ['outage', sql('53100'), 'a full disk'],
    ['outage', sql('40P01'), 'a deadlock'],
    ['outage', sql('40001'), 'a serialisation failure'],
    ['outage', sql('55P03'), 'a lock that is not free'],
    ['outage', sql('08006'), 'a connection that failed'],
    ['outage', sql('57P03'), 'a server that starts'],
    ['outage', sql('25006'), 'a read-only server'],
    ['outage', socket('ECONNREFUSED'), 'nobody listens'],
    ['outage', socket('ECONNRESET'), 'a broken connection'],
    ['outage', new AggregateError([socket('ECONNREFUSED'), socket('ECONNREFUSED')]), 'nobody listens on any address'],
    ['outage', new Error('Connection terminated unexpectedly'), 'the library lost the connection'],
    ['outage', new Error('timeout exceeded when trying to connect'), 'a pool that cannot connect'],
    ['fatal', sql('42P01'), 'a missing table'],
    ['fatal', sql('42501'), 'a missing right'],
    ['fatal', new TypeError('bug'), 'a bug of ours'],
    ['fatal', 'text', 'something that is no error'],
  ] as readonly [Failure, unknown, string][])('is %s for %o: %s', (expected, error) => {
    expect(classifyFailure(error)).toBe(expected);
  });
});

it.each([
  [undefined, ['UTC', 'read committed', '30', '10', '3', 'auto', 'on']],
  [false, ['UTC', 'read committed', '30', '10', '3', 'auto', 'on']],
  [true, ['UTC', 'read committed', '30', '10', '3', 'force_generic_plan', 'off']],
])('connections have the settings that were asked for (plansOnce %s)', async (plansOnce, expected) => {
  const { url, drop } = await createEmptyDatabase();
  const database = openDatabase({
    url,
    applicationName: 'test',
    maxConnections: 1,
    ...(plansOnce !== undefined && { plansOnce }),
  });
  const asks = ['tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count'];
  const names = ['TimeZone', 'default_transaction_isolation', ...asks, 'plan_cache_mode', 'enable_seqscan'];
  const { rows } = await database.query<{ settings: string[] }>(
    'SELECT array_agg(current_setting(name) ORDER BY place) AS settings FROM unnest($1::text[]) WITH ORDINALITY AS a(name, place)',
    [names],
  );
  await database.end();
  await drop();
  expect(rows[0]?.settings).toEqual(expected);
});

describe('a database with a signal', () => {
  it('breaks off what is under way and what comes, as an outage, and can be ended', async () => {
    const { url, drop } = await createEmptyDatabase();
    const stop = new AbortController();
    const database = openDatabase({ url, applicationName: 'test', maxConnections: 2, signal: stop.signal });
    const held = await database.connect();
    await held.query('BEGIN');
    const [free, ofHeld] = [database.query('SELECT pg_sleep(60)'), held.query('SELECT pg_sleep(60)')];
    stop.abort();
    const failures = await Promise.all(
      [free, ofHeld, database.query('SELECT 1')].map((statement) => statement.then(() => 'none', classifyFailure)),
    );
    expect(failures).toEqual(['outage', 'outage', 'outage']);
    held.release();
    await database.end();
    await drop();
  });
});
