import { create, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { subjects } from '../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { decode } from './decode.ts';

const valid = {
  eventId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d',
  occurredAt: { seconds: 1_790_000_000n, nanos: 0 },
  schemaVersion: 'v1',
  producer: 'recommender@1.4.2',
  userId: 'anna',
  payload: { case: 'tipFeedback', value: { tipId: 't1', reaction: 1, dwellMs: 30_000n } },
} as const;

type Change = Partial<Exclude<MessageInitShape<typeof EnvelopeSchema>, { $typeName: string }>>;
const binary = (change: Change) => toBinary(EnvelopeSchema, create(EnvelopeSchema, { ...valid, ...change }));
const json = (change: object) =>
  new TextEncoder().encode(
    JSON.stringify({ ...JSON.parse(toJsonString(EnvelopeSchema, create(EnvelopeSchema, valid))), ...change }),
  );
const jsonHeaders = { 'Content-Type': 'application/json' };
const subject = 'feedback.tip.reacted';
const v1 = Buffer.from([3 * 8 + 2, 2, ...Buffer.from('v1')]);
/** A v2 envelope whose field 23, a message in v1, is a number. */
const later = Buffer.from([3 * 8 + 2, 2, ...Buffer.from('v2'), 0xb8, 0x01, 7]);

describe('decode', () => {
  it.each([
    ['binary', { subject, data: binary({}), headers: {} }],
    ['JSON', { subject, data: json({}), headers: jsonHeaders }],
    [
      'JSON with a charset and another case',
      { subject, data: json({}), headers: { 'content-type': 'Application/JSON; charset=utf-8' } },
    ],
    ['JSON with a field of a newer contract', { subject, data: json({ newField: 1 }), headers: jsonHeaders }],
    ['an older subject', { subject: 'signals.tip.feedback', data: binary({}), headers: {} }],
    ['a version that stands last', { subject, data: Buffer.concat([binary({ schemaVersion: '' }), v1]), headers: {} }],
    ['the last of two versions', { subject, data: Buffer.concat([binary({ schemaVersion: 'v7' }), v1]), headers: {} }],
    [
      'the names of the proto file',
      { subject, data: json({ schemaVersion: undefined, schema_version: 'v1' }), headers: jsonHeaders },
    ],
  ])('reads %s', (_, message) => {
    const decoded = decode(message);
    expect(decoded).toMatchObject({
      kind: 'event',
      event: {
        eventId: valid.eventId,
        type: 'oo.events.v1.TipFeedback',
        userId: 'anna',
        occurredAtMs: 1_790_000_000_000,
      },
    });
    expect(decoded.kind === 'event' && decoded.event.deltas.map(({ table }) => table)).toEqual([
      'user_daily',
      'user_hourly',
      'tip_outcomes',
      'tip_feedback',
    ]);
  });

  it('stores the same bytes for JSON as for binary', () => {
    const stored = [
      decode({ subject, data: binary({}), headers: {} }),
      decode({ subject, data: json({}), headers: jsonHeaders }),
    ];
    const [a, b] = stored.map(
      (decoded) => decoded.kind === 'event' && Buffer.from(decoded.event.envelope).toString('hex'),
    );
    expect(a).toBe(b);
  });

  it('takes the upper-case form of an id for the same id', () => {
    expect(decode({ subject, data: binary({ eventId: valid.eventId.toUpperCase() }), headers: {} })).toMatchObject({
      event: { eventId: valid.eventId },
    });
  });

  it.each([
    ['nothing at all', { subject, data: new Uint8Array(), headers: {} }, 'rule_violated', /event_id/],
    ['garbage', { subject, data: new Uint8Array([1, 2, 3]), headers: {} }, 'undecodable', /Envelope/],
    ['a cut-off message', { subject, data: binary({}).slice(0, -3), headers: {} }, 'undecodable', /Envelope/],
    ['JSON without its header', { subject, data: json({}), headers: {} }, 'undecodable', /bytes/],
    ['binary that claims to be JSON', { subject, data: binary({}), headers: jsonHeaders }, 'undecodable', /JSON/],
    ['JSON of the wrong type', { subject, data: json({ userId: 7 }), headers: jsonHeaders }, 'undecodable', /JSON/],
    ['a later version', { subject, data: binary({ schemaVersion: 'v2' }), headers: {} }, 'unsupported_version', /v1/],
    ['a later version that this one cannot read', { subject, data: later, headers: {} }, 'unsupported_version', /v1/],
    [
      'a later version in JSON that this one cannot read',
      { subject, data: json({ schemaVersion: 'v2', tipFeedback: [1] }), headers: jsonHeaders },
      'unsupported_version',
      /v1/,
    ],
    [
      'the version under both names of the field',
      {
        subject,
        data: Buffer.from(
          `{"schema_version":"v1",${Buffer.from(json({ schemaVersion: 'v2' }))
            .toString()
            .slice(1)}`,
        ),
        headers: jsonHeaders,
      },
      'undecodable',
      /JSON/,
    ],
    [
      'JSON with a version that is no text',
      { subject, data: json({ schemaVersion: 1 }), headers: jsonHeaders },
      'undecodable',
      /JSON/,
    ],
    ['JSON that is no object', { subject, data: Buffer.from('null'), headers: jsonHeaders }, 'undecodable', /JSON/],
    ['JSON that is cut off', { subject, data: Buffer.from('{"a'), headers: jsonHeaders }, 'undecodable', /JSON/],
    [
      'text that is no UTF-8',
      { subject, data: Buffer.from([0x22, 0xff, 0x22]), headers: jsonHeaders },
      'undecodable',
      /JSON/,
    ],
    ['no version', { subject, data: binary({ schemaVersion: '' }), headers: {} }, 'rule_violated', /schema_version/],
    ['no person', { subject, data: binary({ userId: '' }), headers: {} }, 'rule_violated', /user_id/],
    [
      'a NUL in the person, which the database would refuse',
      { subject, data: binary({ userId: 'a\0b' }), headers: {} },
      'rule_violated',
      /user_id/,
    ],
    [
      'a person of 129 bytes',
      { subject, data: binary({ userId: 'é'.repeat(65) }), headers: {} },
      'rule_violated',
      /user_id/,
    ],
    [
      'an id that is no UUID',
      { subject, data: binary({ eventId: 'seven' }), headers: {} },
      'rule_violated',
      /event_id/,
    ],
    [
      'a time before 2000',
      { subject, data: binary({ occurredAt: { seconds: 0n } }), headers: {} },
      'rule_violated',
      /occurred_at/,
    ],
    [
      'no payload',
      { subject, data: binary({ payload: { case: undefined } }), headers: {} },
      'rule_violated',
      /payload/,
    ],
    [
      'no reaction',
      { subject, data: binary({ payload: { case: 'tipFeedback', value: { tipId: 't' } } }), headers: {} },
      'rule_violated',
      /reaction/,
    ],
    [
      'a reaction nobody knows',
      {
        subject,
        data: binary({ payload: { case: 'tipFeedback', value: { tipId: 't', reaction: 99 as Reaction } } }),
        headers: {},
      },
      'rule_violated',
      /reaction/,
    ],
    [
      'another payload on the subject',
      { subject, data: binary({ payload: { case: 'tipServed', value: { tipId: 't' } } }), headers: {} },
      'wrong_subject',
      /signals.tip.served/,
    ],
    [
      'a subject nobody owns',
      { subject: 'feedback.tip.unheard', data: binary({}), headers: {} },
      'wrong_subject',
      /feedback.tip.reacted/,
    ],
  ] as const)('refuses %s', (_, message, reason, error) => {
    expect(decode(message)).toEqual({ kind: 'bad', reason, error: expect.stringMatching(error) });
  });
});

describe('the subject map', () => {
  it('gives every payload of the envelope a subject of its own, on a stream of that name', () => {
    const payloads = EnvelopeSchema.oneofs
      .find(({ name }) => name === 'payload')
      ?.fields.map(({ localName }) => localName);
    expect(Object.keys(subjects)).toEqual(payloads);
    const all = Object.values(subjects).flatMap(({ subject: own, alsoAccepted }) => [own, ...alsoAccepted]);
    expect(new Set(all).size).toBe(all.length);
    for (const { stream, subject: own } of Object.values(subjects)) expect(own.startsWith(`${stream}.`)).toBe(true);
  });
});
