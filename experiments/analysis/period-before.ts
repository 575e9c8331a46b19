import { dayMs } from '../../platform/clock.ts';
import type { Experiment } from '../experiment.ts';

/** A definition of an experiment with status running, and how long it was in force. */
export interface Run {
  readonly definition: Experiment;
  readonly fromMs: number;
  /** When the next set replaced it. Undefined: none has. */
  readonly untilMs: number | undefined;
}

/** The first instant, and the first one after. */
export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Four whole weeks: every weekday counts alike. */
export const daysBefore = 28;

/**
 * The days before anybody was in an arm of the experiment. Undefined: nobody ever was.
 *
 * It began when any definition drew people by the same seed. Another version of it, with the same seed, had the same
 * people in the same arms: what they did then was moved by their arm, and to take that off would hide what the arm does.
 */
export function periodBefore({ seed, hashVersion }: Experiment, runs: readonly Run[]): Period | undefined {
  const begun = runs
    .filter(({ definition }) => definition.seed === seed && definition.hashVersion === hashVersion)
    .flatMap((run) => beginningOf(run) ?? []);
  if (begun.length === 0) return undefined;
  const toMs = Math.min(...begun);
  return { fromMs: toMs - daysBefore * dayMs, toMs };
}

/** Undefined: it was replaced, or had ended, before its own start. */
function beginningOf({ definition, fromMs, untilMs = Number.POSITIVE_INFINITY }: Run): number | undefined {
  const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY } = definition;
  const atMs = Math.max(fromMs, startMs);
  return atMs < Math.min(untilMs, endMs) ? atMs : undefined;
}
