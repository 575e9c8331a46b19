import { runStepCommand } from '../../../scripts/step-command.ts';
import { testDags } from './dags.ts';

/** `npm run step` with the DAGs of tests. */
await runStepCommand(process.argv.slice(2), testDags);
