/**
 * `npm run experiment -- <key> [--version 2] [--control arm]`: what people did in each arm of an experiment, and how the
 * arms differ. Ends with 1 if the arms did not get the people they should have.
 */
import { parseArgs } from 'node:util';
import { readReport } from '../experiments/report-store.ts';
import { openDatabase } from '../platform/database.ts';
import { DomainError } from '../platform/errors.ts';
import { findExperiment } from '../server/find-experiment.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { printExperiment } from './print-experiment.ts';

const usage = 'Usage: npm run experiment -- <key> [--version <version>] [--control <arm>]';

const request = readArguments(usage, () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { version: { type: 'string' }, control: { type: 'string' } },
  });
  const [experiment, ...more] = positionals;
  if (!experiment || more.length > 0) throw new Error('One experiment must be named');
  return { experiment, ...values };
});

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-experiment', maxConnections: 1 });
  try {
    const report = await readReport(database, request, findExperiment(database));
    printExperiment(report);
    process.exitCode = report.sampleRatio.alarm ? 1 : 0;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  } finally {
    await database.end();
  }
}).catch(fail);
