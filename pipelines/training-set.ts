import type { Statistics } from '../experiments/linear-model.ts';
import { createPopulationReader, type PopulationReader } from '../experiments/population-store.ts';
import { type OutcomeName, rewardMilli, rewards } from '../experiments/rewards.ts';
import { type BucketOf, bucketTables, fold } from '../features/buckets.ts';
import { profileTables } from '../features/definitions.ts';
import { personDeltas } from '../features/deltas.ts';
import { readPerson } from '../features/profile.ts';
import { namesOfDegradation, namesOfTipKind, namesOfTipSource } from '../gen/proto/oo/contract.ts';
import type { Database } from '../platform/database.ts';
import { type History, readHistories, type Selection } from './histories.ts';
import { atDecisions, type PastDecision } from './point-in-time.ts';
import { createPopulationAt, type PopulationAt } from './populations.ts';
import { recompute } from './recompute.ts';
import { isTooOld } from './verify.ts';
import { verifyDecision } from './verify-decision.ts';

/** One decision, what was known when it was made, and what came of it. Names nobody; ready for JSON. */
export interface TrainingRow {
  readonly decision_id: string;
  readonly decided_at: string;
  readonly policy: string;
  readonly policy_version: string;
  readonly model_version: string | null;
  /** Of the tip that was chosen, as is all that follows. */
  readonly tip_kind: string;
  readonly tip_source: string;
  readonly llm_model: string | null;
  readonly prompt_version: string | null;
  readonly candidates: number;
  readonly score: number;
  readonly propensity: number;
  readonly vector_names: readonly string[];
  /** As logged, in units of 2^-12: what the propensity belongs to. */
  readonly vector: readonly number[];
  /** By feature, as of the decision. Null: not known. */
  readonly features: Readonly<Record<string, number | readonly number[] | null>>;
  /** Whether the decision, recomputed from the events that it had seen, is what was logged. */
  readonly verified: boolean;
  readonly degradations: readonly string[];
  /** The reaction, or `ignored`; of several the one that counts. Null: none is known, or none yet. */
  readonly outcome: string | null;
  readonly outcome_at: string | null;
  readonly dwell_ms: number | null;
  /** Null: no outcome is known. */
  readonly reward_milli: number | null;
  readonly reward_version: string | null;
}

export interface TrainingSetOptions extends Selection {
  /** `profile`: only what policies decide on. Default: all. */
  readonly features?: 'profile' | 'all';
  /** Called for decisions that are left out: what they had seen may have been dropped since. */
  readonly onLeftOut?: () => void;
}

/**
 * The rows of all decisions, in one order: by person, then by what the decision had seen. Features come from the events
 * that it had seen, outcomes from all that are known by now. Memory holds one person at a time.
 */
export async function* trainingRows(
  database: Database,
  { features = 'all', onLeftOut, ...selection }: TrainingSetOptions = {},
): AsyncGenerator<TrainingRow> {
  const populationAt = features === 'all' ? await createPopulationAt(database) : undefined;
  const populations = createPopulationReader(database);
  for await (const history of readHistories(database, selection)) {
    yield* rowsOfPerson(history, populations, populationAt, onLeftOut);
  }
}

async function* rowsOfPerson(
  { events, completeFromDay }: History,
  populations: PopulationReader,
  populationAt: PopulationAt | undefined,
  onLeftOut?: () => void,
): AsyncGenerator<TrainingRow> {
  let outcomes: ReadonlyMap<string, Outcome> | undefined;
  for (const past of atDecisions(events, populationAt ? bucketTables : profileTables)) {
    if (isTooOld(past.decidedAtMs, completeFromDay)) {
      onLeftOut?.();
      continue;
    }
    outcomes ??= outcomesOf(events);
    const { tipId, populationId } = past.decision;
    const population = await populations.read(populationId);
    yield toRow(past, population, await featuresOf(past, populationAt), outcomes.get(keyOf(tipId, past.decisionId)));
  }
}

type Outcome = BucketOf<'tip_outcomes'>;

/** What is known by now of every tip that was shown. */
function outcomesOf(events: History['events']): ReadonlyMap<string, Outcome> {
  const { tip_outcomes } = fold(
    events.flatMap(({ event }) => personDeltas(event)).filter(({ table }) => table === 'tip_outcomes'),
  );
  return new Map(tip_outcomes.map((outcome) => [keyOf(outcome.tip_id, outcome.decision_id), outcome]));
}

const keyOf = (tipId: string, decisionId: string): string => `${decisionId} ${tipId}`;

async function featuresOf({ decision, decidedAtMs, snapshot, buckets }: PastDecision, populationAt?: PopulationAt) {
  const { profile } = recompute(decision, decidedAtMs, buckets);
  const population = populationAt && snapshot ? await populationAt(snapshot, decision.snapshot) : undefined;
  const person = populationAt ? readPerson(buckets, population, decidedAtMs) : [];
  return Object.fromEntries([...profile, ...person].map(({ name, value }) => [name, value ?? null]));
}

function toRow(
  past: PastDecision,
  population: Statistics | undefined,
  features: TrainingRow['features'],
  outcome: Outcome | undefined,
): TrainingRow {
  const { decisionId, decidedAtMs, decision } = past;
  const chosen = decision.candidates.find(({ tipId }) => tipId === decision.tipId);
  const reaction = outcome?.outcome;
  const hasReward = reaction !== undefined;
  return {
    decision_id: decisionId,
    decided_at: new Date(decidedAtMs).toISOString(),
    policy: decision.policy,
    policy_version: decision.policyVersion,
    model_version: decision.modelVersion || null,
    tip_kind: namesOfTipKind[chosen?.kind ?? 0] ?? 'unspecified',
    tip_source: namesOfTipSource[chosen?.source ?? 0] ?? 'unspecified',
    llm_model: chosen?.model || null,
    prompt_version: chosen?.promptVersion || null,
    candidates: decision.candidates.length,
    score: chosen?.score ?? 0,
    propensity: chosen?.propensity ?? 0,
    vector_names: decision.vectorNames,
    vector: chosen?.vector ?? [],
    features,
    verified: verifyDecision(past, population).every(({ verdict }) => verdict === 'match'),
    degradations: decision.degradations.map((each) => namesOfDegradation[each] ?? 'unspecified'),
    outcome: reaction ?? null,
    outcome_at: outcome?.outcome_at === undefined ? null : new Date(outcome.outcome_at).toISOString(),
    dwell_ms: outcome?.dwell_ms ?? null,
    reward_milli: hasReward ? rewardMilli(reaction as OutcomeName, outcome?.dwell_ms) : null,
    reward_version: hasReward ? rewards.version : null,
  };
}
