import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');

it('this repository passes its own gate', () => {
  // Not compared with other commits, so that the tests say the same on every one of them.
  const args = ['--only', 'lint,baseline,generated'];
  expect(execFileSync(join(root, 'scripts/buf-check.sh'), args, { encoding: 'utf8' }).match(/^ok /gm)).toHaveLength(4);
}, 120_000);

it('both forges run the gate, on the whole history', () => {
  const read = (path: string) => parse(readFileSync(join(root, path), 'utf8'));
  const workflow = read('.github/workflows/buf-check.yaml');
  expect(read('.gitea/workflows/buf-check.yaml')).toEqual(workflow);
  expect(workflow.permissions).toEqual({ contents: 'read' });
  const [checkout, ...others] = workflow.jobs['buf-check'].steps;
  expect(checkout.with['fetch-depth']).toBe(0);
  expect(others.some(({ run }: { run?: string }) => run?.includes('scripts/buf-check.sh'))).toBe(true);
});
