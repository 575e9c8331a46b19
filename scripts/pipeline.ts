/**
 * `npm run pipeline -- <dag> [--run-id R] [--as-of T] [--workers N]`: does a whole run here, or goes on with it.
 * `npm run pipeline -- status [dag]`, `enqueue <dag> [--run-id R] [--as-of T]`, `dead`, `redrive <dag>`, `export [--out F]`: what
 * runs and workers stand at, work for `npm run pipelines`, what it gave up, that again, and the DAGs for other schedulers.
 * Ends with 0 if all is done or skipped, 1 if a step failed, 2 on bad arguments, 130 if it was stopped.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { dagOf, toDagJson } from '../pipelines/dag.ts';
import { canPass } from '../pipelines/perform-step.ts';
import { runDag } from '../pipelines/run-dag.ts';
import { openStepQueue } from '../pipelines/step-queue.ts';
import { openRun, readRuns } from '../pipelines/step-store.ts';
import { readArguments } from './arguments.ts';
import { readDags } from './dags.ts';
import { say } from './demo/print.ts';
import { printDead, printRuns, printSummary, runEventLine } from './print-pipelines.ts';
import { explainStep } from './step-command.ts';
import { type PipelineDeps, withPipelines } from './with-pipelines.ts';

const usage = `Usage: npm run pipeline -- <dag> [--run-id <id>] [--as-of <instant>] [--workers <n>]
       npm run pipeline -- status [<dag>] | enqueue <dag> [--run-id <id>] [--as-of <instant>] | dead | redrive <dag>
       npm run pipeline -- export [--out <file>]`;
const dagFile = fileURLToPath(new URL('../deploy/dag.json', import.meta.url));
const shownRuns = 20;

const { command, dag, runId, asOf, workers, out } = readArguments(usage, () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'run-id': { type: 'string' },
      'as-of': { type: 'string' },
      workers: { type: 'string', default: '2' },
      out: { type: 'string', default: dagFile },
    },
  });
  const [first = '', second, ...rest] = positionals;
  const isCommand = ['status', 'enqueue', 'dead', 'redrive', 'export'].includes(first);
  const named = isCommand ? second : first;
  if (rest.length > 0 || (!isCommand && second !== undefined)) throw new Error(`there is no command ${first} …`);
  if (!/^[1-9]\d?$/.test(values.workers)) throw new Error('--workers must be a whole number from 1 to 99');
  const isOptional = ['status', 'dead', 'export'].includes(first);
  return {
    command: isCommand ? first : 'run',
    dag: named === undefined && isOptional ? undefined : dagOf(readDags(process.env), named ?? ''),
    runId: values['run-id'] ?? `manual__${new Date().toISOString()}`,
    asOf: values['as-of'],
    workers: Number(values.workers),
    out: values.out,
  };
});

try {
  if (command === 'export') writeFileSync(out, `${JSON.stringify(toDagJson(readDags({})), undefined, 2)}\n`);
  else await withPipelines({ name: 'pipeline', parallel: workers }, run);
} catch (error) {
  process.stderr.write(`${explainStep(error)}\n`);
  process.exitCode = canPass(error) ? 1 : 2;
}

async function run(deps: PipelineDeps): Promise<void> {
  if (command === 'status') return printRuns(await readRuns(deps.database, dag?.id, shownRuns));
  if (command === 'run') return runHere(deps);
  const queue = await openStepQueue(deps.url, (error) => deps.log.warn({ error: String(error) }, 'queue'));
  await using _ = queue;
  if (command === 'dead')
    printDead((await queue.listDead()).filter((each) => dag === undefined || each.dag === dag.id));
  else if (!dag) throw new Error('unreachable');
  else if (command === 'redrive') say(`${await queue.redrive(dag)} steps of ${dag.id} will be tried again`);
  else {
    const opened = await openRun(deps.database, dag.id, runId, asOf);
    await queue.enqueue(dag, opened);
    say(`${dag.id} ${opened.id} as of ${opened.asOf} waits for a worker (npm run pipelines)`);
  }
}

async function runHere({ progress, ...deps }: PipelineDeps): Promise<void> {
  if (!dag) throw new Error('unreachable');
  const opened = await openRun(deps.database, dag.id, runId, asOf);
  say(`${dag.id} ${opened.id} as of ${opened.asOf}`);
  const result = await runDag({ ...deps, random: Math.random }, dag, opened, {
    workers,
    onEvent: (event) => {
      progress.end();
      process.stderr.write(`${runEventLine(event)}\n`);
    },
  });
  progress.end();
  const [standing] = (await readRuns(deps.database, dag.id, 1_000)).filter(({ id }) => id === opened.id);
  if (standing) printSummary(dag, standing);
  const isDone = result.outcomes.size === dag.steps.length;
  if (!isDone) say(`the same run goes on with --run-id ${opened.id}`);
  if (!isDone) process.exitCode = deps.signal.aborted ? 130 : 1;
}
