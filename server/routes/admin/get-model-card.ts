import { create } from '@bufbuild/protobuf';
import {
  type GetModelCardRequest,
  type GetModelCardResponse,
  GetModelCardResponseSchema,
  ModelCardFormat,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { type FieldViolation, notFound } from '../../../platform/errors.ts';
import { readCard } from '../../../registry/card.ts';
import { toCycloneDx, toHuggingFace } from '../../../registry/card-exports.ts';
import { cardPage } from '../../../registry/card-page.ts';
import { type CardState, type RolloutStep, type Subject, subjectName } from '../../../registry/rollout.ts';
import type { RolloutStore } from '../../../registry/rollout-store.ts';
import { cardHashOf, cardProblems, type ModelEntriesDeps, readCards, readModelEntries } from './model-entries.ts';

export type GetModelCardDeps = ModelEntriesDeps & {
  readonly rolloutStore: Pick<RolloutStore, 'list' | 'readVerdicts'>;
};

/** A model's card, with what keeps the model from people and what happened to it since. `not_found` for no such version. */
export function createGetModelCard(deps: GetModelCardDeps) {
  return async ({ model, version, format }: GetModelCardRequest): Promise<GetModelCardResponse> => {
    const entries = await readModelEntries(deps);
    const entry = entries.find((each) => each.model === model && each.version === version);
    if (!entry) throw notFound('NO_MODEL', 'there is no such version of a model');
    const [[carded], steps, verdicts] = await Promise.all([
      readCards(deps, [entry]),
      stepsOf(deps.rolloutStore, entry.subject),
      deps.rolloutStore.readVerdicts(),
    ]);
    const name = subjectName(entry.subject);
    const gate = verdicts.find(({ subject, step }) => subject === name && step === entry.standing?.number);
    const read = readCard(carded?.found?.card);
    const card = read.kind === 'card' ? read.card : undefined;
    const { registered } = entry;
    const title = `${model}${registered ? '/' : ' '}${version}`;
    const page = () =>
      cardPage({
        ...{ title, card, problems: problemsOf(carded?.state), gate, steps },
        registered: registered && { actor: registered.actor, atMs: registered.registeredAtMs },
      });
    const as = { name: model, version, atMs: registered?.registeredAtMs };
    const isFor = (one: ModelCardFormat) =>
      format === one || (format === ModelCardFormat.UNSPECIFIED && one <= ModelCardFormat.MARKDOWN);
    return create(GetModelCardResponseSchema, {
      ...(isFor(ModelCardFormat.MARKDOWN) && { cardMarkdown: page() }),
      ...(card && isFor(ModelCardFormat.JSON) && { cardJson: JSON.stringify(card) }),
      ...(card && isFor(ModelCardFormat.CYCLONEDX) && { cardCyclonedx: JSON.stringify(toCycloneDx(card, as)) }),
      ...(card && isFor(ModelCardFormat.HUGGING_FACE) && { cardHuggingFace: toHuggingFace(card, as, page()) }),
      cardHash: cardHashOf(carded?.state),
      cardProblems: cardProblems(carded?.state),
    });
  };
}

function problemsOf(state: CardState | undefined): readonly FieldViolation[] {
  if (!state) return [{ field: 'card', description: 'is missing' }];
  return state.kind === 'complete' ? [] : state.problems;
}

const pageSize = 500;

/** Newest first. */
async function stepsOf(
  store: Pick<RolloutStore, 'list'>,
  { policy, version }: Subject,
): Promise<readonly RolloutStep[]> {
  const found: RolloutStep[] = [];
  for (let before: number | undefined; ; before = found.at(-1)?.number) {
    const { steps, isLast } = await store.list({ limit: pageSize, before, policy });
    found.push(...steps);
    if (isLast) return found.filter((step) => step.version === version);
  }
}
