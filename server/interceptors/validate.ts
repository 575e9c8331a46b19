import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import type { Violation } from '@bufbuild/protovalidate';
import type { Interceptor } from '@connectrpc/connect';
import { type DomainError, invalidArgument } from '../../platform/errors.ts';
import { createValidator } from '../../platform/validator.ts';
import { violationsMax } from './errors.ts';

// In a bad message of more values than this only the first violation is named: one that repeats its faults half a
// million times must not cost seconds to refuse.
const valuesMax = 50_000;

// Compiled rules are kept in them, so there is one of each. Most messages are good, and for those both cost the same.
const firstViolation = createValidator({ failFast: true });
const allViolations = createValidator();

/** Checks every request message, of unary calls and streams, before the handler sees it. */
export const validateInterceptor: Interceptor = (next) => async (req) => {
  if (req.stream) return next({ ...req, message: validateEach(req.method.input, req.message) });
  validate(req.method.input, req.message);
  return next(req);
};

/** Throws `invalid_argument` for a message that breaks a rule of its contract. */
export function validate(schema: DescMessage, message: Message): void {
  const result = firstViolation.validate(schema, message);
  if (result.kind === 'valid') return;
  if (result.kind === 'error') throw result.error;
  const isLarge = countValues(message, valuesMax) > valuesMax;
  const all = isLarge ? undefined : allViolations.validate(schema, message).violations;
  throw toDomainError(all ?? result.violations);
}

/** Compiles the rules of messages, which takes tens of milliseconds, ahead of the first request. */
export function warmUp(schemas: Iterable<DescMessage>): void {
  for (const schema of schemas) {
    for (const validator of [firstViolation, allViolations]) {
      const { error, kind } = validator.validate(schema, create(schema));
      if (kind === 'error') throw new Error(`the rules of ${schema.typeName} cannot be applied`, { cause: error });
    }
  }
}

async function* validateEach<Item extends Message>(schema: DescMessage, items: AsyncIterable<Item>) {
  for await (const item of items) {
    validate(schema, item);
    yield item;
  }
}

/** Where the rule's own words would puzzle a caller. Our enums exclude only their zero, which is what absence reads as. */
const wordsOf: Readonly<Record<string, string>> = {
  'enum.not_in': 'must be set',
  'enum.defined_only': 'must be one of the defined values',
};

function toDomainError(violations: readonly Violation[]): DomainError {
  const listed = violations
    .slice(0, violationsMax)
    .map(({ field, ruleId, message }) => ({ field: pathToString(field), description: wordsOf[ruleId] ?? message }));
  return invalidArgument(listed, { count: violations.length });
}

/** How many values a message holds; stops counting soon after `max`. */
function countValues(value: unknown, max: number): number {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 1;
  let count = 1;
  for (const item of Object.values(value)) {
    count += countValues(item, max - count);
    if (count > max) break;
  }
  return count;
}
