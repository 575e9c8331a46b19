import { styleText } from 'node:util';
import type { TipContext } from '../features/context.ts';
import { fallbackTips } from '../generation/fallback.ts';
import type { PromptLock } from '../generation/prompts/lock.ts';
import type { Prompt } from '../generation/prompts/prompt.ts';
import { toLlmRequest } from '../generation/question.ts';
import { bold, dim, say, table } from './demo/print.ts';
import { type DiffLine, diffLines, withoutEqual } from './line-diff.ts';

/** The versions, a line each. */
export function printPrompts(prompts: readonly Prompt[], { hashes }: PromptLock): void {
  const rows = prompts.map((prompt) => {
    const { version, status, hash, description } = prompt;
    const isLocked = Object.hasOwn(hashes, version);
    const lock = !isLocked ? 'new' : hashes[version] === hash ? 'locked' : 'CHANGED';
    const [temperature, tokens] =
      prompt.form === 'model' ? [String(prompt.temperature), String(prompt.maxOutputTokens)] : ['–', '–'];
    return [version, status, lock, hash.slice(0, 12), temperature, tokens, description];
  });
  table(['version', 'status', 'lock', 'hash', 'temperature', 'tokens at most', 'description'], rows);
}

/** Stands for the one that is drawn for each request. */
const sampleNonce = '0000000000000000';

/** What a version makes of a context: what a model would be asked, or the tips themselves. */
export function printRendered(prompt: Prompt, context: TipContext, n: number): void {
  const { version, hash, form } = prompt;
  say(bold(`${version}  ${hash}`));
  if (form === 'templates') {
    for (const { kind, content, rationale, signalIds } of fallbackTips(prompt, context, n)) {
      say();
      say(`${kind}: ${content}`);
      say(dim(`${rationale} ${signalIds.join(' ')}`.trimEnd()));
    }
    return;
  }
  const { system, user, temperature, maxOutputTokens } = toLlmRequest({ prompt, context, n, nonce: sampleNonce });
  say(dim(`temperature ${temperature}, at most ${maxOutputTokens} tokens; of the fence, the zeros are random digits`));
  for (const [name, text] of [
    ['System', system],
    ['User', user],
  ] as const) {
    say();
    say(bold(name));
    say();
    say(text);
  }
}

/** What differs between two versions: settings, then the lines of each section. */
export function printDiff(before: Prompt, after: Prompt): void {
  say(bold(`${before.version} and ${after.version}`));
  let isSame = true;
  for (const [name, linesBefore, linesAfter] of partsOf(before, after)) {
    const lines = diffLines(linesBefore, linesAfter);
    if (lines.every(({ sign }) => sign === ' ')) continue;
    isSame = false;
    say();
    say(bold(name));
    for (const line of withoutEqual(lines)) say(line ? paint(line) : dim('  …'));
  }
  if (isSame) say('differ in nothing but their names');
}

function partsOf(before: Prompt, after: Prompt): readonly (readonly [string, readonly string[], readonly string[]])[] {
  const [old, fresh] = [sectionsOf(before), sectionsOf(after)];
  const names = [...new Set([...old.keys(), ...fresh.keys()])];
  return names.map((name) => [name, old.get(name) ?? [], fresh.get(name) ?? []]);
}

function sectionsOf(prompt: Prompt): ReadonlyMap<string, readonly string[]> {
  const { form, status, description } = prompt;
  const settings = [`form: ${form}`, `status: ${status}`, `description: ${description}`];
  if (prompt.form === 'templates') {
    const templates = prompt.templates.flatMap(({ kind, text, why }) => [`${kind}: ${text}`, `  ${why}`]);
    return new Map([
      ['Settings', settings],
      ['Templates', templates],
    ]);
  }
  const { temperature, maxOutputTokens, system, user } = prompt;
  return new Map([
    ['Settings', [...settings, `temperature: ${temperature}`, `max_output_tokens: ${maxOutputTokens}`]],
    ['System', system.split('\n')],
    ['User', user.split('\n')],
  ]);
}

function paint({ sign, line }: DiffLine): string {
  const text = `${sign} ${line}`;
  return sign === ' ' ? dim(text) : styleText(sign === '-' ? 'red' : 'green', text);
}
