import type { Policy } from '../experiments/policies/policy.ts';
import { type Followed, type FollowOptions, follow } from '../platform/follow.ts';
import { foldRollouts, servingOf } from '../registry/rollout.ts';
import type { RolloutStore } from '../registry/rollout-store.ts';

export interface FollowShadowsDeps extends Pick<FollowOptions<unknown>, 'log' | 'everyMs'> {
  readonly store: Pick<RolloutStore, 'readSteps'>;
  /** All that can decide. */
  readonly policies: Followed<ReadonlyMap<string, Policy>>;
}

/** The policies that are in the shadow by now, as far as this build has them. None until rollouts were read. */
export function followShadows({ store, policies, ...rest }: FollowShadowsDeps): Followed<ReadonlySet<Policy>> {
  return follow<ReadonlySet<Policy>>({
    what: 'rollouts',
    initial: new Set(),
    async readNewest(knownNumber) {
      const steps = await store.readSteps(knownNumber);
      if (steps) await policies.refresh(); // a step may be of a model that was registered a moment ago
      const read = () => {
        const { shadows } = servingOf(foldRollouts(steps ?? []));
        const isIn = ({ name, version }: Policy) =>
          shadows.some((each) => each.policy === name && each.version === version);
        return new Set([...policies.current().values()].filter(isIn));
      };
      return steps && { id: steps.length, read };
    },
    ...rest,
  });
}
