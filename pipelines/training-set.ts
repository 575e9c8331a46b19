import type { Statistics } from '../experiments/linear-model.ts';
import { createPopulationReader, type PopulationReader } from '../experiments/population-store.ts';
import { type OutcomeName, rewardMilli, rewards } from '../experiments/rewards.ts';
import { type BucketOf, bucketTables, fold } from '../features/buckets.ts';
import { profileTables } from '../features/definitions.ts';
import { personDeltas } from '../features/deltas.ts';
import { readPerson } from '../features/profile.ts';
import { isVisible, type Snapshot } from '../features/snapshot.ts';
import { toMs } from '../features/time.ts';
import { firstVectorVersion } from '../features/vector.ts';
import { namesOfDegradation, namesOfTipKind, namesOfTipSource } from '../gen/proto/oo/contract.ts';
import { dayMs } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import { lazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import { type DeciderOf, openDeciders } from './deciders.ts';
import { type History, readHistories, type Selection } from './histories.ts';
import { atDecisions, type PastDecision } from './point-in-time.ts';
import { createPopulationAt, type PopulationAt } from './populations.ts';
import { recompute } from './recompute.ts';
import { settle } from './training/as-of.ts';
import { pseudonymOf } from './training/people.ts';
import { isTooOld } from './verify.ts';
import { type Decider, verifyDecision } from './verify-decision.ts';

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
  /** Whether the decision, recomputed from the events that it had seen, is what was logged: see pipelines/verify.ts. */
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

/** A row, and what else a trainer needs of its decision. */
export interface TrainingExample {
  readonly row: TrainingRow;
  /** See training/people.ts. */
  readonly person: string;
  readonly vectorVersion: string;
  /** Of the person's own day. */
  readonly hourOfDay: number;
  /** The first part of the time zone, such as `Europe`: as much as an evaluation needs. */
  readonly timeZoneArea: string;
  /** Whole days since the person's first event that is still stored, of those that the decision had seen. Null: it had seen none. */
  readonly tenureDays: number | null;
  /** Index of the tip that was chosen. Null: it is not among the candidates. */
  readonly chosen: number | null;
  /** Of every candidate, in order. */
  readonly propensities: readonly number[];
  readonly vectors: readonly (readonly number[])[];
}

export interface TrainingSetOptions extends Selection {
  /** `profile`: only what policies decide on. Default: all. */
  readonly features?: 'profile' | 'all';
  /**
   * What was known at an instant: decisions that were made and stored before it, with outcomes from events that were stored
   * before it. The same again later, whatever came in since: see docs/training.md. Default: all that is known by now.
   */
  readonly asOfMs?: number | undefined;
  /** Called for decisions that are left out: what they had seen may have been dropped since. */
  readonly onLeftOut?: () => void;
}

/** The rows of `trainingExamples` alone. */
export async function* trainingRows(database: Database, options?: TrainingSetOptions): AsyncGenerator<TrainingRow> {
  for await (const { row } of trainingExamples(database, options)) yield row;
}

/**
 * The rows of all decisions, in one order: by person, then by what the decision had seen. Features come from the events
 * that it had seen, outcomes from all that are known by then. Memory holds one person at a time. Throws RefusedInstant.
 */
export async function* trainingExamples(
  database: Database,
  { features = 'all', asOfMs, onLeftOut, ...selection }: TrainingSetOptions = {},
): AsyncGenerator<TrainingExample> {
  if (asOfMs !== undefined) await settle(database, asOfMs);
  const populations = createPopulationReader(database);
  const populationAt = features === 'all' ? await createPopulationAt(database) : undefined;
  await using onnx = lazyOnnxPool();
  const deciderOf = await openDeciders(database, onnx);
  for await (const history of readHistories(database, selection)) {
    yield* examplesOfPerson(history, { populations, populationAt, deciderOf, asOfMs, onLeftOut });
  }
}

interface Context {
  readonly populations: PopulationReader;
  readonly populationAt: PopulationAt | undefined;
  readonly deciderOf: DeciderOf;
  readonly asOfMs: number | undefined;
  readonly onLeftOut: (() => void) | undefined;
}

async function* examplesOfPerson(
  { userId, events, completeFromDay }: History,
  { populations, populationAt, deciderOf, asOfMs = Number.POSITIVE_INFINITY, onLeftOut }: Context,
): AsyncGenerator<TrainingExample> {
  const known = events.filter(({ storedAtMs }) => storedAtMs < asOfMs);
  const knownIds = new Set(known.map(({ event }) => event.eventId.toLowerCase()));
  let whole: { readonly outcomes: ReadonlyMap<string, Outcome>; readonly firstAt: FirstAt } | undefined;
  // of all events: what a decision had seen was stored before it, whatever a clock says
  for (const past of atDecisions(events, populationAt ? bucketTables : profileTables)) {
    if (past.decidedAtMs >= asOfMs || !knownIds.has(past.decisionId)) continue;
    if (isTooOld(past.decidedAtMs, completeFromDay)) {
      onLeftOut?.();
      continue;
    }
    whole ??= { outcomes: outcomesOf(known), firstAt: firstEventAt(events) };
    const { decision, decidedAtMs, snapshot } = past;
    const population = await populations.read(decision.populationId);
    const outcome = whole.outcomes.get(keyOf(decision.tipId, past.decisionId));
    const { features, moment } = await readingsOf(past, populationAt);
    const firstMs = snapshot && whole.firstAt(snapshot);
    const chosen = decision.candidates.findIndex(({ tipId }) => tipId === decision.tipId);
    yield {
      row: toRow(past, { population, decider: await deciderOf(decision) }, features, outcome),
      person: pseudonymOf(userId),
      vectorVersion: decision.vectorVersion || firstVectorVersion,
      hourOfDay: moment.hourOfDay,
      timeZoneArea: moment.timeZone.split('/')[0] ?? '',
      tenureDays: firstMs === undefined ? null : Math.max(0, Math.floor((decidedAtMs - firstMs) / dayMs)),
      chosen: chosen < 0 ? null : chosen,
      propensities: decision.candidates.map(({ propensity }) => propensity),
      vectors: decision.candidates.map(({ vector }) => vector),
    };
  }
}

type FirstAt = (snapshot: Snapshot) => number | undefined;

/** When the first event occurred, of those that a read had seen. */
function firstEventAt(events: History['events']): FirstAt {
  const inOrder = events
    .map(({ transactionId, event }) => ({ transactionId, atMs: toMs(event.occurredAt) }))
    .sort((a, b) => Number(a.transactionId - b.transactionId));
  let firstMs = Number.POSITIVE_INFINITY;
  const firsts = inOrder.map(({ atMs }) => {
    firstMs = Math.min(firstMs, atMs);
    return firstMs;
  });
  return (snapshot) => {
    let [low, high] = [0, inOrder.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((inOrder[middle]?.transactionId ?? snapshot.xmin) < snapshot.xmin) low = middle + 1;
      else high = middle;
    }
    let first = firsts[low - 1];
    for (let next = inOrder[low]; next && next.transactionId < snapshot.xmax; next = inOrder[++low]) {
      if (isVisible(snapshot, next.transactionId)) first = Math.min(first ?? next.atMs, next.atMs);
    }
    return first;
  };
}

type Outcome = BucketOf<'tip_outcomes'>;

/** What some events tell of every tip that was shown. */
function outcomesOf(events: History['events']): ReadonlyMap<string, Outcome> {
  const { tip_outcomes } = fold(
    events.flatMap(({ event }) => personDeltas(event)).filter(({ table }) => table === 'tip_outcomes'),
  );
  return new Map(tip_outcomes.map((outcome) => [keyOf(outcome.tip_id, outcome.decision_id), outcome]));
}

const keyOf = (tipId: string, decisionId: string): string => `${decisionId} ${tipId}`;

async function readingsOf({ decision, decidedAtMs, snapshot, buckets }: PastDecision, populationAt?: PopulationAt) {
  const { profile, moment } = recompute(decision, decidedAtMs, buckets);
  const population = populationAt && snapshot ? await populationAt(snapshot, decision.snapshot) : undefined;
  const person = populationAt ? readPerson(buckets, population, decidedAtMs) : [];
  return {
    moment,
    features: Object.fromEntries([...profile, ...person].map(({ name, value }) => [name, value ?? null])),
  };
}

function toRow(
  past: PastDecision,
  { population, decider }: { readonly population: Statistics | undefined; readonly decider: Decider },
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
    verified: verifyDecision(past, population, decider).every(({ verdict }) => verdict === 'match'),
    degradations: decision.degradations.map((each) => namesOfDegradation[each] ?? 'unspecified'),
    outcome: reaction ?? null,
    outcome_at: outcome?.outcome_at === undefined ? null : new Date(outcome.outcome_at).toISOString(),
    dwell_ms: outcome?.dwell_ms ?? null,
    reward_milli: hasReward ? rewardMilli(reaction as OutcomeName, outcome?.dwell_ms) : null,
    reward_version: hasReward ? rewards.version : null,
  };
}
