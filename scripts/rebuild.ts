/**
 * `npm run rebuild [-- --feature F | --table T] [--user U] [--dry-run] [--restart]`: makes tables equal to what the
 * events add up to, while the service goes on; with `--dry-run` says whether they are. Ends with 0 if all is done or
 * equal, 1 on a failure, 2 on bad arguments, 3 if a dry run found differences, 130 if it was stopped.
 */
import { parseArgs } from 'node:util';
import { deltas } from '../consumers/deltas.ts';
import { type RebuildProgress, type RebuildResult, rebuild, rebuildScope } from '../pipelines/rebuild.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments } from './arguments.ts';
import { say, table } from './demo/print.ts';
import { explain } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { createProgress, progressLine } from './progress.ts';

const usage = 'Usage: npm run rebuild [-- [--feature <name> | --table <name>] [--user <id>] [--dry-run] [--restart]]';

const { scope, isDryRun, restart } = readArguments(usage, () => {
  const { values } = parseArgs({
    options: {
      feature: { type: 'string' },
      table: { type: 'string' },
      user: { type: 'string' },
      'dry-run': { type: 'boolean', default: false },
      restart: { type: 'boolean', default: false },
    },
  });
  return { scope: rebuildScope(values), isDryRun: values['dry-run'], restart: values.restart };
});

const exitCodes = { done: 0, failed: 1, differs: 3, stopped: 130 } as const;

let hasBegun = false;
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort()); // a second one ends it at once

try {
  await withDatabaseUrl(run);
} catch (error) {
  const howToGoOn = hasBegun && !isDryRun ? 'The same command continues where this ended.\n' : '';
  process.stderr.write(`${explain(error)}\n${howToGoOn}`);
  process.exitCode = exitCodes.failed;
}

async function run(url: string): Promise<void> {
  const database = openDatabase({ url, applicationName: 'oo-rebuild', maxConnections: 2 });
  const progress = createProgress(process.stderr, () => performance.now());
  const startedAt = performance.now();
  let isContinued = false;
  const onProgress = (standing: RebuildProgress) => {
    hasBegun = true;
    if (standing.continuedFrom && !isContinued) sayContinued(standing.continuedFrom, standing);
    isContinued = standing.continuedFrom !== undefined;
    progress.show(progressLine(standingOf(standing, startedAt), 'events'));
  };
  try {
    const deps = { database, deltas, signal: stop.signal, random: Math.random, onProgress };
    const result = await rebuild(deps, { scope, isDryRun, restart });
    progress.end();
    printResult(result, (performance.now() - startedAt) / 1000);
    process.exitCode = exitCodeOf(result);
  } finally {
    await database.end();
  }
}

function standingOf({ events, eventsInAll, eventsThisRun }: RebuildProgress, startedAt: number) {
  const secondsOfUs = (performance.now() - startedAt) / 1000;
  return { done: events, inAll: eventsInAll, doneByUs: eventsThisRun, secondsOfUs };
}

function sayContinued(begunAt: Date, { people }: RebuildProgress): void {
  const begun = begunAt.toISOString().slice(0, 16).replace('T', ' ');
  say(`continuing the rebuild of ${begun} UTC after ${people} people (--restart begins anew)`);
}

function printResult({ changes, isFinished, people, events }: RebuildResult, seconds: number): void {
  const counts = Object.entries(changes).map(([name, { missing, differing, surplus }]) => [
    name,
    ...[missing, differing, surplus].map((rows) => rows.toLocaleString('en')),
  ]);
  const whose = people === 1 ? '1 person' : `${people.toLocaleString('en')} people`;
  const looked = `${whose}, ${events.toLocaleString('en')} events, ${seconds.toFixed(1)} s`;
  if (!isFinished) say(`stopped after ${looked}${isDryRun ? '' : ': the same command continues there'}`);
  else if (scope.userId !== undefined && counts.length === 0 && events === 0)
    say(`there are no events of ${scope.userId}, and nothing to change`);
  else if (counts.length === 0) say(`the tables equal what the events add up to: ${looked}`);
  else say(isDryRun ? `the tables differ from what the events add up to: ${looked}` : `rebuilt: ${looked}`);
  if (counts.length > 0) table(['rows of', 'missing', 'differing', 'surplus'], counts);
}

function exitCodeOf({ changes, isFinished }: RebuildResult): number {
  if (!isFinished) return exitCodes.stopped;
  return isDryRun && Object.keys(changes).length > 0 ? exitCodes.differs : exitCodes.done;
}
