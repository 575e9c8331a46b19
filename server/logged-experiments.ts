import type { Treatment } from '../experiments/treatment.ts';

/** The experiments a person was part of, as decision events hold them. */
export function toLoggedExperiments({ assigned, forced }: Treatment) {
  return {
    experiments: assigned.map(({ experiment: { key, version }, arm, propensity }) => ({
      ...{ experiment: key, version, arm: arm.key, propensity },
    })),
    forcedExperiments: forced.map(({ experiment: { key, version }, arm }) => ({
      ...{ experiment: key, version, arm: arm.key },
    })),
  };
}
