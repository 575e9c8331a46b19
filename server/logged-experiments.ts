import type { BanditEpoch } from '../experiments/bandit.ts';
import type { Treatment } from '../experiments/treatment.ts';

/**
 * The experiments a person was part of, as decision events hold them. Those whose bandit drew no arm are not among them:
 * they had no effect.
 */
export function toLoggedExperiments({ assigned, forced }: Treatment) {
  return {
    experiments: assigned.map((each) => {
      const { experiment, arm, propensity } = each;
      const logged = { experiment: experiment.key, version: experiment.version, arm: arm.key, propensity };
      return each.kind === 'drawn' ? { ...logged, bandit: toBanditDraw(each.epoch) } : logged;
    }),
    forcedExperiments: forced.map(({ experiment: { key, version }, arm }) => ({
      ...{ experiment: key, version, arm: arm.key },
    })),
  };
}

const toBanditDraw = ({ propensities, ...rest }: BanditEpoch) => ({ ...rest, propensities: [...propensities] });
