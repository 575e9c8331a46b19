import {
  clone,
  create,
  type DescMessage,
  equals,
  fromBinary,
  type Message,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode as decodeV1 } from '../../consumers/decode.ts';
import { deltas as deltasV1 } from '../../consumers/deltas.ts';
import { type AnyEnvelope, readEnvelope as readEnvelopeV1 } from '../../features/envelope.ts';
import {
  type Envelope as EnvelopeV1,
  EnvelopeSchema as EnvelopeV1Schema,
} from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { createValidator } from '../../platform/validator.ts';
import { anyPersonEvent } from '../_util/arbitraries.ts';
import { goldenEvents } from '../golden/read-golden.ts';
import { anyNextEvent } from './arbitraries.ts';
import { type Envelope, EnvelopeSchema } from './gen/oo/events/v2/envelope_pb.ts';
import { Surface, TipFeedbackSchema } from './gen/oo/events/v2/feedback_pb.ts';
import { upcast } from './upcast.ts';
import { decode, deltas, readEnvelope, versions } from './versions.ts';

const { validate } = createValidator();
const golden = (await goldenEvents('v1')).map(({ bytes }) => readEnvelopeV1('v1', bytes));
/** Made up, and as they were released: those have every payload there is. */
const anyEvent = fc.oneof(anyPersonEvent(), fc.constantFrom(...golden));

describe('upcast', () => {
  it('makes a valid v2 event of every valid v1 event', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        expect(validate(EnvelopeV1Schema, event).kind).toBe('valid');
        expect(validate(EnvelopeSchema, upcast(event)).violations).toBeUndefined();
      }),
    );
  });

  it('adds to the tables what the v1 event adds', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        expect(deltas(upcast(event))).toEqual(deltasV1(event));
      }),
    );
  });

  it('is pure: the same again, and the event stays as it is', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const before = clone(EnvelopeV1Schema, event);
        const first = clone(EnvelopeSchema, upcast(event));
        expect(equals(EnvelopeV1Schema, event, before)).toBe(true);
        expect(equals(EnvelopeSchema, upcast(event), first)).toBe(true);
      }),
    );
  });

  it('says the same of what did not change, and in other words what did', () => {
    const event = create(EnvelopeV1Schema, {
      eventId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d',
      schemaVersion: 'v1',
      userId: 'anna',
      traceparent: '00-1-2-03',
      payload: { case: 'tipFeedback', value: { tipId: 't', reaction: 1, dwellMs: 61_005n, hourOfDay: 7 } },
    });
    const { payload, ...envelope } = upcast(event);
    expect(envelope).toMatchObject({
      schemaVersion: 'v2',
      eventId: event.eventId,
      userId: 'anna',
      traceparent: '00-1-2-03',
    });
    expect(payload).toMatchObject({
      case: 'tipFeedback',
      value: {
        tipId: 't',
        reaction: 1,
        dwell: { seconds: 61n, nanos: 5_000_000 },
        hourOfDay: 7,
        surface: Surface.NOT_RECORDED,
      },
    });
  });

  it('has no use for the number and the name of the field that went: they are reserved', () => {
    expect(TipFeedbackSchema.proto.reservedName).toEqual(['dwell_ms']);
    expect(TipFeedbackSchema.proto.reservedRange).toMatchObject([{ start: 4, end: 5 }]);
  });
});

describe('a build with both versions', () => {
  const forms = (schema: DescMessage, event: Message) => [
    { data: toBinary(schema, event), headers: {} },
    { data: new TextEncoder().encode(toJsonString(schema, event)), headers: { 'Content-Type': 'application/json' } },
  ];
  const subjectOf = (version: string, { payload }: AnyEnvelope) =>
    versions.get(version)?.subjects.get(payload.case ?? '')?.subject ?? '';
  const adds = (decoded: ReturnType<typeof decode>) => decoded.kind === 'event' && decoded.event;

  it('adds what each says, in either form, and stores it as it was published', () => {
    fc.assert(
      fc.property(anyEvent, anyNextEvent(), (old, event) => {
        for (const { data, headers } of forms(EnvelopeV1Schema, old))
          expect(adds(decode({ subject: subjectOf('v1', old), data, headers }))).toMatchObject({
            schemaVersion: 'v1',
            type: old.payload.value?.$typeName,
            envelope: toBinary(EnvelopeV1Schema, old),
            deltas: deltasV1(old),
          });
        for (const { data, headers } of forms(EnvelopeSchema, event))
          expect(adds(decode({ subject: subjectOf('v2', event), data, headers }))).toMatchObject({
            schemaVersion: 'v2',
            type: event.payload.value?.$typeName,
            envelope: toBinary(EnvelopeSchema, event),
            deltas: deltas(event),
          });
      }),
    );
  });

  it('reads back either from storage', () => {
    fc.assert(
      fc.property(anyEvent, anyNextEvent(), (old, event) => {
        const stored = readEnvelope('v1', toBinary(EnvelopeV1Schema, old));
        expect(equals(EnvelopeSchema, stored, upcast(old))).toBe(true);
        expect(equals(EnvelopeSchema, readEnvelope('v2', toBinary(EnvelopeSchema, event)), event)).toBe(true);
      }),
    );
  });

  const feedback = (change: object): Envelope => {
    const [event] = fc.sample(
      anyNextEvent().filter(({ payload }) => payload.case === 'tipFeedback'),
      { numRuns: 1, seed: 1 },
    );
    if (event?.payload.case !== 'tipFeedback') throw new Error('no feedback');
    return { ...event, payload: { case: 'tipFeedback', value: { ...event.payload.value, ...change } } };
  };
  const v1Feedback = (change: object): EnvelopeV1 => {
    const [event] = fc.sample(
      anyPersonEvent().filter(({ payload }) => payload.case === 'tipFeedback'),
      { numRuns: 1, seed: 1 },
    );
    if (event?.payload.case !== 'tipFeedback') throw new Error('no feedback');
    return { ...event, payload: { case: 'tipFeedback', value: { ...event.payload.value, ...change } } };
  };
  const subject = 'feedback.tip.reacted';

  it('checks each by the rules of its own version, and on its own subjects', () => {
    const old = toBinary(EnvelopeV1Schema, v1Feedback({}));
    const tooLong = toBinary(EnvelopeV1Schema, v1Feedback({ dwellMs: 2_592_000_001n }));
    const nowhere = toBinary(EnvelopeSchema, feedback({ surface: 0 }));
    const good = toBinary(EnvelopeSchema, feedback({}));
    const headers = {};
    expect(decode({ subject, data: tooLong, headers })).toMatchObject({ reason: 'rule_violated', error: /dwell_ms/ });
    expect(decode({ subject, data: nowhere, headers })).toMatchObject({ reason: 'rule_violated', error: /surface/ });
    expect(decode({ subject: 'signals.tip.feedback', data: old, headers })).toMatchObject({ kind: 'event' });
    expect(decode({ subject: 'signals.tip.feedback', data: good, headers })).toMatchObject({ reason: 'wrong_subject' });
  });

  it('still puts aside what comes after it', () => {
    const data = toBinary(EnvelopeSchema, { ...feedback({}), schemaVersion: 'v3' });
    expect(decode({ subject, data, headers: {} })).toEqual({
      kind: 'bad',
      reason: 'unsupported_version',
      error: 'schema_version must be one of v1, v2',
    });
  });

  it('is needed for v2: the build before it puts it aside in either form, and never mistakes it for v1', () => {
    fc.assert(
      fc.property(anyNextEvent(), (event) => {
        for (const { data, headers } of forms(EnvelopeSchema, event))
          expect(decodeV1({ subject: subjectOf('v2', event), data, headers })).toMatchObject({
            reason: 'unsupported_version',
          });
      }),
    );
    expect(() => readEnvelopeV1('v2', toBinary(EnvelopeSchema, feedback({})))).toThrow(
      'schema_version v2 is none of v1',
    );
    expect(fromBinary(EnvelopeV1Schema, toBinary(EnvelopeSchema, feedback({}))).payload).toMatchObject({
      case: 'tipFeedback', // its bytes alone would pass
    });
  });
});
