import { parseArgs } from 'node:util';
import { type Dag, dagOf, stepOf } from '../pipelines/dag.ts';
import { canPass, performStep } from '../pipelines/perform-step.ts';
import { type Outcome, openRun } from '../pipelines/step-store.ts';
import { ConfigError } from '../platform/config.ts';
import { canonicalJson } from '../platform/content-hash.ts';
import { DomainError } from '../platform/errors.ts';
import { explain } from './explain.ts';
import { withPipelines } from './with-pipelines.ts';

const usage = 'Usage: npm run step -- <dag> <step> --run-id <id> [--as-of <instant>]';

/** What schedulers read: 1 is worth another try, 2 is not. */
export const stepExitCodes = { done: 0, failed: 1, never: 2, skipped: 99 } as const;

/** Does the step that the arguments name, of one of the DAGs, and sets the exit code. */
export async function runStepCommand(
  args: readonly string[],
  readDags: (env: NodeJS.ProcessEnv) => readonly Dag[],
): Promise<void> {
  try {
    const { dagId, stepName, runId, asOf } = read(args);
    const dag = dagOf(readDags(process.env), dagId);
    stepOf(dag, stepName);
    const outcome = await withPipelines({ name: 'step', parallel: 1 }, async (deps) => {
      const run = await openRun(deps.database, dag.id, runId, asOf);
      return performStep(deps, dag, stepName, run);
    });
    process.stdout.write(`${printed(outcome)}\n`);
    process.exitCode = stepExitCodes[outcome.status];
  } catch (error) {
    const isCall = error instanceof UsageError;
    process.stderr.write(`${isCall ? `${error.message}\n${usage}` : explainStep(error)}\n`);
    const isNever = isCall || error instanceof ConfigError || !canPass(error);
    process.exitCode = isNever ? stepExitCodes.never : stepExitCodes.failed;
  }
}

/** The same bytes for the same outcome. */
export const printed = (outcome: Outcome): string => canonicalJson(outcome);

export const explainStep = (error: unknown): string => (error instanceof DomainError ? error.message : explain(error));

class UsageError extends Error {}

function read(args: readonly string[]) {
  const { values, positionals } = parse(args);
  const [dagId, stepName, ...rest] = positionals;
  if (dagId === undefined || stepName === undefined || rest.length > 0) throw new UsageError('name a DAG and a step');
  const runId = values['run-id'];
  if (runId === undefined) throw new UsageError('--run-id is missing: the same id for all steps of a run');
  return { dagId, stepName, runId, asOf: values['as-of'] };
}

function parse(args: readonly string[]) {
  const options = { 'run-id': { type: 'string' }, 'as-of': { type: 'string' } } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
