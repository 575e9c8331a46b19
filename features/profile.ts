import { profileFeatures } from '../gen/proto/oo/contract.ts';
import type { ProfileFeatures } from '../gen/proto/oo/features/v1/features_pb.ts';
import type { Buckets } from './buckets.ts';
import { definitions, type FeatureName } from './definitions.ts';

/** How far a value can be trusted, as `FeatureStatus` in the contract. */
export type Status = 'present' | 'stale' | 'missing' | 'default';

/** One feature as a decision uses it. `value` is undefined exactly when `status` is missing. */
export interface FeatureReading<Name extends string = string> {
  readonly name: Name;
  readonly value: number | undefined;
  readonly status: Status;
  readonly source: 'request' | 'store' | 'clock' | undefined;
  readonly asOfMs: number | undefined;
}

/** The profile features of one person, in the order of the contract. */
export type Profile = readonly FeatureReading<FeatureName>[];

/**
 * The profile at an instant: what the caller sent wins, the rest is read out of the person's buckets. Nothing is left
 * out; what is not known says so.
 */
export function readProfile(supplied: ProfileFeatures | undefined, buckets: Buckets, nowMs: number): Profile {
  return profileFeatures.map(({ name, property, ttlMs }) => {
    const sent = supplied?.[property];
    if (sent !== undefined) return { name, value: sent, status: 'present', source: 'request', asOfMs: undefined };
    const reading = definitions[name](buckets, nowMs);
    if (!reading) return { name, value: undefined, status: 'missing', source: undefined, asOfMs: undefined };
    const status = nowMs - reading.asOfMs > ttlMs ? 'stale' : 'present';
    return { name, value: reading.value, status, source: 'store', asOfMs: reading.asOfMs };
  });
}
