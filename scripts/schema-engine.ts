#!/usr/bin/env node
/**
 * Takes the place of the native schema engine that the prisma command would download: the same process contract,
 * served by the WebAssembly build of the same engine. `npm run prisma` sets PRISMA_SCHEMA_ENGINE_BINARY to this file.
 *
 * Without further arguments: JSON-RPC, one object per line, on stdin and stdout, answered in order. With
 * `cli can-connect-to-database|create-database|drop-database`: that, and an exit code.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type {
  ApplyMigrationsInput,
  CreateMigrationInput,
  DiffParams,
  EvaluateDataLossInput,
  SchemaEngine,
} from '@prisma/schema-engine-wasm/schema_engine_bg';
import {
  applyMigrations,
  type Datamodel,
  databaseUrl,
  engineErrorCode,
  engineErrorMessage,
  execute,
  openSchemaEngine,
} from '../platform/schema-engine.ts';

interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

const { values, positionals } = parseArgs({
  strict: false, // the prisma command also passes options that matter only to the native engine
  allowPositionals: true,
  options: { datamodels: { type: 'string', short: 'd', multiple: true }, datasource: { type: 'string' } },
});

/** Does `work` with an engine of its own, opened late: some methods must work before there is a database. */
async function withEngine<T>(work: (engine: SchemaEngine) => Promise<T>): Promise<T> {
  const files = (values.datamodels ?? []) as string[];
  const datamodels = files.map((path): Datamodel => [path, readFileSync(path, 'utf8')]);
  await using opened = await openSchemaEngine(url(), datamodels);
  return await work(opened.engine);
}

/**
 * These two methods replay the migrations in a shadow database that the engine cannot make by itself in this build. The
 * history's diagnosis can, and leaves its result where they look first.
 */
function withReplay<T>(
  { migrationsList, filters }: CreateMigrationInput | EvaluateDataLossInput,
  work: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  return withEngine(async (engine) => {
    await engine.diagnoseMigrationHistory({ migrationsList, filters, optInToShadowDatabase: true });
    return work(engine);
  });
}

function url(): string {
  const datasource = JSON.parse(String(values.datasource ?? '{}')) as { url?: string; shadowDatabaseUrl?: string };
  if (!datasource.url) throw new Error('No database: set DATABASE_URL, or use npm run prisma, which brings one.');
  return datasource.url;
}

function databaseName(): string {
  return decodeURIComponent(new URL(url()).pathname.slice(1));
}

/** The methods that differ from the engine's own; all others are passed on to it by name. */
const methods: Readonly<Record<string, (params: never) => Promise<unknown>>> = {
  createDatabase: async () => {
    await createDatabase();
    return { databaseName: databaseName() };
  },
  ensureConnectionValidity: async () => {
    await execute(url(), 'SELECT 1');
    return {};
  },
  getDatabaseVersion: () => withEngine((engine) => engine.version()),
  createMigration: (params: CreateMigrationInput) => withReplay(params, (engine) => engine.createMigration(params)),
  evaluateDataLoss: (params: EvaluateDataLossInput) => withReplay(params, (engine) => engine.evaluateDataLoss(params)),
  applyMigrations: (params: ApplyMigrationsInput) => withEngine((engine) => applyMigrations(engine, params)),
  diff: async (params: DiffParams) => {
    const result = await withEngine((engine) => engine.diff(params));
    send({ id: -1, method: 'print', params: { content: result.stdout ?? '' } });
    return result;
  },
};

async function call({ method, params }: Request): Promise<unknown> {
  const own = methods[method];
  if (own !== undefined) return own(params as never);
  return withEngine((engine) => {
    const target = engine as unknown as Record<string, (params: unknown) => Promise<unknown>>;
    if (typeof target[method] !== 'function') throw new Error(`The schema engine has no method ${method}.`);
    return target[method](params);
  });
}

function createDatabase(): Promise<void> {
  return execute(databaseUrl(url(), 'postgres'), `CREATE DATABASE ${quote(databaseName())}`);
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function send(message: object): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

async function serve(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    const request = JSON.parse(line) as Partial<Request>;
    if (request.id === undefined || request.method === undefined) continue; // an answer to our own `print`
    const { id, method, params } = request;
    try {
      send({ id, result: (await call({ id, method, params })) ?? {} });
    } catch (error) {
      const data = { message: engineErrorMessage(error), error_code: codeOf(error), is_panic: false };
      send({ id, error: { code: 4466, message: 'An error happened. Check the data field for details.', data } });
    }
  }
}

const commands: Readonly<Record<string, () => Promise<void>>> = {
  'can-connect-to-database': () => execute(url(), 'SELECT 1'),
  'create-database': createDatabase,
  'drop-database': () =>
    execute(databaseUrl(url(), 'postgres'), `DROP DATABASE IF EXISTS ${quote(databaseName())} WITH (FORCE)`),
};

async function runCommand(name: string): Promise<void> {
  try {
    const command = commands[name];
    if (command === undefined) throw new Error(`Unknown command ${name}.`);
    await command();
  } catch (error) {
    const fields = { message: engineErrorMessage(error), error_code: codeOf(error) };
    // The prisma command drops the first line, expecting another program's banner there.
    process.stderr.write(`\n${JSON.stringify({ level: 'ERROR', target: 'schema_engine::logger', fields })}\n`);
    process.exitCode = 1;
  }
}

/** Prisma's code of an error; those of pg are mapped as the native engine would. */
function codeOf(error: unknown): string | undefined {
  const code = engineErrorCode(error) ?? '';
  if (code === '3D000') return 'P1003';
  if (['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH'].includes(code)) return 'P1001';
  if (/^28/.test(code)) return 'P1000';
  return /^P\d{4}$/.test(code) ? code : undefined;
}

if (positionals[0] === 'cli') await runCommand(positionals[1] ?? '');
else await serve();
