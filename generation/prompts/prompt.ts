import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import type { TipKindName } from '../../gen/proto/oo/contract.ts';
import { contentHash } from '../../platform/content-hash.ts';
import { factCharsMax, factNames, factsVersion } from '../facts.ts';
import { contentChars, outputSchema, tipKinds, tipsMax } from '../output.ts';
import { inspectTemplate } from './template.ts';
import { promptTags, promptViewVersion } from './view.ts';

interface AnyPrompt {
  readonly version: string;
  readonly description: string;
  /** A retired version is kept for its record and writes nothing any more. */
  readonly status: 'active' | 'retired';
  /** Lower-case hexadecimal SHA-256 of all that decides what this version writes. */
  readonly hash: string;
}

/** A prompt for a language model: Mustache over a `PromptView`. */
export interface ModelPrompt extends AnyPrompt {
  readonly form: 'model';
  readonly temperature: number;
  readonly maxOutputTokens: number;
  readonly system: string;
  readonly user: string;
}

/** Tips that need no model: Mustache over `Facts`. At least ten of its templates need no fact. */
export interface TemplatePrompt extends AnyPrompt {
  readonly form: 'templates';
  readonly templates: readonly TipTemplate[];
}

export interface TipTemplate {
  readonly kind: TipKindName;
  readonly text: string;
  /** Why it is said, one sentence. */
  readonly why: string;
}

export type Prompt = ModelPrompt | TemplatePrompt;

/** Everything that is wrong with the prompt files, each problem with the name of its file. */
export class PromptError extends Error {
  override readonly name = 'PromptError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(['The prompt files have problems:', ...problems].join('\n- '));
    this.problems = problems;
  }
}

const headFields = {
  version: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  description: z.string().trim().min(1),
  status: z.enum(['active', 'retired']),
};
const templatesHead = z.strictObject(headFields);
const modelHead = z.strictObject({
  ...headFields,
  params: z.strictObject({
    temperature: z.number().min(0).max(2),
    max_output_tokens: z.int().min(1).max(8192),
  }),
});
const templateList = z
  .array(z.strictObject({ kind: z.enum(tipKinds), text: z.string().trim().min(contentChars.least), why: z.string() }))
  .min(12);

/**
 * Reads `<version>.prompt.md`: YAML front matter, then either the sections `# System` and `# User`, or `# Templates` with
 * a YAML list. Throws a `PromptError` with all that is wrong.
 */
export function parsePrompt(fileName: string, text: string): Prompt {
  const problems: string[] = [];
  const file = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'));
  const [, head = '', body = ''] = file ?? [];
  if (!file) problems.push('does not begin with front matter between two lines `---`');
  const sections = splitSections(body);
  const names = [...sections.keys()].join(', ');
  const templates = sections.get('Templates');
  const isTemplates = names === 'Templates';
  if (!isTemplates && names !== 'System, User') {
    problems.push('must hold exactly the sections `# System` and `# User`, or only `# Templates`');
  }

  const prompt = file && (isTemplates ? readTemplates(head, body, templates ?? '') : readModel(head, body, sections));
  problems.push(...(prompt?.problems ?? []));
  const found = prompt?.value;
  if (found && fileName !== `${found.version}.prompt.md`) {
    problems.push(`its version is "${found.version}", so its name must be ${found.version}.prompt.md`);
  }
  if (!found || problems.length > 0) throw new PromptError(problems.map((each) => `${fileName}: ${each}`));
  return found;
}

interface Reading<Value> {
  readonly value?: Value | undefined;
  readonly problems: readonly string[];
}

function readModel(head: string, body: string, sections: ReadonlyMap<string, string>): Reading<ModelPrompt> {
  const { value, problems } = readYaml('front matter', head, modelHead);
  const system = sections.get('System') ?? '';
  const user = sections.get('User') ?? '';
  const inSystem = inspectTemplate(system);
  const inUser = inspectTemplate(user);
  const all = [
    ...problems,
    ...[...inSystem.problems, ...inUser.problems],
    ...unknownTags([...inSystem.tags, ...inUser.tags], promptTags),
    // Text from outside must never speak with the voice of the system, and the model must know what its fence is.
    ...(inSystem.tags.includes('data') ? ['{{data}} must not be in the section System'] : []),
    ...(inSystem.tags.includes('fence') ? [] : ['the section System must explain {{fence}}']),
    ...(inUser.tags.filter((tag) => tag === 'data').length === 1 ? [] : ['the section User must hold {{data}} once']),
  ];
  if (!value) return { problems: all };
  const { params, ...rest } = value;
  const hash = contentHash({
    version: value.version,
    text: body,
    params,
    output_schema: outputSchema,
    view_version: promptViewVersion,
  });
  const { temperature, max_output_tokens: maxOutputTokens } = params;
  return { problems: all, value: { form: 'model', ...rest, hash, temperature, maxOutputTokens, system, user } };
}

function readTemplates(head: string, body: string, list: string): Reading<TemplatePrompt> {
  const front = readYaml('front matter', head, templatesHead);
  const { value: templates = [], problems } = readYaml('section Templates', list, templateList);
  const all = [...front.problems, ...problems, ...templates.flatMap(templateProblems)];
  const free = templates.filter(({ text }) => inspectTemplate(text).tags.length === 0);
  if (new Set(free.map(({ text }) => text)).size < tipsMax) {
    all.push(`needs ${tipsMax} different templates without variables, so that there are always enough tips`);
  }
  if (!front.value) return { problems: all };
  const hash = contentHash({ version: front.value.version, text: body, view_version: factsVersion });
  return { problems: all, value: { form: 'templates', ...front.value, hash, templates } };
}

function templateProblems({ text }: TipTemplate): string[] {
  const { tags, problems } = inspectTemplate(text);
  const isLong = text.length + tags.length * factCharsMax > contentChars.most;
  return [
    ...problems,
    ...unknownTags(tags, factNames),
    ...(isLong ? [`with its variables at their longest, "${text}" is over ${contentChars.most} characters`] : []),
  ];
}

function unknownTags(tags: readonly string[], known: readonly string[]): string[] {
  const unknown = new Set(tags.filter((tag) => !known.includes(tag)));
  return [...unknown].map((tag) => `{{${tag}}} is unknown; there are ${known.join(', ')}`);
}

/** The text under each heading of one `#`, trimmed; text before the first heading is under the empty name. */
function splitSections(body: string): Map<string, string> {
  const [before = '', ...rest] = body.split(/^# (System|User|Templates)[ \t]*$/m);
  const sections = new Map<string, string>(before.trim() ? [['', before]] : []);
  for (let at = 0; at < rest.length; at += 2) {
    const name = rest[at] ?? '';
    sections.set(sections.has(name) ? `${name} again` : name, rest[at + 1]?.trim() ?? '');
  }
  return sections;
}

function readYaml<Value>(where: string, text: string, schema: z.ZodType<Value>): Reading<Value> {
  let data: unknown;
  try {
    data = parseYaml(text);
  } catch (error) {
    return { problems: [`${where}: ${error instanceof Error ? error.message.split('\n')[0] : 'not YAML'}`] };
  }
  const parsed = schema.safeParse(data);
  if (parsed.success) return { value: parsed.data, problems: [] };
  return { problems: parsed.error.issues.map(({ path, message }) => `${where} ${path.join('.')}: ${message}`) };
}
