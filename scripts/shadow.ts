/**
 * `npm run shadow [-- --policy P]`: what policies in the shadow would have done and earned (docs/architecture.md). Reads
 * only.
 */
import { parseArgs } from 'node:util';
import { policies } from '../experiments/policies/index.ts';
import { reportShadows } from '../pipelines/shadow-report.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { printShadows } from './print-shadows.ts';

const policyNames = [...policies.keys()].join('|');
const usage = `Usage: npm run shadow [-- --policy ${policyNames}]`;

const { policy } = readArguments(usage, () => {
  const { values } = parseArgs({ options: { policy: { type: 'string' } } });
  if (values.policy !== undefined && !policies.has(values.policy))
    throw new Error(`--policy must be one of ${policyNames}`);
  return values;
});

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-shadow', maxConnections: 1 });
  try {
    printShadows(await reportShadows(database, { policy }));
  } finally {
    await database.end();
  }
}).catch(fail);
