import { describe, expect, it } from 'vitest';
import { parsePromptVersions, pickPromptVersion } from './prompt-versions.ts';

describe('TIP_PROMPT_VERSION', () => {
  it.each([
    [undefined, []],
    ['', []],
    ['v1', ['v1']],
    ['v1,v2-mentor', ['v1', 'v2-mentor']],
    [' v1 , v2-mentor ,', ['v1', 'v2-mentor']],
  ])('%j is %o', (text, expected) => {
    expect(parsePromptVersions(text)).toEqual(expected);
  });

  it.each(['v 1', 'v1;v2', 'ä', 'x'.repeat(65)])('refuses %j, naming itself', (text) => {
    expect(() => parsePromptVersions(text)).toThrow(/^TIP_PROMPT_VERSION: /);
  });

  it('gives every version the same share of the requests, and none is the default of the service', () => {
    const versions = ['v1', 'v2-mentor', 'v3-few-shot'];
    expect([0, 0.333, 0.334, 0.666, 0.667, 0.999999].map((random) => pickPromptVersion(versions, random))).toEqual([
      'v1',
      'v1',
      'v2-mentor',
      'v2-mentor',
      'v3-few-shot',
      'v3-few-shot',
    ]);
    expect(pickPromptVersion([], 0.5)).toBe('');
  });
});
