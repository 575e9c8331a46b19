import { create } from '@bufbuild/protobuf';
import { toTimestamp } from '../../../features/time.ts';
import {
  type ListModelsRequest,
  type ListModelsResponse,
  ListModelsResponseSchema,
  type ModelVersion,
  ModelVersionSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import {
  type Carded,
  cardHashOf,
  cardProblems,
  type ModelEntriesDeps,
  type ModelEntry,
  readCards,
  readModelEntries,
} from './model-entries.ts';
import { numberedPage } from './numbered-page.ts';
import { stageNumbers } from './rollout-messages.ts';

export type ListModelsDeps = ModelEntriesDeps;

const pageSizeDefault = 50;
const pages = numberedPage('model');

/** A page of the models, by name, with all their versions. One that comes in between may move others to the next page. */
export function createListModels(deps: ListModelsDeps) {
  return async ({ page }: ListModelsRequest): Promise<ListModelsResponse> => {
    const first = pages.read(page?.pageToken ?? '') ?? 0;
    const entries = await readModelEntries(deps);
    const names = [...new Set(entries.map(({ model }) => model))];
    const end = first + (page?.pageSize || pageSizeDefault);
    const shown = entries.filter(({ model }) => names.slice(first, end).includes(model));
    const cards = await readCards(deps, shown);
    const versions = shown.map((entry, i) => ({ name: entry.model, version: toModelVersion(entry, cards[i]) }));
    return create(ListModelsResponseSchema, {
      models: names.slice(first, end).map((name) => ({
        name,
        versions: versions.filter((each) => each.name === name).map(({ version }) => version),
      })),
      nextPageToken: end < names.length ? pages.write(end) : '',
    });
  };
}

function toModelVersion({ registered, subject, standing, ...entry }: ModelEntry, carded?: Carded): ModelVersion {
  return create(ModelVersionSchema, {
    ...{ version: entry.version, contentHash: entry.hash, aliases: [...entry.aliases] },
    ...{ policy: subject.policy, policyVersion: subject.version, kind: registered?.manifest.kind ?? 'policy' },
    ...(registered && { createdAt: toTimestamp(registered.registeredAtMs), actor: registered.actor }),
    ...(standing && { stage: stageNumbers[standing.stage], trafficPercent: standing.percent }),
    cardHash: cardHashOf(carded?.state),
    cardProblems: cardProblems(carded?.state),
  });
}
