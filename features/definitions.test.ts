import { isDeepStrictEqual } from 'node:util';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  namesOfTipKind,
  namesOfTipSource,
  personFeatures,
  profileFeatures,
  subjects,
} from '../gen/proto/oo/contract.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { PersonFeaturesSchema, ProfileFeaturesSchema } from '../gen/proto/oo/features/v1/features_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { anyPersonEvent, decisionIds, tipIds } from '../tests/_util/arbitraries.ts';
import { type Buckets, fold, noBuckets } from './buckets.ts';
import { definitions, type FeatureName, firstDayRead, readFeature } from './definitions.ts';
import { personDeltas } from './deltas.ts';
import type { Population } from './population.ts';
import { readPerson, readProfile } from './profile.ts';
import { toMs, toTimestamp } from './time.ts';
import { vectorNames } from './vector.ts';

const nowMs = Date.UTC(2026, 10, 23, 12);
const today = utcDay(nowMs);
const at = nowMs - 1000;

const names = Object.keys(definitions) as FeatureName[];

const anyDecision = fc
  .record({
    eventId: fc.constantFrom(...decisionIds),
    tipId: fc.constantFrom(...tipIds),
    kind: fc.constantFrom<TipKind>(0, 1, 2, 3, 4),
    source: fc.constantFrom<TipSource>(0, 1, 2, 3),
  })
  .map(({ eventId, tipId, kind, source }) =>
    create(EnvelopeSchema, {
      eventId,
      userId: 'u',
      occurredAt: toTimestamp(Date.UTC(2026, 1)),
      payload: { case: 'tipScored', value: { tipId, candidates: [{ tipId, kind, source }] } },
    }),
  );
const counts = { served: 7, done: 3, dismissed: 2, snoozed: 1 };
const of = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, counts]));
/** With one there is a rate of whatever kind, so that whatever is said changes it. */
const population: Population = {
  ...{ measuredAtMs: nowMs, all: counts },
  ...{ byKind: of(Object.values(namesOfTipKind)), bySource: of(Object.values(namesOfTipSource)) },
};
const anyEvent = fc.oneof({ weight: 7, arbitrary: anyPersonEvent() }, { weight: 1, arbitrary: anyDecision });

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

  it('are changed by events on the subjects that the contract says, and by no others', () => {
    const [moved, changed] = [new Map<string, Set<string>>(), new Map<string, Set<string>>()];
    for (const events of fc.sample(fc.array(anyEvent, { maxLength: 12 }), { numRuns: 2_000, seed: 1 })) {
      const atMs = Math.max(...events.map(({ occurredAt }) => toMs(occurredAt)));
      const valuesOf = (some: readonly Envelope[]) => {
        const buckets = fold(some.flatMap(personDeltas));
        return names.map((name) => readFeature(name, buckets, atMs, population)?.value);
      };
      const values = valuesOf(events);
      for (const { eventId, payload } of events) {
        const without = valuesOf(events.filter((event) => event.eventId !== eventId));
        for (const [i, name] of names.entries()) {
          if (!payload.case || isDeepStrictEqual(values[i], without[i])) continue;
          const { subject, alsoAccepted } = subjects[payload.case];
          const wasKnown = values[i] !== undefined && without[i] !== undefined;
          for (const by of wasKnown ? [moved, changed] : [moved])
            by.set(name, new Set([...(by.get(name) ?? []), subject, ...alsoAccepted]));
        }
      }
    }
    for (const { name, invalidatedBy } of [...profileFeatures, ...personFeatures]) {
      // the contract says it of these for no reason, and no word of it is taken back
      const idle = name.startsWith('tips_ignored_') ? ['decisions.tip.scored'] : [];
      expect([...(moved.get(name) ?? []), ...idle], name).toEqual(expect.arrayContaining([...invalidatedBy]));
      expect(invalidatedBy, name).toEqual(expect.arrayContaining([...(changed.get(name) ?? [])]));
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
    for (const name of names) {
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

describe('readPerson', () => {
  const counts = { served: 100, done: 40, dismissed: 0, snoozed: 0 };
  const population = { measuredAtMs: nowMs, all: counts, byKind: { advice: { ...counts, served: 0 } }, bySource: {} };
  const known = (name: string, buckets: Buckets, withPopulation = true) =>
    readPerson(buckets, withPopulation ? population : undefined, nowMs).find((each) => each.name === name);
  const synced = (agoMs: number): Buckets => ({
    ...noBuckets,
    user_tasks: [{ provider: 'todoist', synced_at: nowMs - agoMs, open_tasks: 3, overdue_tasks: 0 }],
  });

  it('says of every feature whose value it is, and how far it can be trusted', () => {
    const one = daily(today, { served: 1, last_served_at: at });
    const ofStore = { source: 'store' };
    const missing = { value: undefined, status: 'missing', source: undefined };
    expect(known('open_tasks', synced(dayMs))).toMatchObject({ value: 3, status: 'present', ...ofStore });
    expect(known('open_tasks', synced(dayMs + 1))).toMatchObject({ value: 3, status: 'stale', ...ofStore });
    expect(known('open_tasks', noBuckets)).toMatchObject(missing);
    expect(known('done_rate_7d', one)).toMatchObject({ value: 4 / 11, status: 'present', ...ofStore });
    expect(known('done_rate_7d', noBuckets)).toMatchObject({ value: 0.4, status: 'default', source: 'population' });
    expect(known('done_rate_7d', noBuckets, false)).toMatchObject(missing);
    expect(known('done_rate_7d', one, false)).toMatchObject({ value: 0, status: 'present', ...ofStore });
    expect(known('advice_done_rate_30d', noBuckets), 'of a kind that nobody was shown').toMatchObject(missing);
    expect(known('tips_done_7d', noBuckets), 'no count stands in').toMatchObject(missing);
  });
});
