import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('prompts.ts', import.meta.url));

describe('a command', () => {
  it('ends without a word where nobody reads on', async () => {
    const line = `"${process.execPath}" "${script}" render v2-mentor | true; "${process.execPath}" "${script}" | head -1`;
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', line]);
    expect(stderr).toBe('');
    expect(stdout).toContain('version');
  });
});
