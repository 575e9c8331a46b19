import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/proto/google/rpc/error_details_pb.ts';

/** What a program sees of a call that is to fail. `fields`: the bad ones. */
export async function failureOf(call: Promise<unknown>) {
  const error = await call.then(() => new ConnectError('answered', Code.Unknown), ConnectError.from);
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    code: error.code,
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
    fields: violations.map(({ field }) => field),
    description: violations[0]?.description,
  };
}
