import type { StepProgress } from '../pipelines/dag.ts';
import type { Log } from '../platform/log.ts';
import { type createProgress, progressLine } from './progress.ts';

const logEveryMs = 5_000;

/**
 * Shows how far steps have come: a bar on a terminal, whose line belongs to the step that reported last; without one, a line
 * of the log for each step every few seconds.
 */
export function createStepProgress(
  terminal: Pick<ReturnType<typeof createProgress>, 'show'> | undefined,
  log: Pick<Log, 'info'>,
  clock: () => number,
): (step: string, progress: StepProgress) => void {
  const steps = new Map<string, { readonly begunAt: number; loggedAt: number }>();
  return (step, { done, inAll, doneByUs = done, unit }) => {
    const now = clock();
    const times = steps.get(step) ?? { begunAt: now, loggedAt: Number.NEGATIVE_INFINITY };
    steps.set(step, times);
    if (terminal) {
      const secondsOfUs = (now - times.begunAt) / 1000;
      terminal.show(`${step}   ${progressLine({ done, inAll, doneByUs, secondsOfUs }, unit)}`);
    } else if (now - times.loggedAt >= logEveryMs) {
      times.loggedAt = now;
      log.info({ step, done, inAll, unit }, 'progress');
    }
  };
}
