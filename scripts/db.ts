/**
 * The database of a developer's machine: `npm run db -- start|stop|url` (stop also ends the nats-server, should a killed
 * `npm start` have left one), and `npm run prisma -- …`, which is the prisma command with that database, unless
 * DATABASE_URL names another, and with the schema engine of this project.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stopNats } from '../platform/embedded/nats.ts';
import { ensurePostgres, findPostgres, stopPostgres } from '../platform/embedded/postgres.ts';

const DIR = fileURLToPath(new URL('../.oo/postgres', import.meta.url));
const NATS_DIR = fileURLToPath(new URL('../.oo/nats', import.meta.url));
const WITHOUT_DATABASE = ['generate', 'validate', 'format', 'version', '--version', '-v', '--help', '-h'];

async function databaseUrl(): Promise<string> {
  return process.env.DATABASE_URL ?? (await ensurePostgres({ dir: DIR })).url;
}

async function prisma(args: readonly string[]): Promise<number> {
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`, // the engine is run by the same Node
    PRISMA_SCHEMA_ENGINE_BINARY: fileURLToPath(new URL('schema-engine.ts', import.meta.url)),
    CHECKPOINT_DISABLE: '1', // no question to the internet whether there is a newer version
  };
  const needsDatabase = args.length > 0 && !args.some((arg) => WITHOUT_DATABASE.includes(arg));
  const command = createRequire(import.meta.url).resolve('prisma/build/index.js');
  return (
    spawnSync(process.execPath, [command, ...args], {
      stdio: 'inherit',
      env: needsDatabase ? { ...env, DATABASE_URL: await databaseUrl() } : env,
    }).status ?? 1
  );
}

const [command, ...args] = process.argv.slice(2);
switch (command) {
  case 'start':
    console.log((await ensurePostgres({ dir: DIR })).url);
    break;
  case 'stop':
    await Promise.all([stopPostgres(DIR), stopNats(NATS_DIR)]);
    break;
  case 'url':
    console.log((await findPostgres(DIR)) ?? 'Not running: npm run db -- start');
    break;
  case 'prisma':
    process.exitCode = await prisma(args);
    break;
  default:
    console.error('Usage: npm run db -- start | stop | url');
    process.exitCode = 2;
}
