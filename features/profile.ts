import { personFeatures, profileFeatures } from '../gen/proto/oo/contract.ts';
import type { ProfileFeatures } from '../gen/proto/oo/features/v1/features_pb.ts';
import type { Buckets } from './buckets.ts';
import { type PersonFeatureName, type ProfileBuckets, type ProfileFeatureName, readFeature } from './definitions.ts';
import type { Population } from './population.ts';

/** How far a value can be trusted, as `FeatureStatus` in the contract. */
export type Status = 'present' | 'stale' | 'missing' | 'default';

/** Where a value came from, as `FeatureSource` in the contract. */
export type Source = 'request' | 'store' | 'clock' | 'feast' | 'population';

/** One feature as a decision uses it. `value` is undefined exactly when `status` is missing. */
export interface FeatureReading<Name extends string = string, Value = number> {
  readonly name: Name;
  readonly value: Value | undefined;
  readonly status: Status;
  readonly source: Source | undefined;
  readonly asOfMs: number | undefined;
  /** What our own tables say where another source was used. */
  readonly storeValue?: Value | undefined;
}

/** The profile features of one person, in the order of the contract. */
export type Profile = readonly FeatureReading<ProfileFeatureName>[];

/** Values that a feature server of its own gave, by feature, and as of when, if it says so. */
export type FeastReadings = ReadonlyMap<
  ProfileFeatureName,
  { readonly value: number; readonly asOfMs: number | undefined }
>;

/** All that is known of a person, from where it may come. */
export interface Known {
  /** What the caller sent. It wins. */
  readonly supplied?: ProfileFeatures | undefined;
  /** What Feast gave. It wins over our own. */
  readonly feast?: FeastReadings | undefined;
  readonly buckets: ProfileBuckets;
}

/** The profile at an instant. Nothing is left out; what is not known says so. */
export function readProfile({ supplied, feast, buckets }: Known, nowMs: number): Profile {
  return profileFeatures.map(({ name, property, ttlMs }) => {
    const own = readFeature(name, buckets, nowMs);
    const storeValue = own && Number(own.value);
    const sent = supplied?.[property];
    if (sent !== undefined) {
      return { name, value: sent, status: 'present', source: 'request', asOfMs: undefined, storeValue };
    }
    const served = feast?.get(name);
    if (served) {
      const { value, asOfMs } = served;
      return { name, value, status: statusOf(asOfMs, ttlMs, nowMs), source: 'feast', asOfMs, storeValue };
    }
    if (!own) return missing(name);
    const { asOfMs } = own;
    return { name, value: storeValue, status: statusOf(asOfMs, ttlMs, nowMs), source: 'store', asOfMs };
  });
}

/** What else is known of a person at an instant, in the order of the contract. */
export function readPerson(
  buckets: Buckets,
  population: Population | undefined,
  nowMs: number,
): readonly FeatureReading<PersonFeatureName, number | readonly number[]>[] {
  return personFeatures.map(({ name, ttlMs }) => {
    const own = readFeature(name, buckets, nowMs, population);
    if (!own) return missing(name);
    const { value, asOfMs } = own;
    if (asOfMs === undefined) return { name, value, status: 'default', source: 'population', asOfMs };
    return { name, value, status: statusOf(asOfMs, ttlMs, nowMs), source: 'store', asOfMs };
  });
}

function missing<Name extends string>(name: Name): FeatureReading<Name, never> {
  return { name, value: undefined, status: 'missing', source: undefined, asOfMs: undefined };
}

/** A source that does not say as of when is taken at its word. */
function statusOf(asOfMs: number | undefined, ttlMs: number, nowMs: number): Status {
  return asOfMs !== undefined && nowMs - asOfMs > ttlMs ? 'stale' : 'present';
}
