/**
 * `npm run step -- <dag> <step> --run-id <id> [--as-of <instant>]`: does one step of a run of a DAG, unless it is done. The last
 * line of stdout is its outcome as JSON; all else goes to stderr. Ends with 0 if the step is done, 99 if it was skipped, 1 if
 * it failed and may be tried again, 2 if it was called wrongly or can never succeed. See docs/pipelines.md.
 */
import { readDags } from './dags.ts';
import { runStepCommand } from './step-command.ts';

await runStepCommand(process.argv.slice(2), readDags);
