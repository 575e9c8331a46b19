import { describe, expect, it } from 'vitest';
import { personFeatures, profileFeatures, subjects } from '../gen/proto/oo/contract.ts';
import { PersonFeaturesSchema, ProfileFeaturesSchema } from '../gen/proto/oo/features/v1/features_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { type Buckets, noBuckets } from './buckets.ts';
import type { PayloadCase } from './definitions/feature.ts';
import { definitions, type FeatureName, featureGroups, firstDayRead, readFeature } from './definitions.ts';
import { readProfile } from './profile.ts';
import { vectorNames } from './vector.ts';

const nowMs = Date.UTC(2026, 10, 23, 12);
const today = utcDay(nowMs);
const at = nowMs - 1000;

const daily = (day: number, row: object): Buckets => ({ ...noBuckets, user_daily: [{ day, ...row }] });
const hourly = (...rows: Buckets['user_hourly']): Buckets => ({ ...noBuckets, user_hourly: rows });

describe('definitions', () => {
  it('name exactly the features of the contract, and the vector holds each of them', () => {
    const profile = ProfileFeaturesSchema.fields.map((field) => field.name);
    const person = PersonFeaturesSchema.fields.map((field) => field.name);
    expect(Object.keys(definitions).toSorted()).toEqual([...profile, ...person].toSorted());
    expect(profileFeatures.map(({ name }) => name)).toEqual(profile);
    expect(personFeatures.map(({ name }) => name)).toEqual(person);
    expect(vectorNames.filter((name) => profile.includes(name))).toEqual(profile);
  });

  it('are moved by events on exactly the subjects that the contract says', () => {
    const fed = featureGroups.flatMap(({ contributes, features }) =>
      Object.keys(features).map((name): [string, string[]] => {
        const cases = Object.keys(contributes) as PayloadCase[];
        return [name, cases.flatMap((each) => [subjects[each].subject, ...subjects[each].alsoAccepted])];
      }),
    );
    const feeding = new Map(fed);
    for (const { name, invalidatedBy } of [...profileFeatures, ...personFeatures]) {
      for (const subject of invalidatedBy) expect(feeding.get(name), name).toContain(subject);
    }
  });

  const table: readonly [FeatureName, string, Buckets, number | undefined][] = [
    ['completion_rate_30d', 'nothing known', noBuckets, undefined],
    ['completion_rate_30d', 'shown and ignored counts as not done', daily(today, { served: 4, last_served_at: at }), 0],
    ['completion_rate_30d', 'done of shown', daily(today, { served: 4, done: 1, last_reaction_at: at }), 0.25],
    [
      'completion_rate_30d',
      'more reactions than shown',
      daily(today, { served: 1, done: 1, dismissed: 1, last_reaction_at: at }),
      0.5,
    ],
    [
      'completion_rate_30d',
      'first day of the window',
      daily(today - 29, { served: 1, done: 1, last_reaction_at: at }),
      1,
    ],
    [
      'completion_rate_30d',
      'the day before the window',
      daily(today - 30, { served: 1, done: 1, last_reaction_at: at }),
      undefined,
    ],
    ['completion_rate_30d', 'tomorrow', daily(today + 1, { served: 1, done: 1, last_reaction_at: at }), undefined],
    ['dismiss_rate_30d', 'dismissed of shown', daily(today, { served: 2, dismissed: 1, last_reaction_at: at }), 0.5],
    [
      'dismiss_rate_30d',
      'helpful is no answer to the tip',
      daily(today, { served: 2, helpful: 2, last_reaction_at: at }),
      0,
    ],
    [
      'mean_dwell_ms_30d',
      'measured reactions only',
      daily(today, { done: 3, dwell_ms: 3000, dwell_count: 2, last_reaction_at: at }),
      1500,
    ],
    ['mean_dwell_ms_30d', 'none measured', daily(today, { done: 3, last_reaction_at: at }), undefined],
    ['tip_volume_30d', 'shown', daily(today, { served: 7, last_served_at: at }), 7],
    ['tip_volume_30d', 'never shown', daily(today, { done: 1, last_reaction_at: at }), undefined],
    ['preferred_hour', 'none done', hourly({ day: today, hour: 3, done: 0 }), undefined],
    [
      'preferred_hour',
      'most done',
      hourly(
        { day: today, hour: 3, done: 1, last_done_at: at },
        { day: today - 1, hour: 20, done: 2, last_done_at: at },
      ),
      20,
    ],
    [
      'preferred_hour',
      'a tie goes to the earliest',
      hourly({ day: today, hour: 20, done: 1, last_done_at: at }, { day: today, hour: 3, done: 1, last_done_at: at }),
      3,
    ],
  ];
  it.each(table)('%s: %s', (name, _, buckets, expected) => {
    expect(readFeature(name, buckets, nowMs)?.value).toBe(expected);
  });

  it('read no day before the first that is fetched', () => {
    const first = firstDayRead(nowMs);
    const event = { served: 1, done: 1, dwell_ms: 1, dwell_count: 1, last_served_at: at, last_reaction_at: at };
    expect(readFeature('completion_rate_30d', daily(first, event), nowMs)).toBeDefined();
    for (const name of Object.keys(definitions) as FeatureName[]) {
      expect(readFeature(name, daily(first - 1, event), nowMs), name).toBeUndefined();
    }
  });
});

describe('readProfile', () => {
  const stored = daily(today, {
    served: 2,
    done: 1,
    last_served_at: nowMs - 2 * dayMs,
    last_reaction_at: nowMs - 2 * dayMs,
  });

  it('lets what the caller sent win, also a zero', () => {
    const supplied = { $typeName: 'oo.features.v1.ProfileFeatures', completionRate30d: 0 } as const;
    const [completion] = readProfile({ supplied, buckets: stored }, nowMs);
    expect(completion).toEqual({
      name: 'completion_rate_30d',
      value: 0,
      status: 'present',
      source: 'request',
      asOfMs: undefined,
      storeValue: 0.5,
    });
  });

  it('says of every feature how far it can be trusted', () => {
    const profile = Object.fromEntries(
      readProfile({ buckets: stored }, nowMs).map((reading) => [reading.name, reading]),
    );
    expect(profile.completion_rate_30d).toMatchObject({ value: 0.5, status: 'present', source: 'store' });
    expect(profile.tip_volume_30d, 'lives for a day only').toMatchObject({
      value: 2,
      status: 'stale',
      source: 'store',
    });
    expect(profile.preferred_hour).toMatchObject({ value: undefined, status: 'missing', source: undefined });
    expect(Object.keys(profile)).toHaveLength(profileFeatures.length);
  });
});
