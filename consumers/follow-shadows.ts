import type { Policy } from '../experiments/policies/policy.ts';
import { type Followed, type FollowOptions, follow } from '../platform/follow.ts';
import { foldRollouts, servingOf } from '../registry/rollout.ts';
import type { RolloutStore } from '../registry/rollout-store.ts';

export interface FollowShadowsDeps extends Pick<FollowOptions<unknown>, 'log' | 'everyMs'> {
  readonly store: Pick<RolloutStore, 'readSteps'>;
  readonly policies: ReadonlyMap<string, Policy>;
}

/** The policies of this build that are in the shadow by now. None until rollouts were read. */
export function followShadows({ store, policies, ...rest }: FollowShadowsDeps): Followed<ReadonlySet<Policy>> {
  return follow<ReadonlySet<Policy>>({
    what: 'rollouts',
    initial: new Set(),
    async readNewest(knownNumber) {
      const steps = await store.readSteps(knownNumber);
      const read = () => {
        const { shadows } = servingOf(foldRollouts(steps ?? []));
        const isIn = ({ name, version }: Policy) =>
          shadows.some((each) => each.policy === name && each.version === version);
        return new Set([...policies.values()].filter(isIn));
      };
      return steps && { id: steps.length, read };
    },
    ...rest,
  });
}
