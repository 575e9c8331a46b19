import { vectorNames } from '../../features/vector.ts';
import type { Prior } from '../linear-model.ts';

/**
 * What is believed of a reward before any was seen, by entry of the vector. Set by hand: overdue and important tasks
 * first, old ones a little later, and people who do tips are worth asking.
 */
const weights: Readonly<Record<(typeof vectorNames)[number], number>> = {
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

/** For a model of the first so many entries. Rewards of -1 to 1 that are mostly at one end have a variance of about 0.5. */
export function priorOf(entries: number): Prior {
  return {
    version: 'prior-1',
    mean: vectorNames.slice(0, entries).map((name) => weights[name]),
    noise: 0.5,
    noiseCount: 20,
  };
}
