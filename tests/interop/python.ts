import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText, run, withLock } from '../../platform/embedded/process.ts';

const installMs = 600_000;
const marker = 'made-from';
const isRecent = /^Python 3\.(1[1-9]|[2-9]\d)\b/;

export interface PythonOptions {
  readonly dir: string;
  readonly requirements: string;
}

/**
 * Makes a Python environment in a folder, with exactly the packages of a requirements file, and returns the folder of its
 * programs. One that was made from the same file before is used again.
 */
export async function ensurePython({ dir, requirements }: PythonOptions): Promise<string> {
  mkdirSync(dir, { recursive: true });
  return await withLock(join(dir, 'lock'), () => makeOnce(join(dir, 'python'), requirements), installMs);
}

async function makeOnce(home: string, requirements: string): Promise<string> {
  const bin = join(home, 'bin');
  const origin = await originOf(home, requirements);
  if (readText(join(home, marker)) === origin) return bin;

  process.stdout.write(`Making a Python environment in ${home} (some hundred MB) …\n`);
  rmSync(home, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', home]).catch(complain);
  const options = ['--no-deps', '--only-binary=:all:', '--no-compile', '--quiet', '--disable-pip-version-check'];
  await run(join(bin, 'python'), ['-m', 'pip', 'install', ...options, '-r', requirements], { timeoutMs: installMs });
  writeFileSync(join(home, marker), origin);
  return bin;
}

/** The folder of the programs of an environment, if it is there and up to date. Makes nothing. */
export async function findPython({ dir, requirements }: PythonOptions): Promise<string | undefined> {
  const home = join(dir, 'python');
  const made = readText(join(home, marker));
  return made !== undefined && made === (await originOf(home, requirements)) ? join(home, 'bin') : undefined;
}

async function originOf(home: string, requirements: string): Promise<string> {
  const version = await pythonVersion();
  return createHash('sha256').update(`${version}\n${home}\n`).update(readFileSync(requirements)).digest('hex');
}

async function pythonVersion(): Promise<string> {
  const version = await run('python3', ['--version']).catch(complain);
  return isRecent.test(version) ? version : complain(new Error(`python3 is ${version}`));
}

function complain(error: Error): never {
  const needs = 'The interop tests need Python 3.11 or newer as `python3`, with venv';
  throw new Error(`${needs} (on Debian and Ubuntu: apt-get install python3-venv). ${error.message}`);
}
