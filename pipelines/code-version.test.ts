import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { newFolder } from '../tests/_util/servers.ts';
import { codeVersion } from './code-version.ts';

const own = fileURLToPath(new URL('code-version.ts', import.meta.url));

/** A small project with this very code in it, below a name of its own. */
function newProject() {
  const root = newFolder('code');
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  for (const folder of ['experiments/models', 'features', 'registry', 'server']) write(`${folder}/a.ts`, folder);
  write('package-lock.json', '{}');
  mkdirSync(join(root, 'pipelines'));
  copyFileSync(own, join(root, 'pipelines/code-version.ts'));
  const script = `const { codeVersion } = await import(${JSON.stringify(pathToFileURL(join(root, 'pipelines/code-version.ts')))});
    process.stdout.write(codeVersion())`;
  return {
    root,
    write,
    version: () => execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }),
  };
}

describe('the version of the code', () => {
  it('is a digest that stays the same', () => {
    expect(codeVersion()).toMatch(/^[0-9a-f]{64}$/);
    expect(codeVersion()).toBe(codeVersion());
  });

  it('is the same wherever the code is', () => {
    expect(newProject().version()).toBe(newProject().version());
  });

  it.each<[string, (project: ReturnType<typeof newProject>) => void]>([
    ['what features are', ({ write }) => write('features/a.ts', 'other')],
    ['what is learnt', ({ write }) => write('experiments/models/a.ts', 'other')],
    ['what is registered', ({ write }) => write('registry/a.ts', 'other')],
    ['how it is done', ({ write }) => write('pipelines/b.ts', '')],
    ['a library', ({ write }) => write('package-lock.json', '{"a":1}')],
    ['a file less', ({ root }) => rmSync(join(root, 'registry/a.ts'))],
    ['a file’s name', ({ root }) => renameSync(join(root, 'features/a.ts'), join(root, 'features/b.ts'))],
  ])('changes with %s', (_, change) => {
    const project = newProject();
    const before = project.version();
    change(project);
    expect(project.version()).toMatch(/^[0-9a-f]{64}$/);
    expect(project.version()).not.toBe(before);
  });

  it('does not change with what no model is made by', () => {
    const project = newProject();
    const before = project.version();
    for (const file of ['features/a.test.ts', 'registry/card.md', 'server/a.ts', 'README.md'])
      project.write(file, 'new');
    expect(project.version()).toBe(before);
  });
});
