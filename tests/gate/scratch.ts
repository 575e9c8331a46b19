import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/** What a run of the gate came to. */
export interface Verdict {
  exit: number;
  /** Rule ids found, without repetition, in order. */
  rules: string[];
  stdout: string;
  /** Everything printed. */
  output: string;
}

/** A repository of its own with the gate in it, and a small contract that is released and up to date. */
export interface Scratch extends Disposable {
  dir: string;
  read(path: string): string;
  write(path: string, text: string): void;
  remove(path: string): void;
  /** Replaces text that must be there. */
  edit(path: string, from: string, to: string): void;
  git(...args: string[]): string;
  /** Commits everything. */
  commit(): void;
  /** Runs a command in the repository and returns what it printed. */
  run(command: string, ...args: string[]): string;
  /** Runs scripts/buf-check.sh, from another folder. Of its steps only `base`, unless asked for others. */
  check(args?: string[], env?: Record<string, string>): Promise<Verdict>;
}

/** Builds the repository that the tests copy: on a branch `change` that starts where `main` is. */
export function createTemplate(): Scratch {
  const dir = mkdtempSync(join(tmpdir(), 'gate-'));
  const scripts = ['buf-check.sh', 'release-contract.sh', 'generate.sh', 'contract-check.ts', 'contract'];
  for (const path of ['buf.yaml', 'third_party', ...scripts.map((name) => `scripts/${name}`)]) {
    cpSync(join(root, path), join(dir, path), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  cpSync(join(import.meta.dirname, 'contract'), join(dir, 'proto'), { recursive: true });

  const scratch = open(dir);
  scratch.write('package.json', '{ "type": "module" }\n');
  scratch.write('.gitignore', 'node_modules\n');
  // The real one without the plugin that expects the real contract.
  scratch.write('buf.gen.yaml', genConfig);
  scratch.git('init', '--quiet', '--template=', '--initial-branch=main');
  // The first commit has no contract at all.
  scratch.git('add', 'package.json', '.gitignore');
  scratch.git('commit', '--quiet', '--message=Begin');
  scratch.run('scripts/release-contract.sh');
  scratch.run('scripts/generate.sh');
  scratch.commit();
  scratch.git('switch', '--quiet', '--create', 'change');
  return scratch;
}

export function copy(template: Scratch): Scratch {
  const dir = mkdtempSync(join(tmpdir(), 'gate-'));
  execFileSync('cp', ['-R', `${template.dir}/.`, dir]);
  return open(dir);
}

function open(dir: string): Scratch {
  const at = (path: string) => join(dir, path);
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { cwd: dir, encoding: 'utf8', env: environment({}), stdio: 'pipe' });
  const scratch: Scratch = {
    dir,
    run,
    read: (path) => readFileSync(at(path), 'utf8'),
    write(path, text) {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), text);
    },
    remove: (path) => rmSync(at(path), { recursive: true }),
    edit(path, from, to) {
      const text = scratch.read(path);
      if (!text.includes(from)) throw new Error(`${path} has no "${from}"`);
      scratch.write(path, text.replace(from, to));
    },
    git: (...args) => run('git', ...args).trim(),
    commit() {
      scratch.git('add', '--all');
      scratch.git('commit', '--quiet', '--message=Change');
    },
    check: (args = [], env = {}) =>
      new Promise((resolve) => {
        const only = args.includes('--only') ? [] : ['--only', 'base'];
        const options = { cwd: tmpdir(), env: environment(env) };
        execFile(at('scripts/buf-check.sh'), [...only, ...args], options, (error, stdout, stderr) => {
          const output = stdout + stderr;
          const rules = [...output.matchAll(/\[([A-Z_]+)\]$/gm)].map(([, rule]) => rule ?? '');
          resolve({ exit: Number(error?.code ?? 0), rules: [...new Set(rules)], stdout, output });
        });
      }),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true }),
  };
  return scratch;
}

/** Nothing of the machine's own git settings, nor of the CI that runs these tests. */
function environment(more: Record<string, string>): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  const identity = { GIT_AUTHOR_NAME: 'gate', GIT_AUTHOR_EMAIL: 'gate@example.com' };
  const committer = { GIT_COMMITTER_NAME: 'gate', GIT_COMMITTER_EMAIL: 'gate@example.com' };
  return {
    PATH,
    HOME,
    ...identity,
    ...committer,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    ...more,
  };
}

const genConfig = `version: v2
clean: true
inputs:
  - directory: proto
plugins:
  - local: node_modules/.bin/protoc-gen-es
    out: gen/proto
    opt:
      - target=ts
      - import_extension=ts
      - erasable_syntax=true
      - map_imports=buf/validate/:@bufbuild/protovalidate/gen
`;
