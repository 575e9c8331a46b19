import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { newId } from '../../platform/ids.ts';
import { anyPersonEvent } from '../_util/arbitraries.ts';
import { badKinds, type Form, type Ledger } from './ledger.ts';

export const users = Array.from({ length: 8 }, (_, i) => `user-${i}`);

const now = Date.UTC(2026, 6, 1);

/** When an event says it happened, where that is far from when it is stored: late, early, and at the very same instant. */
const anyClock = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) }, // as the event had it
  { weight: 1, arbitrary: fc.constantFrom(Date.UTC(2000, 0, 1), Date.UTC(2013, 4, 31, 23, 59, 59, 999)) }, // late
  { weight: 1, arbitrary: fc.constantFrom(Date.UTC(2099, 11, 31), Date.UTC(2031, 1, 28)) }, // a clock ahead
  { weight: 2, arbitrary: fc.integer({ min: now - 90_000, max: now + 90_000 }) }, // a clock a little off
  { weight: 1, arbitrary: fc.constant(now) },
);

const tip = { tipId: 'tip-1', kind: TipKind.ADVICE, source: TipSource.LLM };
const requestHash = new Uint8Array(32);

const anyDecision = fc
  .record({
    requestId: fc.uuid({ version: 4 }),
    isScore: fc.boolean(),
    score: fc.integer({ min: -99, max: 99 }).map((eighths) => eighths / 8),
  })
  .map(({ requestId, isScore, score }) => {
    const candidates = [{ ...tip, promptVersion: 'v1', score, propensity: 0.25 }];
    const scored = { requestId, requestHash, tipId: tip.tipId, policy: 'p', policyVersion: '1', candidates };
    const tips = [
      { ...tip, signalIds: ['a', 'b "c"'] },
      { ...tip, tipId: 'tip-2' },
      { ...tip, kind: TipKind.TASK }, // one id twice
    ];
    const generated = { requestId, requestHash, promptVersion: 'v1', promptHash: '0'.repeat(64), tips };
    return create(EnvelopeSchema, {
      payload: isScore ? { case: 'tipScored', value: scored } : { case: 'tipGenerated', value: generated },
    }).payload;
  });

/** Something, in this share of all cases. */
export function sometimes<Value>(share: number, value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  const weight = Math.round(share * 1_000);
  return fc.oneof({ weight, arbitrary: value }, { weight: 1_000 - weight, arbitrary: fc.constant(undefined) });
}

/** Valid events that write to any of the tables, about few people, in no order of time. */
export const anyEvent: fc.Arbitrary<Envelope> = fc
  .record({
    event: anyPersonEvent(users),
    decision: sometimes(0.15, anyDecision),
    atMs: anyClock,
  })
  .map(({ event, decision, atMs }) => ({
    ...event,
    ...(decision && { payload: decision }),
    ...(atMs !== undefined && { occurredAt: timestampFromMs(atMs) }),
  }));

/** The event under an id that was never used. */
export function fresh(event: Envelope): Envelope {
  return { ...event, eventId: newId(Date.now()) };
}

/** Another event under the id of the first: it happened at another time, maybe in another month, maybe to another. */
export function impostor(first: Envelope, other: Envelope): Envelope {
  return { ...other, eventId: first.eventId };
}

export const anyForm: fc.Arbitrary<Form> = fc.record({
  isJson: fc.boolean(),
  isUpperCase: fc.boolean(),
  isElsewhere: fc.boolean(),
});

/**
 * Publishes some events in no order: each in any form, some of them several times, and among them, unless `badShare` is
 * 0, messages that can never be stored.
 */
export async function publishStory(ledger: Ledger, story: { count: number; seed: number; badShare?: number }) {
  const { count, seed, badShare = 0.02 } = story;
  const anyPart = fc.record({
    event: anyEvent,
    forms: fc.array(anyForm, { minLength: 1, maxLength: 3 }),
    bad: sometimes(badShare, fc.constantFrom(...badKinds)),
  });
  const parts = fc.sample(anyPart, { numRuns: count, seed });
  await Promise.all(
    parts.flatMap(({ event, forms, bad }) => {
      const own = fresh(event);
      const copies = forms.map((form) => ledger.publish(own, form));
      return bad ? [...copies, ledger.publishBad(bad, own)] : copies;
    }),
  );
}
