/**
 * `npm run pipelines [-- --workers N]`: does steps of DAGs until it is asked to stop: runs that are due, and those that
 * somebody enqueued. Any number of these may run. DATABASE_URL names the database, else it is that of `npm start`.
 */
import { parseArgs } from 'node:util';
import { openStepQueue } from '../pipelines/step-queue.ts';
import { readArguments } from './arguments.ts';
import { readDags } from './dags.ts';
import { fail } from './explain.ts';
import { withPipelines } from './with-pipelines.ts';

const usage = 'Usage: npm run pipelines [-- --workers <n>]';
const lostAfterSeconds = 30;

const { dags, workers } = readArguments(usage, () => {
  const { values } = parseArgs({ options: { workers: { type: 'string', default: '2' } } });
  if (!/^[1-9]\d?$/.test(values.workers)) throw new Error('--workers must be a whole number from 1 to 99');
  return { dags: readDags(process.env), workers: Number(values.workers) };
});

await withPipelines({ name: 'pipelines', parallel: workers }, async (deps) => {
  await using queue = await openStepQueue(deps.url, (error) => deps.log.warn({ error: String(error) }, 'queue'));
  await queue.work(deps, dags, { workers, lostAfterSeconds });
}).catch(fail);
