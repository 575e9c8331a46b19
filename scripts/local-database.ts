import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { readConfig, url as urlOf } from '../platform/config.ts';
import { ensurePostgres, findPostgres, stopPostgres } from '../platform/embedded/postgres.ts';
import { migrate } from '../platform/migrations.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dir = `${root}.oo/postgres`;
const schema = z.object({ DATABASE_URL: urlOf('postgres', 'postgresql').optional() });

/**
 * Does something with the database that DATABASE_URL names, else with the embedded one of `npm start`, which is started
 * for it, and stopped after it, if it does not run. Throws a ConfigError on a DATABASE_URL that is none.
 */
export async function withDatabaseUrl<Result>(work: (url: string) => Promise<Result>): Promise<Result> {
  const running = readConfig(schema, process.env).DATABASE_URL ?? (await findPostgres(dir));
  if (running) return work(running);
  try {
    const { url } = await ensurePostgres({ dir });
    await migrate(url, { migrationsDir: `${root}prisma/migrations` });
    return await work(url);
  } finally {
    await stopPostgres(dir);
  }
}
