/**
 * `npm run prompts:eval -- VERSION [--against VERSION]`: what a model makes of a prompt on stored contexts, or made of it in a
 * recording (docs/generation.md). Ends with 0 if the version passes, 1 if it does not, 2 if it could not be looked at.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { createGateway } from '../generation/gateway/create-gateway.ts';
import { type ModelPrompt, PromptError } from '../generation/prompts/prompt.ts';
import { parsePrompts, promptsDir, readPromptFiles } from '../generation/prompts/registry.ts';
import { type AskVersion, askModel, readAnswers } from '../pipelines/prompt-eval/answers.ts';
import { readContexts } from '../pipelines/prompt-eval/contexts.ts';
import { differencesOf, type Judged, judge, reportOf, shortcomings } from '../pipelines/prompt-eval/evaluate.ts';
import { RefusedLine } from '../pipelines/prompt-eval/lines.ts';
import { ConfigError, readConfig } from '../platform/config.ts';
import { llmVariables, toLlm } from '../server/llm-config.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { printPromptEval } from './print-prompt-eval.ts';

const usage = `Usage: npm run prompts:eval -- <version> [--against <version>] [--contexts <file.jsonl>]
       [--recorded <file.jsonl> | --record <file.jsonl>] [--model <name>] [--timeout-ms <ms>]
       [--min-valid <share>] [--min-grounded <share>] [--min-accepted <share>] [--margin <share>]`;

const { versions, options, limits, timeoutMs } = readArguments(usage, () => {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...{ against: text, contexts: text, recorded: text, record: text, model: text, 'timeout-ms': text },
      ...{ 'min-valid': text, 'min-grounded': text, 'min-accepted': text, margin: text },
    },
  });
  const [version, ...more] = positionals;
  if (version === undefined || more.length > 0) throw new Error('One version must be named');
  if (version === values.against) throw new Error('--against must name another version');
  if (values.recorded !== undefined && (values.record ?? values.model ?? values['timeout-ms']) !== undefined)
    throw new Error('--recorded asks no model: --record, --model and --timeout-ms are for asking one');
  if (values.margin !== undefined && values.against === undefined) throw new Error('--margin needs --against');
  const timeout = values['timeout-ms'] ?? '30000';
  if (!/^[1-9]\d{2,5}$/.test(timeout)) throw new Error('--timeout-ms must be a whole number from 100 to 999999');
  return {
    versions: values.against === undefined ? [version] : [version, values.against],
    options: values,
    limits: {
      minValid: readLimit('--min-valid', values['min-valid']),
      minGrounded: readLimit('--min-grounded', values['min-grounded']),
      minAccepted: readLimit('--min-accepted', values['min-accepted']),
      margin: readLimit('--margin', values.margin) ?? 0.05,
    },
    timeoutMs: Number(timeout),
  };
});

function readLimit(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^(0(\.\d+)?|1(\.0+)?)$/.test(text)) throw new Error(`${name} must be a share, 0 to 1`);
  return Number(text);
}

/** What whoever typed the command can mend. */
class Refused extends Error {}

await run().catch((error: unknown) => {
  const isOfTheirs =
    error instanceof Refused || error instanceof ConfigError || (error instanceof Error && 'syscall' in error);
  const isOfPrompts = error instanceof PromptError;
  if (!isOfTheirs && !isOfPrompts) return fail(error);
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
});

async function run(): Promise<void> {
  const prompts = await findPrompts();
  const contextsFile = options.contexts ?? join(promptsDir, 'eval', 'contexts.jsonl');
  const contexts = await readBy(contextsFile, readContexts);
  const { recorded } = options;
  const ask = recorded === undefined ? await createAsk() : await readBy(recorded, readAnswers);
  const record = options.record === undefined ? undefined : await open(options.record, 'wx');
  try {
    const judged = prompts.map((): Judged[] => []);
    for (const stored of contexts)
      for (const [i, prompt] of prompts.entries()) {
        const answer = await refusing(recorded, () => ask(prompt, stored));
        await keep(record, answer);
        judged[i]?.push(judge(answer, prompt, stored));
      }
    const [first, second] = prompts.map((prompt, i) => reportOf(prompt, judged[i] ?? []));
    if (!first) return;
    const found = shortcomings(first, second, limits);
    const differences = second && differencesOf(judged[0] ?? [], judged[1] ?? []);
    printPromptEval(first, second && differences ? { report: second, differences } : undefined, found);
    process.exitCode = found.length > 0 ? 1 : 0;
  } finally {
    await record?.close();
  }
}

async function findPrompts(): Promise<readonly ModelPrompt[]> {
  const prompts = parsePrompts(await readPromptFiles(promptsDir)); // also one that is not locked yet
  return versions.map((version) => {
    const prompt = prompts.get(version);
    if (prompt?.form === 'model') return prompt;
    const asked = [...prompts.values()].filter(({ form }) => form === 'model').map((each) => each.version);
    throw new Refused(
      `${prompt ? `"${version}" asks no model` : `There is no prompt version "${version}"`}; those that ask one are ${asked.join(', ')}`,
    );
  });
}

/** One model, asked as it is: nobody stands in for it, and no circuit or cache answers for it. */
async function createAsk(): Promise<AskVersion> {
  const { model: LLM_MODEL } = options;
  const llm = toLlm(
    readConfig(z.object(llmVariables), { ...process.env, ...(LLM_MODEL !== undefined && { LLM_MODEL }) }),
  );
  if (!llm) throw new Refused('Set LLM_BASE_URL and LLM_MODEL to ask a model, or give answers with --recorded');
  const now = () => performance.now();
  const alone = { ...llm, fallbacks: [], cooldownMs: 0, cacheTtlMs: 0 };
  const gateway = await createGateway(alone, { random: Math.random, now, clock: Date.now });
  const { signal } = new AbortController();
  return askModel({ gateway, price: llm.prices?.get(llm.model), timeoutMs, now, signal });
}

async function readBy<Value>(file: string, read: (text: string) => Value): Promise<Value> {
  const text = await readFile(file, 'utf8');
  return refusing(file, () => read(text));
}

/** What is refused is of this file. */
async function refusing<Value>(file: string | undefined, work: () => Value): Promise<Awaited<Value>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RefusedLine) throw new Refused(`${file}: ${error.message}`);
    throw error;
  }
}

/** At once, so that nothing that was paid for is lost. */
async function keep(record: FileHandle | undefined, answer: object): Promise<void> {
  await record?.appendFile(`${JSON.stringify(answer)}\n`);
}
