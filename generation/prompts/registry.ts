import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { invalidArgument } from '../../platform/errors.ts';
import { lockProblems, type PromptLock } from './lock.ts';
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

/** The folder that the service's own prompts are in. */
export const promptsDir = import.meta.dirname;

/** Reads the prompts of a folder, and their lock. Throws a `PromptError` with all that is wrong. */
export async function loadPrompts(dir: string = promptsDir): Promise<PromptRegistry> {
  const [files, lock] = await Promise.all([readPromptFiles(dir), readLock(dir)]);
  return createRegistry(files, lock);
}

/** Every `*.prompt.md` of a folder, by name, without the hidden files that editors and file systems put beside them. */
export async function readPromptFiles(dir: string): Promise<readonly PromptFile[]> {
  const names = (await readdir(dir)).filter((name) => /^[^.].*\.prompt\.md$/.test(name)).sort();
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(join(dir, name), 'utf8') })));
}

/** Throws a `PromptError` if `LOCK.json` or `RENDERS.json` is of another form. */
export async function readLock(dir: string): Promise<PromptLock> {
  const [hashes, renders] = await Promise.all([
    readJson(dir, 'LOCK.json', hashesSchema, 'versions and their SHA-256'),
    readJson(dir, 'RENDERS.json', rendersSchema, 'versions, and of each the golden contexts and their SHA-256'),
  ]);
  return { hashes, renders };
}

/** The registry of these files. Throws a `PromptError` with all that is wrong. */
export function createRegistry(files: readonly PromptFile[], lock: PromptLock): PromptRegistry {
  const prompts = parsePrompts(files);
  const problems = [...requiredProblems(prompts), ...lockProblems(prompts, lock)];
  const fallback = prompts.get(fallbackVersion);
  if (problems.length > 0 || fallback?.form !== 'templates') throw new PromptError(problems);
  return { prompts, fallback };
}

/** The prompts of these files by version, locked or not. Throws a `PromptError` with all that is wrong in the files. */
export function parsePrompts(files: readonly PromptFile[]): ReadonlyMap<string, Prompt> {
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
  if (problems.length > 0) throw new PromptError(problems);
  return prompts;
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

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const hashesSchema = z.record(z.string(), sha256);
const rendersSchema = z.record(z.string(), z.record(z.string(), sha256));

async function readJson<Value>(dir: string, name: string, schema: z.ZodType<Value>, what: string): Promise<Value> {
  const text = await readFile(join(dir, name), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new PromptError([`${name} is gone: bring it back as it was released, as nothing else says what was`]);
  });
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    const conflict = /^(?:<{7}|>{7}) /m.test(text) ? ' (it has a merge conflict: keep the lines of both sides)' : '';
    throw new PromptError([`${name} must be one JSON object of ${what}${conflict}`]);
  }
}
