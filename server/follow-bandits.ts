import { type BanditEpoch, type BanditMeasurement, epochOf, nothingMeasured } from '../experiments/bandit.ts';
import type { BanditReader, Measurements } from '../experiments/bandit-store.ts';
import type { Experiment } from '../experiments/experiment.ts';
import { type Followed, type FollowOptions, follow } from '../platform/follow.ts';

export interface FollowBanditsDeps extends Pick<FollowOptions<Measurements>, 'log' | 'everyMs'> {
  readonly reader: Pick<BanditReader, 'readNewest'>;
}

export interface FollowedBandits extends Omit<Followed<Measurements>, 'current'> {
  /** By what was measured last, as far as this process knows. All arms are equal until anything was read. */
  epochOf(experiment: Experiment): BanditEpoch;
}

/** What bandits draw by, worked out once for each measurement: it takes a policy longer than a request may. */
export function followBandits({ reader, ...rest }: FollowBanditsDeps): FollowedBandits {
  const measurements = follow({
    what: 'measurements of bandits',
    initial: { number: 0, of: () => undefined },
    async readNewest(knownNumber) {
      const newest = await reader.readNewest(knownNumber);
      return newest && { id: newest.number, read: () => newest };
    },
    ...rest,
  });
  const known = new WeakMap<Experiment, WeakMap<BanditMeasurement, BanditEpoch>>();
  return {
    refresh: measurements.refresh,
    follow: measurements.follow,
    epochOf(experiment) {
      const measurement = measurements.current().of(experiment) ?? nothingMeasured;
      const epochs = known.get(experiment) ?? new WeakMap<BanditMeasurement, BanditEpoch>();
      const epoch = epochs.get(measurement) ?? epochOf(experiment, measurement);
      known.set(experiment, epochs.set(measurement, epoch));
      return epoch;
    },
  };
}
