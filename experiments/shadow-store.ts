import { readEnvelope } from '../features/envelope.ts';
import { waitForErasures } from '../features/erasure-store.ts';
import { type PastEvent, readHistory } from '../features/history-store.ts';
import { readWholeFromDay } from '../features/partitions-store.ts';
import { toMs } from '../features/time.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { type Database, inTransaction } from '../platform/database.ts';
import { type ArrayParameter, plainArray, textArray, uuidArray } from '../platform/postgres-arrays.ts';
import { policies } from './policies/index.ts';
import type { Policy } from './policies/policy.ts';
import { createPopulationReader, type PopulationReader } from './population-store.ts';
import { type ShadowScore, scoreShadow } from './score-shadow.ts';
import { addShadow, measuredCounters, noShadow, type ShadowCounters, shadowTime } from './shadow.ts';

/** At most this many decisions in one transaction. */
const decisionsMax = 200;

/** A transaction ends with the decision with which it reaches this: an erasure waits for it. */
const transactionMs = 500;

/** Days for which it is kept what a shadow made of each decision. The counters stay. */
const keptDays = 90;

export interface ShadowStore {
  /**
   * Scores the next decisions that a shadow has not scored yet: keeps what it made of each, adds that to the person's
   * counters and moves on, all or nothing. A shadow that is new begins with the oldest decision there is. Several processes
   * may do it at once: while one is at it, the others get 0. Returns how many decisions it went through, at most 200;
   * another call goes on. Errors are those of the database, and of an envelope that this build cannot read, which waits
   * for one that can; those of the policy are counted.
   */
  scoreNext(policy: Policy): Promise<number>;
  /** Removes what shadows made of decisions that are older than 90 days. */
  forget(nowMs: number): Promise<void>;
}

/** `cpuMicros`: CPU time so far, of what is measured by it. Default: of this thread. */
export function createShadowStore(database: Database, cpuMicros: () => number = ofThisThread): ShadowStore {
  return {
    scoreNext: (policy) =>
      inTransaction(database, async (client) => {
        await client.query(waitForErasures);
        const key = [policy.name, policy.version];
        await client.query({ name: 'begin-shadow', text: beginShadow, values: key });
        const { rows: cursors } = await client.query<Cursor>({ name: 'shadow-cursor', text: lockCursor, values: key });
        const rows = cursors[0] ? await readNext(client, cursors[0]) : [];
        const tally = startTally(policy, createPopulationReader(client), cpuMicros);
        const endsAt = performance.now() + transactionMs;
        let count = 0;
        for (const { user_id, schema_version, envelope } of rows) {
          await tally.add({ userId: user_id, event: readEnvelope(schema_version, envelope) });
          count++;
          if (performance.now() >= endsAt) break;
        }
        const last = rows[count - 1];
        if (last) {
          await client.query({ name: 'add-shadow', text: `${insertScores} ${addDays}`, values: tally.parameters() });
          const values = [...key, last.transaction_id, last.event_id];
          await client.query({ name: 'move-shadow', text: moveCursor, values });
        }
        return count;
      }),
    async forget(nowMs) {
      await database.query('DELETE FROM shadow_scores WHERE decided_at < to_timestamp($1 / 1000.0)', [
        nowMs - keptDays * dayMs,
      ]);
    },
  };
}

/**
 * Makes what shadows said of some people's decisions equal to what their events say, whatever was there, as far as each
 * shadow has come; what comes after that it scores in time. For a transaction that sees one instant and has waited for
 * erasures. Shadows of versions that this build does not have stay as they are, as does what dropped events left behind.
 * Rows that are right are not touched.
 */
export async function rescore(
  client: Pick<Database, 'query'>,
  userIds: readonly string[],
  known: ReadonlyMap<string, Policy> = policies,
): Promise<void> {
  const { rows: cursors } = await client.query<Cursor>(
    'SELECT policy, policy_version, transaction_id::text, decision_id FROM shadow_cursors',
  );
  const populations = createPopulationReader(client);
  const shadows = cursors.flatMap((cursor) => {
    const policy = known.get(cursor.policy);
    if (policy?.version !== cursor.policy_version) return [];
    return [{ cursor, tally: startTally(policy, populations, ofThisThread) }];
  });
  if (shadows.length === 0) return;
  for await (const past of readHistory(client, userIds)) {
    for (const { cursor, tally } of shadows) if (isBefore(past, cursor)) await tally.add(past);
  }
  const wholeFromDay = (await readWholeFromDay(client)) ?? utcDay(0);
  for (const { cursor, tally } of shadows) {
    const whose = [textArray(userIds), cursor.policy, cursor.policy_version, wholeFromDay];
    await client.query(removeSurplus, [...whose, ...tally.keys()]);
    await client.query(`${putScores} ${putDays}`, [...tally.parameters(), wholeFromDay, keptDays]);
  }
}

/** How far a shadow has come. */
interface Cursor {
  readonly policy: string;
  readonly policy_version: string;
  readonly transaction_id: string;
  readonly decision_id: string;
}

interface DecisionRow {
  readonly event_id: string;
  readonly transaction_id: string;
  readonly user_id: string;
  readonly schema_version: string;
  readonly envelope: Buffer;
}

const beginShadow = `
  INSERT INTO shadow_cursors (policy, policy_version, transaction_id, decision_id)
  SELECT $1, $2, '0', '00000000-0000-0000-0000-000000000000'
  WHERE NOT EXISTS (SELECT FROM shadow_cursors WHERE (policy, policy_version) = ($1, $2))
  ON CONFLICT DO NOTHING`;

const lockCursor = `
  SELECT policy, policy_version, transaction_id::text, decision_id FROM shadow_cursors
  WHERE (policy, policy_version) = ($1, $2) FOR NO KEY UPDATE SKIP LOCKED`;

/**
 * Only decisions that were stored by a transaction before the oldest one that is still going on. Whatever may yet be
 * committed comes after them in this order, so that none is passed over that becomes visible late (ADR 13); an instant or
 * an id says nothing of that. One transaction that lasts holds up shadows, and nothing else.
 */
async function readNext(client: Pick<Database, 'query'>, cursor: Cursor): Promise<readonly DecisionRow[]> {
  const { rows } = await client.query<DecisionRow>({
    name: 'next-decisions',
    text: `
      SELECT event_id, transaction_id::text, user_id, schema_version, envelope FROM events
      WHERE type LIKE '%.TipScored' AND (transaction_id, event_id) > ($1::xid8, $2::uuid)
        AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      ORDER BY events.transaction_id, event_id LIMIT ${decisionsMax}`,
    values: [cursor.transaction_id, cursor.decision_id],
  });
  return rows;
}

const moveCursor = `
  UPDATE shadow_cursors SET transaction_id = $3::xid8, decision_id = $4 WHERE (policy, policy_version) = ($1, $2)`;

function isBefore({ transactionId, event }: PastEvent, cursor: Cursor): boolean {
  const last = BigInt(cursor.transaction_id);
  // ids in lower case are in the order of their bytes, as in the database
  return transactionId < last || (transactionId === last && event.eventId.toLowerCase() <= cursor.decision_id);
}

interface Scored extends ShadowScore {
  readonly userId: string;
  readonly decisionId: string;
  readonly decidedAtMs: number;
}

interface Day {
  readonly userId: string;
  readonly day: number;
  readonly counters: ShadowCounters;
}

const counterNames = Object.keys(noShadow) as readonly (keyof ShadowCounters)[];
const columnOf = (name: keyof ShadowCounters): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
/** The columns of `shadow_daily` that hold counters, in the order of `counterNames`. */
export const counterColumns: readonly string[] = counterNames.map(columnOf);
/** Those of them that hold what was measured. */
export const measuredColumns: readonly string[] = measuredCounters.map(columnOf);

/** Scores decisions one by one, and keeps what is to be written of them. */
function startTally(policy: Policy, populations: PopulationReader, cpuMicros: () => number) {
  const scores: Scored[] = [];
  const days = new Map<string, Day>();

  return {
    async add({ userId, event }: Pick<PastEvent, 'userId' | 'event'>) {
      if (event.payload.case !== 'tipScored') return;
      const decision = event.payload.value;
      const population = await populations.read(decision.populationId);
      await new Promise(setImmediate); // a slow shadow must not hold up events that are being stored
      const vectors = decision.candidates.map(({ vector }) => vector);
      const predictions = await policy.predictor?.predict(vectors).catch(() => undefined);
      const before = cpuMicros();
      const shadowed = scoreShadow(policy, decision, population, predictions);
      const spent = shadowed.kind === 'skipped' ? 0 : Math.max(0, Math.round(cpuMicros() - before));
      const decidedAtMs = toMs(event.occurredAt);
      const day = utcDay(decidedAtMs);
      const key = JSON.stringify([userId, day]);
      const sofar = days.get(key)?.counters ?? noShadow;
      const counters = addShadow(sofar, { ...shadowed.counters, ...shadowTime(spent) });
      days.set(key, { userId, day, counters });
      if (shadowed.kind === 'scored')
        scores.push({ ...shadowed.score, userId, decisionId: event.eventId, decidedAtMs });
    },
    /** Of `insertScores` and what follows on it. People come in one order, so that nobody waits for each other. */
    parameters(): (ArrayParameter | string)[] {
      return [
        policy.name,
        policy.version,
        textArray(scores.map(({ userId }) => userId)),
        uuidArray(scores.map(({ decisionId }) => decisionId)),
        plainArray(scores.map(({ decidedAtMs }) => decidedAtMs)),
        plainArray(scores.map(({ propensity }) => propensity)),
        plainArray(scores.map(({ unsupported }) => unsupported)),
        textArray(scores.map(({ topTipId }) => topTipId)),
        textArray(scores.map(({ expectedVector }) => `{${expectedVector.join(',')}}`)),
        ...keysOf([...days.values()]),
        ...counterNames.map((name) => plainArray([...days.values()].map(({ counters }) => counters[name]))),
      ];
    },
    /** Of `removeSurplus`: the decisions, then the people and days that have rows. */
    keys: (): ArrayParameter[] => [
      uuidArray(scores.map(({ decisionId }) => decisionId)),
      ...keysOf([...days.values()]),
    ],
  };
}

const keysOf = (days: readonly Day[]): ArrayParameter[] => [
  textArray(days.map(({ userId }) => userId)),
  plainArray(days.map(({ day }) => day)),
];

const parameterCount = 11 + counterColumns.length;
/** What a rebuild adds to them. */
const wholeFrom = `$${parameterCount + 1}::int4`;
const kept = `$${parameterCount + 2}::int4`;

const dayOf = (number: string): string => `date '1970-01-01' + ${number}`;

const scoreColumns = 'decided_at, propensity, unsupported, top_tip_id, expected_vector';

const givenScores = `
  SELECT user_id, decision_id, $1::text AS policy, $2::text AS policy_version,
    to_timestamp(decided_ms / 1000.0) AS decided_at, propensity, unsupported, top_tip_id, expected::float8[]
  FROM unnest($3::text[], $4::uuid[], $5::int8[], $6::float8[], $7::float8[], $8::text[], $9::text[])
    AS given(user_id, decision_id, decided_ms, propensity, unsupported, top_tip_id, expected)`;

const insertInto = `
  WITH scored AS (
    INSERT INTO shadow_scores AS s (user_id, decision_id, policy, policy_version, ${scoreColumns}) ${givenScores}`;

const insertDays = `
  INSERT INTO shadow_daily AS s (user_id, policy, policy_version, day, ${counterColumns.join(', ')})
  SELECT user_id, $1, $2, ${dayOf('day')}, ${counterColumns.join(', ')}
  FROM unnest($10::text[], $11::int4[], ${counterColumns.map((_, i) => `$${12 + i}::int8[]`).join(', ')})
    AS given(user_id, day, ${counterColumns.join(', ')})
  ORDER BY user_id, day
  ON CONFLICT (user_id, policy, policy_version, day) DO UPDATE SET`;

/** A decision that is there already was never passed before: something is wrong, and nothing is added twice. */
const insertScores = `${insertInto} ORDER BY user_id, decision_id)`;

const addDays = `${insertDays} ${counterColumns
  .map((column) =>
    column.endsWith('_max_micro')
      ? `${column} = greatest(s.${column}, excluded.${column})`
      : `${column} = s.${column} + excluded.${column}`,
  )
  .join(', ')}`;

const tuple = (of: string, columns: readonly string[]): string =>
  `(${columns.map((column) => `${of}.${column}`).join(', ')})`;
const assigned = (columns: readonly string[]): string =>
  columns.map((column) => `${column} = excluded.${column}`).join(', ');

/** Whoever was forgotten stays forgotten. */
const putScores = `${insertInto}
    WHERE to_timestamp(decided_ms / 1000.0) >= now() - make_interval(days => ${kept})
    ORDER BY user_id, decision_id
    ON CONFLICT (user_id, decision_id, policy, policy_version) DO UPDATE SET ${assigned(scoreColumns.split(', '))}
    WHERE ${tuple('s', scoreColumns.split(', '))} IS DISTINCT FROM ${tuple('excluded', scoreColumns.split(', '))}
  )`;

/** The time in a row that is there was measured when it counted. */
const derived = counterColumns.filter((column) => !measuredColumns.includes(column));
const putDays = `${insertDays} ${assigned(derived)}
  WHERE s.day >= ${dayOf(wholeFrom)} AND ${tuple('s', derived)} IS DISTINCT FROM ${tuple('excluded', derived)}`;

const removeSurplus = `
  WITH scores AS (
    DELETE FROM shadow_scores
    WHERE user_id = ANY ($1::text[]) AND policy = $2 AND policy_version = $3 AND decision_id <> ALL ($5::uuid[])
      AND decided_at >= ${dayOf('$4::int4')}
  )
  DELETE FROM shadow_daily AS s
  WHERE user_id = ANY ($1::text[]) AND policy = $2 AND policy_version = $3 AND day >= ${dayOf('$4::int4')}
    AND NOT EXISTS (
      SELECT FROM unnest($6::text[], $7::int4[]) AS right_one(user_id, day)
      WHERE right_one.user_id = s.user_id AND ${dayOf('right_one.day')} = s.day
    )`;

function ofThisThread(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}
