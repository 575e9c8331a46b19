import { type Buckets, bucketTables, fold } from '../../features/buckets.ts';
import { personDeltas } from '../../features/deltas.ts';
import type { Envelope } from '../../gen/proto/oo/events/v1/envelope_pb.ts';

/** Buckets with their rows in one order, so that they compare. */
export function sorted(buckets: Partial<Buckets>): Record<string, readonly object[]> {
  const text = (row: object) => JSON.stringify(Object.entries(row).toSorted());
  return Object.fromEntries(
    bucketTables
      .filter((table) => buckets[table] !== undefined)
      .map((table) => [table, (buckets[table] ?? []).toSorted((a, b) => (text(a) < text(b) ? -1 : 1))]),
  );
}

/** What the tables must hold of one person, by the pure fold over the distinct events, the first of each id. */
export function expectedOf(events: readonly Envelope[], userId: string): Record<string, readonly object[]> {
  const distinct = new Map(events.toReversed().map((event) => [event.eventId.toLowerCase(), event]));
  return sorted(fold([...distinct.values()].filter((event) => event.userId === userId).flatMap(personDeltas)));
}
