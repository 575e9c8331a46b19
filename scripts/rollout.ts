/**
 * `npm run rollout [-- show|advance|back|retire|history …]`: where policies stand on their way to people, and the steps of
 * it (docs/rollouts.md). Asks a server, so that its rules hold and its log says who. Ends with 1 if a step is refused or the
 * server cannot be asked.
 */
import { adminAt, readKey } from './admin-client.ts';
import { readArguments } from './arguments.ts';
import { explain } from './explain.ts';
import { readRolloutCommand, rolloutUsage } from './rollout-command.ts';
import { explainFailure } from './rollout-failures.ts';
import { runRollout } from './rollout-run.ts';

const { command, url, key } = readArguments(rolloutUsage, () => {
  const key = readKey();
  return { ...readRolloutCommand(process.argv.slice(2)), key };
});

await runRollout(adminAt(url, key), command).catch((error) => {
  const why = explainFailure(error, { url, hasKey: key !== undefined, kind: command.kind });
  process.stderr.write(`${why ?? explain(error)}\n`);
  process.exitCode = 1;
});
