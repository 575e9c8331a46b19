import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { toTimestamp } from '../../features/time.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';

export type Payload = NonNullable<Exclude<MessageInitShape<typeof EnvelopeSchema>, { $typeName: string }>['payload']>;

export const tipIds = ['tip-1', 'tip-2', 'tip-3'];
export const decisionIds = ['0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d', '0190A5D2-7b1c-8cc0-8a5e-2f1f6a5b3c1e'];
const providers = ['todoist', 'google_health'];

const tip = { tipId: fc.constantFrom(...tipIds), decisionId: fc.constantFrom('', ...decisionIds) };
const words = { kind: fc.integer({ min: 0, max: 4 }), source: fc.integer({ min: 0, max: 3 }) };
const small = fc.integer({ min: 0, max: 400 });

const payloads = {
  tipServed: fc.record({ ...tip, ...words }),
  tipFeedback: fc.record(
    {
      ...tip,
      reaction: fc.integer({ min: 1, max: 5 }),
      dwellMs: fc.bigInt({ min: 0n, max: 2_592_000_000n }),
      hourOfDay: fc.integer({ min: 0, max: 23 }),
      dayOfWeek: fc.integer({ min: 1, max: 7 }),
    },
    { requiredKeys: ['tipId', 'decisionId', 'reaction'] },
  ),
  tipIgnored: fc.record({ ...tip, waitedMs: fc.constant(86_400_000n) }),
  taskSynced: small.chain((openTasks) =>
    fc.record({
      provider: fc.constantFrom(...providers),
      openTasks: fc.constant(openTasks),
      overdueTasks: fc.integer({ min: 0, max: openTasks }),
    }),
  ),
  healthSampled: fc.record(
    {
      provider: fc.constantFrom(...providers),
      ...{ steps: small, sleepMinutes: small, activeMinutes: small },
      restingHeartRateBpm: fc.integer({ min: 20, max: 250 }),
    },
    { requiredKeys: ['provider'] },
  ),
  integrationConnected: fc.record({ provider: fc.constantFrom(...providers) }),
  integrationTokenExpired: fc.record({ provider: fc.constantFrom(...providers) }),
} as const;

const anyPayload = fc.oneof(
  ...Object.entries(payloads).map(([name, value]) =>
    (value as fc.Arbitrary<object>).map((fields) => ({ case: name, value: fields }) as Payload),
  ),
);

/** Few instants, so that some events are at the very same time, over a few months, so that windows begin and end. */
const anyInstant = fc.oneof(
  fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2026, 3) }),
  fc.constantFrom(Date.UTC(2026, 1, 1), Date.UTC(2026, 1, 1, 12), Date.UTC(2026, 1, 28, 23, 59, 59, 999)),
);

/**
 * Valid events that move the features, of a few people, over a few months: about few tips, decisions and providers, so
 * that they meet in the same rows.
 */
export function anyPersonEvent(userIds: readonly string[] = ['u']): fc.Arbitrary<Envelope> {
  return fc
    .record({
      eventId: fc.uuid({ version: 7 }),
      userId: fc.constantFrom(...userIds),
      atMs: anyInstant,
      payload: anyPayload,
    })
    .map(({ atMs, ...rest }) =>
      create(EnvelopeSchema, { ...rest, occurredAt: toTimestamp(atMs), schemaVersion: 'v1', producer: 'test' }),
    );
}
