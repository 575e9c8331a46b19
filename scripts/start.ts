// `npm start`: everything on one machine. Starts what is not configured (Postgres, NATS), migrates, runs the server and
// the consumers as processes of their own, turns the loop once before your eyes, and stays up until Ctrl-C.

import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { readConsumersConfig } from '../consumers/config.ts';
import { PrismaClient } from '../gen/prisma/client.ts';
import { aborted } from '../platform/abort.ts';
import { checkConfig } from '../platform/config.ts';
import { openDatabase } from '../platform/database.ts';
import { freePort } from '../platform/embedded/free-port.ts';
import { ensureNats, stopNats } from '../platform/embedded/nats.ts';
import { ensurePostgres, stopPostgres } from '../platform/embedded/postgres.ts';
import { makeFolder, withLock } from '../platform/embedded/process.ts';
import { migrate } from '../platform/migrations.ts';
import { runMain } from '../platform/run-main.ts';
import { readServerConfig } from '../server/config.ts';
import { runDemo } from './demo/demo.ts';
import { bold, dim, say } from './demo/print.ts';
import { printCalls } from './demo/try-it.ts';
import { waitFor } from './demo/wait-for.ts';
import { startProcess } from './process.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const home = `${root}.oo`;

const busy = 'npm start already runs in this folder, on the data in .oo: stop that one first, or start another clone.';

makeFolder(home);
await runMain((signal) => withLock(`${home}/start`, () => start(signal), 0, busy));

async function start(signal: AbortSignal): Promise<void> {
  const env = process.env;
  // All complaints before anything starts; what is embedded has no address yet.
  checkConfig([readServerConfig, readConsumersConfig], {
    ...env,
    DATABASE_URL: env.DATABASE_URL || 'postgres://x',
    NATS_URL: env.NATS_URL || 'nats://x',
  });
  say(dim('starting …'));
  await using stack = new AsyncDisposableStack();

  const databaseUrl = env.DATABASE_URL || (await startPostgres(stack));
  const natsUrl = env.NATS_URL || (await startNats(stack));
  await migrate(databaseUrl, { migrationsDir: `${root}prisma/migrations` });
  const port = env.PORT || String(await freePort([8080]));
  const baseUrl = `http://127.0.0.1:${port}`;
  const ended = startProcesses(stack, { ...env, DATABASE_URL: databaseUrl, NATS_URL: natsUrl, PORT: port });
  await Promise.race([waitFor('the server to answer', () => isHealthy(baseUrl)), ended, aborted(signal)]);

  say();
  say(`${bold('oO ml is up')} at ${bold(baseUrl)}  ${dim('gRPC, gRPC-Web, Connect and JSON on one port')}`);
  const postgres = env.DATABASE_URL ? 'DATABASE_URL' : 'embedded, .oo/postgres';
  const nats = env.NATS_URL ? 'NATS_URL' : `embedded, ${natsUrl}`;
  say(dim(`   postgres ${postgres} · nats ${nats} · logs .oo/server.log, .oo/consumers.log`));

  if (env.AUTH_KEYS_FILE) {
    say(dim('   AUTH_KEYS_FILE is set: only callers with a key are answered, so nothing is shown here'));
  } else {
    await Promise.race([turnTheLoop(baseUrl, databaseUrl, natsUrl), ended, aborted(signal)]);
    if (!signal.aborted) printCalls(baseUrl);
  }
  await Promise.race([aborted(signal), ended]);
  say();
  say(dim('stopping …'));
}

/** Stopped in the end even if an earlier start, killed, has left it running. */
async function startPostgres(stack: AsyncDisposableStack): Promise<string> {
  const dir = `${home}/postgres`;
  stack.defer(() => stopPostgres(dir));
  return (await ensurePostgres({ dir })).url;
}

async function startNats(stack: AsyncDisposableStack): Promise<string> {
  const dir = `${home}/nats`;
  stack.defer(() => stopNats(dir));
  return (await ensureNats({ dir, cache: `${home}/cache`, port: 4222 })).url;
}

/** Rejects when one of them ends by itself. */
function startProcesses(stack: AsyncDisposableStack, env: NodeJS.ProcessEnv): Promise<never> {
  const processes = ['consumers', 'server'].map((name) =>
    startProcess({ name, script: `${root}${name}/main.ts`, env, logDir: home }),
  );
  for (const { stop } of processes) stack.defer(stop);
  return Promise.race(processes.map(({ ended }) => ended));
}

async function isHealthy(baseUrl: string): Promise<boolean> {
  return fetch(`${baseUrl}/healthz`).then(
    ({ ok }) => ok,
    () => false, // nobody listens yet
  );
}

async function turnTheLoop(baseUrl: string, databaseUrl: string, natsUrl: string): Promise<void> {
  const database = openDatabase({ url: databaseUrl, applicationName: 'oo-start', maxConnections: 2 });
  const prisma = new PrismaClient({ adapter: new PrismaPg(database) });
  try {
    await runDemo({ baseUrl, natsUrl, prisma, database });
  } finally {
    await prisma.$disconnect();
    await database.end();
  }
}
