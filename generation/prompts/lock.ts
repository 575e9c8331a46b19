import { contentHash } from '../../platform/content-hash.ts';
import { fallbackTips } from '../fallback.ts';
import { tipsMax } from '../output.ts';
import { toLlmRequest } from '../question.ts';
import { goldenContexts } from './golden-contexts.ts';
import type { Prompt } from './prompt.ts';

/** What every version there ever was is, and what it makes of the golden contexts. Append-only. */
export interface PromptLock {
  /** The hash of a version's file: `LOCK.json`. */
  readonly hashes: Readonly<Record<string, string>>;
  /** The hash of what a version makes of each golden context, by the context's id: `RENDERS.json`. */
  readonly renders: Readonly<Record<string, Renders>>;
}

type Renders = Readonly<Record<string, string>>;
type Prompts = ReadonlyMap<string, Prompt>;

/** The lock, and what of the prompts is not in it yet. What is in it stays as it is, and so does what contradicts it. */
export function extendLock(lock: PromptLock, prompts: Prompts): PromptLock {
  const hashes: Record<string, string> = { ...lock.hashes };
  const renders: Record<string, Renders> = { ...lock.renders };
  for (const prompt of prompts.values()) {
    const { version, hash } = prompt;
    const locked = ownOf(lock.hashes, version);
    if (locked !== undefined && locked !== hash) continue;
    hashes[version] = hash;
    renders[version] = { ...rendersOf(prompt), ...(locked && ownOf(lock.renders, version)) };
  }
  return { hashes, renders };
}

/** What of the prompts is not as the lock says, and what to do then. */
export function lockProblems(prompts: Prompts, { hashes, renders }: PromptLock): string[] {
  const shared = changedTogether(prompts, hashes);
  const changed = [...prompts.values()].flatMap((prompt) => {
    const { version, hash } = prompt;
    const locked = ownOf(hashes, version);
    if (shared.includes(prompt)) return prompt === shared[0] ? [changedForm(shared)] : [];
    if (locked === undefined) return [`${version}.prompt.md is new: \`npm run prompts -- lock\` adds it to the lock`];
    // With another text, what it renders differs too and says nothing more.
    return locked === hash ? renderProblems(prompt, ownOf(renders, version) ?? {}) : [changedText(version)];
  });
  const gone = [...new Set([...Object.keys(hashes), ...Object.keys(renders)])].filter((each) => !prompts.has(each));
  return [
    ...changed,
    ...gone.map(
      (version) =>
        `${version}.prompt.md is gone, but "${version}" is in the lock, as tips were written with it: bring the file back, ` +
        'and if nobody is to use it any more, set its status to retired',
    ),
  ];
}

/** The prompts for models, if more than one is locked and all of those changed: then it is hardly their texts. */
function changedTogether(prompts: Prompts, hashes: PromptLock['hashes']): readonly Prompt[] {
  const locked = [...prompts.values()].filter(
    ({ form, version }) => form === 'model' && ownOf(hashes, version) !== undefined,
  );
  const isEach = locked.length > 1 && locked.every(({ version, hash }) => ownOf(hashes, version) !== hash);
  return isEach ? locked : [];
}

function changedForm(prompts: readonly Prompt[]): string {
  const names = prompts.map(({ version }) => `${version}.prompt.md`).join(', ');
  return (
    `${names} are all other than LOCK.json says. If their files are as they were, what they share changed: the form of the ` +
    'answer (generation/output.ts, also its descriptions) or promptViewVersion (generation/prompts/view.ts). What people ' +
    'did with their tips counts for what they were, so undo it, or keep the old for them and give new versions the new one'
  );
}

function changedText(version: string): string {
  return (
    `${version}.prompt.md is not what LOCK.json says "${version}" is. What people did with its tips counts for that ` +
    'text, so a version never changes: undo the change and put the new text in a new version file (only while nobody ' +
    'has used the version may its line be taken out of LOCK.json, for `npm run prompts -- lock` to add it anew)'
  );
}

function renderProblems(prompt: Prompt, locked: Renders): string[] {
  const { version } = prompt;
  const found = rendersOf(prompt);
  const ids = [...new Set([...Object.keys(found), ...Object.keys(locked)])];
  const missing = ids.filter((id) => ownOf(locked, id) === undefined);
  const gone = ids.filter((id) => ownOf(found, id) === undefined);
  const changed = ids.filter((id) => !missing.includes(id) && !gone.includes(id) && found[id] !== locked[id]);
  const isModel = prompt.form === 'model';
  return [
    ...listed(changed, (list) =>
      [
        `${version}.prompt.md is as it was, but what it makes of the golden contexts ${list} is not what RENDERS.json says`,
        `: the code that fills it in changed (features/context.ts, ${isModel ? 'generation/prompts/view.ts' : 'generation/facts.ts'})`,
        `. To its readers that is another prompt: undo it, or raise ${isModel ? 'promptViewVersion' : 'factsVersion'}, keep the old`,
        ` code for "${version}" and give new versions the new one. \`npm run prompts -- render ${version} --context ${changed[0]}\``,
        ' shows it',
      ].join(''),
    ),
    ...listed(
      missing,
      (list) => `RENDERS.json has nothing of "${version}" for ${list}: \`npm run prompts -- lock\` adds what is new`,
    ),
    ...listed(
      gone,
      (list) => `the golden contexts ${list} are gone, but RENDERS.json has them for "${version}": bring them back`,
    ),
  ];
}

function rendersOf(prompt: Prompt): Renders {
  return Object.fromEntries(
    [...goldenContexts].map(([id, contexts]) => [id, contentHash(contexts.map((each) => renderGolden(prompt, each)))]),
  );
}

const nonce = 'golden0golden0golden';

/** All that a version decides about a context, with a fence that is always the same. */
function renderGolden(prompt: Prompt, context: Parameters<typeof fallbackTips>[1]): unknown {
  if (prompt.form === 'templates') return fallbackTips(prompt, context, tipsMax);
  const { system, user } = toLlmRequest({ prompt, context, n: 3, nonce });
  return { system, user };
}

function listed(ids: readonly string[], say: (list: string) => string): string[] {
  return ids.length > 0 ? [say(ids.map((id) => `"${id}"`).join(', '))] : [];
}

function ownOf<Value>(all: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(all, name) ? all[name] : undefined;
}
