import { setTimeout as sleep } from 'node:timers/promises';
import type { Dag } from './dag.ts';
import { canPass, performStep, type StepDeps } from './perform-step.ts';
import type { Outcome, Run } from './step-store.ts';

export interface RunDagDeps extends StepDeps {
  readonly random: () => number;
}

export interface RunDagOptions {
  /** Steps at the same time, at most. */
  readonly workers: number;
  readonly onEvent?: (event: RunEvent) => void;
}

export type RunEvent = { readonly step: string } & (
  | { readonly kind: 'begun' }
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly error: unknown; readonly retryInMs: number | undefined }
);

export interface RunResult {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Steps that failed for good, and why. What needs them was not begun, and stands in neither. */
  readonly failures: ReadonlyMap<string, unknown>;
}

/** No wait between two tries is longer. */
export const retryMaxSeconds = 3_600;

/**
 * Does all steps of a run in this process, each as soon as those it needs are done. What is done already is not done again,
 * so a run that ended anywhere goes on when it is asked for again. What does not need a failed step is done all the same.
 */
export async function runDag(deps: RunDagDeps, dag: Dag, run: Run, options: RunDagOptions): Promise<RunResult> {
  const { workers, onEvent } = options;
  const outcomes = new Map<string, Outcome>();
  const failures = new Map<string, unknown>();
  const running = new Map<string, Promise<void>>();

  const perform = async (step: string) => {
    try {
      const outcome = await performPatiently(deps, dag, step, run, onEvent);
      outcomes.set(step, outcome);
      onEvent?.({ kind: 'ended', step, outcome });
    } catch (error) {
      failures.set(step, error);
    } finally {
      running.delete(step);
    }
  };
  for (;;) {
    const isNew = (step: string) => ![outcomes, failures, running].some((each) => each.has(step));
    const ready = dag.steps.filter(({ name, needs }) => isNew(name) && needs.every((need) => outcomes.has(need)));
    for (const { name } of deps.signal.aborted ? [] : ready.slice(0, workers - running.size)) {
      running.set(name, perform(name));
    }
    if (running.size === 0) return { outcomes, failures };
    await Promise.race(running.values());
  }
}

async function performPatiently(
  deps: RunDagDeps,
  dag: Dag,
  step: string,
  run: Run,
  onEvent: RunDagOptions['onEvent'],
): Promise<Outcome> {
  for (let retries = 0; ; retries++) {
    onEvent?.({ kind: 'begun', step });
    try {
      return await performStep(deps, dag, step, run);
    } catch (error) {
      const isLast = retries === dag.retries.limit || !canPass(error) || deps.signal.aborted;
      const seconds = Math.min(dag.retries.afterSeconds * 2 ** retries, retryMaxSeconds);
      const retryInMs = isLast ? undefined : 1000 * seconds * (0.5 + deps.random() / 2);
      onEvent?.({ kind: 'failed', step, error, retryInMs });
      if (retryInMs === undefined) throw error;
      await sleep(retryInMs, undefined, { signal: deps.signal });
    }
  }
}
