import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { applyMigrations, engineErrorCode, engineErrorMessage, openSchemaEngine } from './schema-engine.ts';

const LOCK_TRIES = 12; // each waits 10 s inside the engine
const LOCK_RETRY_MS = 200;
const NO_FILTERS = { externalTables: [], externalEnums: [] };

/** Why the database could not be brought to the state of the migrations. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

/**
 * Applies the migrations that the database does not have yet, in the order of their names, and returns their names.
 * Safe to call from many processes at once: one applies, the others wait. It refuses to touch a database to which a
 * migration was applied that has been edited since, or in which one has failed. A database that is *ahead* of the
 * migrations is left as it is, so that the previous release can be started again.
 */
export async function migrate(databaseUrl: string, options: { readonly migrationsDir: string }): Promise<string[]> {
  const migrationsList = readMigrations(options.migrationsDir);
  try {
    await using opened = await openSchemaEngine(databaseUrl);
    await refuseEdited(opened.engine, migrationsList);
    return await apply(opened.engine, migrationsList);
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw new MigrationError(explain(error), { cause: error });
  }
}

/** The migrations of a folder, in the form the engine takes. */
export function readMigrations(migrationsDir: string): MigrationList {
  const baseDir = resolve(migrationsDir);
  const names = readdirSync(baseDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: readFileSync(join(baseDir, 'migration_lock.toml'), 'utf8') },
    shadowDbInitScript: '',
    migrationDirectories: names.sort().map((name) => ({
      path: name,
      migrationFile: {
        path: 'migration.sql',
        content: { tag: 'ok', value: readFileSync(join(baseDir, name, 'migration.sql'), 'utf8') },
      },
    })),
  };
}

async function refuseEdited(engine: SchemaEngine, migrationsList: MigrationList): Promise<void> {
  const { editedMigrationNames: edited } = await engine.diagnoseMigrationHistory({
    migrationsList,
    optInToShadowDatabase: false,
    filters: NO_FILTERS,
  });
  if (edited.length === 0) return;
  throw new MigrationError(
    `Edited after they were applied to this database: ${edited.join(', ')}. ` +
      'Restore the files, and put the change into a new migration.',
  );
}

async function apply(engine: SchemaEngine, migrationsList: MigrationList): Promise<string[]> {
  for (let tries = 1; ; tries++) {
    try {
      return (await applyMigrations(engine, { migrationsList, filters: NO_FILTERS })).appliedMigrationNames;
    } catch (error) {
      const isLocked = engineErrorCode(error) === 'P1002' || /advisory lock/.test(engineErrorMessage(error));
      if (!isLocked || tries === LOCK_TRIES) throw error;
      await sleep(LOCK_RETRY_MS);
    }
  }
}

function explain(error: unknown): string {
  const message = engineErrorMessage(error);
  const code = engineErrorCode(error);
  const remedy =
    code === 'P3009' || code === 'P3018'
      ? '\nRepair the database by hand if needed, then say so: npm run prisma -- migrate resolve --rolled-back <name>'
      : '';
  return `Migrating the database failed${code === undefined ? '' : ` (${code})`}: ${message}${remedy}`;
}
