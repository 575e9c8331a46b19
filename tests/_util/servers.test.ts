import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it } from 'vitest';
import { natsInfo } from '../../platform/embedded/nats.ts';
import { findProcesses, until } from '../../platform/embedded/process.ts';
import { createTestDatabase, startTestNats, startTestPostgres } from './servers.ts';
import { runSql } from './sql.ts';

describe('createTestDatabase', () => {
  it('makes databases that know the tables and nothing of each other', async () => {
    await using first = await createTestDatabase();
    await using second = await createTestDatabase();
    await runSql(first.url, `INSERT INTO user_daily (user_id, day) VALUES ('u', '2026-01-01')`);
    expect(await runSql(first.url, 'SELECT user_id FROM user_daily')).toEqual([{ user_id: 'u' }]);
    expect(await runSql(second.url, 'SELECT user_id FROM user_daily')).toEqual([]);
  });

  it('makes many at once', async () => {
    const databases = await Promise.all(Array.from({ length: 8 }, createTestDatabase));
    expect(new Set(databases.map(({ url }) => url)).size).toBe(8);
    await Promise.all(databases.map(({ drop }) => drop()));
  });
});

describe('startTestNats', () => {
  it('starts servers of their own, on which JetStream is on', async () => {
    await using first = await startTestNats();
    await using second = await startTestNats();
    const [a, b] = await Promise.all([natsInfo(first.port), natsInfo(second.port)]);
    expect([a?.jetstream, b?.jetstream]).toEqual([true, true]);
    expect(a?.serverName).not.toBe(b?.serverName);
  });

  it('keeps the address through kill and restart, and falls silent when paused', async () => {
    await using nats = await startTestNats();
    const before = nats.pid;
    await nats.kill();
    expect(await natsInfo(nats.port)).toBeUndefined();
    await nats.restart();
    expect(nats.pid).not.toBe(before);
    expect((await natsInfo(nats.port))?.jetstream).toBe(true);
    nats.pause(); // its threads stop one after the other
    expect(await until(async () => (await natsInfo(nats.port)) === undefined, 10_000)).toBe(true);
    nats.resume();
    expect((await natsInfo(nats.port))?.jetstream).toBe(true);
  });
});

describe('startTestPostgres', () => {
  it('keeps address and data through kill and restart', async () => {
    await using postgres = await startTestPostgres();
    await runSql(postgres.url, `INSERT INTO user_daily (user_id, day) VALUES ('u', '2026-01-01')`);
    await postgres.kill();
    await expect(runSql(postgres.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
    await postgres.restart();
    expect(await runSql(postgres.url, 'SELECT user_id FROM user_daily')).toEqual([{ user_id: 'u' }]);
  });
});

describe('a run of the tests', () => {
  const script = (...lines: string[]) => {
    const program = spawn(
      process.execPath,
      ['--input-type=module-typescript', '-e', ["import { startTestRun } from './test-run.ts';", ...lines].join('\n')],
      { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    return program;
  };

  it('leaves nothing behind when it is killed', async () => {
    const { nats } = inject('servers');
    const binary = 'path' in nats ? nats.path : '';
    const program = script(
      "import { ensureNats } from '../../platform/embedded/nats.ts';",
      "import { ensurePostgres } from '../../platform/embedded/postgres.ts';",
      'const { folder } = await startTestRun();',
      "const dir = folder + '/nats';",
      `await Promise.all([ensureNats({ dir, cache: dir, binary: ${JSON.stringify(binary)} }), ensurePostgres({ dir: folder + '/postgres' })]);`,
      'console.log(folder);',
      'setInterval(() => undefined, 1000);',
    );
    const [output] = (await once(program.stdout, 'data')) as [Buffer];
    const folder = output.toString().trim();
    expect(existsSync(join(folder, 'postgres'))).toBe(true);
    expect(findProcesses(`${folder}/`)).toHaveLength(2);
    program.kill('SIGKILL');
    expect(await until(() => !existsSync(folder) && findProcesses(`${folder}/`).length === 0, 15_000)).toBe(true);
    // The watcher itself looks twice more, and goes.
    expect(await until(() => findProcesses(folder, '').length === 0, 15_000)).toBe(true);
  });
});
