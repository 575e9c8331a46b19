import type { ModelVersion } from '../model.ts';
import type { ModelStore } from '../model-store.ts';
import { foldRollouts, type RolloutStep } from '../rollout.ts';
import type { RolloutStore } from '../rollout-store.ts';
import { type Wanted, wantedOf } from './wanted.ts';

/** What is mirrored. Errors are those of the database. */
export interface MirrorSource {
  readWanted(): Promise<Wanted>;
  /** Bytes that are what their digest says. */
  readContent(sha256: string): Promise<Uint8Array>;
}

export interface MirrorSourceDeps {
  readonly models: Pick<ModelStore, 'readVersions' | 'readContent' | 'readCard'>;
  readonly rollouts: Pick<RolloutStore, 'readSteps'>;
  /** The card as a page in Markdown, with the steps of the version's policy. Undefined: there is none to read. */
  readonly pageOf: (card: unknown, version: ModelVersion, steps: readonly RolloutStep[]) => string | undefined;
}

export function createMirrorSource({ models, rollouts, pageOf }: MirrorSourceDeps): MirrorSource {
  return {
    async readWanted() {
      const versions = (await models.readVersions(0)) ?? [];
      const steps = (await rollouts.readSteps(0)) ?? [];
      const registered = [];
      for (const version of versions) {
        const card = await models.readCard(version.model, version.version);
        registered.push({ version, card, page: pageOf(card, version, steps) });
      }
      return wantedOf(registered, foldRollouts(steps));
    },
    readContent: (sha256) => models.readContent(sha256),
  };
}
