import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { anyPersonEvent } from '../_util/arbitraries.ts';
import type { Envelope } from './gen/oo/events/v2/envelope_pb.ts';
import { type Surface, TipFeedbackSchema } from './gen/oo/events/v2/feedback_pb.ts';
import { upcast } from './upcast.ts';

const anyDwell = fc.record({
  seconds: fc.bigInt({ min: 0n, max: 2_591_999n }),
  nanos: fc.integer({ min: 0, max: 999_999_999 }), // finer than v1 could say
});

/** Valid v2 events as their producers write them: not all of them are what a v1 event becomes. */
export function anyNextEvent(userIds?: readonly string[]): fc.Arbitrary<Envelope> {
  return fc
    .record({
      event: anyPersonEvent(userIds).map(upcast),
      surface: fc.integer({ min: 1, max: 3 }) as fc.Arbitrary<Surface>,
      dwell: fc.option(anyDwell, { nil: undefined }),
    })
    .map(({ event, surface, dwell }) => {
      const { payload } = event;
      if (payload.case !== 'tipFeedback') return event;
      const { $typeName: _, dwell: __, ...feedback } = payload.value;
      const value = create(TipFeedbackSchema, { ...feedback, surface, ...(dwell && { dwell }) });
      return { ...event, payload: { case: payload.case, value } };
    });
}
