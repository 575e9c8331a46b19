import { canaryExperiment } from '../experiments/canary.ts';
import type { Experiment } from '../experiments/experiment.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import type { Clock } from '../platform/clock.ts';
import { type Followed, type FollowOptions, follow } from '../platform/follow.ts';
import { firstStep, foldRollouts, type Subject, servesPeople, servingOf, subjectName } from '../registry/rollout.ts';
import type { RolloutStore } from '../registry/rollout-store.ts';

/** Which policies may decide about people. */
export interface ServedPolicies {
  /** Decides about whoever no experiment and no canary gives to another one. */
  readonly active: Policy;
  readonly canary: Experiment | undefined;
  /** Those that arms of experiments may choose, by name. */
  readonly cleared: ReadonlyMap<string, Policy>;
}

export interface FollowRolloutsDeps extends Pick<FollowOptions<ServedPolicies>, 'log' | 'everyMs'> {
  readonly store: Pick<RolloutStore, 'readSteps' | 'append'>;
  /** All that can decide. */
  readonly policies: Followed<ReadonlyMap<string, Policy>>;
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
    initial: { active: defaultPolicy, canary: undefined, cleared: new Map() },
    async readNewest(knownNumber) {
      const steps = (await store.readSteps(knownNumber)) ?? (knownNumber === 0 ? await begin() : undefined);
      if (!steps) return undefined;
      const serving = servingOf(foldRollouts(steps));
      await policies.refresh(); // a step may be of a model that was registered a moment ago
      const known = policies.current();
      await Promise.all(
        serving.cleared.map((each) => {
          const ready = find(each, known)?.predictor?.load();
          // one that serves nobody is tried again when it is asked, and must not keep a rollback from taking effect
          return servesPeople(each) ? ready : ready?.catch(() => {});
        }),
      );
      return { id: steps.length, read: () => toServed(serving, known) };
    },
    ...rest,
  });
}

/** Throws where a policy that people are to be decided about by is not in this build, in that version. */
function toServed(serving: ReturnType<typeof servingOf>, policies: ReadonlyMap<string, Policy>): ServedPolicies {
  const { active, canary } = serving;
  const found = active && find(active, policies);
  if (!found) throw new RangeError(missing(active));
  if (canary && !find(canary, policies)) throw new RangeError(missing(canary));
  const cleared = serving.cleared.flatMap((each) => find(each, policies) ?? []);
  return {
    active: found,
    canary: canary && canaryExperiment({ ...canary, step: canary.number }),
    cleared: new Map(cleared.map((policy) => [policy.name, policy])),
  };
}

function find({ policy: name, version }: Subject, policies: ReadonlyMap<string, Policy>): Policy | undefined {
  const policy = policies.get(name);
  return policy?.version === version ? policy : undefined;
}

const missing = (subject: Subject | undefined): string =>
  subject
    ? `${subjectName(subject)} is rolled out, but not in this build: what is changed of a policy needs a name of its own`
    : 'no policy is active';
