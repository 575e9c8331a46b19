/**
 * `npm run verify [-- --sample 0.1] [-- --user X]`: recomputes logged decisions from the events alone and compares. Ends
 * with 1 if any differs.
 */
import { parseArgs } from 'node:util';
import { type Report, verify } from '../pipelines/verify.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments, readShare } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { printReport } from './print-report.ts';

const usage = 'Usage: npm run verify [-- --sample <share of the people, above 0 to 1>] [--user <id>]';
const progressMs = 5_000;

const options = readArguments(usage, () => {
  const { values } = parseArgs({ options: { sample: { type: 'string' }, user: { type: 'string', multiple: true } } });
  return { sample: readShare('--sample', values.sample), userIds: values.user };
});

/** A line now and then, for long runs. */
function createProgress(): (report: Report) => void {
  const startedAt = performance.now();
  let shownAt = startedAt;
  return ({ decisions, people, equal }) => {
    const now = performance.now();
    if (now - shownAt < progressMs) return;
    shownAt = now;
    const perSecond = Math.round(decisions / ((now - startedAt) / 1000));
    process.stderr.write(`${people} people, ${decisions} decisions, ${decisions - equal} differ, ${perSecond}/s\n`);
  };
}

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-verify', maxConnections: 2 });
  try {
    const startedAt = performance.now();
    const report = await verify(database, { ...options, onProgress: createProgress() });
    const seconds = (performance.now() - startedAt) / 1000;
    printReport(report);
    process.stdout.write(`   ${seconds.toFixed(1)} s, ${Math.round(report.decisions / seconds)} decisions/s\n`);
    process.exitCode = report.equal === report.decisions ? 0 : 1;
  } finally {
    await database.end();
  }
}).catch(fail);
