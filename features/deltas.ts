import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Occurrence } from './definitions/feature.ts';
import { featureGroups } from './definitions.ts';
import type { Delta } from './tables.ts';
import { toMs } from './time.ts';

/**
 * What an event adds to the tables behind the features. Pure: the stream's consumer, a rebuild, the training set and the
 * tests all call it, so that there is no second definition to drift from. The event is valid (the contract's rules hold).
 */
export function personDeltas({ userId, eventId, occurredAt, payload }: Envelope): readonly Delta[] {
  if (payload.case === undefined) return [];
  const occurrence: Occurrence = { userId, eventId, atMs: toMs(occurredAt) };
  return featureGroups.flatMap(({ contributes }) => {
    const contribute = contributes[payload.case] as
      | ((event: Occurrence, value: typeof payload.value) => readonly Delta[])
      | undefined;
    return contribute?.(occurrence, payload.value) ?? [];
  });
}
