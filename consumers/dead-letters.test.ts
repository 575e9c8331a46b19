import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { replayHeaders } from '../features/dead-letter.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Delivery } from '../platform/bus.ts';
import { deadLetterHeaders, putAside, readLetter } from './dead-letters.ts';

/** What the stream `deadletters` then holds of a message that was put aside. */
async function aside(
  delivery: Partial<Delivery>,
  error = 'broken',
  durable = { stream: 'signals', name: 'd' },
): Promise<Parameters<typeof readLetter>[0]> {
  const original: Delivery = {
    subject: 'signals.a',
    data: new Uint8Array([1]),
    headers: {},
    sequence: 7,
    takenAtMs: 1_000,
    deliveries: 2,
    ack() {},
    working() {},
    terminate() {},
    ...delivery,
  };
  let message: Parameters<typeof readLetter>[0] | undefined;
  const bus: Parameters<typeof putAside>[0] = {
    publish: async (subject, data, { id, headers = {} }) => {
      const all = { 'Nats-Msg-Id': id, ...headers };
      message = { subject, data, headers: all, sequence: 3, takenAtMs: 2_000, deliveries: 1 };
      return { sequence: 3, duplicate: false };
    },
  };
  await putAside(bus, durable, { delivery: original, reason: 'undecodable', error });
  if (!message) throw new Error('nothing was published');
  return message;
}

describe('a letter', () => {
  it('is read as it was put aside', async () => {
    const headers = { 'Nats-Msg-Id': 'm', 'Nats-Expected-Stream': 'signals', 'X-Own': 'é', 'content-type': 'x' };
    const letter = readLetter(await aside({ headers }, 'line one\nline \u{1f600}two'));
    expect(letter).toEqual({
      id: expect.any(String),
      stream: 'signals',
      streamSequence: 7,
      subject: 'signals.a',
      headers: { 'Nats-Msg-Id': 'm', 'X-Own': 'é', 'content-type': 'x' },
      data: new Uint8Array([1]),
      eventId: null,
      userId: null,
      reason: 'undecodable',
      error: 'line one line  two',
      deliveries: 2,
      seenAtMs: 2_000,
      sequence: 3,
    });
  });

  it('is published under an id of its own, the same when it is put aside again after a crash', async () => {
    const idOf = async (...args: Parameters<typeof aside>) => (await aside(...args)).headers['Nats-Msg-Id'];
    const ids = [
      await idOf({}),
      await idOf({ sequence: 8 }),
      await idOf({ takenAtMs: 1_001 }), // its stream was made anew
      await idOf({}, 'broken', { stream: 'feedback', name: 'd' }),
      await idOf({}, 'broken', { stream: 'signals', name: 'e' }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(await idOf({ deliveries: 3 }, 'otherwise')).toBe(ids[0]);
  });

  it('that was replayed and failed again is the same one, seen after its replay', async () => {
    const first = readLetter(await aside({}));
    const headers = replayHeaders({ stream: 'signals', streamSequence: 7 }, 9_000);
    const again = readLetter(await aside({ headers, sequence: 55 }));
    expect(again).toEqual({ ...first, seenAtMs: 9_001 });
  });

  it('of another event is another one, whatever its headers say', async () => {
    const first = readLetter(await aside({}));
    const headers = replayHeaders({ stream: 'signals', streamSequence: 7 }, 1);
    expect(readLetter(await aside({ headers, data: new Uint8Array([2]) }))?.id).not.toBe(first?.id);
    expect(readLetter(await aside({ headers, subject: 'signals.b' }))?.id).not.toBe(first?.id);
  });

  it.each([
    [
      'uuid and person',
      { eventId: '0190A5D2-7B1C-8CC0-8A5E-2F1F6A5B3C1E', userId: 'u' },
      ['0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1e', 'u'],
    ],
    ['no uuid', { eventId: '0190a5d2', userId: 'u' }, [null, 'u']],
    ['nobody', { userId: '' }, [null, null]],
    ['a person of 129 bytes', { userId: 'u'.repeat(129) }, [null, null]],
    ['a NUL', { userId: 'a\0' }, [null, null]],
  ])('tells of what the contract would take: %s', async (_, ids, expected) => {
    const data = toBinary(EnvelopeSchema, create(EnvelopeSchema, { ...ids, schemaVersion: 'v77' }));
    const letter = readLetter(await aside({ data }));
    expect([letter?.eventId, letter?.userId]).toEqual(expected);
  });

  const whole = toBinary(EnvelopeSchema, create(EnvelopeSchema, { producer: 'p', userId: 'anna é', causationId: 'c' }));
  const telling = toBinary(
    EnvelopeSchema,
    create(EnvelopeSchema, { producer: '"userId": "ben"', userId: 'anna é', causationId: 'c' }),
  );
  const json = { 'Content-Type': 'application/json' };
  it.each([
    ['bytes that break off', {}, whole.subarray(0, -1), 'anna é'],
    ['bytes that break off, with such a text in them', {}, telling.subarray(0, -1), 'anna é'],
    ['bytes that break off in the id', {}, whole.subarray(0, -4), null],
    ['JSON that breaks off', json, '{"user_id" : "anna \\u00e9", "tipServed": {', 'anna é'],
    ['JSON with a wrong type', json, '{"userId": "anna é", "tipServed": 7}', 'anna é'],
    ['JSON that does not say so', {}, '{"userId": "anna é"}', 'anna é'],
    ['JSON that breaks off in the id', json, '{"userId": "anna', null],
    ['JSON with an escape that is none', json, '{"userId": "anna \\x"', null],
    ['JSON with a NUL', json, '{"userId": "a\\u0000", "tipServed": 7}', null],
    ['bytes that say to be JSON', json, whole, 'anna é'],
    ['JSON with bytes of a field before it', json, '\n\u0000*\u0003ben {"userId": "anna é",', 'anna é'],
    [
      'JSON with a number for the id',
      json,
      '{"userId": 12345678901234567890, "tipServed": {}}',
      '12345678901234567890',
    ],
    ['bytes that are neither', {}, 'anna', null],
    ['bytes that are neither, and say to be JSON', json, 'anna', null],
  ])('tells of whom it was about even where it cannot be read: %s', async (_, headers, data, userId) => {
    expect(readLetter(await aside({ headers, data: Buffer.from(data) }))?.userId).toBe(userId);
  });

  it('counts no more deliveries than the table can', async () => {
    expect(readLetter(await aside({ deliveries: 2 ** 31 }))?.deliveries).toBe(2 ** 31 - 1);
  });

  it.each([
    ['reason', ''],
    ['reason', 'no such; DROP'],
    ['subject', ''],
    ['sequence', 'seven'],
    ['sequence', '-1'],
  ] as const)('is none with the %s %j', async (name, value) => {
    const message = await aside({});
    const headers = { ...message.headers, [deadLetterHeaders[name]]: value };
    expect(readLetter({ ...message, headers })).toBeUndefined();
  });

  it('is read or is none, whatever the message, and holds no NUL', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('\0', '1', 'undecodable', 'signals/1', '{}', 'application/json'),
    );
    const name = fc.oneof(text, fc.constantFrom(...Object.values(deadLetterHeaders), 'Oo-Dead-Letter', 'Content-Type'));
    const headers = fc.tuple(fc.dictionary(name, text), fc.boolean()).map(([given, isLetter]) => ({
      ...(isLetter ? { 'Oo-Reason': 'undecodable', 'Oo-Subject': 's', 'Oo-Stream-Sequence': '1' } : {}),
      ...given,
    }));
    fc.assert(
      fc.property(fc.uint8Array(), headers, text, (data, given, subject) => {
        const letter = readLetter({ subject, data, headers: given, sequence: 1, takenAtMs: 1, deliveries: 1 });
        const { data: _, ...rest } = letter ?? { data };
        expect(JSON.stringify(rest)).not.toContain('\\u0000');
      }),
    );
  });
});
