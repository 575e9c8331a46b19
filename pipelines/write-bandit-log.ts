import type { Format } from './bandit-log.ts';
import { csvLine } from './csv.ts';
import type { OwnDecision } from './decision-log.ts';

/** A decision to be written, with what a policy would have done. Undefined: no policy was asked. */
export interface ExportedDecision extends OwnDecision {
  readonly targetProbabilities?: readonly number[];
}

/**
 * Our own decisions in the form that `readBanditLog` reads, a line at a time. Numbers are written such that the same ones
 * are read again. Columns that it leaves alone come last, for those who look a decision up.
 */
export async function* writeBanditLog(
  decisions: AsyncIterable<ExportedDecision>,
  format: Format,
): AsyncGenerator<string> {
  let isFirst = true;
  for await (const decision of decisions) {
    const columns = columnsOf(decision);
    if (format === 'csv' && isFirst) yield csvLine(Object.keys(columns));
    yield format === 'csv' ? csvLine(Object.values(columns).map(textOf)) : `${JSON.stringify(columns)}\n`;
    isFirst = false;
  }
}

/** The same ones, in the same order, for all decisions of a log. */
function columnsOf(decision: ExportedDecision): Readonly<Record<string, unknown>> {
  const { targetProbabilities } = decision;
  return {
    user: decision.user,
    reward: decision.reward,
    chosen: decision.chosen,
    propensities: decision.propensities,
    ...(targetProbabilities && { target_probabilities: targetProbabilities }),
    vectors: decision.vectors,
    request_id: decision.requestId,
    decision_id: decision.decisionId,
    decided_at: new Date(decision.decidedAtMs).toISOString(),
    policy: decision.policy,
    policy_version: decision.policyVersion,
    outcome: decision.outcome ?? null,
  };
}

/** Lists are JSON in a field; what is not there is an empty one. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
