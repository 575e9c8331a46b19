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
import { tableRows } from '../_util/tables.ts';
import { anyNextEvent } from './arbitraries.ts';
import { type Envelope, EnvelopeSchema } from './gen/oo/events/v2/envelope_pb.ts';
import { upcast } from './upcast.ts';
import { decode, deltas, readEnvelope, versions } from './versions.ts';

const users = ['anna', 'ben'];
const count = 60;
const fresh = <Event extends { eventId: string }>(events: readonly Event[]): Event[] =>
  events.map((event) => ({ ...event, eventId: newId(Date.now()) }));
const oldEvents = (seed: number) => fresh(fc.sample(anyPersonEvent(users), { numRuns: count, seed }));
const nextEvents = (seed: number) => fresh(fc.sample(anyNextEvent(users), { numRuns: count, seed }));
const old = oldEvents(11);
const next = nextEvents(12);
const all = [...old.map(upcast), ...next];

let loop: Loop;
let admin: Client<typeof AdminService>;
beforeAll(async () => {
  loop = await startLoop();
  admin = createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl, defaultTimeoutMs: 20_000 }));
});
afterAll(() => loop[Symbol.asyncDispose]());

/** In binary form or, every other one, in JSON. */
function formOf(event: EnvelopeV1 | Envelope, i: number) {
  const schema = event.$typeName === EnvelopeV1Schema.typeName ? EnvelopeV1Schema : EnvelopeSchema;
  if (i % 2 === 0) return { data: toBinary(schema, event), headers: {} };
  const headers = { 'Content-Type': 'application/json' };
  return { data: new TextEncoder().encode(toJsonString(schema, event)), headers };
}

/** `run` tells a stream apart what it would take for a repeat. */
async function publish(events: readonly (EnvelopeV1 | Envelope)[], run = 'first'): Promise<void> {
  for (const [i, event] of events.entries()) {
    const subject = versions.get(event.schemaVersion)?.subjects.get(event.payload.case ?? '')?.subject ?? '';
    const { data, headers } = formOf(event, i >> 1);
    await loop.bus.publish(subject, data, { id: `${event.eventId}/${run}`, timeoutMs: 5_000, headers });
  }
}

/** Old and new ones in turns. */
const mixed = (some: readonly EnvelopeV1[], others: readonly Envelope[]) =>
  some.flatMap((event, i) => [event, ...others.slice(i, i + 1)]);

const expected = (events: readonly Envelope[], userId: string) =>
  sorted(fold(events.filter((event) => event.userId === userId).flatMap(deltas)));

async function expectTables(events: readonly Envelope[]): Promise<void> {
  for (const userId of users) {
    expect(sorted(await readBuckets(loop.database, userId))).toEqual(expected(events, userId));
  }
  const reactions = events.flatMap(deltas).flatMap(({ table, row }) => (table === 'tip_feedback' ? [row] : []));
  const { rows } = await loop.database.query('SELECT event_id, dwell_ms::float8 FROM tip_feedback ORDER BY event_id');
  expect(rows).toEqual(
    reactions
      .map(({ event_id, dwell_ms }) => ({ event_id, dwell_ms }))
      .toSorted((a, b) => (a.event_id < b.event_id ? -1 : 1)),
  );
}

const filter = { reasons: [DeadLetterReason.UNSUPPORTED_VERSION] };

describe('two versions in one stream', () => {
  it('a build that knows the older one counts that, and puts the newer one aside', async () => {
    await publish(mixed(old, next));
    await loop.drained();
    await expectTables(old.map(upcast));
    const { deadLetters } = await admin.listDeadLetters({ filter, page: { pageSize: 500 } });
    expect(deadLetters.map(({ eventId }) => eventId).toSorted()).toEqual(next.map(({ eventId }) => eventId).toSorted());
    const bytes = new Map(deadLetters.map(({ eventId, data }) => [eventId, data]));
    for (const [i, event] of next.entries()) expect(bytes.get(event.eventId)).toEqual(formOf(event, i).data);
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
    await expectTables(all);
    const rows = await tableRows(loop.database);
    const again = { ...filter, includeReplayed: true };
    expect(await admin.replayDeadLetters({ filter, maxPerSecond: 10_000 })).toMatchObject({ matched: 0n });
    expect(await admin.replayDeadLetters({ filter: again, maxPerSecond: 10_000 })).toMatchObject({
      replayed: BigInt(count),
    });
    await loop.drained();
    expect(await tableRows(loop.database)).toEqual(rows);
  });

  it('both are read back from storage, as events of the newest', async () => {
    const stored: Envelope[] = [];
    for await (const { event } of readHistoryBy(readEnvelope, loop.database, users)) stored.push(event);
    expect(stored).toHaveLength(2 * count);
    for (const userId of users) {
      expect(expected(stored, userId)).toEqual(expected(all, userId));
    }
  });

  it('both count as they come from then on, and an event that comes in both counts once', async () => {
    const more = { old: oldEvents(13), next: nextEvents(14) };
    await publish(mixed(more.old, more.next));
    await publish(old.map(upcast), 'by the producer after its upgrade');
    await loop.drained();
    await expectTables([...all, ...more.old.map(upcast), ...more.next]);
  });
});
