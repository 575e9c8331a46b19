import { readEnvelope } from '../features/envelope.ts';
import { toMs } from '../features/time.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import type { Database } from '../platform/database.ts';
import type { OutcomeName } from './rewards.ts';

/** A decision as it was logged, and what is known by now of what came of it. */
export interface LoggedDecision {
  readonly decisionId: string;
  readonly userId: string;
  readonly decidedAtMs: number;
  readonly decision: TipScored;
  /** Undefined: nothing, or nothing yet. */
  readonly outcome: OutcomeName | undefined;
  readonly dwellMs: number | undefined;
}

const pageSize = 2_000;

/**
 * All decisions whose events are still there, in the order of people, a page at a time. On a client in a transaction of its
 * own all pages, and all readings, see the same. Errors are those of the database, and of an envelope that this build
 * cannot read.
 */
export async function* readDecisionLog(client: Pick<Database, 'query'>): AsyncGenerator<LoggedDecision> {
  let after = { user_id: '', event_id: '00000000-0000-0000-0000-000000000000' };
  for (;;) {
    const { rows } = await client.query<Row>({
      name: 'decision-log',
      text: `
        SELECT event.user_id, event.event_id, event.schema_version, event.envelope, tip.outcome, tip.dwell_ms::float8
        FROM events AS event
        LEFT JOIN tip_scores AS scored ON (scored.decision_id, scored.user_id) = (event.event_id, event.user_id)
        LEFT JOIN tip_outcomes AS tip
          ON (tip.user_id, tip.tip_id, tip.decision_id) = (event.user_id, scored.tip_id, event.event_id)
        WHERE event.type LIKE '%.TipScored' AND (event.user_id, event.event_id) > ($1, $2::uuid)
        ORDER BY event.user_id, event.event_id LIMIT ${pageSize}`,
      values: [after.user_id, after.event_id],
    });
    for (const row of rows) {
      const { payload, occurredAt } = readEnvelope(row.schema_version, row.envelope);
      if (payload.case !== 'tipScored') continue; // of an older version, which went on as something else
      yield {
        decisionId: row.event_id,
        userId: row.user_id,
        decidedAtMs: toMs(occurredAt),
        decision: payload.value,
        outcome: row.outcome ?? undefined,
        dwellMs: row.dwell_ms ?? undefined,
      };
    }
    const last = rows.at(-1);
    if (rows.length < pageSize || !last) return;
    after = last;
  }
}

interface Row {
  readonly user_id: string;
  readonly event_id: string;
  readonly schema_version: string;
  readonly envelope: Buffer;
  readonly outcome: OutcomeName | null;
  readonly dwell_ms: number | null;
}
