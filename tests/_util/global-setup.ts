import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { findNatsServer } from '../../platform/embedded/nats-binary.ts';
import { ensurePostgres } from '../../platform/embedded/postgres.ts';
import { migrate } from '../../platform/migrations.ts';
import { type ProvidedServers, TEMPLATE, THROWAWAY } from './servers.ts';
import { runSql } from './sql.ts';
import { startTestRun } from './test-run.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Before a run: one Postgres for all test files, with a migrated database to copy, and the nats-server program. What
 * cannot be had fails the tests that ask for it, with the reason, and no others.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = await startTestRun();
  const [postgres, nats] = await Promise.all([
    orProblem(async () => ({ url: await startPostgres(join(run.folder, 'postgres')) })),
    orProblem(async () => ({ path: (await findNatsServer(join(root, '.oo', 'cache'))).path })),
  ]);
  project.provide('servers', { folder: run.folder, postgres, nats });
  return run.end;
}

async function startPostgres(dir: string): Promise<string> {
  const settings = { ...THROWAWAY, max_connections: '200' };
  const { url } = await ensurePostgres({ dir, database: TEMPLATE, settings });
  await migrate(url, { migrationsDir: join(root, 'prisma', 'migrations') });
  const admin = new URL('/postgres', url).href;
  await runSql(admin, `ALTER DATABASE ${TEMPLATE} IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  return admin;
}

async function orProblem<T>(get: () => Promise<T>): Promise<T | { problem: string }> {
  try {
    return await get();
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: ProvidedServers;
  }
}
