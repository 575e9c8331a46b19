import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { PublishOptions } from '../platform/bus.ts';
import { createEventPublisher, type EventInit } from './create-publisher.ts';

interface Published {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly options: PublishOptions;
}

function recorder() {
  const published: Published[] = [];
  const bus = {
    publish: async (subject: string, data: Uint8Array, options: PublishOptions) => {
      published.push({ subject, data, options });
      return { sequence: published.length, duplicate: false };
    },
  };
  return { published, publisher: createEventPublisher({ bus, producer: 'app@1' }) };
}

const served: EventInit = { userId: 'anna', payload: { case: 'tipServed', value: { tipId: 't' } } };

describe('the event publisher', () => {
  it('fills in the envelope and picks the subject of the payload; the event id is the message id', async () => {
    const { published, publisher } = recorder();
    const eventId = await publisher.publish(served);
    const [only] = published;
    expect(only).toMatchObject({ subject: 'signals.tip.served', options: { id: eventId } });
    expect(fromBinary(EnvelopeSchema, only?.data ?? new Uint8Array())).toMatchObject({
      eventId,
      schemaVersion: 'v1',
      producer: 'app@1',
      userId: 'anna',
      payload: { case: 'tipServed' },
    });
  });

  it('keeps the id and the time it is given', async () => {
    const { published, publisher } = recorder();
    const eventId = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
    expect(await publisher.publish({ ...served, eventId, occurredAt: { seconds: 1_790_000_000n } })).toBe(eventId);
    expect(fromBinary(EnvelopeSchema, published[0]?.data ?? new Uint8Array()).occurredAt?.seconds).toBe(1_790_000_000n);
  });

  const bad: readonly [string, EventInit, RegExp][] = [
    ['no person', { ...served, userId: '' }, /user_id/],
    ['an id that is no UUID', { ...served, eventId: 'seven' }, /event_id/],
    ['a reaction left out', { ...served, payload: { case: 'tipFeedback', value: { tipId: 't' } } }, /reaction/],
    [
      'more overdue than open tasks',
      { ...served, payload: { case: 'taskSynced', value: { provider: 'todoist', overdueTasks: 1 } } },
      /overdue_tasks/,
    ],
  ];
  it.each(bad)('refuses %s before anything is published', async (_, event, message) => {
    const { published, publisher } = recorder();
    await expect(publisher.publish(event)).rejects.toThrow(message);
    expect(published).toEqual([]);
  });
});
