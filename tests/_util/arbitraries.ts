import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { toTimestamp } from '../../features/time.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';

/** Valid events that move the profile features, of a few people, over a few months: close enough to collide. */
export function anyPersonEvent(userIds: readonly string[] = ['u']): fc.Arbitrary<Envelope> {
  const payload: fc.Arbitrary<Envelope['payload']> = fc.oneof(
    fc.constant({ case: 'tipServed' as const, value: { tipId: 't' } }),
    fc.record({
      case: fc.constant('tipFeedback' as const),
      value: fc.record(
        {
          tipId: fc.constant('t'),
          reaction: fc.integer({ min: 1, max: 5 }),
          dwellMs: fc.bigInt({ min: 0n, max: 2_592_000_000n }),
          hourOfDay: fc.integer({ min: 0, max: 23 }),
        },
        { requiredKeys: ['tipId', 'reaction'] },
      ),
    }),
  ) as fc.Arbitrary<Envelope['payload']>;
  return fc
    .record({
      eventId: fc.uuid({ version: 7 }),
      userId: fc.constantFrom(...userIds),
      occurredAtMs: fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2026, 3) }),
      payload,
    })
    .map(({ occurredAtMs, ...rest }) =>
      create(EnvelopeSchema, {
        ...rest,
        occurredAt: toTimestamp(occurredAtMs),
        schemaVersion: 'v1',
        producer: 'test',
      } as Parameters<typeof create<typeof EnvelopeSchema>>[1]),
    );
}
