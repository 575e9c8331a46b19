import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { redact } from '../../features/redact.ts';
import { goldenContexts } from './golden-contexts.ts';
import { extendLock, lockProblems, type PromptLock } from './lock.ts';
import { type Prompt, parsePrompt } from './prompt.ts';
import { parsePrompts, promptsDir, readLock, readPromptFiles } from './registry.ts';

const lock = await readLock(promptsDir);
const prompts = parsePrompts(await readPromptFiles(promptsDir));
const only = (...versions: readonly string[]): ReadonlyMap<string, Prompt> =>
  new Map([...prompts].filter(([version]) => versions.includes(version)));
const nothing: PromptLock = { hashes: {}, renders: {} };

/** The lock, one render of a version being another. */
function withRender(version: string, context: string, hash: string | undefined): PromptLock {
  const { [context]: _, ...others } = lock.renders[version] ?? {};
  const renders = { ...lock.renders, [version]: hash === undefined ? others : { ...others, [context]: hash } };
  return { ...lock, renders };
}

describe('the lock of this service', () => {
  it('knows every version, and what each makes of the golden contexts', () => {
    expect(lockProblems(prompts, lock)).toEqual([]);
    expect(Object.keys(lock.renders).sort()).toEqual([...prompts.keys()].sort());
    for (const renders of Object.values(lock.renders))
      expect(Object.keys(renders).sort()).toEqual([...goldenContexts.keys()].sort());
  });

  // If this fails: people's reactions were counted under these. Whatever the reason, they may not change.
  it('keeps what was released with 0.1.0', () => {
    expect(lock.hashes).toMatchObject({
      fallback: '29795fcf331e4502acd9441d3cd53df807d3e334711590c764028636a1ee0705',
      v1: '1b4ed940bb0e37fdda315c188eb48186e20bb38dee514556c67ac4333765e4d6',
      'v2-mentor': 'd1c84d72efaa3104efa0c7d34b33c5e4f35d4d87791968c06c20cac7daaeb169',
      'v3-few-shot': 'ebabfca7754e7d458c1f7dec7b06de2a2cc2c5ed943b843f66b36ced45acae87',
    });
  });

  it('is written as `npm run prompts -- lock` writes it', async () => {
    const text = await readFile(`${promptsDir}/RENDERS.json`, 'utf8');
    expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`);
    expect(extendLock(lock, prompts)).toEqual(lock);
  });
});

describe('the golden contexts', () => {
  it('hold nothing that is taken out of a context, so that more may be', () => {
    for (const { tasks, events, recentTips } of [...goldenContexts.values()].flat()) {
      for (const { title } of [...tasks, ...events]) expect(redact(title)).toBe(title);
      for (const { content } of recentTips) expect(redact(content)).toBe(content);
    }
    expect(JSON.stringify([...goldenContexts.values()])).not.toMatch(/\[(e-mail|phone|token|account|card|link)\]/);
  });

  it('show what a view can hold: an empty one, one that is cut, every kind of signal, freshness and reaction', () => {
    const all = [...goldenContexts.values()].flat();
    expect(all.some(({ tasks, events, health, profile }) => ![tasks, events, health, profile].flat().length)).toBe(
      true,
    );
    expect(all.some(({ omitted }) => omitted.tasks > 0 && omitted.events > 0)).toBe(true);
    expect(new Set(all.flatMap(({ recentTips }) => recentTips.map(({ reaction }) => reaction))).size).toBe(6);
    const words = all.flatMap(({ profile }) => profile.map((feature) => feature.words)).join();
    for (const part of ['not up to date', 'typical of other people', 'did', 'dismissed', 'reacts', 'does most'])
      expect(words).toContain(part);
    expect(new Set(all.map(({ hourOfDay }) => hourOfDay)).size).toBe(24);
    expect(new Set(all.map(({ dayOfWeek }) => dayOfWeek)).size).toBe(7);
    expect(new Set(all.map(({ timeZone }) => timeZone)).size).toBeGreaterThan(3);
  });
});

describe('lockProblems', () => {
  it('says that the code around a version changed, of which contexts, and what to do', () => {
    const [problem, ...others] = lockProblems(prompts, withRender('v1', 'crowded', 'a'.repeat(64)));
    expect(others).toEqual([]);
    expect(problem).toMatch(/^v1\.prompt\.md is as it was, but what it makes of the golden contexts "crowded" is not/);
    for (const part of ['view.ts', 'undo it', 'promptViewVersion', 'render v1 --context crowded'])
      expect(problem).toContain(part);
    expect(lockProblems(prompts, withRender('fallback', 'nothing', 'a'.repeat(64))).join()).toMatch(
      /facts\.ts.*factsVersion/,
    );
  });

  it('misses a context that is new, and one that is gone', () => {
    expect(lockProblems(prompts, withRender('v1', 'crowded', undefined))).toEqual([
      'RENDERS.json has nothing of "v1" for "crowded": `npm run prompts -- lock` adds what is new',
    ]);
    expect(lockProblems(prompts, withRender('v1', 'older', 'a'.repeat(64)))).toEqual([
      'the golden contexts "older" are gone, but RENDERS.json has them for "v1": bring them back',
    ]);
  });

  it('speaks of a changed text alone, and not of what it then renders', () => {
    const hashes = { ...lock.hashes, v1: 'a'.repeat(64) };
    const problems = lockProblems(prompts, { ...withRender('v1', 'crowded', 'b'.repeat(64)), hashes });
    expect(problems).toEqual([expect.stringContaining('put the new text in a new version file')]);
  });

  it('does not blame the files where what they share changed', () => {
    const others = Object.keys(lock.hashes).map((version) => [version, 'a'.repeat(64)]);
    const hashes = { ...Object.fromEntries(others), fallback: lock.hashes.fallback };
    expect(lockProblems(prompts, { ...lock, hashes })).toEqual([
      expect.stringMatching(/^v1\.prompt\.md, v2.*v3.* If their files are as they were.*output\.ts.*promptViewVersion/),
    ]);
  });

  it('misses a version of which only the renders are there', () => {
    const lost = [...prompts.keys()].filter((version) => version !== 'v3-few-shot');
    expect(lockProblems(only(...lost), { ...lock, hashes: nothing.hashes })).toContainEqual(
      expect.stringMatching(/^v3-few-shot\.prompt\.md is gone/),
    );
  });
});

describe('extendLock', () => {
  it('locks what is there, and then nothing is wrong', () => {
    expect(lockProblems(prompts, extendLock(nothing, prompts))).toEqual([]);
    expect(extendLock(nothing, prompts)).toEqual(lock);
  });

  it('adds a version and a context, and leaves the rest', () => {
    const old = extendLock(nothing, only('v1', 'fallback'));
    const other = { ...old.renders.v1, crowded: 'a'.repeat(64) };
    const extended = extendLock({ ...old, renders: { ...old.renders, v1: other } }, prompts);
    expect(extended.renders.v1).toEqual(other);
    expect(Object.keys(extended.hashes).sort()).toEqual([...prompts.keys()].sort());
    expect(extendLock(withRender('v1', 'crowded', undefined), prompts)).toEqual(lock);
  });

  it('does not lock what contradicts it', () => {
    const text =
      '---\nversion: v1\ndescription: x\nparams: {temperature: 0, max_output_tokens: 9}\nstatus: active\n---\n';
    const other = parsePrompt('v1.prompt.md', `${text}# System\n\n{{fence}}\n\n# User\n\n{{data}}\n`);
    const change = new Map([...prompts, ['v1', other]]);
    expect(extendLock(withRender('v1', 'crowded', undefined), change)).toEqual(withRender('v1', 'crowded', undefined));
  });
});
