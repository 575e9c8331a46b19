import { parse } from 'yaml';
import type { Finding } from './finding.ts';

/** A buf.yaml, and the rules that buf reads out of it for the module `proto`. */
export interface Config {
  yaml: string;
  lint: string[];
  breaking: string[];
}

/** A `lint` or `breaking` section, or an entry of `modules`. */
type Section = Record<string, unknown>;

const MODULE = 'proto';

/** Where the judgement of our own contract became milder. `after` is undefined if buf.yaml is gone. */
export function weakenings(before: Config, after: Config | undefined): Finding[] {
  if (after === undefined) return [finding('buf.yaml is gone', 1)];
  if (!moduleOf(after.yaml)) return [finding(`module ${MODULE} is gone`, 1)];
  return [
    ...(['lint', 'breaking'] as const).flatMap((name) => {
      const line = lineOf(after.yaml, name);
      const lost = before[name].filter((rule) => !after[name].includes(rule));
      return [
        ...lost.map((rule) => finding(`${name} no longer applies ${rule}`, line)),
        ...weakerKeys(sectionOf(before.yaml, name), sectionOf(after.yaml, name)).map((key) =>
          finding(`${name}.${key} became weaker`, line),
        ),
      ];
    }),
    ...weakerKeys(moduleOf(before.yaml) ?? {}, moduleOf(after.yaml) ?? {}).map((key) =>
      finding(`modules.${key} became weaker`, lineOf(after.yaml, key)),
    ),
  ];
}

/** The `breaking` section that judges `proto`, as a buf.yaml for images, in which paths start below the module. */
export function breakingConfigForImages(yaml: string): string {
  const section = sectionOf(yaml, 'breaking');
  const below = (path: string) => path.replace(/^proto\//, '');
  const breaking: Section = { ...section };
  if (section.ignore) breaking.ignore = (section.ignore as string[]).map(below);
  if (section.ignore_only) {
    const entries = Object.entries(section.ignore_only as Record<string, string[]>);
    breaking.ignore_only = Object.fromEntries(entries.map(([rule, paths]) => [rule, paths.map(below)]));
  }
  return JSON.stringify({ version: 'v2', breaking });
}

/** A module's own section replaces that of the workspace. */
function sectionOf(yaml: string, name: 'lint' | 'breaking'): Section {
  return (moduleOf(yaml)?.[name] ?? parse(yaml)?.[name] ?? {}) as Section;
}

function moduleOf(yaml: string): Section | undefined {
  const modules = (parse(yaml)?.modules ?? []) as Section[];
  return modules.find(({ path }) => path === MODULE);
}

/** Lists of exceptions, which may only shrink. */
const EXCEPTIONS = ['ignore', 'ignore_only', 'excludes'];
/** What the lists of rules above already say, and what the sections say for themselves. */
const COVERED = ['use', 'except', 'lint', 'breaking', 'name'];
/** Strict if true; all other flags are strict if false. */
const STRICT_IF_TRUE = ['disallow_comment_ignores'];

function weakerKeys(before: Section, after: Section): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => !COVERED.includes(key) && isWeaker(key, before[key], after[key]));
}

function isWeaker(key: string, before: unknown, after: unknown): boolean {
  if (EXCEPTIONS.includes(key)) {
    const old = exceptions(before);
    return exceptions(after).some((exception) => !old.includes(exception));
  }
  if (typeof before === 'boolean' || typeof after === 'boolean') {
    return STRICT_IF_TRUE.includes(key) ? before === true && after !== true : before !== true && after === true;
  }
  // Suffixes, includes, plugins: nothing says which way is stricter.
  return JSON.stringify(before) !== JSON.stringify(after);
}

/** `[path]`, or `{RULE: [path]}` as "RULE path". */
function exceptions(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return Object.entries((value ?? {}) as Record<string, string[]>).flatMap(([rule, paths]) =>
    paths.map((path) => `${rule} ${path}`),
  );
}

function lineOf(yaml: string, key: string): number {
  return yaml.split('\n').findIndex((line) => line.trimStart().startsWith(`${key}:`)) + 1 || 1;
}

function finding(message: string, line: number): Finding {
  return { path: 'buf.yaml', line, rule: 'OO_CONFIG_WEAKENED', message };
}
