import { openStepQueue } from '../../../pipelines/step-queue.ts';
import { withPipelines } from '../../../scripts/with-pipelines.ts';
import { testDags } from './dags.ts';

/** `npm run pipelines` with the DAGs of tests. */
await withPipelines({ name: 'pipelines', parallel: 2 }, async (deps) => {
  await using queue = await openStepQueue(deps.url, (error) => deps.log.warn({ error: String(error) }, 'queue'));
  await queue.work(deps, testDags(process.env), { workers: 2, lostAfterSeconds: 10 });
});
