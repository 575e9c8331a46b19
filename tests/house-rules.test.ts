import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && !file.startsWith('gen/') && !file.startsWith('third_party/'));
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

const domains = ['features', 'experiments', 'generation', 'registry'];
const edges = ['server', 'consumers', 'pipelines', 'client', 'console'];

/** What code of a folder may import, itself aside. Folders that are not named here may import anything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  platform: [],
  features: ['platform', 'gen'],
  experiments: ['platform', 'features', 'gen'],
  generation: ['platform', 'features', 'gen'],
  registry: ['platform', 'gen'],
  pipelines: ['platform', 'gen', ...domains],
  server: ['platform', 'gen', ...domains],
  consumers: ['platform', 'gen', ...domains],
  client: ['platform', 'gen'],
  console: ['gen'],
};

interface Import {
  readonly file: string;
  /** Path from the root of the project, or the name of a package. */
  readonly target: string;
  readonly isTypeOnly: boolean;
}

/** Every static, dynamic and re-exporting import of a file. */
function importsOf(file: string, text = read(file)): Import[] {
  const statement =
    /^\s*(?:import|export)\s+(type\s+)?(\{[^}]*\}|[^'"{}]*)\s*from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;
  return [...text.matchAll(statement)].map(([, type, names = '', from, bare, dynamic]) => {
    const target = from ?? bare ?? dynamic ?? '';
    const named = names.startsWith('{')
      ? names
          .slice(1, -1)
          .split(',')
          .filter((name) => name.trim() !== '')
      : [];
    return {
      file,
      target: target.startsWith('.') ? path.normalize(path.join(path.dirname(file), target)) : target,
      isTypeOnly: type !== undefined || (named.length > 0 && named.every((name) => name.trim().startsWith('type '))),
    };
  });
}

const folderOf = (target: string): string => target.split('/')[0] ?? '';
const isTest = (file: string): boolean =>
  /\.(test|contract)\.ts$/.test(file) || file.startsWith('tests/') || file.startsWith('bench/');
const code = files.filter((file) => !isTest(file));
const isLocal = ({ target }: Import): boolean => !target.startsWith('node:') && target.endsWith('.ts');
const offences = (found: readonly Import[]) => found.map(({ file, target }) => `${file} imports ${target}`);

describe('the checks themselves', () => {
  it.each([
    ["import { a, type B } from '../gen/x.ts';", { target: 'gen/x.ts', isTypeOnly: false }],
    ["import { type A, type B } from './b.ts';", { target: 'server/b.ts', isTypeOnly: true }],
    ["import type { A } from './b.ts';", { target: 'server/b.ts', isTypeOnly: true }],
    ["import {\n  a,\n  b,\n} from 'nats';", { target: 'nats', isTypeOnly: false }],
    ["export { a } from './b.ts';", { target: 'server/b.ts', isTypeOnly: false }],
    ["const a = await import('../notebooks/a.ts');", { target: 'notebooks/a.ts', isTypeOnly: false }],
    ["import './b.ts';", { target: 'server/b.ts', isTypeOnly: false }],
  ])('read %j', (text, expected) => {
    expect(importsOf('server/a.ts', text)).toEqual([{ file: 'server/a.ts', ...expected }]);
  });

  it('see the project', () => {
    expect(code.length).toBeGreaterThan(40);
    expect(code.flatMap((file) => importsOf(file)).length).toBeGreaterThan(100);
  });
});

describe('imports', () => {
  it('run from edges to domains to platform, never back and never sideways', () => {
    const wrong = code
      .flatMap((file) => importsOf(file))
      .filter(isLocal)
      .filter(({ file, target }) => {
        const [from, to] = [folderOf(file), folderOf(target)];
        return from !== to && mayImport[from] !== undefined && !mayImport[from].includes(to);
      });
    expect(offences(wrong)).toEqual([]);
  });

  /** Where stored bytes become messages again, of whatever version they are. */
  const codec = 'features/envelope.ts';

  it('bring no generated code that runs into the domains, but for the contract as plain data and in stores', () => {
    const wrong = code
      .filter((file) => domains.includes(folderOf(file)) && !file.endsWith('-store.ts') && file !== codec)
      .flatMap((file) => importsOf(file))
      .filter(
        ({ target, isTypeOnly }) =>
          !isTypeOnly && /^(gen\/|@prisma|@bufbuild|@connectrpc)/.test(target) && target !== 'gen/proto/oo/contract.ts',
      );
    expect(offences(wrong)).toEqual([]);
  });

  it('never reach the notebooks', () => {
    const outside = files.filter((file) => file !== 'tests/house-rules.test.ts' && folderOf(file) !== 'notebooks');
    const all = outside.flatMap((file) => importsOf(file));
    expect(offences(all.filter(({ target }) => folderOf(target) === 'notebooks'))).toEqual([]);
  });

  it.each([
    ['nats', ['platform/nats-bus.ts']],
    ['pg', ['platform/']],
    ['pg-boss', ['pipelines/step-queue.ts']],
    ['pino', ['platform/log.ts']],
    ['mustache', ['generation/prompts/']],
    ['ai', ['generation/gateway/ai-sdk.ts']],
    ['onnxruntime-web', ['registry/onnx/worker.ts']],
    ['@opentelemetry/api', ['server/trace-generation.ts']],
    ['@ai-sdk/openai-compatible', ['generation/gateway/ai-sdk.ts']],
  ])('of %s stay in %o', (library, places) => {
    const wrong = code
      .flatMap((file) => importsOf(file))
      .filter(({ file, target }) => target === library && !places.some((place) => file.startsWith(place)));
    expect(offences(wrong)).toEqual([]);
  });
});

describe('notebooks', () => {
  /** What may name the folder: itself, words, this file, and what tests a notebook, which runs it as a researcher does. */
  const mayName = /^notebooks\/|\.md$|^tests\/house-rules\.test\.ts$|^tests\/interop\/notebook[^/]*$/;
  const nameOf = /\bnotebooks\b/;

  it.each([
    ['an import', "import { a } from '../notebooks/a.ts';"],
    ['a module that is loaded by its path', "const a = require('../notebooks/a.cjs');"],
    ['a file that is read', "readFileSync(new URL('../notebooks/a.ipynb', import.meta.url));"],
    ['a path in parts', "join(root, 'notebooks', 'a.ts');"],
    ['a script of package.json', '"a": "node notebooks/a.ts"'],
    ['Python', 'from notebooks import a'],
    ['a shell', 'cp -r notebooks /srv'],
  ])('are seen in %s', (_, text) => {
    expect(text).toMatch(nameOf);
  });

  it('are named by nothing but words and their own tests: no code, script, package.json, deployment or setting', () => {
    const all = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
      .split('\n')
      .filter((file) => file !== '' && existsSync(path.join(root, file)));
    expect(all).toEqual(expect.arrayContaining(['package.json', 'deploy/prefect/oo_flows.py', 'scripts/generate.sh']));
    expect(all.filter((file) => !mayName.test(file) && nameOf.test(read(file)))).toEqual([]);
  });
});

describe('domain files', () => {
  /** Where a domain meets the world: the language model, and the prompt files on disk. */
  const effects = ['generation/gateway/', 'generation/prompts/registry.ts'];

  it.each([
    ['the clock', /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/],
    ['randomness', /\bMath\.random\(|\brandomUUID\(|\brandomBytes\(/],
    ['the process', /\bprocess\./],
    ['files or sockets', /from 'node:(fs|net|http|http2|child_process)/],
  ])('use no %s', (_, pattern) => {
    const pure = code.filter(
      (file) =>
        domains.includes(folderOf(file)) &&
        !file.endsWith('-store.ts') &&
        !effects.some((place) => file.startsWith(place)),
    );
    expect(pure.filter((file) => pattern.test(read(file)))).toEqual([]);
  });
});

describe('code', () => {
  it('reads the environment only where a process starts', () => {
    const readers = ['server/main.ts', 'consumers/main.ts', 'prisma.config.ts', 'scripts/', 'platform/embedded/'];
    expect(
      code.filter((file) => /\bprocess\.env\b/.test(read(file)) && !readers.some((place) => file.startsWith(place))),
    ).toEqual([]);
  });

  it('of an edge is named in the rules', () => {
    const folders = new Set(code.map(folderOf).filter((folder) => !folder.includes('.')));
    const known = [...Object.keys(mayImport), ...edges, 'scripts', 'bench', 'tests', 'notebooks'];
    expect([...folders].filter((folder) => !known.includes(folder))).toEqual([]);
  });
});

describe('tests', () => {
  const tests = files.filter((file) => isTest(file) && file !== 'tests/house-rules.test.ts');

  it.each([
    ['mock no module', /\b(vi|jest)\.(mock|doMock|hoisted)\(/],
    ['skip nothing', /\b(it|test|describe)\.(skip|only|todo|skipIf|fails)\b/],
  ])('%s', (_, pattern) => {
    expect(tests.filter((file) => pattern.test(read(file)))).toEqual([]);
  });
});

describe('dependencies', () => {
  it('have exact versions', () => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<
      string,
      Record<string, string>
    >;
    const versions = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  });

  it('run no code at install time', () => {
    expect(read('.npmrc')).toMatch(/^ignore-scripts=true$/m);
  });
});
