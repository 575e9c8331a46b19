import type { Database } from '../platform/database.ts';
import { noDecision } from './definitions/outcomes.ts';

/** A tip that was shown, to which nobody has reacted. */
export interface OpenTip {
  readonly userId: string;
  readonly tipId: string;
  /** Empty: shown without a decision. */
  readonly decisionId: string;
  readonly servedAtMs: number;
}

const pageSize = 500;

/**
 * The open tips that were shown from one instant until before another, the oldest first, a page at a time. Where either
 * the showing or the reaction does not say which decision the tip was of, they stand in two rows: such a tip is not open.
 */
export async function* readOpenTips(
  database: Pick<Database, 'query'>,
  shown: { readonly fromMs: number; readonly beforeMs: number },
): AsyncGenerator<readonly OpenTip[]> {
  let after: Row | undefined;
  do {
    const { rows } = await database.query<Row>({
      name: 'read-open-tips',
      text: `
        SELECT user_id, tip_id, decision_id, (extract(epoch FROM served_at) * 1000)::float8 AS served_at_ms
        FROM tip_outcomes AS tip
        WHERE outcome IS NULL AND served_at >= to_timestamp($2 / 1000.0) AND served_at < to_timestamp($1 / 1000.0)
          AND (served_at, user_id, tip_id, decision_id) > (to_timestamp($2 / 1000.0), $3, $4, $5::uuid)
          AND NOT EXISTS (
            SELECT FROM tip_outcomes AS other
            WHERE (other.user_id, other.tip_id) = (tip.user_id, tip.tip_id)
              AND '${noDecision}' IN (other.decision_id, tip.decision_id)
              AND other.outcome <> 'ignored' AND other.outcome_at >= tip.served_at)
        ORDER BY served_at, user_id, tip_id, decision_id LIMIT ${pageSize}`,
      values: [
        shown.beforeMs,
        after?.served_at_ms ?? shown.fromMs,
        after?.user_id ?? '',
        after?.tip_id ?? '',
        after?.decision_id ?? noDecision,
      ],
    });
    if (rows.length > 0) yield rows.map(toOpenTip);
    after = rows.length < pageSize ? undefined : rows.at(-1);
  } while (after);
}

interface Row {
  readonly user_id: string;
  readonly tip_id: string;
  readonly decision_id: string;
  readonly served_at_ms: number;
}

function toOpenTip({ user_id, tip_id, decision_id, served_at_ms }: Row): OpenTip {
  const decisionId = decision_id === noDecision ? '' : decision_id;
  return { userId: user_id, tipId: tip_id, decisionId, servedAtMs: served_at_ms };
}
