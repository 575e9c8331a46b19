import { vectorNames, vectorVersion } from '../features/vector.ts';
import type { Database } from '../platform/database.ts';
import { rewards } from './rewards.ts';
import { noShadow, type ShadowCounters } from './shadow.ts';
import { counterColumns } from './shadow-store.ts';

/** What is known of one version of a policy in the shadow, over all people. */
export interface ShadowTotals {
  readonly policy: string;
  readonly version: string;
  /** UTC days with decisions that it went through, and the first and the last of them: `2026-11-23`. */
  readonly days: number;
  readonly firstDay: string;
  readonly lastDay: string;
  readonly people: number;
  readonly counters: ShadowCounters;
  /** Decisions that it has yet to go through. Undefined: nobody knows where it stands. */
  readonly behind: number | undefined;
}

/** One version of a policy. */
export type PolicyKey = Pick<ShadowTotals, 'policy' | 'version'>;

type Client = Pick<Database, 'query'>;

/** SQL, over rows of `shadow_daily`. */
const totalColumns = `count(DISTINCT day)::int AS days,
  ARRAY[${counterColumns.map((column) => `${column.endsWith('_max_micro') ? 'max' : 'sum'}(${column})::float8`).join(', ')}] AS counts`;

/** All shadows there have been, by name and version. `policy`: only that one. */
export async function readShadows(client: Client, policy?: string): Promise<readonly ShadowTotals[]> {
  const { rows } = await client.query<Omit<ShadowTotals, 'counters'> & { readonly counts: readonly number[] }>(
    `WITH totals AS (
      SELECT policy, policy_version, min(day)::text AS first_day, max(day)::text AS last_day,
        count(DISTINCT user_id)::int AS people, ${totalColumns}
      FROM shadow_daily GROUP BY policy, policy_version
    )
    SELECT policy, policy_version AS version, coalesce(days, 0) AS days, coalesce(first_day, '') AS "firstDay",
      coalesce(last_day, '') AS "lastDay", coalesce(people, 0) AS people, coalesce(counts, '{}') AS counts,
      CASE WHEN decision_id IS NOT NULL THEN (
        SELECT count(*)::float8 FROM events WHERE type LIKE '%.TipScored'
          AND (transaction_id, event_id) > (cursor.transaction_id, cursor.decision_id)
      ) END AS behind
    FROM totals FULL JOIN shadow_cursors AS cursor USING (policy, policy_version)
    WHERE $1::text IS NULL OR policy = $1 ORDER BY policy, policy_version`,
    [policy ?? null],
  );
  return rows.map(({ counts, behind, ...totals }) => ({
    ...totals,
    behind: behind ?? undefined,
    counters: toCounters(counts),
  }));
}

/** The days and the sums of one version alone. All are 0 where it was never in the shadow. */
export async function readShadow(
  client: Client,
  { policy, version }: PolicyKey,
): Promise<Pick<ShadowTotals, 'days' | 'counters'>> {
  const { rows } = await client.query<{ readonly days: number; readonly counts: readonly (number | null)[] }>(
    `SELECT ${totalColumns} FROM shadow_daily WHERE policy = $1 AND policy_version = $2`,
    [policy, version],
  );
  return { days: rows[0]?.days ?? 0, counters: toCounters(rows[0]?.counts ?? []) };
}

function toCounters(counts: readonly (number | null)[]): ShadowCounters {
  return Object.fromEntries(
    Object.keys(noShadow).map((name, i) => [name, counts[i] ?? 0]),
  ) as unknown as ShadowCounters;
}

/** A decision that a shadow scored and whose outcome is known. */
export interface RewardedScore {
  readonly userId: string;
  /** Of the tip that was shown, under the policy that showed it. */
  readonly propensity: number;
  /** Of the same tip, under the shadow. */
  readonly shadowPropensity: number;
  readonly unsupported: number;
  /** In thousandths. */
  readonly rewardMilli: number;
  /** Of the tip that was shown, and the mean under the shadow. Both or neither: they are of another encoding. */
  readonly vectors: { readonly chosen: readonly number[]; readonly expected: readonly number[] } | undefined;
}

const pageSize = 1_000;

/**
 * All of a shadow's that have a reward by now, in the order of people, a page at a time. On a client in a transaction of
 * its own all pages, and all readings, see the same. `decidedBy`: only decisions of that one.
 */
export async function* readRewarded(
  client: Client,
  { policy, version }: PolicyKey,
  decidedBy?: PolicyKey,
): AsyncGenerator<RewardedScore> {
  let after = { user_id: '', decision_id: '00000000-0000-0000-0000-000000000000' };
  for (;;) {
    const { rows } = await client.query<Row>({
      name: 'rewarded-shadow',
      text: `
        SELECT shadow.user_id, shadow.decision_id, scored.propensity, shadow.propensity AS shadow_propensity,
          shadow.unsupported, tip.reward_milli, shadow.expected_vector,
          CASE WHEN scored.vector_version = $6 THEN scored.vector END AS vector
        FROM shadow_scores AS shadow
        JOIN tip_scores AS scored USING (decision_id, user_id)
        JOIN tip_outcomes AS tip USING (user_id, tip_id, decision_id)
        WHERE shadow.policy = $1 AND shadow.policy_version = $2 AND tip.reward_version = $3
          AND (shadow.user_id, shadow.decision_id) > ($4, $5::uuid)
          AND ($7::text IS NULL OR (scored.policy = $7 AND scored.policy_version = $8))
        ORDER BY shadow.user_id, shadow.decision_id LIMIT ${pageSize}`,
      values: [
        ...[policy, version, rewards.version, after.user_id, after.decision_id, vectorVersion],
        ...[decidedBy?.policy ?? null, decidedBy?.version ?? null],
      ],
    });
    for (const row of rows) yield toRewarded(row);
    const last = rows.at(-1);
    if (rows.length < pageSize || !last) return;
    after = last;
  }
}

interface Row {
  readonly user_id: string;
  readonly decision_id: string;
  readonly propensity: number;
  readonly shadow_propensity: number;
  readonly unsupported: number;
  readonly reward_milli: number;
  readonly expected_vector: readonly number[];
  readonly vector: readonly number[] | null;
}

function toRewarded(row: Row): RewardedScore {
  const { vector, expected_vector: expected } = row;
  const isWhole = vector?.length === vectorNames.length && expected.length === vectorNames.length;
  return {
    userId: row.user_id,
    propensity: row.propensity,
    shadowPropensity: row.shadow_propensity,
    unsupported: row.unsupported,
    rewardMilli: row.reward_milli,
    vectors: isWhole ? { chosen: vector, expected } : undefined,
  };
}
