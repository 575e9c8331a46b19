import { create } from '@bufbuild/protobuf';
import type { ProfileBuckets, ProfileFeatureName } from '../features/definitions.ts';
import { type Moment, readMoment } from '../features/moment.ts';
import { type FeatureReading, type Profile, readProfile, type Source, type Status } from '../features/profile.ts';
import { toMs } from '../features/time.ts';
import { encodeVectors, isOfCandidate, vectorNames } from '../features/vector.ts';
import { profileFeatures } from '../gen/proto/oo/contract.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import {
  FeatureSource,
  FeatureStatus,
  type FeatureValue,
  ProfileFeaturesSchema,
} from '../gen/proto/oo/features/v1/features_pb.ts';

/** What a decision should have been based on. */
export interface Recomputed {
  readonly profile: Profile;
  readonly moment: Moment;
  /** The entries of every candidate's vector that say nothing of the candidate itself, by name. */
  readonly entries: ReadonlyMap<string, number>;
}

const anyCandidate = { isOverdue: false, taskAgeDays: 0, priority: 1 };

/**
 * Does once more what a Score does, with the functions it calls. What the caller, Feast and the clock said is taken from
 * the decision; what our tables said comes from the buckets.
 */
export function recompute(decision: TipScored, decidedAtMs: number, buckets: ProfileBuckets): Recomputed {
  const logged = loggedReadings(decision);
  const profile = readProfile({ supplied: suppliedIn(logged), feast: feastIn(logged), buckets }, decidedAtMs);
  const moment = momentOf(decision, logged, decidedAtMs);
  const [vector = []] = encodeVectors([anyCandidate], profile, moment);
  const entries = vectorNames.flatMap((name, i): [string, number][] =>
    isOfCandidate(name) ? [] : [[name, vector[i] ?? 0]],
  );
  return { profile, moment, entries: new Map(entries) };
}

const statuses: Readonly<Record<FeatureStatus, Status>> = {
  [FeatureStatus.UNSPECIFIED]: 'missing',
  [FeatureStatus.PRESENT]: 'present',
  [FeatureStatus.STALE]: 'stale',
  [FeatureStatus.MISSING]: 'missing',
  [FeatureStatus.DEFAULT]: 'default',
};

const sources: Readonly<Record<FeatureSource, Source | undefined>> = {
  [FeatureSource.UNSPECIFIED]: undefined,
  [FeatureSource.REQUEST]: 'request',
  [FeatureSource.STORE]: 'store',
  [FeatureSource.CLOCK]: 'clock',
  [FeatureSource.FEAST]: 'feast',
  [FeatureSource.POPULATION]: 'population',
};

/** The readings that a decision was made with. */
export function loggedReadings({ featureValues }: TipScored): readonly FeatureReading[] {
  return featureValues.map(({ name, value, status, source, asOf, storeValue }: FeatureValue) => ({
    name,
    value,
    status: statuses[status] ?? 'missing',
    source: sources[source],
    asOfMs: asOf && toMs(asOf),
    storeValue,
  }));
}

function suppliedIn(logged: readonly FeatureReading[]) {
  const sent = logged.filter(({ source }) => source === 'request');
  if (sent.length === 0) return undefined;
  const sentAs = (name: string) => sent.find((reading) => reading.name === name)?.value;
  return create(
    ProfileFeaturesSchema,
    Object.fromEntries(profileFeatures.map(({ name, property }) => [property, sentAs(name)])),
  );
}

function feastIn(logged: readonly FeatureReading[]) {
  return new Map(
    logged.flatMap(({ name, value, source, asOfMs }) =>
      source === 'feast' && value !== undefined ? [[name as ProfileFeatureName, { value, asOfMs }] as const] : [],
    ),
  );
}

/** A time zone that this machine does not know is read as UTC: if it mattered, hour or day differ. */
function momentOf({ timeZone }: TipScored, logged: readonly FeatureReading[], decidedAtMs: number): Moment {
  const sent = (name: string) => logged.find((reading) => reading.name === name && reading.source === 'request')?.value;
  const given = { hourOfDay: sent('hour_of_day'), dayOfWeek: sent('day_of_week') };
  try {
    return readMoment({ timeZone, ...given }, decidedAtMs);
  } catch {
    return readMoment({ timeZone: 'UTC', ...given }, decidedAtMs);
  }
}
