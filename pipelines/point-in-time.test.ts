import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { bucketTables, fold, noBuckets } from '../features/buckets.ts';
import { personDeltas } from '../features/deltas.ts';
import type { PastEvent } from '../features/history-store.ts';
import { isVisible, parseSnapshot } from '../features/snapshot.ts';
import { toTimestamp } from '../features/time.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { anyPersonEvent } from '../tests/_util/arbitraries.ts';
import { sorted } from '../tests/_util/buckets.ts';
import { atDecisions, isSampled } from './point-in-time.ts';

const anyTransaction = fc.bigInt({ min: 1n, max: 30n });

const anySnapshot = fc
  .record({ ends: fc.tuple(anyTransaction, anyTransaction), running: fc.uniqueArray(anyTransaction, { maxLength: 8 }) })
  .map(({ ends: [a, b], running }) => {
    const [xmin, xmax] = a < b ? [a, b] : [b, a];
    return `${xmin}:${xmax}:${running.filter((id) => id >= xmin && id < xmax).join(',')}`;
  });

const anyPast: fc.Arbitrary<PastEvent> = fc
  .record({ transactionId: anyTransaction, event: anyPersonEvent() })
  .map((past) => ({ userId: 'u', ...past }));

const decided = (eventId: string, snapshot: string, occurredAtMs = 0, transactionId = 99n): PastEvent => ({
  userId: 'u',
  transactionId,
  event: create(EnvelopeSchema, {
    eventId,
    userId: 'u',
    occurredAt: toTimestamp(occurredAtMs),
    payload: { case: 'tipScored', value: { tipId: 'tip-1', candidates: [{ tipId: 'tip-1' }], snapshot } },
  }),
});

const anyDecision = fc
  .record({ eventId: fc.uuid(), snapshot: fc.oneof({ weight: 9, arbitrary: anySnapshot }, fc.constant('')) })
  .map(({ eventId, snapshot }) => decided(eventId, snapshot));

describe('the buckets at a decision', () => {
  it('are those of exactly the events that its snapshot had seen, in whatever order snapshots and events come', () => {
    const anyHistory = fc.record({
      events: fc.array(anyPast, { maxLength: 40 }),
      decisions: fc.uniqueArray(anyDecision, { maxLength: 12, selector: ({ event }) => event.eventId }),
    });
    fc.assert(
      fc.property(anyHistory, ({ events, decisions }) => {
        const history = [...events, ...decisions];
        let count = 0;
        for (const { decision, buckets } of atDecisions(history)) {
          const snapshot = parseSnapshot(decision.snapshot);
          const seen = history.filter(({ transactionId }) => snapshot && isVisible(snapshot, transactionId));
          expect(sorted(buckets)).toEqual(sorted(fold(seen.flatMap(({ event }) => personDeltas(event)))));
          count++;
        }
        expect(count).toBe(decisions.length);
      }),
      { numRuns: 300 },
    );
  });

  it('hold only the tables that were asked for', () => {
    fc.assert(
      fc.property(fc.array(anyPast, { maxLength: 20 }), (events) => {
        const history = [...events, decided('d', '99:99:')];
        const [past] = atDecisions(history, ['user_daily']);
        const { user_daily } = fold(events.flatMap(({ event }) => personDeltas(event)));
        expect(past && sorted(past.buckets)).toEqual(sorted({ ...noBuckets, user_daily }));
      }),
      { numRuns: 50 },
    );
  });

  it('are found in one pass: a person of many events and decisions is a matter of moments', () => {
    const served = (i: number): PastEvent => ({
      userId: 'u',
      transactionId: BigInt(2 * i),
      event: create(EnvelopeSchema, {
        eventId: `e-${i}`,
        userId: 'u',
        occurredAt: toTimestamp(i * 1000),
        payload: { case: 'tipServed', value: { tipId: `tip-${i}` } },
      }),
    });
    const count = 20_000;
    const history = Array.from({ length: count }, (_, i) => [
      served(i),
      decided(`d-${i}`, `${2 * i + 1}:${2 * i + 1}:`, 0, BigInt(2 * i + 1)),
    ]).flat();
    const startedAt = performance.now();
    let last = 0;
    for (const { buckets } of atDecisions(history, ['user_daily'])) last = buckets.user_daily[0]?.served ?? 0;
    expect(last).toBe(count);
    expect(performance.now() - startedAt).toBeLessThan(10_000); // each from the start would take minutes
  });
});

test('two decisions at the same instant, with the same snapshot, are two', () => {
  const twins = [decided('b', '10:10:', 5), decided('a', '10:10:', 5)];
  expect([...atDecisions(twins)].map(({ decisionId }) => decisionId)).toEqual(['a', 'b']);
});

test('decisions come in one order, whatever the order of the history', () => {
  const history = [
    decided('d', '10:12:10,11'),
    decided('c', '10:12:10'),
    decided('b', '9:9:'),
    decided('A', ''),
    decided('e', 'none'),
  ];
  const ids = (events: readonly PastEvent[]) => [...atDecisions(events)].map(({ decisionId }) => decisionId);
  expect(ids(history)).toEqual(['a', 'e', 'b', 'd', 'c']);
  expect(ids(history.toReversed())).toEqual(ids(history));
});

describe('a sample', () => {
  const people = Array.from({ length: 5_000 }, (_, i) => `user-${i}`);
  const sample = (share: number) => people.filter((userId) => isSampled(userId, share));

  it('is the share that was asked for, and holds every smaller sample', () => {
    expect(sample(1)).toEqual(people);
    expect(Math.abs(sample(0.1).length - 500)).toBeLessThan(100);
    expect(sample(0.1).filter((userId) => !isSampled(userId, 0.2))).toEqual([]);
  });
});

test.each([
  [0.03, ['emil']],
  [0.36, ['anna', 'emil', 'hana']],
  [0.41, ['anna', 'ben', 'emil', 'hana']],
  [0.58, ['anna', 'ben', 'dora', 'emil', 'fay', 'hana']],
])('a sample of %d is of the same people on every machine, and in every build to come', (share, expected) => {
  const people = ['anna', 'ben', 'dora', 'emil', 'fay', 'hana'];
  expect(people.filter((userId) => isSampled(userId, share))).toEqual(expected);
});

test('a decision is of the instant at which it was made, by its id in lower case', () => {
  const [past] = atDecisions([decided('0190A5D2-7B1C', '10:10:', 1_234)]);
  expect(past).toMatchObject({ decisionId: '0190a5d2-7b1c', decidedAtMs: 1_234 });
});

test('all tables of buckets can be folded', () => {
  expect(Object.keys(noBuckets)).toEqual([...bucketTables]);
});
