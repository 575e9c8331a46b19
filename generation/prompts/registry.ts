import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { invalidArgument } from '../../platform/errors.ts';
import { type Prompt, PromptError, parsePrompt, type TemplatePrompt } from './prompt.ts';

/** Used where neither the request nor the configuration names a version. */
export const firstVersion = 'v1';
/** The version of the tips that need no model. */
export const fallbackVersion = 'fallback';

export interface PromptRegistry {
  /** All versions by name, retired ones too. */
  readonly prompts: ReadonlyMap<string, Prompt>;
  readonly fallback: TemplatePrompt;
}

export interface PromptFile {
  readonly name: string;
  readonly text: string;
}

/** The hash of every version there ever was, by version. Append-only: `LOCK.json`. */
export type PromptLock = Readonly<Record<string, string>>;

/** The folder that the service's own prompts are in. */
export const promptsDir = import.meta.dirname;

/** Reads every `*.prompt.md` of a folder, and its `LOCK.json`. Throws a `PromptError` with all that is wrong. */
export async function loadPrompts(dir: string = promptsDir): Promise<PromptRegistry> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.prompt.md')).sort();
  const files = names.map(async (name) => ({ name, text: await readFile(join(dir, name), 'utf8') }));
  return createRegistry(await Promise.all(files), parseLock(await readFile(join(dir, 'LOCK.json'), 'utf8')));
}

/** The registry of these files. Throws a `PromptError` with all that is wrong. */
export function createRegistry(files: readonly PromptFile[], lock: PromptLock): PromptRegistry {
  const problems: string[] = [];
  const prompts = new Map<string, Prompt>();
  for (const { name, text } of files) {
    try {
      const prompt = parsePrompt(name, text);
      if (prompts.has(prompt.version)) problems.push(`${name}: there is another file of version "${prompt.version}"`);
      prompts.set(prompt.version, prompt);
    } catch (error) {
      if (!(error instanceof PromptError)) throw error;
      problems.push(...error.problems);
    }
  }
  // Only where all files could be read: a broken file is not a missing one.
  if (problems.length === 0) problems.push(...requiredProblems(prompts), ...lockProblems(prompts, lock));
  const fallback = prompts.get(fallbackVersion);
  if (problems.length > 0 || fallback?.form !== 'templates') throw new PromptError(problems);
  return { prompts, fallback };
}

/**
 * The prompt of a request: its own version if it names one, else the service's default, else `v1`. An unknown or retired
 * version is refused, never replaced: what people do with the tips would count for a prompt that nobody asked for.
 */
export function resolvePrompt(
  registry: PromptRegistry,
  requested: string | undefined,
  defaultVersion: string | undefined,
): Prompt {
  if (!requested) return defaultPrompt(registry, defaultVersion);
  const prompt = registry.prompts.get(requested);
  if (prompt?.status === 'active') return prompt;
  throw invalidArgument([
    {
      field: 'prompt_version',
      description: `"${requested}" is ${prompt ? 'retired' : 'unknown'}; known versions: ${activeVersions(registry)}`,
    },
  ]);
}

/** Throws if requests that name no version could not be answered. To be called before the service starts. */
export function checkDefaultPrompt(registry: PromptRegistry, defaultVersion: string | undefined): void {
  defaultPrompt(registry, defaultVersion);
}

function defaultPrompt(registry: PromptRegistry, defaultVersion: string | undefined): Prompt {
  const version = defaultVersion || firstVersion;
  const prompt = registry.prompts.get(version);
  if (prompt?.status === 'active') return prompt;
  const is = prompt ? 'retired' : 'unknown';
  throw new Error(
    `DEFAULT_PROMPT_VERSION is "${version}", which is ${is}; known versions: ${activeVersions(registry)}`,
  );
}

function activeVersions({ prompts }: PromptRegistry): string {
  return [...prompts.values()]
    .filter(({ status }) => status === 'active')
    .map(({ version }) => version)
    .join(', ');
}

function requiredProblems(prompts: ReadonlyMap<string, Prompt>): string[] {
  const fallback = prompts.get(fallbackVersion);
  return [
    ...(prompts.has(firstVersion) ? [] : [`${firstVersion}.prompt.md is missing`]),
    ...(fallback?.form === 'templates' && fallback.status === 'active'
      ? []
      : [`${fallbackVersion}.prompt.md must be there, be active and hold templates`]),
  ];
}

const lockSchema = z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/));

function parseLock(text: string): PromptLock {
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch {
    throw new PromptError(['LOCK.json must be one JSON object of versions and their SHA-256']);
  }
}

function lockProblems(prompts: ReadonlyMap<string, Prompt>, lock: PromptLock): string[] {
  const changed = [...prompts.values()].flatMap(({ version, hash }) => {
    const locked = Object.hasOwn(lock, version) ? lock[version] : undefined;
    if (locked === hash) return [];
    if (locked === undefined) return [`${version}.prompt.md is new: add "${version}": "${hash}" to LOCK.json`];
    return [
      `${version}.prompt.md is not what LOCK.json says "${version}" is. What people did with its tips counts for that ` +
        'text, so a version never changes: undo the change and put the new text in a new version file (only while ' +
        `nobody has used the version may LOCK.json change, to "${hash}")`,
    ];
  });
  const gone = Object.keys(lock).filter((version) => !prompts.has(version));
  return [
    ...changed,
    ...gone.map(
      (version) => `${version}.prompt.md is gone, but "${version}" is in LOCK.json: set its status to retired`,
    ),
  ];
}
