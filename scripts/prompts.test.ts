import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { promptsDir } from '../generation/prompts/registry.ts';

const script = fileURLToPath(new URL('./prompts.ts', import.meta.url));
const run = (...args: readonly string[]) =>
  spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });

describe('npm run prompts', () => {
  it('lists the versions', () => {
    const { status, stdout, stderr } = run();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/v1 +active +locked +1b4ed940bb0e +0\.7 +3000 +Baseline\./);
    expect(stdout).toMatch(/fallback +active +locked +29795fcf331e +– +– +Tips/);
  });

  it('finds what was released also where the words and marks that Intl writes are others, as in another build of Node', () => {
    const others = `const { formatToParts } = Intl.DateTimeFormat.prototype;
      Intl.DateTimeFormat.prototype.formatToParts = function (at) {
        const parts = formatToParts.call(this, at);
        return parts.map((part) => (/^\\d+$/.test(part.value) ? { ...part, value: String(Number(part.value)) } : { ...part, value: '?' }));
      };`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(others)}`;
    const { status, stderr } = spawnSync(process.execPath, [script], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('renders with a sample person, data within the fence and nothing left to fill in', () => {
    const { status, stdout } = run('render', 'v1', '-n', '4');
    expect(status).toBe(0);
    expect(stdout).toContain('between the lines <data-0000000000000000> and </data-0000000000000000>');
    expect(stdout).toMatch(
      /Write 4 different tips.*\n.*\n\n<data-0{16}>\n\{"language":"en","tasks":\[.*\n<\/data-0{16}>/,
    );
    expect(stdout).not.toContain('{{');
    expect(run('render', 'fallback', '--context', 'nothing').stdout).toMatch(/advice: It is night\./);
  });

  it('shows what differs between two versions, and only that', () => {
    const { status, stdout } = run('diff', 'v1', 'v2-mentor');
    expect(status).toBe(0);
    for (const text of ['- temperature: 0.7\n', '+ temperature: 0.6\n', '+ You are a calm mentor', '  …'])
      expect(stdout).toContain(text);
    expect(stdout).not.toMatch(/^User$|Never make up an id/m);
    expect(run('diff', 'v1', 'v1').stdout).toContain('differ in nothing but their names');
    expect(run('diff', 'v1', 'fallback').stdout).toMatch(/- form: model\n[\s\S]*\+ form: templates/);
  });

  it.each([
    [['show'], 'There is no command "show"'],
    [['toString'], 'There is no command "toString"'],
    [['render'], 'render takes one version'],
    [['diff', 'v1'], 'diff takes two versions'],
    [['list', 'v1'], 'list takes no version'],
    [['render', 'v9'], 'There is no prompt version "v9"; there are fallback, v1'],
    [['diff', 'v1', 'v9'], 'There is no prompt version "v9"'],
    [['render', 'v1', '--context', 'x'], 'There is no context "x"'],
    [['render', 'v1', '-n', '11'], '-n must be'],
    [['render', 'v1', '--colour'], "Unknown option '--colour'"],
  ])('of %o ends with 2 and the reason', (args, reason) => {
    const { status, stderr, stdout } = run(...args);
    expect(stderr).toContain(reason);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });
});

describe('in a folder where people write', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'prompts-'));
    for (const name of ['fallback.prompt.md', 'v1.prompt.md', 'v2-mentor.prompt.md', 'v3-few-shot.prompt.md'])
      await cp(join(promptsDir, name), join(dir, name));
    for (const name of ['LOCK.json', 'RENDERS.json']) await cp(join(promptsDir, name), join(dir, name));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const write = async (version: string, change: (text: string) => string) => {
    const text = await readFile(join(promptsDir, 'v1.prompt.md'), 'utf8');
    await writeFile(join(dir, `${version}.prompt.md`), change(text));
  };
  const lock = () => Promise.all(['LOCK.json', 'RENDERS.json'].map((name) => readFile(join(dir, name), 'utf8')));

  it('locks a new version, and nothing else', async () => {
    const before = await lock();
    await write('v4', (text) => text.replace('version: v1', 'version: v4'));
    const listed = run('list', '--dir', dir);
    expect(listed.stdout).toMatch(/v4 +active +new/);
    expect(listed.stderr).toContain('v4.prompt.md is new: `npm run prompts -- lock` adds it');
    expect(listed.status).toBe(1);
    expect(run('diff', 'v1', 'v4', '--dir', dir).status).toBe(0);

    expect(run('lock', '--dir', dir)).toMatchObject({ status: 0, stderr: '' });
    expect(run('--dir', dir).stdout).toMatch(/v4 +active +locked/);
    const after = await lock();
    for (const [i, text] of after.entries()) {
      const { v4, ...others } = JSON.parse(text);
      expect(v4).toBeDefined();
      expect(others).toEqual(JSON.parse(before[i] ?? ''));
    }
  });

  it('does not lock another text under a version, and says what to do', async () => {
    const before = await lock();
    await write('v1', (text) => text.replace('It is kind.', 'It is strict.'));
    const { status, stderr } = run('lock', '--dir', dir);
    expect(stderr).toMatch(/v1\.prompt\.md is not what LOCK\.json says .* put the new text in a new version file/);
    expect(status).toBe(1);
    expect(await lock()).toEqual(before);
    expect(run('--dir', dir).stdout).toMatch(/v1 +active +CHANGED/);
  });

  it('says what is wrong with a file', async () => {
    await write('v4', (text) => text.replace('{{n}}', '{{count}}'));
    const { status, stderr } = run('--dir', dir);
    expect(stderr).toContain('v4.prompt.md: {{count}} is unknown');
    expect(stderr).not.toContain(' at ');
    expect(status).toBe(1);
  });
});
