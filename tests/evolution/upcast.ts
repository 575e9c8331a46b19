import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Envelope as EnvelopeV1 } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import type { TipFeedback as TipFeedbackV1 } from '../../gen/proto/oo/events/v1/feedback_pb.ts';
import { type Envelope, EnvelopeSchema } from './gen/oo/events/v2/envelope_pb.ts';
import { Surface, type TipFeedback, TipFeedbackSchema } from './gen/oo/events/v2/feedback_pb.ts';

/** A valid v1 event as its v2 producer would have published it. Pure. */
export function upcast({ $typeName: _, $unknown, payload, ...envelope }: EnvelopeV1): Envelope {
  return create(EnvelopeSchema, {
    ...envelope,
    schemaVersion: 'v2',
    payload: payload.case === 'tipFeedback' ? { case: payload.case, value: upcastFeedback(payload.value) } : payload,
  });
}

function upcastFeedback({ $typeName: _, $unknown, dwellMs, ...feedback }: TipFeedbackV1): TipFeedback {
  return create(TipFeedbackSchema, {
    ...feedback,
    ...(dwellMs === undefined ? {} : { dwell: durationFromMs(Number(dwellMs)) }),
    surface: Surface.NOT_RECORDED,
  });
}
