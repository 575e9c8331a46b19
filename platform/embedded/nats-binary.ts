import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { readText, run, withLock } from './process.ts';

/** The Debian suite whose package (2.10) also runs on older systems that have only 2.9, or none. */
const NEWER_SUITE = 'trixie';
const APT_TIMEOUT_MS = 120_000;

export interface NatsBinary {
  readonly path: string;
  readonly version: Version;
}

export type Version = readonly [major: number, minor: number, patch: number];

/** One `deb` entry of apt's configuration: where packages are, and whose signature they carry. */
export interface AptSource {
  readonly uris: string;
  readonly suites: string;
  readonly components: string;
  /** Everything else the entry says, as deb822 fields: `Signed-By: …`. */
  readonly rest: readonly string[];
}

/**
 * Finds nats-server: on PATH, where packages put it, in `cache`, or fetched once into `cache` from the machine's own
 * Debian mirror with the machine's own apt, changing nothing outside `cache` and needing no rights.
 */
export async function findNatsServer(cache: string): Promise<NatsBinary> {
  const cached = join(resolve(cache), 'nats-server');
  const found = (await firstUsable(wellKnownPaths())) ?? (await usable(cached));
  if (found !== undefined) return found;
  mkdirSync(cache, { recursive: true });
  return withLock(join(cache, 'lock'), async () => {
    const problems: string[] = [];
    const fetched = (await usable(cached)) ?? (await fetchFromApt(cached, problems));
    if (fetched !== undefined) return fetched;
    throw new Error(howToGetIt(problems));
  });
}

/** From 2.9 on; not 2.10.20 to 22, which could lose whole streams when killed. */
export function isUsableVersion([major, minor, patch]: Version): boolean {
  if (major !== 2) return major > 2;
  return minor >= 9 && !(minor === 10 && patch >= 20 && patch <= 22);
}

export function parseVersion(text: string): Version | undefined {
  const match = /v(\d+)\.(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** Reads both of apt's formats; entries that are switched off, for sources, or malformed are left out. */
export function parseAptSources(text: string): AptSource[] {
  return /^(Types|URIs):/im.test(text) ? parseStanzas(text) : text.split('\n').flatMap(parseLine);
}

/**
 * Which of the machine's sources to try, the best first: the newer Debian suite from its Debian mirror, then its own.
 * Sources of third parties (whose suites have other names) are left alone.
 */
export function candidates(sources: readonly AptSource[], osRelease: string): AptSource[] {
  const codename = /^VERSION_CODENAME="?(\w+)/m.exec(osRelease)?.[1] ?? '';
  const names = new Set([codename, 'oldstable', 'stable', 'testing', 'unstable', 'sid']);
  const own = sources.filter(
    ({ suites, components }) =>
      suites.split(/\s+/).some((suite) => names.has(suite)) && /\b(main|universe)\b/.test(components),
  );
  const isDebian = /^ID="?debian"?$/m.test(osRelease);
  const newer = own
    .slice(0, isDebian ? 1 : 0)
    .map((source) => ({ ...source, suites: NEWER_SUITE, components: 'main' }));
  return [...newer, ...own];
}

async function fetchFromApt(target: string, problems: string[]): Promise<NatsBinary | undefined> {
  const sources = aptSourceFiles().flatMap((file) => parseAptSources(readText(file) ?? ''));
  for (const source of candidates(sources, readText('/etc/os-release') ?? '')) {
    try {
      await fetchPackage(source, target);
      const found = await usable(target);
      if (found !== undefined) return found;
      problems.push(`${source.suites}: the nats-server of this suite does not run here`);
    } catch (error) {
      problems.push(`${source.suites}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return undefined;
}

/** Everything apt reads and writes lies in one folder beside `target`, which is removed again. */
async function fetchPackage(source: AptSource, target: string): Promise<void> {
  const folder = mkdtempSync(`${target}.`);
  try {
    for (const name of ['parts', 'lists/partial', 'cache/archives/partial']) {
      mkdirSync(join(folder, name), { recursive: true });
    }
    writeFileSync(join(folder, 'parts', 'oo.sources'), formatSource(source));
    const settings = [
      'Dir::Etc::sourcelist=/dev/null',
      `Dir::Etc::sourceparts=${join(folder, 'parts')}`,
      `Dir::State::lists=${join(folder, 'lists')}`,
      `Dir::Cache=${join(folder, 'cache')}`,
      'Acquire::Languages=none',
      'Acquire::Retries=2',
      'Acquire::http::Timeout=20',
      'APT::Sandbox::User=', // as root, apt would hand its downloads to a user who cannot write here
    ].flatMap((setting) => ['-o', setting]);
    const options = { cwd: folder, timeoutMs: APT_TIMEOUT_MS };
    // An update may complain, of hooks that an ordinary user cannot run for instance, and be of use all the same.
    const update = await run('apt-get', [...settings, '-q', 'update'], options).catch(String);
    await run('apt-get', [...settings, '-q', 'download', 'nats-server'], options).catch((error) => {
      throw new Error([error.message, ...update.split('\n').filter((line) => /^[WE]:/.test(line))].join('\n'));
    });
    const deb = readdirSync(folder).find((name) => name.endsWith('.deb'));
    if (deb === undefined) throw new Error('apt-get download left no package');
    await run('dpkg-deb', ['-x', deb, 'unpacked'], options);
    renameSync(join(folder, 'unpacked', 'usr', 'sbin', 'nats-server'), target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function formatSource({ uris, suites, components, rest }: AptSource): string {
  // Only the package lists: some machines also fetch translations, icons and contents.
  const fields = ['Types: deb', `URIs: ${uris}`, `Suites: ${suites}`, `Components: ${components}`, 'Targets: Packages'];
  return `${[...fields, ...rest].join('\n')}\n`;
}

function aptSourceFiles(): string[] {
  const parts = '/etc/apt/sources.list.d';
  const names = existsSync(parts) ? readdirSync(parts).filter((name) => /\.(list|sources)$/.test(name)) : [];
  return ['/etc/apt/sources.list', ...names.sort().map((name) => join(parts, name))];
}

/** deb822: stanzas of `Field: value`, continued by lines that start with a space (a key may be written out). */
function parseStanzas(text: string): AptSource[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n[ \t]*\n/)
    .flatMap((stanza) => {
      const fields = new Map<string, string>();
      for (const field of stanza.trim().split(/\n(?![ \t])/)) {
        const colon = field.indexOf(':');
        fields.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
      }
      if (!/\bdeb\b(?!-)/.test(fields.get('types') ?? '') || fields.get('enabled')?.toLowerCase() === 'no') return [];
      const [uris, suites, components] = ['uris', 'suites', 'components'].map((name) => fields.get(name) ?? '');
      if (!uris || !suites || !components) return [];
      const rest = ['Signed-By', 'Architectures', 'Trusted'].flatMap((name) => {
        const value = fields.get(name.toLowerCase());
        return value === undefined ? [] : [`${name}: ${value}`];
      });
      return [{ uris, suites, components, rest }];
    });
}

/** One line: `deb [signed-by=/a.gpg arch=amd64] http://mirror/debian bookworm main contrib`. */
function parseLine(line: string): AptSource[] {
  const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
  if (match === null) return [];
  const [, options = '', uris = '', suites = '', components = ''] = match;
  const names: Record<string, string> = { 'signed-by': 'Signed-By', arch: 'Architectures', trusted: 'Trusted' };
  const rest = options.split(/\s+/).flatMap((option) => {
    const [name = '', value = ''] = option.split('=');
    const field = names[name.toLowerCase()];
    return field === undefined ? [] : [`${field}: ${value.replaceAll(',', ' ')}`];
  });
  return [{ uris, suites, components: components.trim(), rest }];
}

function wellKnownPaths(): string[] {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const elsewhere = [
    '/usr/sbin',
    '/usr/local/bin',
    '/usr/local/sbin',
    '/opt/homebrew/bin',
    join(homedir(), 'go', 'bin'),
  ];
  return [...onPath, ...elsewhere].map((folder) => join(folder, 'nats-server'));
}

async function firstUsable(paths: readonly string[]): Promise<NatsBinary | undefined> {
  for (const path of new Set(paths)) {
    const found = await usable(path);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function usable(path: string): Promise<NatsBinary | undefined> {
  if (!existsSync(path)) return undefined;
  const version = parseVersion(await run(path, ['--version'], { timeoutMs: 10_000 }).catch(() => ''));
  return version !== undefined && isUsableVersion(version) ? { path, version } : undefined;
}

function howToGetIt(problems: readonly string[]): string {
  return [
    'nats-server was not found, and could not be fetched with apt. Install it in one of these ways, or set NATS_URL:',
    '  brew install nats-server',
    '  apt install nats-server',
    '  go install github.com/nats-io/nats-server/v2@latest',
    '  docker run -p 4222:4222 nats:2 -js      and NATS_URL=nats://127.0.0.1:4222',
    ...problems.map((problem) => `apt, ${problem}`),
  ].join('\n');
}
