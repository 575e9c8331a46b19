import type { Dag } from '../pipelines/dag.ts';
import type { RunEvent } from '../pipelines/run-dag.ts';
import type { DeadJob } from '../pipelines/step-queue.ts';
import type { RunStanding } from '../pipelines/step-store.ts';
import { canonicalJson } from '../platform/content-hash.ts';
import { bold, say, table } from './demo/print.ts';
import { explainStep } from './step-command.ts';

const widthMax = 100;

/** What a run's steps stand at, those that were never begun included. */
export function printSummary(dag: Dag, run: RunStanding): void {
  const stored = new Map(run.steps.map((step) => [step.name, step]));
  const lines = dag.steps.map(({ name, needs }) => {
    const step = stored.get(name);
    if (!step) return [name, 'not begun', '', '', needs.length === 0 ? '' : `needs ${needs.join(', ')}`];
    return stepLine(step);
  });
  table(header, lines);
}

/** Runs and their steps, as far as they were begun. */
export function printRuns(runs: readonly RunStanding[]): void {
  if (runs.length === 0) say('no run was ever begun');
  for (const { dag, id, asOf, steps } of runs) {
    say(`${bold(dag)} ${id} as of ${asOf}`);
    if (steps.length > 0) table(header, steps.map(stepLine));
  }
}

export function printDead(jobs: readonly DeadJob[]): void {
  if (jobs.length === 0) {
    say('no step was given up');
    return;
  }
  const lines = jobs.map(({ diedAt, dag, run, step, error }) => [diedAt.toISOString(), dag, run, step, short(error)]);
  table(['given up at', 'dag', 'run', 'step', 'why'], lines);
  say('tried again with: npm run pipeline -- redrive <dag>');
}

/** One line of what happens in a run. */
export function runEventLine(event: RunEvent): string {
  if (event.kind === 'begun') return `${event.step} begins`;
  if (event.kind === 'failed') {
    const again =
      event.retryInMs === undefined ? 'is given up' : `is tried again in ${(event.retryInMs / 1000).toFixed(0)} s`;
    return `${event.step} failed and ${again}: ${explainStep(event.error)}`;
  }
  const { outcome } = event;
  return `${event.step} ${outcome.status === 'done' ? 'is done' : `was skipped: ${outcome.reason}`}`;
}

const header = ['step', 'status', 'attempts', 'took', 'outcome'];

function stepLine({ name, status, attempt, startedAt, finishedAt, output, reason }: RunStanding['steps'][number]) {
  const took = finishedAt ? `${((finishedAt.getTime() - startedAt.getTime()) / 1000).toFixed(1)} s` : '';
  return [name, status, String(attempt), took, short(status === 'done' ? canonicalJson(output) : (reason ?? ''))];
}

function short(text: string): string {
  const [line = ''] = text.split('\n');
  return line.length > widthMax ? `${line.slice(0, widthMax - 1)}…` : line;
}
