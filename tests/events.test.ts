import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { connect, headers } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, startLoop } from './_util/loop.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const id = () => newId(Date.now());
const candidates = [{ id: 'a', kind: TipKind.TASK, source: TipSource.TASK_DIRECT }];

describe('an event published by hand', () => {
  const event = (userId: string, payload: Envelope['payload']) =>
    create(EnvelopeSchema, {
      eventId: id(),
      occurredAt: { seconds: BigInt(Math.floor(Date.now() / 1000)) },
      schemaVersion: 'v1',
      producer: 'by-hand',
      userId,
      payload,
    });

  it.each(['binary', 'JSON'] as const)(
    'in %s moves the right feature, and published again does not',
    async (encoding) => {
      const userId = `by-hand-${encoding}`;
      const served = event(userId, { case: 'tipServed', value: { tipId: 't' } } as Envelope['payload']);
      const done = event(userId, {
        case: 'tipFeedback',
        value: { tipId: 't', reaction: Reaction.DONE, dwellMs: 30_000n, hourOfDay: 9 },
      } as Envelope['payload']);
      const connection = await connect({ servers: loop.nats.url });
      const publish = async (subject: string, envelope: Envelope) => {
        const head = headers();
        if (encoding === 'JSON') head.set('Content-Type', 'application/json');
        const data = encoding === 'JSON' ? toJsonString(EnvelopeSchema, envelope) : toBinary(EnvelopeSchema, envelope);
        await connection.jetstream().publish(subject, data, { headers: head }); // no message id: the stream keeps repeats
      };
      const known = async () => {
        await loop.drained();
        const { featureValues } = await loop.client.score({ userId, candidates });
        return Object.fromEntries(featureValues.map(({ name, value }) => [name, value]));
      };

      expect(await known()).toMatchObject({ completion_rate_30d: undefined, tip_volume_30d: undefined });
      await publish('signals.tip.served', served);
      expect(await known()).toMatchObject({ completion_rate_30d: 0, tip_volume_30d: 1, preferred_hour: undefined });
      await publish('feedback.tip.reacted', done);
      const after = await known();
      expect(after).toMatchObject({ completion_rate_30d: 1, mean_dwell_ms_30d: 30_000, preferred_hour: 9 });
      await publish('signals.tip.served', served);
      await publish('feedback.tip.reacted', done);
      await publish('signals.tip.feedback', done); // the older subject, another stream: still the same event
      expect(await known()).toEqual({ ...after, hour_of_day: expect.any(Number) });
      await connection.close();
    },
  );
});
