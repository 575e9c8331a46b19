import { canaryExperiment } from '../experiments/canary.ts';
import type { Experiment } from '../experiments/experiment.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import type { Clock } from '../platform/clock.ts';
import { type Followed, type FollowOptions, follow } from '../platform/follow.ts';
import { firstStep, foldRollouts, type Subject, servingOf, subjectName } from '../registry/rollout.ts';
import type { RolloutStore } from '../registry/rollout-store.ts';

/** Which policies may decide about people. */
export interface ServedPolicies {
  /** Decides about whoever no experiment and no canary gives to another one. */
  readonly active: Policy;
  readonly canary: Experiment | undefined;
  /** The names of those that arms of experiments may choose. */
  readonly cleared: ReadonlySet<string>;
}

export interface FollowRolloutsDeps extends Pick<FollowOptions<ServedPolicies>, 'log' | 'everyMs'> {
  readonly store: Pick<RolloutStore, 'readSteps' | 'append'>;
  /** Of this build. */
  readonly policies: ReadonlyMap<string, Policy>;
  /** The first one to be active. Decides also until the rollouts were read. */
  readonly defaultPolicy: Policy;
  readonly clock: Clock;
}

/** The rollouts in force. On a database that has none, the first step is taken here. */
export function followRollouts(deps: FollowRolloutsDeps): Followed<ServedPolicies> {
  const { store, policies, defaultPolicy, clock, ...rest } = deps;
  const begin = async () => {
    const by = { atMs: clock(), actor: 'DEFAULT_POLICY', caller: '', reason: 'the first policy of this database' };
    await store.append([firstStep({ policy: defaultPolicy.name, version: defaultPolicy.version }, by)]);
    return store.readSteps(0); // also where another replica was first
  };
  return follow({
    what: 'rollouts',
    initial: { active: defaultPolicy, canary: undefined, cleared: new Set() },
    async readNewest(knownNumber) {
      const steps = (await store.readSteps(knownNumber)) ?? (knownNumber === 0 ? await begin() : undefined);
      return steps && { id: steps.length, read: () => toServed(servingOf(foldRollouts(steps)), policies) };
    },
    ...rest,
  });
}

/** Throws where a policy that people are to be decided about by is not in this build, in that version. */
function toServed(serving: ReturnType<typeof servingOf>, policies: ReadonlyMap<string, Policy>): ServedPolicies {
  const { active, canary, cleared } = serving;
  const find = (subject: Subject): Policy | undefined => {
    const policy = policies.get(subject.policy);
    return policy?.version === subject.version ? policy : undefined;
  };
  const found = active && find(active);
  if (!found) throw new RangeError(missing(active));
  if (canary && !find(canary)) throw new RangeError(missing(canary));
  return {
    active: found,
    canary: canary && canaryExperiment({ ...canary, step: canary.number }),
    cleared: new Set(cleared.filter(find).map(({ policy }) => policy)),
  };
}

const missing = (subject: Subject | undefined): string =>
  subject
    ? `${subjectName(subject)} is rolled out, but not in this build: what is changed of a policy needs a name of its own`
    : 'no policy is active';
