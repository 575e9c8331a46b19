import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { decide } from '../experiments/decide.ts';
import { noExperiments } from '../experiments/experiment.ts';
import { add, contributionOf, noStatistics } from '../experiments/linear-model.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { policies } from '../experiments/policies/index.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { treat } from '../experiments/treatment.ts';
import { type Buckets, noBuckets } from '../features/buckets.ts';
import { readMoment } from '../features/moment.ts';
import { readProfile } from '../features/profile.ts';
import { parseSnapshot } from '../features/snapshot.ts';
import { encodeVectors, vectorNames } from '../features/vector.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { ProfileFeaturesSchema } from '../gen/proto/oo/features/v1/features_pb.ts';
import { ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { toTipScored } from '../server/tip-scored.ts';
import type { DecisionRecords } from './decision-records.ts';
import { type Explanation, explainDecision, type Remains, type WholeExplanation } from './explain-decision.ts';
import { deciderIn } from './verify-decision.ts';

const nowMs = Date.UTC(2025, 10, 24, 12);
const requestId = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
const populationId = '0190a5d2-7b1c-4cc0-8a5e-2f1f6a5b3c1d';
const nothing = noStatistics(vectorNames.length);
const ones = vectorNames.map(() => 4096);
const person = [1000, -500].map((milli) => contributionOf(ones, milli) ?? nothing).reduce(add);
const buckets: Buckets = {
  ...noBuckets,
  user_daily: [{ day: utcDay(nowMs), served: 8, done: 2, last_served_at: nowMs - 2 * dayMs }],
};

interface Made {
  readonly policy?: Policy;
  readonly snapshot?: string;
  readonly change?: (decision: TipScored) => void;
  readonly more?: Partial<DecisionRecords>;
  readonly isTooOld?: boolean;
  readonly isPopulationLost?: boolean;
}

/** A decision as the server makes it, and what is stored about it. */
function recordsOf({ policy = egreedyV2, snapshot = '9:9:', change, more, isTooOld = false, isPopulationLost }: Made) {
  const known = snapshot === '' ? noBuckets : buckets;
  const profile = readProfile(
    { supplied: create(ProfileFeaturesSchema, { dismissRate30d: 0.5 }), buckets: known },
    nowMs,
  );
  const moment = readMoment({ timeZone: 'Europe/Amsterdam' }, nowMs);
  const tips = [
    { id: 'a', kind: TipKind.TASK, source: TipSource.TASK_DIRECT, taskId: '7' },
    { id: 'b', kind: TipKind.ADVICE, source: TipSource.LLM, promptVersion: 'v1', model: 'm' },
  ];
  const vectors = encodeVectors(
    tips.map((_, i) => ({ isOverdue: i === 0, taskAgeDays: 0, priority: 1 })),
    profile,
    moment,
  );
  const learnt = { person, population: person };
  const decision = toTipScored({
    request: create(ScoreRequestSchema, { requestId, userId: 'u', candidates: tips }),
    ...{ requestHash: new Uint8Array(32), vectors, learnt, populationId, moment, snapshot, isFeastUnavailable: false },
    decision: decide(policy, vectors, requestId, learnt),
    readings: [...profile, ...moment.readings],
    treatment: treat(noExperiments, 'u', nowMs),
  });
  change?.(decision);
  const past = { decisionId: 'd', decidedAtMs: nowMs, decision, snapshot: parseSnapshot(snapshot), buckets: known };
  const measurement = { measured_at: new Date(nowMs - 60_000), people: 3, count: 2 };
  const decider = deciderIn(policies, decision);
  const whole = isPopulationLost
    ? { past, isTooOld, decider, population: undefined, measurement: undefined }
    : { past, isTooOld, decider, population: person, measurement };
  return { decisionId: 'd', userId: 'u', scored: undefined, whole, outcome: undefined, reactions: [], ...more };
}

const explained = (made: Made = {}) => explainDecision(recordsOf(made)) as WholeExplanation;
const featureNamed = ({ features }: WholeExplanation, name: string) => features.find((each) => each.name === name);

describe('an explanation', () => {
  it.each([
    ['completion_rate_30d', { value: 0.25, status: 'present', source: 'store', age_ms: 2 * dayMs, taken_as: null }],
    ['tip_volume_30d', { value: 8, status: 'stale', source: 'store', age_ms: 2 * dayMs }],
    ['dismiss_rate_30d', { value: 0.5, status: 'present', source: 'request', as_of: null, age_ms: null, own_value: 0 }],
    ['preferred_hour', { value: null, status: 'missing', source: null, taken_as: 0.5 }],
    ['hour_of_day', { value: 13, source: 'clock', as_of: new Date(nowMs).toISOString(), age_ms: 0 }],
  ])('says of %s what was known and how fresh', (name, expected) => {
    expect(featureNamed(explained(), name)).toMatchObject(expected);
  });

  it('adds every score up from contributions, largest first, and lays the chances side by side', () => {
    const { candidates, tip_id, draw } = explained();
    for (const { contributions, score } of candidates) {
      expect(contributions.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(score, 12);
      const sizes = contributions.map(({ value }) => Math.abs(value));
      expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    }
    expect(candidates.map(({ drawn_from, drawn_to }) => [drawn_from, drawn_to])).toEqual([
      [0, candidates[0]?.propensity],
      [candidates[0]?.propensity, 1],
    ]);
    const on = candidates.find(({ drawn_from, drawn_to }) => drawn_from <= draw.value && draw.value < drawn_to);
    expect(on).toMatchObject({ tip_id, is_chosen: true });
    expect(candidates[0]?.contributions).toContainEqual({ entry: 'is_overdue', input: 1, value: expect.any(Number) });
    expect(candidates[1]).toMatchObject({
      kind: 'advice',
      source: 'llm',
      model: 'm',
      prompt_version: 'v1',
      task_id: null,
    });
  });

  it('says what the policy is and had learnt', () => {
    const { policy, learnt } = explained();
    expect(policy).toMatchObject({
      name: 'egreedy-v2',
      code: '2',
      hyperparameters: { epsilon: 0.1 },
      model_version: 'prior-1',
    });
    expect(learnt).toEqual({
      ...{ own_rewards: 2, own_mean_reward: 0.25 },
      population: { id: populationId, measured_at: '2025-11-24T11:59:00.000Z', age_ms: 60_000, people: 3, rewards: 2 },
    });
    const alike = explained({ policy: random });
    expect(alike.policy).toMatchObject({ version: '1', code: '1', hyperparameters: {}, model_version: null });
    expect(alike.learnt).toEqual({ own_rewards: 0, own_mean_reward: null, population: null });
    expect(alike.candidates.flatMap(({ contributions }) => contributions)).toEqual([]);
  });

  it.each<[string, Made, Partial<WholeExplanation['replay']>, readonly string[]]>([
    [
      'is as it was',
      {},
      { features: 'recomputed', policy: 'replayed', compared: { feature: 7, vector: 9, decision: 6 } },
      [],
    ],
    ['had read nothing', { snapshot: '' }, { features: 'nothing_read' }, []],
    [
      'had seen dropped events',
      { isTooOld: true },
      { features: 'month_dropped', compared: { feature: 0, vector: 0, decision: 6 } },
      [],
    ],
    ['read nothing, long ago', { snapshot: '', isTooOld: true }, { features: 'nothing_read' }, []],
    [
      'is of another build',
      {
        change: (d) => {
          d.policyVersion = '99';
        },
      },
      { policy: 'unknown_version' },
      [],
    ],
    [
      'has another draw',
      {
        change: (d) => {
          d.draw = 0.123;
        },
      },
      {},
      ['decision draw mismatch'],
    ],
    [
      'has another value',
      {
        change: (d) => {
          d.featureValues.splice(0, 1);
        },
      },
      {},
      ['feature completion_rate_30d extra'],
    ],
    ['lost its population', { isPopulationLost: true }, {}, ['decision population missing']],
  ])('of a decision that %s says so', (_, made, expected, differences) => {
    const { replay } = explained(made);
    expect(replay).toMatchObject(expected);
    expect(replay.differences.map(({ part, name, verdict }) => `${part} ${name} ${verdict}`)).toEqual(differences);
    expect(replay.is_equal).toBe(differences.length === 0);
  });

  it('names a population that was lost', () => {
    const lost = { measured_at: null, age_ms: null, people: null, rewards: null };
    expect(explained({ isPopulationLost: true }).learnt.population).toEqual({ id: populationId, ...lost });
  });

  it('tells what happened then', () => {
    const [shownAt, doneAt] = [new Date(nowMs + 5), new Date(nowMs + 9)];
    const outcome = { served_at: shownAt, outcome: 'done', outcome_at: doneAt, reward_milli: 600, reward_version: '2' };
    const reactions = [{ reaction: 'done', reacted_at: doneAt, dwell_ms: 130_000, reward_milli: 600 }];
    expect(explained({ more: { outcome, reactions } }).after).toEqual({
      shown_at: shownAt.toISOString(),
      reactions: [{ reaction: 'done', at: doneAt.toISOString(), dwell_ms: 130_000, reward: 0.6 }],
      ...{ outcome: 'done', outcome_at: doneAt.toISOString(), reward: 0.6, reward_version: '2' },
    });
    const open = { shown_at: null, reactions: [], outcome: null, outcome_at: null, reward: null, reward_version: null };
    expect(explained().after).toEqual(open);
  });

  it('keeps to tip_scores where the event is gone', () => {
    const scored = {
      ...{
        request_id: requestId,
        user_id: 'u',
        tip_id: 'b',
        decided_at: new Date(nowMs),
        policy: 'p',
        model_version: null,
      },
      ...{
        policy_version: '3;alpha=0.5',
        tip_kind: 'advice',
        tip_source: 'llm',
        llm_model: null,
        prompt_version: 'v1',
      },
      ...{ score: 0.5, propensity: 0.25, candidates: 4, degradations: ['feast_unavailable'] },
    };
    const remains = explainDecision(recordsOf({ more: { scored, whole: undefined } })) as Remains;
    expect(remains).toMatchObject({
      ...{ kind: 'remains', tip_id: 'b', candidates: 4, degradations: ['feast_unavailable'] },
      policy: { name: 'p', code: '3', hyperparameters: { alpha: 0.5 } },
      tip: { score: 0.5, propensity: 0.25, prompt_version: 'v1' },
    });
  });

  it.each<[string, Explanation]>([
    ['whole', explained()],
    [
      'different',
      explained({
        change: (d) => {
          d.seed = 1n;
        },
      }),
    ],
  ])('is plain JSON: %s', (_, explanation) => {
    expect(JSON.parse(JSON.stringify(explanation))).toEqual(explanation);
  });
});
