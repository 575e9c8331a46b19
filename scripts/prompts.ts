/**
 * `npm run prompts -- [list | render VERSION | diff A B | lock]`: the prompt versions there are, also those that are not
 * locked yet. `list` ends with 1 if any is not as the lock says. `lock` adds what is new to the lock, and changes nothing.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { goldenContexts } from '../generation/prompts/golden-contexts.ts';
import { extendLock, lockProblems } from '../generation/prompts/lock.ts';
import { PromptError } from '../generation/prompts/prompt.ts';
import { parsePrompts, promptsDir, readLock, readPromptFiles } from '../generation/prompts/registry.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { printDiff, printPrompts, printRendered } from './print-prompts.ts';

const usage = `Usage: npm run prompts
       npm run prompts -- render <version> [--context ${[...goldenContexts.keys()].join('|')}] [-n <tips>]
       npm run prompts -- diff <version> <version>
       npm run prompts -- lock`;

const operands = { list: 0, render: 1, diff: 2, lock: 0 } as const;
const versionsInWords = ['no version', 'one version', 'two versions'];

const { command, names, context, n, dir } = readArguments(usage, () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { context: { type: 'string' }, n: { type: 'string', short: 'n' }, dir: { type: 'string' } },
  });
  const [command = 'list', ...names] = positionals;
  if (!isCommand(command)) throw new Error(`There is no command "${command}"`);
  if (names.length !== operands[command]) throw new Error(`${command} takes ${versionsInWords[operands[command]]}`);
  const { context = 'busy-day', n = '3', dir = promptsDir } = values;
  const [person] = goldenContexts.get(context) ?? []; // the first of those under one name
  if (!person) throw new Error(`There is no context "${context}"`);
  if (!/^([1-9]|10)$/.test(n)) throw new Error('-n must be a whole number from 1 to 10');
  return { command, names, context: person, n: Number(n), dir };
});

function isCommand(name: string): name is keyof typeof operands {
  return Object.hasOwn(operands, name);
}

await run().catch((error: unknown) => {
  if (!(error instanceof PromptError)) return fail(error);
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});

async function run(): Promise<void> {
  const [files, lock] = await Promise.all([readPromptFiles(dir), readLock(dir)]);
  const prompts = parsePrompts(files);
  const [first, second] = names.map((name) => prompts.get(name));
  const unknown = names.find((name) => !prompts.has(name));
  if (unknown !== undefined) {
    process.stderr.write(`There is no prompt version "${unknown}"; there are ${[...prompts.keys()].join(', ')}\n`);
    process.exitCode = 2;
  } else if (command === 'lock') {
    const { hashes, renders } = extendLock(lock, prompts);
    await writeFile(join(dir, 'LOCK.json'), `${JSON.stringify(hashes, sorted(hashes), 2)}\n`);
    await writeFile(join(dir, 'RENDERS.json'), `${JSON.stringify(renders, sorted(renders), 2)}\n`);
    report(lockProblems(prompts, { hashes, renders }));
  } else if (command === 'list') {
    printPrompts([...prompts.values()], lock);
    report(lockProblems(prompts, lock));
  } else if (first && second) printDiff(first, second);
  else if (first) printRendered(first, context, n);
}

function report(problems: readonly string[]): void {
  if (problems.length === 0) return;
  process.stderr.write(`${['', ...problems].join('\n- ').trimStart()}\n`);
  process.exitCode = 1;
}

/** The names of all properties on every level, in order: JSON that depends on the value alone. */
function sorted(value: Readonly<Record<string, unknown>>): string[] {
  const inner = Object.values(value).flatMap((each) => (typeof each === 'object' && each ? Object.keys(each) : []));
  return [...new Set([...Object.keys(value), ...inner])].sort();
}
