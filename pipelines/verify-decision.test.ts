import { clone, create } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { decide, type Learnt } from '../experiments/decide.ts';
import { noExperiments } from '../experiments/experiment.ts';
import { contributionOf, noStatistics, type Statistics } from '../experiments/linear-model.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { treat } from '../experiments/treatment.ts';
import { type Buckets, noBuckets } from '../features/buckets.ts';
import { readMoment } from '../features/moment.ts';
import { type FeastReadings, readProfile } from '../features/profile.ts';
import { parseSnapshot } from '../features/snapshot.ts';
import { toTimestamp } from '../features/time.ts';
import { encodeVectors, vectorNames } from '../features/vector.ts';
import { type TipScored, TipScoredSchema } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { Degradation } from '../gen/proto/oo/events/v1/tip_pb.ts';
import {
  FeatureSource,
  FeatureStatus,
  FeatureValueSchema,
  ProfileFeaturesSchema,
} from '../gen/proto/oo/features/v1/features_pb.ts';
import { ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { toTipScored } from '../server/tip-scored.ts';
import type { PastDecision } from './point-in-time.ts';
import { verifyDecision } from './verify-decision.ts';

const nowMs = Date.UTC(2025, 10, 24, 12); // never the day on which this runs
const day = utcDay(nowMs);
const buckets: Buckets = {
  ...noBuckets,
  user_daily: [{ day, served: 8, done: 3, dismissed: 1, dwell_ms: 90_000, dwell_count: 2, last_served_at: nowMs - 9 }],
  user_hourly: [{ day, hour: 7, done: 3, last_done_at: nowMs - 10 * dayMs }],
};
const feast: FeastReadings = new Map([['tip_volume_30d', { value: 9, asOfMs: nowMs - 2 * dayMs }]]);
const supplied = create(ProfileFeaturesSchema, { dismissRate30d: 0.5, preferredHour: 7 });
const nothing = noStatistics(vectorNames.length);
const candidates = [
  { isOverdue: true, taskAgeDays: 9, priority: 4 },
  { isOverdue: false, taskAgeDays: 0, priority: 1 },
];

interface Made {
  readonly known?: Parameters<typeof readProfile>[0];
  readonly context?: Parameters<typeof readMoment>[0];
  readonly snapshot?: string;
  readonly policy?: Policy;
  readonly learnt?: Learnt;
}

/** A decision as the server makes it. */
function decisionOf({
  known = { supplied, feast, buckets },
  context,
  snapshot = '9:9:',
  policy = egreedyV2,
  learnt = { person: nothing, population: nothing },
}: Made = {}): TipScored {
  const moment = readMoment(context, nowMs);
  const profile = readProfile(known, nowMs);
  const vectors = encodeVectors(candidates, profile, moment);
  const requestId = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
  return toTipScored({
    request: create(ScoreRequestSchema, { requestId, userId: 'u', candidates: [{ id: 'a' }, { id: 'b' }] }),
    requestHash: new Uint8Array(32),
    vectors,
    decision: decide(policy, vectors, requestId, learnt),
    learnt,
    treatment: treat(noExperiments, 'u', nowMs),
    populationId: '',
    moment,
    readings: [...profile, ...moment.readings],
    snapshot,
    isFeastUnavailable: false,
  });
}

const past = (decision: TipScored, seen = buckets): PastDecision => ({
  decisionId: 'd',
  decidedAtMs: nowMs,
  decision,
  snapshot: parseSnapshot(decision.snapshot),
  buckets: seen,
});

const wrongIn = (decision: PastDecision): string[] =>
  verifyDecision(decision, nothing)
    .filter(({ verdict }) => verdict !== 'match')
    .map(({ part, name, verdict }) => `${part} ${name} ${verdict}`);

describe('a decision that was logged as it was made', () => {
  it.each<[string, Made]>([
    ['with values of the caller and of Feast', {}],
    ['with our own values only', { known: { buckets } }],
    ['about nobody known', { known: { buckets: noBuckets } }],
    ['at a time of the caller', { context: { timeZone: 'Europe/Amsterdam', hourOfDay: 3, dayOfWeek: 7 } }],
    ['in another time zone', { context: { timeZone: 'Asia/Kathmandu' } }],
    ['without reading anything', { known: { supplied, feast, buckets: noBuckets }, snapshot: '' }],
  ])('agrees in everything: %s', (_, made) => {
    const decision = past(decisionOf(made), made.known?.buckets as Buckets | undefined);
    expect(wrongIn(decision)).toEqual([]);
    expect(verifyDecision(decision, nothing).length).toBe(5 + 2 + 9 + 1 + 5);
  });
});

describe('what was changed is found, where it was changed', () => {
  const featureNamed = (decision: TipScored, name: string) => {
    const found = decision.featureValues.find((each) => each.name === name);
    if (!found) throw new Error(`no feature ${name}`);
    return found;
  };
  const first = (decision: TipScored) => {
    const [candidate] = decision.candidates;
    if (!candidate) throw new Error('no candidates');
    return candidate;
  };

  it.each<[string, (decision: TipScored) => void, string[]]>([
    [
      'a value, by one bit',
      (decision) => {
        const feature = featureNamed(decision, 'completion_rate_30d');
        feature.value = (feature.value ?? 0) + Number.EPSILON / 2;
      },
      ['feature completion_rate_30d mismatch'],
    ],
    [
      'a status',
      (decision) => {
        featureNamed(decision, 'completion_rate_30d').status = FeatureStatus.STALE;
      },
      ['feature completion_rate_30d mismatch'],
    ],
    [
      'our value said to be of the clock',
      (decision) => {
        featureNamed(decision, 'completion_rate_30d').source = FeatureSource.CLOCK;
      },
      ['feature completion_rate_30d mismatch'],
    ],
    [
      'a status left out',
      (decision) => {
        featureNamed(decision, 'completion_rate_30d').status = FeatureStatus.UNSPECIFIED;
      },
      ['feature completion_rate_30d mismatch'],
    ],
    [
      'a time',
      (decision) => {
        featureNamed(decision, 'completion_rate_30d').asOf = create(TimestampSchema, toTimestamp(nowMs - 10));
      },
      ['feature completion_rate_30d mismatch'],
    ],
    [
      'our own value beside that of the caller',
      (decision) => {
        featureNamed(decision, 'dismiss_rate_30d').storeValue = 0.1;
      },
      ['feature dismiss_rate_30d mismatch'],
    ],
    [
      'our own value left out beside that of Feast',
      (decision) => {
        delete featureNamed(decision, 'tip_volume_30d').storeValue;
      },
      ['feature tip_volume_30d extra'],
    ],
    [
      'a value of the caller, so that the vector does not follow from it',
      (decision) => {
        featureNamed(decision, 'dismiss_rate_30d').value = 0.25;
      },
      ['vector dismiss_rate_30d mismatch'],
    ],
    [
      'our value said to be of the caller',
      (decision) => {
        featureNamed(decision, 'completion_rate_30d').source = FeatureSource.REQUEST;
      },
      ['feature completion_rate_30d extra'],
    ],
    [
      'a feature left out',
      (decision) => {
        decision.featureValues.splice(0, 1);
      },
      ['feature completion_rate_30d extra'],
    ],
    [
      'a feature that nobody computes',
      (decision) => {
        decision.featureValues.push(create(FeatureValueSchema, { name: 'shoe_size', value: 43 }));
      },
      ['feature shoe_size missing'],
    ],
    [
      'a feature said twice, the second time in another way',
      (decision) => {
        decision.featureValues.push({ ...featureNamed(decision, 'completion_rate_30d'), value: 0.9 });
      },
      ['feature completion_rate_30d mismatch'],
    ],
    [
      'the hour',
      (decision) => {
        featureNamed(decision, 'hour_of_day').value = 13;
      },
      ['feature hour_of_day mismatch'],
    ],
    [
      'the time zone',
      (decision) => {
        decision.timeZone = 'Asia/Tokyo';
      },
      [
        'feature hour_of_day mismatch',
        'vector hour_sin mismatch',
        'vector hour_cos mismatch',
        'vector preferred_hour mismatch',
      ],
    ],
    [
      'an entry of a vector that the policy gives no weight',
      (decision) => {
        first(decision).vector[11] = 1;
      },
      ['vector tip_volume_30d mismatch'],
    ],
    [
      'an entry that the policy gives weight',
      (decision) => {
        first(decision).vector[7] = 1;
      },
      ['vector completion_rate_30d mismatch', 'decision score mismatch'],
    ],
    [
      'an entry that says something of the candidate',
      (decision) => {
        first(decision).vector[2] = 0;
      },
      ['decision score mismatch'],
    ],
    [
      'a vector cut short',
      (decision) => {
        first(decision).vector.pop();
      },
      ['vector tip_volume_30d mismatch'],
    ],
    [
      'a vector made longer',
      (decision) => {
        first(decision).vector.push(1);
      },
      ['vector entry 13 missing'],
    ],
    [
      'a weight',
      (decision) => {
        decision.weights[7] = 0.5;
      },
      ['decision weights mismatch'],
    ],
    [
      'a weight left out, that of an entry that counts for nothing',
      (decision) => {
        decision.weights.pop();
      },
      ['decision weights mismatch'],
    ],
    [
      'a propensity',
      (decision) => {
        first(decision).propensity -= 1e-12;
      },
      ['decision propensity mismatch'],
    ],
    [
      'a candidate left out',
      (decision) => {
        decision.candidates.pop();
      },
      ['decision propensity mismatch'],
    ],
    [
      'the draw',
      (decision) => {
        decision.draw = 0.5;
      },
      ['decision draw mismatch'],
    ],
    [
      'the seed',
      (decision) => {
        decision.seed += 1n;
      },
      ['decision draw mismatch'],
    ],
    [
      'the tip',
      (decision) => {
        decision.tipId = decision.tipId === 'a' ? 'b' : 'a';
      },
      ['decision tip mismatch'],
    ],
    [
      'a snapshot that is none',
      (decision) => {
        decision.snapshot = 'yesterday';
      },
      ['decision snapshot mismatch'],
    ],
    [
      'that nothing was read, beside the snapshot of a read',
      (decision) => {
        decision.degradations.push(Degradation.PROFILE_UNAVAILABLE);
      },
      ['decision snapshot mismatch'],
    ],
  ])('%s', (_, change, expected) => {
    const decision = clone(TipScoredSchema, decisionOf());
    change(decision);
    expect(wrongIn(past(decision))).toEqual(expected);
  });

  it('a snapshot that was taken away: the decision knew more than nothing', () => {
    const decision = clone(TipScoredSchema, decisionOf({ known: { buckets } }));
    decision.snapshot = '';
    expect(wrongIn(past(decision, noBuckets))).toContain('decision snapshot mismatch');
    expect(wrongIn(past(decision, noBuckets))).toContain('feature completion_rate_30d missing');
  });

  it('an event too many and one too few', () => {
    const more: Buckets = { ...buckets, user_daily: [{ ...buckets.user_daily[0], day, served: 9 }] };
    expect(wrongIn(past(decisionOf({ known: { buckets } }), more))).toContain('feature completion_rate_30d mismatch');
    expect(wrongIn(past(decisionOf({ known: { buckets } }), noBuckets))).toContain(
      'feature completion_rate_30d missing',
    );
  });

  it('a vector of another build: entries that we do not have, and those that it does not have', () => {
    const decision = clone(TipScoredSchema, decisionOf());
    decision.vectorNames[11] = 'shoe_size';
    expect(wrongIn(past(decision))).toEqual(['vector tip_volume_30d extra', 'vector shoe_size missing']);
  });

  it.each<[string, Made, string[]]>([
    [
      'which matters',
      { context: { timeZone: 'Asia/Tokyo' } },
      ['hour_of_day', 'hour_sin', 'hour_cos', 'preferred_hour'],
    ],
    ['which does not, as the caller said hour and day', { context: { timeZone: '', hourOfDay: 3, dayOfWeek: 7 } }, []],
  ])('a time zone that this machine does not know, %s', (_, made, expected) => {
    const decision = clone(TipScoredSchema, decisionOf(made));
    decision.timeZone = 'Mars/Olympus_Mons';
    expect(wrongIn(past(decision)).map((each) => each.split(' ')[1])).toEqual(expected);
  });

  it('what was learnt is replayed, of the person by the log, of everybody as it is kept; a change of either is found', () => {
    const learnt = (entry: number): Statistics =>
      contributionOf(
        vectorNames.map(() => entry),
        -1000,
      ) ?? nothing;
    const decision = decisionOf({ learnt: { person: learnt(99), population: learnt(2048) } });
    const wrong = (population: Statistics, changed = decision) =>
      verifyDecision(past(changed), population).flatMap(({ name, verdict }) => (verdict === 'match' ? [] : [name]));
    expect(wrong(learnt(2048))).toEqual([]);
    expect(wrong(learnt(2047))).toEqual(['weights', 'score']);
    const forged = clone(TipScoredSchema, decision);
    if (forged.statistics) forged.statistics.xy[0] = 0n;
    expect(wrong(learnt(2048), forged)).toEqual(['weights', 'score']);
  });

  it('of a policy that this build does not have, the draw is not replayed', () => {
    const decision = clone(TipScoredSchema, decisionOf());
    decision.policyVersion = '0';
    decision.tipId = 'none';
    expect(wrongIn(past(decision))).toEqual([]);
  });
});
