import { createPopulationReader } from '../experiments/population-store.ts';
import { profileTables } from '../features/definitions.ts';
import type { Database } from '../platform/database.ts';
import { derivedId } from '../platform/ids.ts';
import { lazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import { openDeciders } from './deciders.ts';
import { readHistories } from './histories.ts';
import { atDecisions } from './point-in-time.ts';
import { isTooOld } from './verify.ts';

/** What the tables know by an id. */
export type Found =
  | { readonly kind: 'decision'; readonly records: DecisionRecords }
  /** The id of a request: this is its decision. */
  | { readonly kind: 'request'; readonly decisionId: string }
  /** An event of another type. */
  | { readonly kind: 'other_event'; readonly type: string }
  /** It counted once, and nothing is kept of it: its person was erased or, if months were dropped, it may have gone with one. */
  | { readonly kind: 'forgotten'; readonly wereMonthsDropped: boolean }
  | { readonly kind: 'unknown' };

/** All that is stored about a decision. */
export type DecisionRecords = NonNullable<Awaited<ReturnType<typeof readRecords>>>;

/** The row of a decision in `tip_scores`. */
export interface ScoredRow {
  readonly request_id: string;
  readonly user_id: string;
  readonly tip_id: string;
  readonly decided_at: Date;
  readonly policy: string;
  readonly policy_version: string;
  readonly model_version: string | null;
  readonly tip_kind: string;
  readonly tip_source: string;
  readonly llm_model: string | null;
  readonly prompt_version: string | null;
  readonly score: number;
  readonly propensity: number;
  readonly candidates: number;
  readonly degradations: readonly string[];
}

/** What became of the tip. Null: not yet, or not known. */
export interface OutcomeRow {
  readonly served_at: Date | null;
  readonly outcome: string | null;
  readonly outcome_at: Date | null;
  readonly reward_milli: number | null;
  readonly reward_version: string | null;
}

export interface ReactionRow {
  readonly reaction: string;
  readonly reacted_at: Date;
  readonly dwell_ms: number | null;
  readonly reward_milli: number;
}

/** Everybody's sums that a decision started from. */
export interface MeasurementRow {
  readonly measured_at: Date;
  readonly people: number;
  readonly count: number;
}

type Queryable = Pick<Database, 'query'>;

/** Looks an id up, in lower case. Reads only. Errors are those of the database. */
export async function findDecision(database: Database, id: string): Promise<Found> {
  const event = await readEvent(database, id);
  if (event?.type === decisionType) {
    const records = await readRecords(database, id, event.user_id);
    if (records) return { kind: 'decision', records };
  }
  if (event) return { kind: 'other_event', type: event.type };
  const decisionId = derivedId(decisionType, id);
  const { rows } = await database.query<{ is_request: boolean; has_counted: boolean; were_dropped: boolean }>(
    `SELECT EXISTS (SELECT FROM tip_scores WHERE decision_id = $1 AND request_id = $2) AS is_request,
      EXISTS (SELECT FROM event_ids WHERE event_id = $2) AS has_counted,
      EXISTS (SELECT FROM dropped_partitions) AS were_dropped`,
    [decisionId, id],
  );
  if (rows[0]?.is_request) return { kind: 'request', decisionId };
  if (rows[0]?.has_counted) return { kind: 'forgotten', wereMonthsDropped: rows[0].were_dropped };
  return { kind: 'unknown' };
}

const decisionType = 'oo.events.v1.TipScored';

/** By its row in `tip_scores`; only where there is none, by a search through all events. */
async function readEvent(database: Queryable, id: string) {
  const scored = await database.query<{ user_id: string }>('SELECT user_id FROM tip_scores WHERE decision_id = $1', [
    id,
  ]);
  if (scored.rows[0]) return { ...scored.rows[0], type: decisionType };
  const text = 'SELECT user_id, type FROM events WHERE event_id = $1 LIMIT 1';
  return (await database.query<{ user_id: string; type: string }>(text, [id])).rows[0];
}

async function readRecords(database: Database, decisionId: string, userId: string) {
  const [scored, whole] = [await readScored(database, decisionId), await readWhole(database, decisionId, userId)];
  const tipId = whole?.past.decision.tipId ?? scored?.tip_id;
  if (tipId === undefined) return undefined;
  const key = [userId, tipId, decisionId];
  const outcome = await database.query<OutcomeRow>(outcomeOfTip, key);
  const reactions = await database.query<ReactionRow>(reactionsToTip, key);
  return { decisionId, userId, scored, whole, outcome: outcome.rows[0], reactions: reactions.rows };
}

async function readScored(database: Queryable, decisionId: string): Promise<ScoredRow | undefined> {
  const { rows } = await database.query<ScoredRow>('SELECT * FROM tip_scores WHERE decision_id = $1', [decisionId]);
  return rows[0];
}

/** The decision with what it had seen. Undefined: its event is not there any more. */
async function readWhole(database: Database, decisionId: string, userId: string) {
  for await (const { events, completeFromDay } of readHistories(database, { userIds: [userId] })) {
    for (const past of atDecisions(events, profileTables)) {
      if (past.decisionId !== decisionId) continue;
      const { populationId } = past.decision;
      await using onnx = lazyOnnxPool();
      const decider = await (await openDeciders(database, onnx))(past.decision);
      const population = await createPopulationReader(database).read(populationId);
      const measurement = populationId === '' ? undefined : await readMeasurement(database, populationId);
      return { past, population, measurement, decider, isTooOld: isTooOld(past.decidedAtMs, completeFromDay) };
    }
  }
  return undefined;
}

async function readMeasurement(database: Queryable, populationId: string): Promise<MeasurementRow | undefined> {
  const { rows } = await database.query<MeasurementRow>(
    'SELECT measured_at, people::float8, count::float8 FROM policy_population WHERE id = $1',
    [populationId],
  );
  return rows[0];
}

const outcomeOfTip = `
  SELECT served_at, outcome, outcome_at, reward_milli, reward_version FROM tip_outcomes
  WHERE (user_id, tip_id, decision_id) = ($1, $2, $3::uuid)`;

const reactionsToTip = `
  SELECT reaction, reacted_at, dwell_ms::float8, reward_milli FROM tip_feedback
  WHERE (user_id, tip_id, decision_id) = ($1, $2, $3::uuid) ORDER BY reacted_at, event_id`;
