// Old and new events in one stream: what a build does not know waits for one that does, and then counts once.

import { toBinary, toJsonString } from '@bufbuild/protobuf';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fold } from '../../features/buckets.ts';
import { readHistoryBy } from '../../features/history-store.ts';
import { readBuckets } from '../../features/person-store.ts';
import { AdminService } from '../../gen/proto/oo/admin/v1/admin_pb.ts';
import { DeadLetterReason } from '../../gen/proto/oo/events/v1/dead_letter_pb.ts';
import {
  type Envelope as EnvelopeV1,
  EnvelopeSchema as EnvelopeV1Schema,
} from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { newId } from '../../platform/ids.ts';
import { anyPersonEvent } from '../_util/arbitraries.ts';
import { sorted } from '../_util/buckets.ts';
import { type Loop, startLoop } from '../_util/loop.ts';
import { anyNextEvent } from './arbitraries.ts';
import { type Envelope, EnvelopeSchema } from './gen/oo/events/v2/envelope_pb.ts';
import { upcast } from './upcast.ts';
import { decode, deltas, readEnvelope, versions } from './versions.ts';

const users = ['anna', 'ben'];
const count = 60;
const fresh = <Event extends { eventId: string }>(events: readonly Event[]): Event[] =>
  events.map((event) => ({ ...event, eventId: newId(Date.now()) }));
const old = fresh(fc.sample(anyPersonEvent(users), { numRuns: count, seed: 11 }));
const next = fresh(fc.sample(anyNextEvent(users), { numRuns: count, seed: 12 }));

let loop: Loop;
let admin: Client<typeof AdminService>;
beforeAll(async () => {
  loop = await startLoop();
  admin = createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl, defaultTimeoutMs: 20_000 }));
});
afterAll(() => loop[Symbol.asyncDispose]());

/** In binary form or, every other one, in JSON. */
async function publish(version: 'v1' | 'v2', event: EnvelopeV1 | Envelope, i: number): Promise<void> {
  const subject = versions.get(version)?.subjects.get(event.payload.case ?? '')?.subject ?? '';
  const schema = event.$typeName === EnvelopeV1Schema.typeName ? EnvelopeV1Schema : EnvelopeSchema;
  const isJson = i % 2 === 1;
  const data = isJson ? new TextEncoder().encode(toJsonString(schema, event)) : toBinary(schema, event);
  const headers: Record<string, string> = isJson ? { 'Content-Type': 'application/json' } : {};
  await loop.bus.publish(subject, data, { id: event.eventId, timeoutMs: 5_000, headers });
}

const expected = (events: readonly Envelope[], userId: string) =>
  sorted(fold(events.filter((event) => event.userId === userId).flatMap(deltas)));

async function expectTables(events: readonly Envelope[]): Promise<void> {
  for (const userId of users) {
    expect(sorted(await readBuckets(loop.database, userId))).toEqual(expected(events, userId));
  }
}

const filter = { reasons: [DeadLetterReason.UNSUPPORTED_VERSION] };

describe('two versions in one stream', () => {
  it('a build that knows the older one counts that, and puts the newer one aside', async () => {
    for (let i = 0; i < count; i++) {
      for (const [version, events] of [
        ['v1', old],
        ['v2', next],
      ] as const) {
        const event = events[i];
        if (event) await publish(version, event, i);
      }
    }
    await loop.drained();
    await expectTables(old.map(upcast));
    const { deadLetters } = await admin.listDeadLetters({ filter, page: { pageSize: 500 } });
    expect(deadLetters.map(({ eventId }) => eventId).toSorted()).toEqual(next.map(({ eventId }) => eventId).toSorted());
    const [binary] = next;
    const letter = deadLetters.find(({ eventId }) => eventId === binary?.eventId);
    expect(binary && toBinary(EnvelopeSchema, binary)).toEqual(letter?.data);
  });

  it('replayed to the same build they come back', async () => {
    expect(await admin.replayDeadLetters({ filter, maxPerSecond: 10_000 })).toMatchObject({ replayed: BigInt(count) });
    await loop.drained();
    await expectTables(old.map(upcast));
    expect((await admin.listDeadLetters({ filter, page: { pageSize: 500 } })).deadLetters).toHaveLength(count);
  });

  it('replayed after an upgrade they count, once, however often', async () => {
    await loop.consume(decode);
    expect(await admin.replayDeadLetters({ filter, maxPerSecond: 10_000 })).toMatchObject({ replayed: BigInt(count) });
    await loop.drained();
    const all = [...old.map(upcast), ...next];
    await expectTables(all);
    const again = { ...filter, includeReplayed: true };
    expect(await admin.replayDeadLetters({ filter, maxPerSecond: 10_000 })).toMatchObject({ matched: 0n });
    expect(await admin.replayDeadLetters({ filter: again, maxPerSecond: 10_000 })).toMatchObject({
      replayed: BigInt(count),
    });
    await loop.drained();
    await expectTables(all);
  });

  it('both are read back from storage, as events of the newest', async () => {
    const stored: Envelope[] = [];
    for await (const { event } of readHistoryBy(readEnvelope, loop.database, users)) stored.push(event);
    expect(stored).toHaveLength(2 * count);
    for (const userId of users) {
      expect(expected(stored, userId)).toEqual(expected([...old.map(upcast), ...next], userId));
    }
  });
});
