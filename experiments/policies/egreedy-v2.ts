import { vectorNames } from '../../features/vector.ts';
import type { Policy } from './policy.ts';

const epsilon = 0.1;

/**
 * What is believed of a reward before any was seen, by entry of the vector. Set by hand: overdue and important tasks
 * first, old ones a little later, and people who do tips are worth asking.
 */
const prior: Readonly<Record<(typeof vectorNames)[number], number>> = {
  hour_sin: 0,
  hour_cos: 0,
  is_overdue: 0.3,
  task_age_norm: -0.1,
  priority_norm: 0.2,
  dow_sin: 0,
  dow_cos: 0,
  completion_rate_30d: 0.4,
  dismiss_rate_30d: -0.4,
  mean_dwell_ms_30d: 0,
  preferred_hour: 0.1,
  tip_volume_30d: 0,
};

/** Ridge regression on 12 features; the best estimate wins, but one decision in ten is drawn at random. */
export const egreedyV2: Policy = {
  name: 'egreedy-v2',
  version: `1;epsilon=${epsilon}`,
  modelVersion: 'prior-1',
  weights: vectorNames.map((name) => prior[name]),
  probabilities: (scores) => epsilonGreedy(scores, epsilon),
};

/** `epsilon` shared by all candidates, the rest by those with the highest score. */
export function epsilonGreedy(scores: readonly number[], epsilon: number): readonly number[] {
  const best = Math.max(...scores);
  const winners = scores.filter((score) => score === best).length;
  const explore = epsilon / scores.length;
  const exploit = (1 - epsilon) / winners;
  return scores.map((score) => explore + (score === best ? exploit : 0));
}
