import { create } from '@bufbuild/protobuf';
import { expect, it, test } from 'vitest';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { noBuckets } from '../features/buckets.ts';
import { TipScoredSchema } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import type { PastDecision } from './point-in-time.ts';
import { isTooOld, startTally } from './verify.ts';
import type { Comparison, Verdict } from './verify-decision.ts';

const known = { policy: egreedyV2.name, policyVersion: egreedyV2.version };

const past = (decisionId: string, policy = known): PastDecision => ({
  decisionId,
  decidedAtMs: 0,
  decision: create(TipScoredSchema, policy),
  snapshot: { xmin: 1n, xmax: 1n, running: new Set() },
  buckets: noBuckets,
});

const compared = (verdict: Verdict, name = 'a', part: Comparison['part'] = 'feature'): Comparison => ({
  part,
  name,
  verdict,
  logged: 1,
  recomputed: 2,
});

it.each<[Verdict, number]>([
  ['match', 1],
  ['mismatch', 0],
  ['missing', 0],
  ['extra', 0],
])('a decision with one %s beside what is right counts as equal: %d', (verdict, equal) => {
  const tally = startTally();
  tally.add(past('d'), [compared('match', 'b'), compared(verdict)], true);
  const { counts, ...report } = tally.report();
  expect(report).toMatchObject({
    decisions: 1,
    equal,
    examples: equal ? [] : [{ decisionId: 'd', name: 'a', verdict }],
  });
  expect(counts.map(({ match, mismatch, missing, extra }) => match + mismatch + missing + extra)).toEqual([1, 1]);
  expect(counts[1]?.[verdict]).toBe(1);
});

test('a feature and the entry of the vector that it becomes are counted each for itself', () => {
  const tally = startTally();
  tally.add(past('d'), [compared('extra', 'a', 'feature'), compared('match', 'a', 'vector')], true);
  tally.add(past('e'), [compared('match', 'a', 'feature'), compared('match', 'a', 'vector')], true);
  expect(tally.report().counts).toEqual([
    { part: 'feature', name: 'a', match: 1, mismatch: 0, missing: 0, extra: 1 },
    { part: 'vector', name: 'a', match: 2, mismatch: 0, missing: 0, extra: 0 },
  ]);
});

test('of many differences the first ten are examples, and all are counted', () => {
  const tally = startTally();
  for (const id of ['d', 'e', 'f']) {
    const names = ['1', '2', '3', '4'].map((name) => `${id}${name}`);
    tally.add(
      past(id),
      names.map((name) => compared('mismatch', name)),
      true,
    );
  }
  const { examples, counts, equal } = tally.report();
  const firstTen = ['d1', 'd2', 'd3', 'd4', 'e1', 'e2', 'e3', 'e4', 'f1', 'f2'];
  expect(examples.map(({ name }) => name)).toEqual(firstTen);
  expect(examples.at(-1)?.decisionId).toBe('f');
  expect(counts.map(({ mismatch }) => mismatch)).toEqual(Array.from({ length: 12 }, () => 1));
  expect(equal).toBe(0);
});

test('decisions of a policy, or a version of it, that this build does not have are said, by both', () => {
  const tally = startTally();
  for (const policyVersion of ['0', egreedyV2.version, '0', '00'])
    tally.add(past('d', { ...known, policyVersion }), [], policyVersion === egreedyV2.version);
  tally.add(past('d', { policy: 'gone', policyVersion: '1' }), [], false);
  expect([...tally.report().notReplayed]).toEqual([
    [`${egreedyV2.name} 0`, 2],
    [`${egreedyV2.name} 00`, 1],
    ['gone 1', 1],
  ]);
});

const nowMs = Date.UTC(2026, 10, 23, 12);
const today = utcDay(nowMs);

test.each([
  ['nothing was dropped', nowMs, undefined, false],
  ['all 30 days are there', nowMs, today - 29, false],
  ['the first of them is gone', nowMs, today - 28, true],
  ['at the first instant of a day, it is gone as well', nowMs - dayMs / 2, today - 28, true],
  ['at the last instant of the day before, one more is needed', nowMs - dayMs / 2 - 1, today - 29, true],
])('a decision is too old if a day it read may be incomplete: %s', (_, decidedAtMs, completeFromDay, expected) => {
  expect(isTooOld(decidedAtMs, completeFromDay)).toBe(expected);
});
