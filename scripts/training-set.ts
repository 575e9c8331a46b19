/**
 * `npm run training-set -- --out FILE [--features profile|all] [--sample 0.1]`: one line of JSON for every decision. The
 * file appears when it is complete.
 */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { trainingRows } from '../pipelines/training-set.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments, readShare } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';

const usage = 'Usage: npm run training-set -- --out <file> [--features profile|all] [--sample <share of the people>]';

const { out, ...options } = readArguments(usage, () => {
  const { values } = parseArgs({
    options: { out: { type: 'string' }, features: { type: 'string' }, sample: { type: 'string' } },
  });
  const { out, features = 'all' } = values;
  if (!out) throw new Error('--out must name a file');
  if (features !== 'profile' && features !== 'all') throw new Error('--features must be profile or all');
  return { out, features, sample: readShare('--sample', values.sample) } as const;
});

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-training-set', maxConnections: 2 });
  const counted = { rows: 0, unverified: 0, leftOut: 0 };
  async function* lines() {
    const onLeftOut = () => {
      counted.leftOut++;
    };
    for await (const row of trainingRows(database, { ...options, onLeftOut })) {
      counted.rows++;
      if (!row.verified) counted.unverified++;
      yield `${JSON.stringify(row)}\n`;
    }
  }
  try {
    await pipeline(lines, createWriteStream(`${out}.part`));
    await rename(`${out}.part`, out);
  } finally {
    await rm(`${out}.part`, { force: true }); // there only after a failure
    await database.end();
  }
  const { rows, unverified, leftOut } = counted;
  process.stdout.write(`${rows} decisions in ${out}\n`);
  if (unverified > 0) process.stdout.write(`${unverified} of them are not what was logged: npm run verify\n`);
  if (leftOut > 0) process.stdout.write(`${leftOut} left out: their events were in a month that was dropped\n`);
}).catch(fail);
