import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const folder = fileURLToPath(new URL('.', import.meta.url));
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: folder, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '');

interface Cell {
  readonly [field: string]: unknown;
  readonly cell_type: string;
}
interface Notebook {
  readonly metadata: object;
  readonly cells: readonly Cell[];
}

/** All fields that come from a run, or may hold what was pasted. What is left is words and code. */
function leftOf({ metadata, cells }: Notebook): string[] {
  const ofCells = cells.flatMap((cell, i) => {
    const { cell_type, id, source, outputs, execution_count, metadata, ...more } = cell;
    const left = Object.entries({ outputs, execution_count, metadata, ...more }).filter(
      ([, value]) => !['null', '[]', '{}', undefined].includes(JSON.stringify(value)),
    );
    return left.map(([name]) => `cell ${i + 1}: ${name}`);
  });
  const more = Object.keys(metadata).filter((name) => !['kernelspec', 'language_info'].includes(name));
  return [...ofCells, ...more.map((name) => `metadata: ${name}`)];
}

describe('the check of a notebook', () => {
  const clean = { cell_type: 'code', id: 'a', source: ['1'], metadata: {}, execution_count: null, outputs: [] };
  it.each([
    ['nothing', {}, {}, []],
    ['an output', { outputs: [{ output_type: 'stream', text: ['anna'] }] }, {}, ['cell 1: outputs']],
    ['a count of runs', { execution_count: 1 }, {}, ['cell 1: execution_count']],
    ['times of a run', { metadata: { execution: { 'iopub.status.busy': 'T' } } }, {}, ['cell 1: metadata']],
    ['a pasted picture', { attachments: { 'a.png': {} } }, {}, ['cell 1: attachments']],
    ['what widgets showed', {}, { widgets: {} }, ['metadata: widgets']],
  ])('finds %s', (_, cell, metadata, expected) => {
    expect(leftOf({ metadata, cells: [{ ...clean, ...cell }] })).toEqual(expected);
  });
});

describe('notebooks', () => {
  it('are the only thing here, beside words about them and code: no data', () => {
    expect(files.filter((file) => !/^[\w-]+(\.ipynb|\.md|(\.test)?\.ts)$/.test(file))).toEqual([]);
  });

  it.each(files.filter((file) => file.endsWith('.ipynb')))('%s is kept without what a run left in it', (file) => {
    const notebook: Notebook = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    expect(notebook.cells.length).toBeGreaterThan(0);
    expect(leftOf(notebook)).toEqual([]);
  });
});
