import { decisionDeltas } from '../experiments/deltas.ts';
import { personDeltas } from '../features/deltas.ts';
import type { Delta } from '../features/tables.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { generationDeltas } from '../generation/deltas.ts';

/** All that an event adds to the tables. Pure: the event is valid, and the same event always adds the same. */
export function deltas(event: Envelope): readonly Delta[] {
  return [...personDeltas(event), ...decisionDeltas(event), ...generationDeltas(event)];
}
