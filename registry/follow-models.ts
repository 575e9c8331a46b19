import { type Followed, type FollowOptions, follow } from '../platform/follow.ts';
import { type ModelFeed, type ModelVersion, parseManifest } from './model.ts';
import type { ModelStore } from './model-store.ts';

export interface ModelPoliciesDeps<Policy> {
  readonly store: Pick<ModelStore, 'readVersions'>;
  /** What this build feeds models with. */
  readonly feed: ModelFeed;
  /** Those that are there without any model, by name. */
  readonly policies: ReadonlyMap<string, Policy>;
  /** The policy that decides by a version. Throws where there can be none. */
  readonly policyOf: (version: ModelVersion) => Policy;
  readonly log: FollowOptions<unknown>['log'];
}

/**
 * The policies that can decide, by name: those of the build, and one for every registered version of a model. A version that
 * would read something else than this build feeds it with is left out, and the log says why. Versions never change, so what
 * is in once stays.
 */
export function followModels<Policy>({
  everyMs,
  ...deps
}: ModelPoliciesDeps<Policy> & Pick<FollowOptions<unknown>, 'everyMs'>): Followed<ReadonlyMap<string, Policy>> {
  const withModels = startPolicies(deps);
  return follow<ReadonlyMap<string, Policy>>({
    what: 'models',
    initial: deps.policies,
    async readNewest(knownCount) {
      const versions = await deps.store.readVersions(knownCount);
      if (!versions) return undefined;
      const known = withModels(versions);
      return { id: versions.length, read: () => known };
    },
    log: deps.log,
    everyMs,
  });
}

/** The same, once. Throws errors of the store. */
export async function readModels<Policy>(deps: ModelPoliciesDeps<Policy>): Promise<ReadonlyMap<string, Policy>> {
  return startPolicies(deps)((await deps.store.readVersions(0)) ?? []);
}

function startPolicies<Policy>({ feed, policies, policyOf, log }: ModelPoliciesDeps<Policy>) {
  const made = new Map<string, Policy | undefined>();
  const make = (version: ModelVersion): Policy | undefined => {
    try {
      parseManifest(version.manifest, feed);
      return policyOf(version);
    } catch (error) {
      log.error({ model: version.name, error: String(error) }, 'a model cannot be used by this build');
      return undefined;
    }
  };
  return (versions: readonly ModelVersion[]): ReadonlyMap<string, Policy> => {
    for (const version of versions) if (!made.has(version.policy)) made.set(version.policy, make(version));
    const usable = [...made].flatMap(([name, policy]) => (policy ? [[name, policy] as const] : []));
    return new Map([...policies, ...usable]);
  };
}
