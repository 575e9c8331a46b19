/**
 * `npm run mlflow -- sync|drift|pull`: models and their runs in MLflow (docs/mlflow.md). `sync` brings everything there and
 * reads it back; `drift` says on what both sides differ, and ends with 1 if they do; `pull` registers somebody else's model.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { gateLimits } from '../experiments/gate.ts';
import { registerPulled } from '../pipelines/register-pulled.ts';
import { ConfigError, readConfig } from '../platform/config.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { DomainError } from '../platform/errors.ts';
import { createMlflowClient, type MlflowClient } from '../registry/mlflow/client.ts';
import { type Drift, findDrift } from '../registry/mlflow/drift.ts';
import { mlflowVariables, readMlflowTarget } from '../registry/mlflow/environment.ts';
import { MlflowError } from '../registry/mlflow/error.ts';
import { type Mirrored, mirror } from '../registry/mlflow/mirror.ts';
import { asOnlyMirror } from '../registry/mlflow/mirror-lock-store.ts';
import { pull } from '../registry/mlflow/pull.ts';
import { createMirrorSource } from '../registry/mlflow/source.ts';
import { versionPage } from '../registry/mlflow/version-page.ts';
import { createModelStore } from '../registry/model-store.ts';
import { lazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { type MlflowCommand, mlflowUsage, readMlflowCommand } from './mlflow-command.ts';

const { command, golden, target } = readArguments(mlflowUsage, () => {
  const command = readMlflowCommand(process.argv.slice(2));
  const target = readMlflowTarget(readConfig(z.object(mlflowVariables), process.env));
  if (!target) throw new ConfigError(['MLFLOW_TRACKING_URI: is not set: the tracking server']);
  const file = command.kind === 'pull' ? command.goldenFile : undefined;
  return { command, target, golden: file === undefined ? undefined : readFileSync(file) };
});

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-mlflow', maxConnections: 2 });
  try {
    await run(database, createMlflowClient({ ...target, random: Math.random }), command);
  } finally {
    await database.end();
  }
}).catch((error) => {
  const isForThem = error instanceof MlflowError || error instanceof DomainError;
  fail(isForThem ? error.message : error);
});

async function run(database: Database, client: MlflowClient, command: MlflowCommand): Promise<void> {
  const models = createModelStore(database);
  const source = createMirrorSource({
    models,
    rollouts: createRolloutStore(database),
    pageOf: versionPage(gateLimits),
  });
  switch (command.kind) {
    case 'sync': {
      const done = await whenFree(database, (stillOurs) => mirror(source, client, { everyByte: true, stillOurs }));
      for (const change of done.changes) say(`wrote ${change}`);
      for (const problem of done.problems) say(`not done: ${problem}`);
      if (done.changes.length + done.problems.length === 0) say('all was there');
      if (done.problems.length > 0) process.exitCode = 1;
      return;
    }
    case 'drift': {
      const drifts = await findDrift(source, client);
      if (command.json) say(JSON.stringify(drifts, undefined, 2));
      else for (const line of linesOf(drifts)) say(line);
      if (drifts.length > 0) process.exitCode = 1;
      return;
    }
    case 'pull': {
      const { name, alias, epsilon, ...rest } = command;
      const pulled = await pull(client, { name, alias, golden });
      const explorer = { name: 'egreedy', hyperparameters: { epsilon } };
      await using onnx = lazyOnnxPool();
      const version = await registerPulled({ store: models, onnx }, pulled, { ...rest, explorer, atMs: Date.now() });
      say(`${name}@${alias}, version ${pulled.version}, is ${version.name} here`);
    }
  }
}

/** Waits for whoever mirrors now, so that whoever asked can count on what they see then. */
async function whenFree(
  database: Database,
  work: (stillOurs: () => Promise<void>) => Promise<Mirrored>,
): Promise<Mirrored> {
  for (;;) {
    const done = await asOnlyMirror(database, work);
    if (done) return done;
    await sleep(1_000);
  }
}

function linesOf(drifts: readonly Drift[]): readonly string[] {
  if (drifts.length === 0) return ['the registry and MLflow agree'];
  return drifts.map(({ kind, what, here, there }) =>
    kind === 'differs' ? `differs     ${what}: ${here} here, ${there} there` : `${kind.padEnd(11)} ${what}`,
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
