/**
 * `npm run off-policy -- [FILE] [--policy random] [--reward lower-is-better] [--seed text]`: what another policy would have
 * earned on a log of bandit feedback, without FILE on our own decisions (docs/off-policy.md). Ends with 0 if the evidence
 * suffices, 1 if it does not, 2 if the log cannot be evaluated. With `--export FILE` our own decisions are written instead.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { seedOf } from '../experiments/draw.ts';
import type { Report } from '../experiments/off-policy/evaluate.ts';
import { RefusedLog } from '../experiments/off-policy/row.ts';
import { policies } from '../experiments/policies/index.ts';
import { type Format, formatOf, readBanditLog } from '../pipelines/bandit-log.ts';
import { type DecisionLog, withDecisionLog } from '../pipelines/decision-log.ts';
import { evaluateLog, probabilitiesOf } from '../pipelines/off-policy.ts';
import { writeBanditLog } from '../pipelines/write-bandit-log.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { printEvaluation, printLeftOut } from './print-evaluation.ts';

const policyNames = [...policies.keys()].join('|');
const usage = `Usage: npm run off-policy -- <file.csv|file.jsonl> [--policy ${policyNames}]
       [--reward higher-is-better|lower-is-better] [--seed <text>]
       npm run off-policy -- --policy <name> [--reward …] [--seed …]
       npm run off-policy -- --export <file.csv|file.jsonl> [--policy <name>]`;

const { file, out, policy, ...options } = readArguments(usage, () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      policy: { type: 'string' },
      reward: { type: 'string' },
      seed: { type: 'string' },
      export: { type: 'string' },
    },
  });
  const [file, ...more] = positionals;
  const { policy, reward = 'higher-is-better', seed = '1', export: out } = values;
  if (more.length > 0) throw new Error('At most one file can be named');
  if (file !== undefined && out !== undefined)
    throw new Error('--export writes our own decisions, not those of a file');
  if (file === undefined && out === undefined && policy === undefined)
    throw new Error('Name a file, or with --policy one to evaluate on our own decisions');
  if (policy !== undefined && !policies.has(policy)) throw new Error(`--policy must be one of ${policyNames}`);
  if (reward !== 'higher-is-better' && reward !== 'lower-is-better')
    throw new Error('--reward must be higher-is-better or lower-is-better');
  return {
    file: file === undefined ? undefined : named(file),
    out: out === undefined ? undefined : named(out),
    policy: policy === undefined ? undefined : policies.get(policy),
    reward,
    seed: seedOf(seed),
  } as const;
});

interface Named {
  readonly file: string;
  readonly format: Format;
}

function named(file: string): Named {
  const format = formatOf(file);
  if (!format) throw new Error(`${file} must end in .csv, .jsonl or .ndjson`);
  return { file, format };
}

if (file)
  await evaluateAs(file.file, () =>
    evaluateLog(() => readBanditLog(createReadStream(file.file), file.format), { policy, ...options }),
  );
else
  await withDatabaseUrl(async (url) => {
    const database = openDatabase({ url, applicationName: 'oo-off-policy', maxConnections: 1 });
    try {
      await withDecisionLog(database, policy, async (log) => {
        if (out) await exportTo(out, log);
        else await evaluateAs('our own decisions', () => evaluateLog(() => log.read(), { policy, ...options }));
        printLeftOut(log.leftOut());
      });
    } finally {
      await database.end();
    }
  }).catch(fail);

async function evaluateAs(name: string, evaluate: () => Promise<Report>): Promise<void> {
  try {
    const report = await evaluate();
    printEvaluation(report);
    process.exitCode = report.verdict.kind === 'sufficient evidence' ? 0 : 1;
  } catch (error) {
    const isOfTheFile = error instanceof Error && 'syscall' in error && 'path' in error;
    if (!(error instanceof RefusedLog || isOfTheFile)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exitCode = 2;
  }
}

/** The file appears when it is complete. */
async function exportTo({ file: name, format }: Named, log: DecisionLog): Promise<void> {
  let written = 0;
  async function* decisions() {
    for await (const decision of log.read()) {
      written++;
      yield { ...decision, ...(policy && { targetProbabilities: probabilitiesOf(policy, decision) }) };
    }
  }
  try {
    await pipeline(writeBanditLog(decisions(), format), createWriteStream(`${name}.part`));
    await rename(`${name}.part`, name);
  } finally {
    await rm(`${name}.part`, { force: true }); // there only after a failure
  }
  process.stdout.write(`${written} decisions in ${name}\n`);
}
