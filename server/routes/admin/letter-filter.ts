import type { LetterFilter } from '../../../features/dead-letter-store.ts';
import { toMs } from '../../../features/time.ts';
import type { DeadLetterFilter } from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { namesOfDeadLetterReason } from '../../../gen/proto/oo/contract.ts';
import { type FieldViolation, invalidArgument } from '../../../platform/errors.ts';

/** What a filter asks for; without one, all that were not replayed. Throws `invalid_argument`, naming every bad field. */
export function readFilter(filter: Partial<DeadLetterFilter> = {}): LetterFilter {
  const { reasons = [], subject = '', seenFrom, seenBefore, includeReplayed = false } = filter;
  const violations: FieldViolation[] = [];
  const refuse = (field: string, description: string) => violations.push({ field: `filter.${field}`, description });
  const names = reasons.flatMap((reason, i) => {
    const name = namesOfDeadLetterReason[reason];
    if (name === undefined) refuse(`reasons[${i}]`, 'must be one of the defined values');
    return name ?? [];
  });
  if (subject.includes('\0')) refuse('subject', 'must not hold NUL');
  if (seenFrom && !isTime(seenFrom)) refuse('seen_from', 'must be a time in the years 1 to 9999');
  if (seenBefore && !isTime(seenBefore)) refuse('seen_before', 'must be a time in the years 1 to 9999');
  if (violations.length > 0) throw invalidArgument(violations);
  return {
    reasons: names.length > 0 ? names : undefined,
    subject: subject === '' ? undefined : subject,
    seenFromMs: seenFrom && toMs(seenFrom),
    seenBeforeMs: seenBefore && toMs(seenBefore),
    includeReplayed,
  };
}

const [firstMs, lastMs] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];

function isTime(time: NonNullable<DeadLetterFilter['seenFrom']>): boolean {
  return toMs(time) >= firstMs && toMs(time) <= lastMs && time.nanos >= 0 && time.nanos < 1e9;
}
