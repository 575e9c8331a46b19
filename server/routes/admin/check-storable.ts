import { type FieldViolation, invalidArgument } from '../../../platform/errors.ts';

/** Throws `invalid_argument` for the one character that no text of the database can hold. */
export function checkStorable(fields: Readonly<Record<string, string>>): void {
  const violations = Object.entries(fields)
    .filter(([, value]) => value.includes('\0'))
    .map(([name]): FieldViolation => ({ field: name, description: 'must not hold U+0000' }));
  if (violations.length > 0) throw invalidArgument(violations);
}
