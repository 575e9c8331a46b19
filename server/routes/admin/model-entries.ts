import { policyHash } from '../../../registry/card.ts';
import { type CardRules, cardStateOf } from '../../../registry/card-problems.ts';
import type { CardStore, FoundCard } from '../../../registry/card-store.ts';
import type { ModelVersion } from '../../../registry/model.ts';
import type { ModelStore } from '../../../registry/model-store.ts';
import {
  type CardState,
  foldRollouts,
  type Rollouts,
  type Standing,
  type Subject,
  servingOf,
  standingOf,
} from '../../../registry/rollout.ts';
import type { RolloutStore } from '../../../registry/rollout-store.ts';
import type { KnownPolicies, PolicySource } from './advance-rollout.ts';

export interface ModelEntriesDeps {
  readonly modelStore: Pick<ModelStore, 'readVersions'>;
  readonly rolloutStore: Pick<RolloutStore, 'readSteps'>;
  readonly cardStore: Pick<CardStore, 'read'>;
  readonly cardRules: CardRules;
  readonly policies: PolicySource;
}

/** One version of a model, or of a policy of the build: what decides can be asked for its card, wherever it comes from. */
export interface ModelEntry {
  readonly model: string;
  readonly version: string;
  readonly hash: string;
  /** Its version is empty where this server cannot load the model. */
  readonly subject: Subject;
  /** Undefined: a policy of the build. */
  readonly registered: ModelVersion | undefined;
  readonly standing: Standing | undefined;
  readonly aliases: readonly string[];
}

/** Every version by model: newest first, and of a policy of the build the one that this server has first. */
export async function readModelEntries({
  modelStore,
  rolloutStore,
  policies,
}: Pick<ModelEntriesDeps, 'modelStore' | 'rolloutStore' | 'policies'>): Promise<readonly ModelEntry[]> {
  await policies.refresh();
  const [versions, steps] = await Promise.all([modelStore.readVersions(0), rolloutStore.readSteps(0)]);
  return entriesOf(versions ?? [], policies.current(), foldRollouts(steps ?? []));
}

function entriesOf(versions: readonly ModelVersion[], known: KnownPolicies, rollouts: Rollouts): readonly ModelEntry[] {
  const registered = new Map(versions.map((version) => [version.policy, version]));
  const here = [...known.values()].map(({ name, version }): Subject => ({ policy: name, version }));
  const isHere = ({ policy, version }: Subject) => known.get(policy)?.version === version;
  const lost = versions.filter(({ policy }) => !known.has(policy)).map(({ policy }) => ({ policy, version: '' }));
  const subjects = [...here, ...lost, ...rollouts.standings.filter((each) => !isHere(each))];
  const entry = ({ policy, version }: Subject): ModelEntry => {
    const own = registered.get(policy);
    const subject = { policy, version };
    return {
      ...{ model: own?.model ?? policy, version: own ? String(own.version) : version, registered: own, subject },
      ...{ hash: own?.hash ?? policyHash(subject), standing: standingOf(rollouts, subject) },
      aliases: aliasesOf(subject, rollouts),
    };
  };
  // a version that this server cannot load is there once, with where it stands if it took a step
  const entries = subjects.map(entry).filter(({ registered, subject, standing }, _, all) => {
    if (!registered || standing || subject.version !== '') return true;
    return !all.some((other) => other.subject.policy === subject.policy && other.subject.version !== '');
  });
  const newerFirst = (a: ModelEntry, b: ModelEntry) => (b.registered?.version ?? 0) - (a.registered?.version ?? 0);
  return entries.toSorted((a, b) => order(a.model, b.model) || newerFirst(a, b));
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What others call an alias is here what the rollouts say. */
function aliasesOf(subject: Subject, rollouts: Rollouts): readonly string[] {
  const { active, canary, shadows } = servingOf(rollouts);
  const newest = shadows.toSorted((a, b) => b.number - a.number)[0];
  const is = (standing: Standing | undefined) =>
    standing?.policy === subject.policy && standing.version === subject.version;
  const named = [
    ['champion', active],
    ['challenger', canary],
    ['shadow', newest],
  ] as const;
  return named.filter(([, standing]) => is(standing)).map(([name]) => name);
}

export interface Carded {
  readonly found: FoundCard | undefined;
  /** Undefined: there is no card. */
  readonly state: CardState | undefined;
}

/** What is known of the cards of some versions, in order. */
export async function readCards(
  { cardStore, cardRules }: Pick<ModelEntriesDeps, 'cardStore' | 'cardRules'>,
  entries: readonly Pick<ModelEntry, 'subject'>[],
): Promise<readonly Carded[]> {
  const found = await cardStore.read(entries.map(({ subject }) => subject));
  return found.map((each) => ({ found: each, state: cardStateOf(each.card, each.of, cardRules) }));
}

/** As texts of an answer: what keeps a model from people because of its card. */
export function cardProblems(state: CardState | undefined): string[] {
  if (!state) return ['card is missing'];
  return state.kind === 'complete' ? [] : state.problems.map(({ field, description }) => `${field} ${description}`);
}

export const cardHashOf = (state: CardState | undefined): string => (state?.kind === 'complete' ? state.hash : '');
