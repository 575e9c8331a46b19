import { type Job, type JobResult, type JobWithMetadata, PgBoss } from 'pg-boss';
import { aborted } from '../platform/abort.ts';
import { type Dag, dagOf, stepOf } from './dag.ts';
import { canPass, performStep, type StepDeps } from './perform-step.ts';
import { retryMaxSeconds } from './run-dag.ts';
import { openRun, outcomeOf, type Run, readSteps } from './step-store.ts';

/** A step of a run that somebody is to do. */
export interface StepJob {
  readonly dag: string;
  readonly run: string;
  readonly asOf: string;
  readonly step: string;
}

/** A step that was tried as often as may be, or can never succeed. */
export interface DeadJob extends StepJob {
  readonly id: string;
  readonly diedAt: Date;
  readonly error: string;
}

export interface StepQueue extends AsyncDisposable {
  /** Has a run done by the workers: from where it stands, if it was begun. */
  enqueue(dag: Dag, run: Run): Promise<void>;
  /** Does steps until `signal` aborts, and begins runs when they are due. Returns when the last step has ended. */
  work(deps: StepDeps, dags: readonly Dag[], options: WorkOptions): Promise<void>;
  /** The newest first. */
  listDead(): Promise<readonly DeadJob[]>;
  /** Has the dead steps of a DAG tried again, as often as new ones. Returns how many. */
  redrive(dag: Dag): Promise<number>;
}

export interface WorkOptions {
  /** Steps at the same time in this process, at most. */
  readonly workers: number;
  /** After so many seconds without a sign of life, another worker takes a step over. At least 10. */
  readonly lostAfterSeconds: number;
}

const queues = { steps: 'pipeline-steps', dead: 'pipeline-steps-dead', due: 'pipeline-runs' } as const;
const stopMs = 30_000;
const longestStepSeconds = 24 * 3_600;
const listed = 1_000;

/**
 * The queue of steps, in a schema `pgboss` that pg-boss makes and keeps for itself. A job only says that a step may be done;
 * whether it is stands in `pipeline_steps`. So a job that is lost, doubled or delivered twice does no harm.
 */
export async function openStepQueue(url: string, onError: (error: unknown) => void): Promise<StepQueue> {
  const boss = new PgBoss({
    connectionString: url,
    application_name: 'oo-pipelines-queue',
    options: '-c TimeZone=UTC',
    max: 4,
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
  });
  boss.on('error', onError);
  await boss.start();
  await boss.createQueue(queues.dead, { retryLimit: 0, retentionSeconds: 90 * 24 * 3_600 });
  await boss.createQueue(queues.steps, { policy: 'exclusive', deadLetter: queues.dead });
  await boss.createQueue(queues.due, { retryLimit: 10, retryDelay: 5, retryBackoff: true });

  const send = async (dag: Dag, { id: run, asOf }: Run, step: string) => {
    const job: StepJob = { dag: dag.id, run, asOf, step };
    await boss.send(queues.steps, job, {
      singletonKey: JSON.stringify([dag.id, run, step]), // while it waits or runs, another of the same is dropped
      retryLimit: dag.retries.limit,
      retryDelay: dag.retries.afterSeconds,
      retryBackoff: true,
      retryDelayMax: retryMaxSeconds,
      expireInSeconds: longestStepSeconds,
    });
  };
  const enqueue = async (dag: Dag, run: Run) => {
    for (const { name, needs } of dag.steps) if (needs.length === 0) await send(dag, run, name);
  };

  /** Does the step, and asks for those that nothing keeps any more. If it ends between the two, it is asked for again. */
  const perform = async (deps: StepDeps, dag: Dag, { run: id, asOf, step }: StepJob) => {
    const run = await openRun(deps.database, dag.id, id, asOf);
    await performStep(deps, dag, stepOf(dag, step).name, run);
    const stored = await readSteps(deps.database, run);
    for (const { name, needs } of dag.steps) {
      if (needs.includes(step) && needs.every((need) => outcomeOf(stored.get(need)))) await send(dag, run, name);
    }
  };

  return {
    enqueue,
    async work(deps, dags, { workers, lostAfterSeconds }) {
      const { database, log, signal } = deps;
      await boss.updateQueue(queues.steps, { heartbeatSeconds: lostAfterSeconds });
      await boss.work(
        queues.steps,
        { localConcurrency: workers, pollingIntervalSeconds: 0.5, perJobResults: true },
        async ([job]: readonly Job<StepJob>[]) => {
          if (!job) return [];
          const { dag: id, run, step } = job.data;
          const result = (status: JobResult['status'], output: object = {}): JobResult[] => [
            { id: job.id, status, output },
          ];
          try {
            await perform({ ...deps, signal: AbortSignal.any([signal, job.signal]) }, dagOf(dags, id), job.data);
            log.info({ dag: id, run, step }, 'step ended');
            return result('completed');
          } catch (error) {
            log.warn({ dag: id, run, step, error: String(error), canPass: canPass(error) }, 'step failed');
            return result(canPass(error) ? 'failed' : 'deadletter', { message: String(error) });
          }
        },
      );
      const begin = async ([job]: readonly JobWithMetadata<{ readonly dag: string }>[]) => {
        const dag = dags.find(({ id }) => id === job?.data.dag);
        if (!job || !dag?.schedule) return; // it has none any more
        const asOf = lastDue(boss, dag.schedule, job.createdOn).toISOString();
        await enqueue(dag, await openRun(database, dag.id, `scheduled__${asOf}`, asOf));
      };
      await boss.work(queues.due, { includeMetadata: true, pollingIntervalSeconds: 2 }, begin);
      await schedule(boss, dags);
      log.info({ dags: dags.map(({ id }) => id), workers }, 'working');
      await aborted(signal);
      for (const queue of [queues.due, queues.steps]) await boss.offWork(queue, { wait: true });
    },
    async listDead() {
      const jobs = await boss.findJobs<StepJob>(queues.dead, { queued: true, limit: listed });
      const messageOf = (output: object | null) =>
        output && 'message' in output ? String(output.message) : 'it was lost';
      return jobs
        .map(({ id, data, createdOn, sourceOutput }) => ({
          ...data,
          id,
          diedAt: createdOn,
          error: messageOf(sourceOutput),
        }))
        .toReversed();
    },
    async redrive(dag) {
      const jobs = await boss.findJobs<StepJob>(queues.dead, { queued: true, limit: listed, data: { dag: dag.id } });
      for (const { id, data } of jobs) {
        await send(dag, { dag: dag.id, id: data.run, asOf: data.asOf }, data.step);
        await boss.deleteJob(queues.dead, id);
      }
      return jobs.length;
    },
    [Symbol.asyncDispose]: () => boss.stop({ graceful: true, timeout: stopMs }),
  };
}

/** Makes the schedules those of the DAGs. A run that was due while no worker was there is begun once, when one is. */
async function schedule(boss: PgBoss, dags: readonly Dag[]): Promise<void> {
  for (const { key } of await boss.getSchedules(queues.due)) {
    if (!dags.some(({ id, schedule }) => id === key && schedule !== undefined)) await boss.unschedule(queues.due, key);
  }
  for (const { id, schedule } of dags) {
    if (schedule) await boss.schedule(queues.due, schedule, { dag: id }, { key: id, tz: 'UTC', missed: 'once' });
  }
}

const hourMs = 3_600_000;
const farthestMs = 10 * 366 * 24 * hourMs;

/** The last instant at or before another at which a schedule is due. */
export function lastDue(boss: Pick<PgBoss, 'previewSchedule'>, cron: string, at: Date): Date {
  for (let backMs = hourMs; backMs < farthestMs; backMs *= 4) {
    let last: Date | undefined;
    for (let from = new Date(at.getTime() - backMs); ; ) {
      const dates = boss.previewSchedule(cron, { from, tz: 'UTC', count: 20 });
      last = dates.findLast((date) => date <= at) ?? last;
      const end = dates.at(-1);
      if (!end || end > at) break;
      from = end;
    }
    if (last) return last;
  }
  throw new Error(`${cron} was never due`);
}
