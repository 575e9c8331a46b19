// The checks that buf does not make. Called by scripts/buf-check.sh; writes findings to stdout, one JSON object a line,
// and exits with 0 (none), 100 (some) or 1 (could not run).
//
//   node scripts/contract-check.ts compare --before IMAGE --after IMAGE --released IMAGE --config DIR [--blame PATH]
//     What `after` breaks of what `before` promised: `buf breaking` with the rules of DIR/buf.yaml, and our own checks.
//     Comments count in the packages of `released`. `--blame` names the file to blame instead of the protos.
//   node scripts/contract-check.ts config --before DIR --after DIR
//     Whether DIR/buf.yaml judges more mildly than it did.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareContracts } from './contract/compare.ts';
import { breakingConfigForImages, type Config, weakenings } from './contract/config.ts';
import { readContract } from './contract/contract.ts';
import { type Finding, parseFinding } from './contract/finding.ts';
import { parseClarifications } from './contract/meaning.ts';

const FOUND = 100;

const root = join(import.meta.dirname, '..');
const clarifications = join(root, 'proto/clarifications.txt');

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function main([command, ...rest]: string[]): Promise<number> {
  const { values: flags } = parseArgs({
    args: rest,
    options: {
      before: { type: 'string' },
      after: { type: 'string' },
      released: { type: 'string' },
      config: { type: 'string' },
      blame: { type: 'string' },
    },
  });
  const need = (name: 'before' | 'after' | 'released' | 'config'): string => {
    const value = flags[name];
    if (value === undefined) throw new Error(`${command} needs --${name}`);
    return value;
  };
  switch (command) {
    case 'compare': {
      const found = await compare(need('before'), need('after'), need('released'), need('config'));
      const place = ({ path, line }: Finding) =>
        flags.blame ? { path: flags.blame, line: 1 } : { path: join('proto', path), line };
      return report(found.map((finding) => ({ ...finding, ...place(finding) })));
    }
    case 'config':
      return report(compareConfigs(need('before'), need('after')));
    default:
      throw new Error('usage: contract-check.ts compare | config (see the head of the file)');
  }
}

async function compare(before: string, after: string, released: string, config: string): Promise<Finding[]> {
  const acknowledged = existsSync(clarifications) ? readFileSync(clarifications, 'utf8') : '';
  const old = readContract(readFileSync(before));
  const own = await compareContracts({
    before: old,
    after: readContract(readFileSync(after)),
    released: released === before ? old.packages : readContract(readFileSync(released)).packages,
    acknowledged: parseClarifications(acknowledged),
  });
  const rules = breakingConfigForImages(readFileSync(join(config, 'buf.yaml'), 'utf8'));
  const args = ['breaking', after, '--against', before, '--config', rules, '--exclude-imports', '--error-format=json'];
  const buf = run(args, root, [0, FOUND]).split('\n').filter(Boolean);
  const findings = buf.map((line) => {
    const finding = parseFinding(line);
    if (!finding) throw new Error(`buf breaking: ${line}`);
    return finding;
  });
  return [...findings, ...own];
}

function compareConfigs(before: string, after: string): Finding[] {
  return weakenings(readConfig(before), existsSync(join(after, 'buf.yaml')) ? readConfig(after) : undefined);
}

function readConfig(dir: string): Config {
  const list = (kind: 'lint' | 'breaking'): string[] =>
    run(['config', `ls-${kind}-rules`, '--configured-only', '--module-path', 'proto', '--format', 'json'], dir, [0])
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).id);
  return { yaml: readFileSync(join(dir, 'buf.yaml'), 'utf8'), lint: list('lint'), breaking: list('breaking') };
}

/** Runs buf in `dir`; anything but an expected exit code means that the check could not run. */
function run(args: string[], dir: string, expected: number[]): string {
  const { status, stdout, stderr, error } = spawnSync('buf', args, { cwd: dir, encoding: 'utf8' });
  if (error) throw error;
  if (status === null || !expected.includes(status)) throw new Error(`buf ${args[0]} ended with ${status}: ${stderr}`);
  if ((status === FOUND) !== (stdout !== '') && expected.includes(FOUND)) {
    throw new Error(`buf ${args[0]} ended with ${status}, but printed "${stdout}": ${stderr}`);
  }
  return stdout;
}

function report(findings: Finding[]): number {
  for (const finding of findings) console.log(JSON.stringify(finding));
  return findings.length > 0 ? FOUND : 0;
}
