import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const log = fileURLToPath(new URL('../pipelines/fixtures/off-policy-log.csv', import.meta.url));
const script = fileURLToPath(new URL('./off-policy.ts', import.meta.url));
const run = (...args: readonly string[]) =>
  spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });

describe('npm run off-policy', () => {
  it('prints what it found, and ends with 1 where the evidence does not suffice', () => {
    const { status, stdout } = run(log, '--policy', 'random', '--reward', 'lower-is-better', '--seed', 'x');
    expect(stdout).toContain('240 decisions about 37 people, lower is better');
    for (const text of ['logged', 'SNIPS', 'DRos', 'NO', 'Insufficient evidence: effective sample size'])
      expect(stdout).toContain(text);
    expect(status).toBe(1);
  });

  it.each([
    [[], 'Name a file, or with --policy one to evaluate on our own decisions'],
    [['a.csv', 'b.csv'], 'At most one file can be named'],
    [['a.csv', '--export', 'b.csv'], '--export writes our own decisions, not those of a file'],
    [['--export', 'b.txt'], 'must end in .csv, .jsonl or .ndjson'],
    [['log.parquet'], 'must end in .csv, .jsonl or .ndjson'],
    [['log.csv', '--policy', 'best'], '--policy must be one of random|'],
    [['log.csv', '--reward', 'low'], '--reward must be higher-is-better or lower-is-better'],
    [['missing.csv'], 'missing.csv: ENOENT'],
    [[log, '--policy', 'egreedy-v2'], 'line 2, column vectors: 3 entries, but egreedy-v2 knows 12'],
  ])('of %o ends with 2 and the reason', (args, reason) => {
    const { status, stderr, stdout } = run(...args);
    expect(stderr).toContain(reason);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });
});
