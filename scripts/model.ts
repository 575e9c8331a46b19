/**
 * `npm run model [-- show|card …]`: the models, what their cards lack, and the cards themselves (docs/model-cards.md). Asks a
 * server. Ends with 1 if there is no such model or the server cannot be asked.
 */
import { adminAt, readKey } from './admin-client.ts';
import { readArguments } from './arguments.ts';
import { explain } from './explain.ts';
import { modelUsage, readModelCommand } from './model-command.ts';
import { runModel } from './model-run.ts';
import { explainFailure } from './rollout-failures.ts';

const { command, url, key } = readArguments(modelUsage, () => ({
  ...readModelCommand(process.argv.slice(2)),
  key: readKey(),
}));

await runModel(adminAt(url, key), command).catch((error) => {
  const why = explainFailure(error, { url, hasKey: key !== undefined, kind: 'show' });
  process.stderr.write(`${why ?? explain(error)}\n`);
  process.exitCode = 1;
});
