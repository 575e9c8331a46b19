import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DiffTarget } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { describe, expect, it } from 'vitest';
import { migrate, readMigrations } from '../platform/migrations.ts';
import { databaseUrl, openSchemaEngine } from '../platform/schema-engine.ts';
import { createEmptyDatabase, createTestDatabase, MIGRATIONS, newFolder } from './_util/servers.ts';
import { runSql } from './_util/sql.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const schemaFile = join(root, 'prisma', 'schema.prisma');
const filters = { externalTables: [], externalEnums: [] };
const names = readdirSync(MIGRATIONS)
  .filter((name) => name !== 'migration_lock.toml')
  .sort();

/** The prisma command starts three or four processes each time. */
const SLOW = { timeout: 120_000 };

/** What would have to change to get from one schema to the other; '' for nothing. */
async function difference(url: string, from: DiffTarget, to: DiffTarget): Promise<string> {
  await using opened = await openSchemaEngine(url);
  const { exitCode, stdout } = await opened.engine.diff({ from, to, script: true, exitCode: true, filters });
  return exitCode === 0 ? '' : `${stdout}`;
}

/** A copy of the migrations that a test may change. */
function copyOfMigrations(): string {
  const folder = newFolder('migrations');
  cpSync(MIGRATIONS, folder, { recursive: true });
  return folder;
}

function addMigration(folder: string, name: string, sql: string): void {
  mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, name, 'migration.sql'), sql);
}

const tables = (url: string) =>
  runSql(url, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`);

describe('the schema, the migrations and the database', () => {
  const files = [{ path: schemaFile, content: readFileSync(schemaFile, 'utf8') }];
  const schema: DiffTarget = { tag: 'schemaDatamodel', files };
  const live: DiffTarget = { tag: 'schemaDatasource', files, configDir: root };
  const migrations: DiffTarget = { tag: 'migrations', ...readMigrations(MIGRATIONS) };

  it.each(['there', 'back'])('are the same, %s', async (direction) => {
    await using database = await createTestDatabase();
    const pairs: [DiffTarget, DiffTarget][] = [
      [schema, migrations],
      [schema, live],
      [migrations, live],
    ];
    for (const [a, b] of pairs) {
      expect(await difference(database.url, ...(direction === 'there' ? ([a, b] as const) : ([b, a] as const)))).toBe(
        '',
      );
    }
  });

  it('are told apart when they differ', async () => {
    await using database = await createTestDatabase();
    await runSql(database.url, 'ALTER TABLE tip_scores ADD COLUMN surplus int');
    expect(await difference(database.url, live, schema)).toContain('DROP COLUMN "surplus"');
    expect(await difference(database.url, schema, migrations)).toBe('');
  });

  it('agree on what was applied, byte for byte', async () => {
    await using database = await createTestDatabase();
    const rows = await runSql(
      database.url,
      'SELECT migration_name AS name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY 1',
    );
    const checksum = (name: string) =>
      createHash('sha256')
        .update(readFileSync(join(MIGRATIONS, name, 'migration.sql')))
        .digest('hex');
    expect(rows).toEqual(names.map((name) => ({ name, checksum: checksum(name) })));
  });

  it('cannot be compared by a role that may not create databases, and the error says so', async () => {
    await using database = await createTestDatabase();
    const role = `role_${randomUUID().replaceAll('-', '')}`;
    await runSql(database.url, `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    const url = new URL(database.url);
    [url.username, url.password] = [role, 'secret'];
    await expect(difference(url.href, migrations, schema)).rejects.toThrow(/permission denied to create database/);
    await runSql(database.url, `DROP ROLE ${role}`);
  });

  it('leave no database behind in which they were compared', async () => {
    await using database = await createTestDatabase();
    await difference(database.url, migrations, schema);
    const mine = async () =>
      (await runSql(database.url, `SELECT datname FROM pg_database WHERE datname LIKE 'prisma_migrate_shadow%'`))
        .length;
    await expect.poll(mine, { timeout: 10_000 }).toBe(0); // those of other test files come and go
  });
});

describe('migrate', () => {
  it('applies all to an empty database, then nothing', async () => {
    await using database = await createEmptyDatabase();
    expect(await migrate(database.url, { migrationsDir: MIGRATIONS })).toEqual(names);
    expect(await migrate(database.url, { migrationsDir: MIGRATIONS })).toEqual([]);
  });

  it('applies once when three processes ask at once', async () => {
    await using database = await createEmptyDatabase();
    const program = `import { migrate } from './platform/migrations.ts';
      console.log(JSON.stringify(await migrate(process.argv[1], { migrationsDir: process.argv[2] })));`;
    const args = ['--input-type=module-typescript', '-e', program, database.url, MIGRATIONS];
    const runs = await Promise.all([1, 2, 3].map(() => promisify(execFile)(process.execPath, args, { cwd: root })));
    const applied = runs.map(({ stdout }) => JSON.parse(stdout) as string[]);
    expect(applied.toSorted((a, b) => b.length - a.length)).toEqual([names, [], []]);
    expect(await runSql(database.url, 'SELECT migration_name FROM _prisma_migrations')).toHaveLength(names.length);
  });

  it('refuses a migration that was edited after it was applied, and changes nothing', async () => {
    await using database = await createTestDatabase();
    const migrationsDir = copyOfMigrations();
    appendFileSync(join(migrationsDir, names[0] ?? '', 'migration.sql'), '-- changed my mind\n');
    addMigration(migrationsDir, '99990101000000_later', 'CREATE TABLE later (a int);');
    await expect(migrate(database.url, { migrationsDir })).rejects.toThrow(
      `Edited after they were applied to this database: ${names[0]}. Restore the files`,
    );
    expect(await tables(database.url)).not.toContainEqual({ tablename: 'later' });
  });

  it(
    'names the migration that fails and why, undoes it, and goes no further until that is resolved',
    SLOW,
    async () => {
      await using database = await createTestDatabase();
      const migrationsDir = copyOfMigrations();
      const before = await tables(database.url);
      const bad = '99990101000000_bad';
      addMigration(migrationsDir, bad, 'CREATE TABLE half (a int); SELECT 1 / 0;');
      addMigration(migrationsDir, '99990102000000_later', 'CREATE TABLE later (a int);');
      await expect(migrate(database.url, { migrationsDir })).rejects.toThrow(
        /\(P3018\): Migration 99990101000000_bad failed to apply\. .*division by zero[\s\S]*migrate resolve --rolled-back/,
      );
      expect(await tables(database.url)).toEqual(before);
      await expect(migrate(database.url, { migrationsDir })).rejects.toThrow(/\(P3009\)[\s\S]*99990101000000_bad/);

      addMigration(migrationsDir, bad, 'CREATE TABLE whole (a int);');
      await prisma(['migrate', 'resolve', '--rolled-back', bad], projectWith(migrationsDir), database.url);
      expect(await migrate(database.url, { migrationsDir })).toEqual([bad, '99990102000000_later']);
    },
  );

  it('sends scripts whole: semicolons in strings, comments and bodies are not ends', async () => {
    await using database = await createEmptyDatabase();
    const migrationsDir = copyOfMigrations();
    const sql = `-- a comment; with one
      CREATE TABLE odd (a text DEFAULT 'x;y', b "char" DEFAULT ';');
      CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END; $$;
      INSERT INTO odd DEFAULT VALUES;`;
    addMigration(migrationsDir, '99990101000000_odd', sql);
    expect(await migrate(database.url, { migrationsDir })).toEqual([...names, '99990101000000_odd']);
    expect(await runSql(database.url, 'SELECT *, f() FROM odd')).toEqual([{ a: 'x;y', b: ';', f: 1 }]);
  });

  it('leaves a database alone that is ahead, so that the previous release still starts', async () => {
    await using database = await createTestDatabase();
    const migrationsDir = copyOfMigrations();
    addMigration(migrationsDir, '99990101000000_next', 'CREATE TABLE next (a int);');
    await migrate(database.url, { migrationsDir });
    expect(await migrate(database.url, { migrationsDir: MIGRATIONS })).toEqual([]);
    expect(await tables(database.url)).toContainEqual({ tablename: 'next' });
  });

  it('says what is wrong with an address', async () => {
    const { url } = await createTestDatabase();
    const attempt = (change: (url: URL) => void) => {
      const changed = new URL(url);
      change(changed);
      return migrate(changed.href, { migrationsDir: MIGRATIONS });
    };
    await expect(
      attempt((url) => {
        url.port = '1';
      }),
    ).rejects.toThrow(/Can't reach database server at `127\.0\.0\.1:1`/);
    await expect(
      attempt((url) => {
        url.pathname = '/nowhere';
      }),
    ).rejects.toThrow(/Database `nowhere` does not exist/);
    await expect(
      attempt((url) => {
        url.password = 'wrong';
      }),
    ).rejects.toThrow(/Authentication failed/);
    await expect(
      attempt((url) => {
        url.searchParams.set('schema', 'mine');
      }),
    ).rejects.toThrow(/Remove \?schema=/);
  });
});

describe('databaseUrl', () => {
  it.each([
    ['postgresql://u:p%40@h:1/a', undefined, 'postgresql://u:p%40@h:1/a?options=-c+TimeZone%3DUTC'],
    ['postgresql://h/a?sslmode=require', 'b c', 'postgresql://h/b%20c?sslmode=require&options=-c+TimeZone%3DUTC'],
    ['postgresql://h/a?schema=public', 'b', 'postgresql://h/b?options=-c+TimeZone%3DUTC'],
    ['postgresql://h/a?options=-c%20x%3Dy', undefined, 'postgresql://h/a?options=-c+x%3Dy+-c+TimeZone%3DUTC'],
  ])('of %s and database %s', (url, database, expected) => {
    expect(databaseUrl(url, database)).toBe(expected);
  });
});

/** A folder in which the prisma command finds a project like this one, with its own schema and migrations. */
function projectWith(migrationsDir: string): string {
  const folder = newFolder('project');
  cpSync(join(root, 'prisma'), join(folder, 'prisma'), { recursive: true });
  cpSync(migrationsDir, join(folder, 'prisma', 'migrations'), { recursive: true });
  cpSync(join(root, 'prisma.config.ts'), join(folder, 'prisma.config.ts'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** What `npm run prisma -- …` runs. */
async function prisma(args: readonly string[], cwd: string, url: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'scripts', 'db.ts'), 'prisma', ...args], {
    cwd,
    env: { ...process.env, DATABASE_URL: url },
  });
  return stdout;
}

describe('the prisma command', SLOW, () => {
  const newModel = '\nmodel Extra {\n  id   Int    @id @default(autoincrement())\n  note String @default("a;b")\n}\n';

  it('deploys, creating the database, and reports that all is well', async () => {
    await using database = await createEmptyDatabase();
    await database.drop();
    const cwd = projectWith(MIGRATIONS);
    expect(await prisma(['migrate', 'deploy'], cwd, database.url)).toContain('successfully applied');
    expect(await prisma(['migrate', 'status'], cwd, database.url)).toContain('Database schema is up to date!');
    expect(await migrate(database.url, { migrationsDir: MIGRATIONS })).toEqual([]);
  });

  it('writes a migration from a changed schema, which can be applied elsewhere', async () => {
    await using database = await createTestDatabase();
    await using elsewhere = await createTestDatabase();
    const cwd = projectWith(MIGRATIONS);
    appendFileSync(join(cwd, 'prisma', 'schema.prisma'), newModel);
    // Two steps, because applying a migration and comparing afterwards is what the engine finds hardest.
    await prisma(['migrate', 'dev', '--name', 'extra', '--create-only'], cwd, database.url);
    expect(await prisma(['migrate', 'dev'], cwd, database.url)).toContain('now in sync');
    const migrationsDir = join(cwd, 'prisma', 'migrations');
    const added = readdirSync(migrationsDir).filter((name) => name.endsWith('_extra'));
    expect(added).toHaveLength(1);
    expect(await migrate(elsewhere.url, { migrationsDir })).toEqual(added);
    expect(await runSql(elsewhere.url, 'INSERT INTO "Extra" DEFAULT VALUES RETURNING *')).toEqual([
      { id: 1, note: 'a;b' },
    ]);
  });

  it('exits with 2 where schema and database differ', async () => {
    await using database = await createTestDatabase();
    const cwd = projectWith(MIGRATIONS);
    const diff = ['migrate', 'diff', '--from-config-datasource', '--to-schema', 'prisma/schema.prisma', '--exit-code'];
    expect(await prisma(diff, cwd, database.url)).toContain('No difference detected');
    appendFileSync(join(cwd, 'prisma', 'schema.prisma'), newModel);
    await expect(prisma(diff, cwd, database.url)).rejects.toMatchObject({ code: 2 });
  });

  it('finds an engine of its own version, which it may execute', () => {
    const version = (name: string) => {
      const text = readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    };
    expect(version('@prisma/schema-engine-wasm')).toBe(version('@prisma/engines-version'));
    expect(statSync(join(root, 'scripts', 'schema-engine.ts')).mode & 0o111).toBe(0o111);
  });
});
