// `npm start`: everything on one machine. Starts what is not configured (Postgres, NATS), migrates, runs the server and
// the consumers as processes of their own, turns the loop once before your eyes, and stays up until Ctrl-C.

import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../gen/prisma/client.ts';
import { aborted } from '../platform/abort.ts';
import { openDatabase } from '../platform/database.ts';
import { freePort } from '../platform/embedded/free-port.ts';
import { ensureNats, stopNats } from '../platform/embedded/nats.ts';
import { ensurePostgres, stopPostgres } from '../platform/embedded/postgres.ts';
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
const postgresDir = `${home}/postgres`;
const natsDir = `${home}/nats`;

await runMain(async (signal) => {
  const env = process.env;
  readServerConfig({ ...env, DATABASE_URL: env.DATABASE_URL || 'postgres://x', NATS_URL: env.NATS_URL || 'nats://x' }); // all complaints before anything starts
  const stack = new AsyncDisposableStack(); // also stops servers that an earlier start was killed over
  try {
    say(dim('starting …'));
    const postgres = env.DATABASE_URL ? undefined : await ensurePostgres({ dir: postgresDir });
    if (postgres) stack.defer(() => stopPostgres(postgresDir));
    const nats = env.NATS_URL ? undefined : await ensureNats({ dir: natsDir, cache: `${home}/cache` });
    if (nats) stack.defer(() => stopNats(natsDir));
    const databaseUrl = postgres?.url ?? env.DATABASE_URL ?? '';
    const natsUrl = nats?.url ?? env.NATS_URL ?? '';
    await migrate(databaseUrl, { migrationsDir: `${root}prisma/migrations` });

    const port = env.PORT || String(await freePort([8080]));
    const childEnv = { ...env, DATABASE_URL: databaseUrl, NATS_URL: natsUrl, PORT: port };
    const consumers = startProcess({
      name: 'consumers',
      script: `${root}consumers/main.ts`,
      env: childEnv,
      logDir: home,
    });
    stack.defer(consumers.stop);
    const server = startProcess({ name: 'server', script: `${root}server/main.ts`, env: childEnv, logDir: home });
    stack.defer(server.stop);
    const ended = Promise.race([consumers.ended, server.ended]);

    const baseUrl = `http://127.0.0.1:${port}`;
    const isUp = () =>
      fetch(`${baseUrl}/healthz`).then(
        (response) => response.ok,
        () => false,
      );
    await Promise.race([waitFor('the server to answer', isUp), ended]);

    say();
    say(`${bold('oO ml is up')} at ${bold(baseUrl)}  ${dim('gRPC, gRPC-Web, Connect and JSON on one port')}`);
    say(
      dim(
        `   postgres ${postgres ? 'embedded, .oo/postgres' : 'DATABASE_URL'} · nats ${nats ? 'embedded, .oo/nats' : 'NATS_URL'} · logs .oo/server.log, .oo/consumers.log`,
      ),
    );

    const database = openDatabase({ url: databaseUrl, applicationName: 'oo-start', maxConnections: 2 });
    const prisma = new PrismaClient({ adapter: new PrismaPg(database) });
    try {
      await Promise.race([runDemo({ baseUrl, natsUrl, prisma }), ended, aborted(signal)]);
    } finally {
      await prisma.$disconnect();
      await database.end();
    }
    if (!signal.aborted) {
      printCalls(baseUrl);
      await Promise.race([aborted(signal), ended]);
    }
    say();
    say(dim('stopping …'));
  } finally {
    await stack.disposeAsync();
  }
});
