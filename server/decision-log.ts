import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { subjects } from '../gen/proto/oo/contract.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { type Bus, BusError } from '../platform/bus.ts';
import { unavailable } from '../platform/errors.ts';

/** Answered means logged: a decision is in the stream before anyone hears of it. */
export interface DecisionLog {
  /**
   * Appends a decision event and returns the one that stands under its id: this one, or the first, if the id was used
   * before. Throws UNAVAILABLE if the stream does not take it in time; nothing may be answered then.
   */
  append(event: Envelope): Promise<Envelope>;
}

/** Shorter than any sensible caller's deadline, long enough for the bus to come back from a hiccup. */
const publishTimeoutMs = 2_000;

export function createDecisionLog(bus: Pick<Bus, 'publish' | 'read'>): DecisionLog {
  return {
    async append(event) {
      if (event.payload.case === undefined) throw new Error('a decision event without a payload');
      const { stream, subject } = subjects[event.payload.case];
      try {
        const options = { id: event.eventId, timeoutMs: publishTimeoutMs };
        const ack = await bus.publish(subject, toBinary(EnvelopeSchema, event), options);
        return ack.duplicate ? fromBinary(EnvelopeSchema, (await bus.read(stream, ack.sequence)).data) : event;
      } catch (error) {
        if (error instanceof BusError)
          throw unavailable('DECISION_LOG_UNAVAILABLE', 'the decision could not be logged', { cause: error });
        throw error;
      }
    },
  };
}
