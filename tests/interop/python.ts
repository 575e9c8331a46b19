import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText, run, withLock } from '../../platform/embedded/process.ts';

const installMs = 600_000;
const isRecent = /^Python 3\.(1[1-9]|[2-9]\d)\b/;

/**
 * Makes a Python environment in a folder, with exactly the packages of a requirements file, and returns the folder of its
 * programs. One that was made from the same file before is used again.
 */
export async function ensurePython(dir: string, requirements: string): Promise<string> {
  mkdirSync(dir, { recursive: true });
  return await withLock(join(dir, 'lock'), () => makeOnce(join(dir, 'python'), requirements), installMs);
}

async function makeOnce(home: string, requirements: string): Promise<string> {
  const version = await pythonVersion();
  const bin = join(home, 'bin');
  const marker = join(home, 'made-from');
  const origin = createHash('sha256').update(`${version}\n${home}\n`).update(readFileSync(requirements)).digest('hex');
  if (readText(marker) === origin) return bin;

  process.stdout.write(`Making a Python environment in ${home} (about 500 MB) …\n`);
  rmSync(home, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', home]).catch(complain);
  const options = ['--no-deps', '--only-binary=:all:', '--no-compile', '--quiet', '--disable-pip-version-check'];
  await run(join(bin, 'python'), ['-m', 'pip', 'install', ...options, '-r', requirements], { timeoutMs: installMs });
  writeFileSync(marker, origin);
  return bin;
}

async function pythonVersion(): Promise<string> {
  const version = await run('python3', ['--version']).catch(complain);
  return isRecent.test(version) ? version : complain(new Error(`python3 is ${version}`));
}

function complain(error: Error): never {
  const needs = 'The interop tests need Python 3.11 or newer as `python3`, with venv';
  throw new Error(`${needs} (on Debian and Ubuntu: apt-get install python3-venv). ${error.message}`);
}
