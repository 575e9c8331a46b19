import { execFile } from 'node:child_process';
import { readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { newFolder, THROWAWAY } from '../../tests/_util/servers.ts';
import { runSql } from '../../tests/_util/sql.ts';
import { ensurePostgres, findPostgres, stopPostgres } from './postgres.ts';
import { sendSignal } from './process.ts';

function options() {
  const dir = newFolder('postgres');
  onTestFinished(() => stopPostgres(dir));
  return { dir, settings: THROWAWAY };
}

/** The same call, made by another process. */
async function ensureElsewhere(settings: object): Promise<{ url: string; pid: number; started: boolean }> {
  const program = `import { ensurePostgres } from './postgres.ts';
    console.log(JSON.stringify(await ensurePostgres(${JSON.stringify(settings)})));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  });
  return JSON.parse(stdout) as { url: string; pid: number; started: boolean };
}

describe('ensurePostgres', () => {
  it('starts one server for many processes that ask at once, and outlives them', async () => {
    const settings = options();
    const servers = await Promise.all([1, 2, 3].map(() => ensureElsewhere(settings)));
    expect(new Set(servers.map(({ pid }) => pid)).size).toBe(1);
    expect(servers.filter(({ started }) => started)).toHaveLength(1);
    const mine = await ensurePostgres(settings);
    expect([mine.started, mine.url, mine.pid]).toEqual([false, servers[0]?.url, servers[0]?.pid]);
    await mine.stop();
    expect(await findPostgres(settings.dir)).toBe(mine.url);
    await stopPostgres(settings.dir);
    expect(await findPostgres(settings.dir)).toBeUndefined();
  });

  it('keeps address and rows through stop and start, and is in UTC', async () => {
    const settings = options();
    const first = await ensurePostgres(settings);
    await runSql(first.url, 'CREATE TABLE t AS SELECT 1 AS n');
    await first.stop();
    const second = await ensurePostgres(settings);
    expect([second.started, second.url]).toEqual([true, first.url]);
    expect(await runSql(second.url, 'SELECT n FROM t')).toEqual([{ n: 1 }]);
    expect(await runSql(second.url, 'SHOW timezone')).toEqual([{ TimeZone: 'UTC' }]);
  });

  it('recovers from kill -9, also when the pid it left behind is another program by now', async () => {
    const settings = options();
    const first = await ensurePostgres(settings);
    await runSql(first.url, 'CREATE TABLE t AS SELECT 1 AS n');
    sendSignal(first.pid, 'SIGKILL');
    const second = await ensurePostgres(settings);
    expect([second.started, second.url]).toEqual([true, first.url]);
    await second.stop();
    const note = join(settings.dir, 'cluster', 'data', 'postmaster.pid');
    writeFileSync(note, `${process.pid}\n${realpathSync(join(settings.dir, 'cluster', 'data'))}\n1\n${second.port}\n`);
    const third = await ensurePostgres(settings);
    expect(third.started).toBe(true);
    expect(await runSql(third.url, 'SELECT n FROM t')).toEqual([{ n: 1 }]);
  });

  it('never takes a foreign Postgres for its own: it takes another port, and remembers it', async () => {
    const { postgres } = inject('servers');
    const taken = 'url' in postgres ? Number(new URL(postgres.url).port) : 0;
    const settings = { ...options(), port: taken };
    const mine = await ensurePostgres(settings);
    expect(mine.port).not.toBe(taken);
    const data = realpathSync(join(settings.dir, 'cluster', 'data'));
    expect(await runSql(mine.url, 'SHOW data_directory')).toEqual([{ data_directory: data }]);
    await mine.stop();
    expect((await ensurePostgres(settings)).port).toBe(mine.port);
  });
});

describe('the Postgres of a folder', () => {
  let settings = { dir: '', settings: THROWAWAY };

  beforeAll(() => {
    settings = { dir: newFolder('postgres'), settings: THROWAWAY };
  });
  afterEach(() => stopPostgres(settings.dir));

  it('lets nobody in without the password, and keeps that from other users', async () => {
    const { url } = await ensurePostgres(settings);
    const open = new URL(url);
    open.password = '';
    await expect(runSql(open.href, 'SELECT 1')).rejects.toThrow(/password/);
    open.password = 'guess';
    await expect(runSql(open.href, 'SELECT 1')).rejects.toThrow(/password/);
    expect(statSync(join(settings.dir, 'password')).mode & 0o777).toBe(0o600);
  });

  it('shows its own words when it refuses to start', async () => {
    const refused = ensurePostgres({ ...settings, settings: { no_such_setting: '1' } });
    await expect(refused).rejects.toThrow(/unrecognized configuration parameter "no_such_setting"/);
  });

  it('is not opened by another major version, and the error says what to do', async () => {
    const version = join(settings.dir, 'cluster', 'data', 'PG_VERSION');
    const major = Number(readFileSync(version, 'utf8'));
    writeFileSync(version, `${major - 1}\n`);
    await expect(ensurePostgres(settings)).rejects.toThrow(`was made by PostgreSQL ${major - 1}, and this project now`);
  });
});
