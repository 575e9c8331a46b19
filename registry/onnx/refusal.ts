import { DomainError } from '../../platform/errors.ts';

/** Why a model is not taken. The first ones are found in its bytes alone, the others when it is tried. */
export type RefusalReason =
  | 'TOO_LARGE'
  | 'COMPRESSED'
  | 'NOT_ONNX'
  | 'TRUNCATED'
  | 'TOO_COMPLEX'
  | 'UNSUPPORTED'
  | 'EXTERNAL_DATA'
  | 'TENSOR_INVALID'
  | 'TENSOR_TOO_LARGE'
  | 'NOT_FINITE'
  | 'OPERATOR_UNKNOWN'
  | 'NOT_DETERMINISTIC'
  | 'INPUT_COUNT'
  | 'INPUT_TYPE'
  | 'INPUT_SHAPE'
  | 'OUTPUT_NOT_TENSOR'
  | 'OUTPUT_MISSING'
  | 'OUTPUT_AMBIGUOUS'
  | 'OUTPUT_TYPE'
  | 'OUTPUT_SHAPE'
  | 'POSITIVE_COLUMN'
  | 'DIGEST_DIFFERS'
  | 'GOLDEN_INVALID'
  | 'GOLDEN_DIFFERS'
  | 'RUNTIME_REFUSED'
  | 'TOO_SLOW';

export interface Refusal {
  readonly reason: RefusalReason;
  /** Where in the model, for example `graph.output[1].type`. */
  readonly field: string;
  /** What is wrong, and after it what to do. */
  readonly message: string;
}

export function refused({ reason, field, message }: Refusal): DomainError {
  return new DomainError({
    code: 'invalid_argument',
    reason: `ONNX_${reason}` as const,
    message: `${field}: ${message}`,
    violations: [{ field, description: message }],
  });
}

/** What a stranger named, fit to be read: quoted, short, and of letters that stand where they seem to. */
export function quoted(text: string): string {
  const plain = text.slice(0, 60).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return JSON.stringify(text.length > 60 ? `${plain}…` : plain);
}
