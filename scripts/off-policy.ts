/**
 * `npm run off-policy -- FILE [--policy random] [--reward lower-is-better] [--seed text]`: what another policy would
 * have earned on a log of bandit feedback (docs/off-policy.md). Ends with 0 if the evidence suffices, 1 if it does not,
 * 2 if the log cannot be evaluated.
 */
import { createReadStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { seedOf } from '../experiments/draw.ts';
import { RefusedLog } from '../experiments/off-policy/row.ts';
import { policies } from '../experiments/policies/index.ts';
import { formatOf, readBanditLog } from '../pipelines/bandit-log.ts';
import { evaluateLog } from '../pipelines/off-policy.ts';
import { readArguments } from './arguments.ts';
import { printEvaluation } from './print-evaluation.ts';

const policyNames = [...policies.keys()].join('|');
const usage = `Usage: npm run off-policy -- <file.csv|file.jsonl> [--policy ${policyNames}]
       [--reward higher-is-better|lower-is-better] [--seed <text>]`;

const { file, format, ...options } = readArguments(usage, () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { policy: { type: 'string' }, reward: { type: 'string' }, seed: { type: 'string' } },
  });
  const [file, ...more] = positionals;
  const { policy, reward = 'higher-is-better', seed = '1' } = values;
  if (!file || more.length > 0) throw new Error('One file must be named');
  const format = formatOf(file);
  if (!format) throw new Error(`${file} must end in .csv, .jsonl or .ndjson`);
  if (policy !== undefined && !policies.has(policy)) throw new Error(`--policy must be one of ${policyNames}`);
  if (reward !== 'higher-is-better' && reward !== 'lower-is-better')
    throw new Error('--reward must be higher-is-better or lower-is-better');
  return {
    file,
    format,
    policy: policy === undefined ? undefined : policies.get(policy),
    reward,
    seed: seedOf(seed),
  } as const;
});

try {
  const report = await evaluateLog(() => readBanditLog(createReadStream(file), format), options);
  printEvaluation(report);
  process.exitCode = report.verdict.kind === 'sufficient evidence' ? 0 : 1;
} catch (error) {
  const isExpected = error instanceof RefusedLog || (error instanceof Error && 'code' in error);
  if (!isExpected) throw error;
  process.stderr.write(`${file}: ${error.message}\n`);
  process.exitCode = 2;
}
