import type { Experiment } from './experiment.ts';

export interface Canary {
  readonly policy: string;
  /** Of the policy. */
  readonly version: string;
  /** The share of people that it decides about, in per cent: a whole number. */
  readonly percent: number;
  /** Of the step that gave it this share: another share is another comparison. */
  readonly step: number;
}

export const canaryArm = 'canary';
export const activeArm = 'active';

/**
 * A canary is an experiment: its people and all others are two arms, drawn, logged, counted and compared as any others. The
 * salt stays while the share grows, so that whoever is in stays in; its key is one that no definition can have.
 */
export function canaryExperiment({ policy, version, percent, step }: Canary): Experiment {
  return {
    key: `canary:${policy}`,
    version: String(step),
    status: 'running',
    seed: `canary:${policy} ${version}`,
    hashVersion: 2,
    arms: [
      { key: canaryArm, weight: percent / 100, policy },
      { key: activeArm, weight: (100 - percent) / 100 },
    ],
    coverage: 1,
    forced: {},
  };
}
