import { DomainError } from '../../../platform/errors.ts';
import type { Refusal, RefusalReason } from '../../../registry/rollout.ts';

/** The field of the request that a refusal is about. */
const fields: Readonly<Record<RefusalReason, string>> = {
  NOT_BEGUN: 'policy',
  ACTOR_MISSING: 'actor',
  CHANGED_MEANWHILE: 'expected_previous_number',
  ILLEGAL_TRANSITION: 'to_stage',
  ANOTHER_CANARY: 'to_stage',
  NOTHING_BEFORE: 'policy',
  SHADOW_TOO_SHORT: 'to_stage',
  CARD_MISSING: 'policy',
  CARD_INCOMPLETE: 'policy',
  VERDICT_MISSING: 'policy',
  VERDICT_OF_ANOTHER: 'policy',
  VERDICT_TOO_OLD: 'policy',
  VERDICT_BLOCKS: 'policy',
  OVERRIDE_WITHOUT_NEED: 'override_reason',
  DIVERGENCE_WITHOUT_NEED: 'expected_divergence',
};

/** A rule of rollouts that a step would break, as the caller sees it. `metadata`: where rollouts stand. */
export function refusedRollout({ reason, message, problems = [] }: Refusal, lastNumber: number): DomainError {
  const field = fields[reason];
  return new DomainError({
    code: 'failed_precondition',
    reason,
    message: `${field}: ${message}`,
    violations: [
      { field, description: message },
      ...problems.map((problem) => ({ ...problem, field: `card.${problem.field}` })),
    ],
    metadata: { lastNumber: String(lastNumber) },
  });
}
