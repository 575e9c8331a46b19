import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Occurrence, PayloadCase } from './definitions/feature.ts';
import { featureGroups } from './definitions.ts';
import type { Delta } from './tables.ts';
import { toMs } from './time.ts';

type Contribute = (event: Occurrence, payload: unknown) => readonly Delta[];

const cases = new Set(featureGroups.flatMap(({ contributes }) => Object.keys(contributes) as PayloadCase[]));
const contributors = new Map<string, readonly Contribute[]>(
  [...cases].map((name) => [name, featureGroups.flatMap(({ contributes }) => (contributes[name] as Contribute) ?? [])]),
);

/**
 * What an event adds to the tables behind the features. Pure: the stream's consumer, a rebuild, the training set and the
 * tests all call it, so that there is no second definition to drift from. The event is valid (the contract's rules hold).
 */
export function personDeltas({ userId, eventId, occurredAt, payload }: Envelope): readonly Delta[] {
  const contribute = payload.case && contributors.get(payload.case);
  if (!contribute) return [];
  const occurrence: Occurrence = { userId, eventId, atMs: toMs(occurredAt) };
  return contribute.flatMap((each) => each(occurrence, payload.value));
}
