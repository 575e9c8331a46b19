// What a build would have that knows a second version of the contract, as docs/architecture.md says under "Adding".
import { create } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { createDecode } from '../../consumers/decode.ts';
import { deltas as deltasOfV1 } from '../../consumers/deltas.ts';
import { createReadEnvelope, nextVersion, versions as released } from '../../features/envelope.ts';
import type { Delta } from '../../features/tables.ts';
import { EnvelopeSchema as EnvelopeV1Schema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipFeedbackSchema as TipFeedbackV1Schema } from '../../gen/proto/oo/events/v1/feedback_pb.ts';
import { type Envelope, EnvelopeSchema } from './gen/oo/events/v2/envelope_pb.ts';
import type { TipFeedback } from './gen/oo/events/v2/feedback_pb.ts';
import { upcast } from './upcast.ts';

export const versions = nextVersion(released, EnvelopeSchema, upcast);

/** The tables did not change with the version: what they get of a v2 event is said in the words of v1. */
export function deltas({ $typeName: _, $unknown, payload, ...envelope }: Envelope): readonly Delta[] {
  return deltasOfV1(
    create(EnvelopeV1Schema, {
      ...envelope,
      payload: payload.case === 'tipFeedback' ? { case: payload.case, value: feedbackV1(payload.value) } : payload,
    }),
  );
}

function feedbackV1({ tipId, decisionId, reaction, hourOfDay, dayOfWeek, dwell }: TipFeedback) {
  const dwellMs = dwell && BigInt(durationMs(dwell));
  return create(TipFeedbackV1Schema, { tipId, decisionId, reaction, hourOfDay, dayOfWeek, dwellMs });
}

export const decode = createDecode(versions, deltas);
export const readEnvelope = createReadEnvelope(versions);
