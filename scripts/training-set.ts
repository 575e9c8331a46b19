/**
 * `npm run training-set -- --out FILE [--features profile|all] [--sample 0.1] [--as-of 2026-11-23T00:00:00Z]`: every decision
 * with what was known and what came of it, as Parquet (`.parquet`) or a line of JSON for each (`.jsonl`). The file appears
 * when it is complete. See docs/training.md.
 */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { RefusedInstant } from '../pipelines/training/as-of.ts';
import { writeTrainingSet } from '../pipelines/training/parquet.ts';
import { type TrainingExample, trainingExamples } from '../pipelines/training-set.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments, readInstant, readShare } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';

const usage = `Usage: npm run training-set -- --out <file.parquet|file.jsonl> [--features profile|all]
       [--sample <share of the people>] [--as-of <instant>]`;

const { out, ...options } = readArguments(usage, () => {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      features: { type: 'string' },
      sample: { type: 'string' },
      'as-of': { type: 'string' },
    },
  });
  const { out, features = 'all', 'as-of': asOf } = values;
  if (!out || !/\.(parquet|jsonl)$/.test(out))
    throw new Error('--out must name a file that ends with .parquet or .jsonl');
  if (features !== 'profile' && features !== 'all') throw new Error('--features must be profile or all');
  const asOfMs = asOf === undefined ? undefined : readInstant('--as-of', asOf);
  return { out, features, sample: readShare('--sample', values.sample), asOfMs } as const;
});

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-training-set', maxConnections: 2 });
  const counted = { rows: 0, unverified: 0, leftOut: 0 };
  async function* examples() {
    const onLeftOut = () => {
      counted.leftOut++;
    };
    for await (const example of trainingExamples(database, { ...options, onLeftOut })) {
      counted.rows++;
      if (!example.row.verified) counted.unverified++;
      yield example;
    }
  }
  let digest: string | undefined;
  try {
    if (out.endsWith('.parquet')) {
      digest = (await writeTrainingSet(examples(), { path: out, ...options })).sha256;
    } else await writeLines(examples());
  } catch (error) {
    if (!(error instanceof RefusedInstant)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
    return;
  } finally {
    await database.end();
  }
  const { rows, unverified, leftOut } = counted;
  process.stdout.write(`${rows} decisions in ${out}\n`);
  if (digest) process.stdout.write(`SHA-256 ${digest}\n`);
  if (unverified > 0) process.stdout.write(`${unverified} of them are not what was logged: npm run verify\n`);
  if (leftOut > 0) process.stdout.write(`${leftOut} left out: their events were in a month that was dropped\n`);
}).catch(fail);

async function writeLines(examples: AsyncIterable<TrainingExample>): Promise<void> {
  async function* lines() {
    for await (const { row } of examples) yield `${JSON.stringify(row)}\n`;
  }
  try {
    await pipeline(lines, createWriteStream(`${out}.part`));
    await rename(`${out}.part`, out);
  } finally {
    await rm(`${out}.part`, { force: true }); // there only after a failure
  }
}
