import type { Database } from '../platform/database.ts';
import type { RolloutStep, Stage, StoredVerdict } from './rollout.ts';

/** Errors are those of the database. */
export interface RolloutStore {
  /** Every step, without its verdict, in order. Undefined: none came after the step of this number. */
  readSteps(knownNumber: number): Promise<readonly RolloutStep[] | undefined>;
  /** Appends all or none. False: somebody else has taken a step since. */
  append(steps: readonly RolloutStep[]): Promise<boolean>;
  /** A page of steps before one, newest first, with their verdicts. `policy`: only of that one, in all versions. */
  list(page: {
    readonly limit: number;
    readonly before: number | undefined;
    readonly policy: string | undefined;
  }): Promise<{ readonly steps: readonly RolloutStep[]; readonly isLast: boolean }>;
  /** What the gate said last, of each policy that it was asked about. */
  readVerdicts(): Promise<readonly StoredVerdict[]>;
  /** Keeps a verdict in the place of an earlier one about the same. */
  putVerdict(verdict: StoredVerdict): Promise<void>;
}

export function createRolloutStore(database: Pick<Database, 'query'>): RolloutStore {
  return {
    async readSteps(knownNumber) {
      const asked = { name: 'rollout-steps', text: allSteps, values: [knownNumber] };
      const { rows } = await database.query<Row>(asked);
      return rows.length === 0 ? undefined : rows.map(toStep);
    },

    async append(steps) {
      try {
        const { rowCount } = await database.query(appendSteps, [JSON.stringify(steps), steps[0]?.number]);
        return rowCount === steps.length;
      } catch (error) {
        if (isTaken(error)) return false;
        throw error;
      }
    },

    async list({ limit, before, policy }) {
      const { rows } = await database.query<Row>(page, [before, policy, limit + 1]);
      return { steps: rows.slice(0, limit).map(toStep), isLast: rows.length <= limit };
    },

    async readVerdicts() {
      const { rows } = await database.query<{ verdict: StoredVerdict }>('SELECT verdict FROM gate_verdicts');
      return rows.map(({ verdict }) => verdict);
    },

    async putVerdict(verdict) {
      await database.query(
        `INSERT INTO gate_verdicts (subject, judged_at, verdict) VALUES ($1, to_timestamp($2 / 1000.0), $3)
        ON CONFLICT (subject) DO UPDATE SET judged_at = excluded.judged_at, verdict = excluded.verdict
        WHERE gate_verdicts.judged_at <= excluded.judged_at`,
        [verdict.subject, verdict.judgedAtMs, JSON.stringify(verdict)],
      );
    },
  };
}

interface Row {
  readonly number: number;
  readonly policy: string;
  readonly version: string;
  readonly atMs: number;
  readonly actor: string;
  readonly caller: string;
  readonly from: Stage | null;
  readonly to: Stage;
  readonly percent: number;
  readonly reason: string;
  readonly expectedDivergence: string | null;
  readonly overrideReason: string | null;
  readonly causeNumber: number | null;
  readonly cardHash: string | null;
  readonly verdict: StoredVerdict | null;
}

const toStep = ({
  from,
  verdict,
  expectedDivergence,
  overrideReason,
  causeNumber,
  cardHash,
  ...row
}: Row): RolloutStep => ({
  ...row,
  from: from ?? undefined,
  verdict: verdict ?? undefined,
  expectedDivergence: expectedDivergence ?? undefined,
  overrideReason: overrideReason ?? undefined,
  causeNumber: causeNumber ?? undefined,
  cardHash: cardHash ?? undefined,
});

const columns = `number::float8, policy, policy_version AS version,
  (extract(epoch FROM created_at) * 1000)::float8 AS "atMs", actor, caller, from_stage AS "from", to_stage AS "to", percent,
  reason, expected_divergence AS "expectedDivergence", override_reason AS "overrideReason",
  cause_number::float8 AS "causeNumber", card_hash AS "cardHash"`;

/** Few, as people take them. A verdict has pages, and tells nothing of where a policy stands. */
const allSteps = `
  SELECT ${columns}, NULL AS verdict FROM rollouts
  WHERE (SELECT max(number) FROM rollouts) > $1::int8 ORDER BY rollouts.number`;

const page = `
  SELECT ${columns}, verdict FROM rollouts
  WHERE ($1::int8 IS NULL OR number < $1) AND ($2::text IS NULL OR policy = $2)
  ORDER BY rollouts.number DESC LIMIT $3`;

/** Of two that go on from the same step, the second waits for the first, and fails since its number is taken. */
const appendSteps = `
  INSERT INTO rollouts (number, policy, policy_version, created_at, actor, caller, from_stage, to_stage, percent, reason,
    expected_divergence, override_reason, cause_number, card_hash, verdict)
  SELECT number, policy, version, to_timestamp("atMs" / 1000.0), actor, caller, "from", "to", percent, reason,
    "expectedDivergence", "overrideReason", "causeNumber", "cardHash", verdict
  FROM jsonb_to_recordset($1::jsonb) AS step (number int8, policy text, version text, "atMs" float8, actor text,
    caller text, "from" text, "to" text, percent int2, reason text, "expectedDivergence" text, "overrideReason" text,
    "causeNumber" int8, "cardHash" text, verdict jsonb)
  WHERE $2::int8 = coalesce((SELECT max(number) FROM rollouts), 0) + 1`;

/** unique_violation */
const isTaken = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === '23505';
