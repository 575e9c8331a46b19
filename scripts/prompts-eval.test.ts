import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { promptsDir } from '../generation/prompts/registry.ts';
import { says, startUnrulyLlm } from '../tests/_util/unruly-llm.ts';

const script = fileURLToPath(new URL('./prompts-eval.ts', import.meta.url));
const madeUp = join(promptsDir, 'eval', 'made-up.jsonl');

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { PATH } = process.env;
  const child = spawn(process.execPath, [script, ...args], { env: { PATH, NO_COLOR: '1', ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += text));
  child.stderr.on('data', (text) => (stderr += text));
  const status = await new Promise((resolve) => child.once('close', resolve));
  return { status, stdout, stderr };
}

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'prompts-eval-'));
});
afterAll(() => rm(dir, { recursive: true }));

describe('npm run prompts:eval of a recording', () => {
  it('shows two versions side by side, and passes what is good enough', async () => {
    const { status, stdout } = await run(['v1', '--against', 'v2-mentor', '--recorded', madeUp, '--min-valid', '0.95']);
    expect(stdout).toContain('14 contexts');
    expect(stdout).toContain('model made-up');
    expect(stdout).toMatch(/valid +100\.0 % +92\.9 % +7\.1 +0\.0 to 21\.4/);
    expect(stdout).toMatch(/v2-mentor dropped: .*wrong_language 1/);
    expect(stdout).toContain('passes');
    expect(status).toBe(0);
  });

  it.each([
    [['v2-mentor', '--min-valid', '0.95'], 'v2-mentor: valid 92.9 %, less than 95.0 %'],
    [['v2-mentor', '--against', 'v1'], 'v2-mentor: valid 92.9 %, more than 5.0 % less than the 100.0 % of v1'],
  ])('ends with 1 where it does not: %o', async (args, reason) => {
    const { status, stdout } = await run([...args, '--recorded', madeUp]);
    expect(stdout).toContain(`does not pass: ${reason}`);
    expect(status).toBe(1);
  });

  it('takes a wider margin', async () => {
    const args = ['v2-mentor', '--against', 'v1', '--margin', '0.15', '--recorded', madeUp];
    expect((await run(args)).status).toBe(0);
  });

  it.each([
    [[], 'One version must be named'],
    [['v1', 'v2-mentor'], 'One version must be named'],
    [['v1', '--against', 'v1'], '--against must name another version'],
    [['v9'], 'There is no prompt version "v9"; those that ask one are v1, v2-mentor, v3-few-shot'],
    [['fallback'], '"fallback" asks no model'],
    [['v1', '--min-valid', '95'], '--min-valid must be a share'],
    [['v1', '--margin', '0.1'], '--margin needs --against'],
    [['v1', '--recorded', 'a', '--record', 'b'], '--recorded asks no model'],
    [['v1'], 'Set LLM_BASE_URL and LLM_MODEL'],
    [['v1', '--contexts', 'missing.jsonl'], 'missing.jsonl'],
    [['v1', '--contexts', madeUp], 'made-up.jsonl: line 1: '],
    [['v3-few-shot', '--recorded', madeUp], 'made-up.jsonl: has no answer to v3-few-shot about "en-overdue"'],
  ])('of %o ends with 2 and the reason', async (args, reason) => {
    const { status, stderr, stdout } = await run(args);
    expect(stderr).toContain(reason);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });
});

describe('npm run prompts:eval of a model', () => {
  it('records what it says, once, so that the recording shows the same', async () => {
    const good = JSON.stringify({ tips: [{ content: 'Stand up for a while.', kind: 'advice' }] });
    await using llm = await startUnrulyLlm(says(good));
    const contexts = join(dir, 'contexts.jsonl');
    const lines = ['a', 'b'].map((id) => JSON.stringify({ id, at: '2026-11-24T08:00:00Z', context: {}, n: 1 }));
    await writeFile(contexts, lines.join('\n'));
    const record = join(dir, 'recorded.jsonl');
    const env = { LLM_BASE_URL: llm.baseUrl, LLM_MODEL: 'other', LLM_PRICES: 'm=1000000/1000000' };
    const asked = ['v1', '--contexts', contexts, '--min-accepted', '1'];
    const first = await run([...asked, '--model', 'm', '--record', record], env);
    expect(first.stderr).toBe('');
    expect(first.status).toBe(0);
    expect(first.stdout).toMatch(/micro-dollars +375\n/);
    expect(llm.requests).toMatchObject([{ body: { model: 'm' } }, { body: { model: 'm' } }]);
    expect((await readFile(record, 'utf8')).trim().split('\n')).toHaveLength(2);
    expect(await run([...asked, '--recorded', record])).toEqual(first);

    const again = await run([...asked, '--record', record], env);
    expect(again).toMatchObject({ status: 2, stderr: expect.stringContaining('EEXIST') });
  });
});
