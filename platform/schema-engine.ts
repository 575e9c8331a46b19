import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
  type SqlQuery,
  type SqlQueryable,
} from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';

/** Prisma's schema engine on one database. `close` ends its connections; the engine is of no use afterwards. */
export interface OpenEngine extends AsyncDisposable {
  readonly engine: bindings.SchemaEngine;
  readonly close: () => Promise<void>;
}

/** Path and text of a Prisma schema file. */
export type Datamodel = [path: string, text: string];

const CLOSE_WAIT_MS = 5_000;
const CHAR_OID = 18;
const BPCHAR_OID = 1042;

/**
 * Opens Prisma's schema engine, in its WebAssembly build: the native one is a download at run time, which not every
 * machine can or may make. It expects a driver adapter; Prisma's own for pg needs the repairs below to serve it.
 */
export async function openSchemaEngine(url: string, datamodels: readonly Datamodel[] = []): Promise<OpenEngine> {
  const { SchemaEngine } = await loadEngine();
  const adapters = new MigrationAdapters(url);
  const close = () => adapters.close();
  try {
    // No schema is undefined: an empty list makes the engine panic.
    const options = { datamodels: datamodels.length === 0 ? undefined : [...datamodels] };
    const engine = await SchemaEngine.new(options, () => undefined, bindMigrationAwareSqlAdapterFactory(adapters));
    return { engine, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A migration that Postgres refused, told as the native engine tells it. */
export class FailedMigration extends Error {
  readonly code = 'P3018';
}

/** Applies what is missing. A migration that fails is recorded as failed, and blocks all others until it is resolved. */
export async function applyMigrations(
  engine: bindings.SchemaEngine,
  input: bindings.ApplyMigrationsInput,
): Promise<bindings.ApplyMigrationsOutput> {
  try {
    return await engine.applyMigrations(input);
  } catch (error) {
    if (engineErrorCode(error) !== undefined) throw error; // the engine's own refusals name what they mean
    const { failedMigrationNames } = await engine.diagnoseMigrationHistory({ ...input, optInToShadowDatabase: false });
    if (failedMigrationNames.length === 0) throw error;
    const cause = engineErrorMessage(error).replace(/^external connector error\n/, '');
    throw new FailedMigration(`Migration ${failedMigrationNames.join(', ')} failed to apply. ${cause}`, {
      cause: error,
    });
  }
}

/** What went wrong, for people: the engine appends a trace of its own code. */
export function engineErrorMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split(/\n {3}\d+: /)[0] ?? message).trim();
}

/** The code of an engine's error (`P3009`), undefined where it has none. */
export function engineErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * The same server and settings, another database; and always in UTC, because the adapter takes every timestamp it
 * reads for UTC. All goes into the URL: pg lets a URL win over settings passed beside it.
 */
export function databaseUrl(url: string, database?: string): string {
  const parsed = new URL(url);
  const schema = parsed.searchParams.get('schema');
  if (schema !== null && schema !== 'public') {
    throw new Error(`The database URL asks for schema "${schema}"; migrations work in "public" only. Remove ?schema=.`);
  }
  parsed.searchParams.delete('schema');
  const options = parsed.searchParams.get('options');
  parsed.searchParams.set('options', `${options === null ? '' : `${options} `}-c TimeZone=UTC`);
  if (database !== undefined) parsed.pathname = `/${encodeURIComponent(database)}`;
  return parsed.href;
}

/** Runs one statement on a connection of its own. */
export async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl(url) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

class MigrationAdapters implements SqlMigrationAwareDriverAdapterFactory {
  readonly provider = 'postgres';
  readonly adapterName = '@prisma/adapter-pg';
  readonly #url: string;
  readonly #open = new Set<SqlDriverAdapter>();

  constructor(url: string) {
    databaseUrl(url); // complains at once about one that cannot be used
    this.#url = url;
  }

  connect(): Promise<SqlDriverAdapter> {
    return this.#connect(databaseUrl(this.#url), async () => undefined);
  }

  /** An empty database to replay migrations in, dropped when the engine lets go of it. */
  async connectToShadowDb(): Promise<SqlDriverAdapter> {
    const name = `prisma_migrate_shadow_db_${randomUUID()}`;
    await execute(this.#url, `CREATE DATABASE "${name}"`).catch((error) => {
      throw adapterError(error);
    });
    return this.#connect(databaseUrl(this.#url, name), () =>
      execute(this.#url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
    );
  }

  /** Bounded, because a session that still waits for a lock ends only when it gets it. */
  async close(): Promise<void> {
    const closed = Promise.all([...this.#open].map((adapter) => adapter.dispose()));
    await Promise.race([closed, sleep(CLOSE_WAIT_MS, undefined, { ref: false })]);
  }

  async #connect(url: string, afterwards: () => Promise<void>): Promise<SqlDriverAdapter> {
    // One connection: the engine's advisory lock must be held by the session that migrates.
    const adapter: SqlDriverAdapter = repair(await new PrismaPg({ connectionString: url, max: 1 }).connect());
    const dispose = adapter.dispose.bind(adapter);
    adapter.dispose = async () => {
      if (!this.#open.delete(adapter)) return;
      await dispose(); // before dropping the database: it is in use until then
      await afterwards();
    };
    this.#open.add(adapter);
    return adapter;
  }
}

/** The parts of Prisma's adapter that are private to it and need a repair. */
interface AdapterInternals extends SqlQueryable {
  performIO(query: SqlQuery): Promise<{ readonly fields?: { dataTypeID: number }[] }>;
  onError(error: unknown): never;
}

type PgAdapter = Awaited<ReturnType<PrismaPg['connect']>>;

/**
 * Faults of the adapter that only migrating brings out: it does not know the type `"char"`, which system tables are
 * full of; it cuts scripts at every `;`, also inside strings, comments and function bodies; and the reason of an error
 * that it does not know gets lost on the way through the engine.
 */
function repair(adapter: PgAdapter): PgAdapter {
  const internals = adapter as unknown as AdapterInternals;
  adapter.executeScript = async (script) => {
    try {
      await adapter.underlyingDriver().query(script);
    } catch (error) {
      internals.onError(error);
    }
  };
  const onError = internals.onError.bind(adapter);
  internals.onError = (error) => {
    try {
      return onError(error);
    } catch (converted) {
      throw adapterError(converted);
    }
  };
  const charColumns = new WeakMap<SqlQuery, number[]>();
  const performIO = internals.performIO.bind(adapter);
  internals.performIO = async (query) => {
    const result = await performIO(query);
    const fields = result.fields ?? [];
    charColumns.set(
      query,
      [...fields.keys()].filter((i) => fields[i]?.dataTypeID === CHAR_OID),
    );
    for (const field of fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = BPCHAR_OID;
    return result;
  };
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query);
    for (const i of charColumns.get(query) ?? []) result.columnTypes[i] = ColumnTypeEnum.Character;
    return result;
  };
  return adapter;
}

/** The only errors whose message reaches the other side of the engine. */
function adapterError(error: unknown): DriverAdapterError {
  if (error instanceof DriverAdapterError) return error;
  const { message = String(error), code = 'N/A' } = error as { message?: string; code?: string };
  return new DriverAdapterError({
    kind: 'postgres',
    code,
    message,
    severity: 'ERROR',
    detail: undefined,
    column: undefined,
    hint: undefined,
  });
}

/** What Node has and its types do not declare. */
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, object>,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
};

let loading: Promise<typeof bindings> | undefined;

/** Loads the engine once per process, without the bundler that its package is made for. */
function loadEngine(): Promise<typeof bindings> {
  loading ??= (async () => {
    const scope = globalThis as { PRISMA_WASM_PANIC_REGISTRY?: { set_message(message: string): void } };
    // Where the engine reports a panic; without it the panic itself would be hidden by a second error.
    scope.PRISMA_WASM_PANIC_REGISTRY ??= {
      set_message: (message) => process.stderr.write(`${JSON.stringify({ level: 'ERROR', fields: { message } })}\n`),
    };
    const module = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
    const bytes = readFileSync(join(dirname(module), 'schema_engine_bg.wasm'));
    const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': withQuietTimers(bindings) });
    bindings.__wbg_set_wasm(instance.exports);
    instance.exports.__wbindgen_start();
    return bindings;
  })();
  return loading;
}

/** Having got its lock, the engine lets the lock's timer run on: that alone must not keep this process alive. */
function withQuietTimers(imports: object): object {
  const setQuietTimer = (callback: () => void, delayMs: number) => setTimeout(callback, delayMs).unref();
  const timers = Object.keys(imports).filter((name) => name.startsWith('__wbg_setTimeout_'));
  return { ...imports, ...Object.fromEntries(timers.map((name) => [name, setQuietTimer])) };
}
