import { create } from '@bufbuild/protobuf';
import type { FeatureReading } from '../features/profile.ts';
import { toTimestamp } from '../features/time.ts';
import {
  FeatureSource,
  FeatureStatus,
  type FeatureValue,
  FeatureValueSchema,
} from '../gen/proto/oo/features/v1/features_pb.ts';

const statuses = {
  present: FeatureStatus.PRESENT,
  stale: FeatureStatus.STALE,
  missing: FeatureStatus.MISSING,
  default: FeatureStatus.DEFAULT,
} as const;

const sources = {
  request: FeatureSource.REQUEST,
  store: FeatureSource.STORE,
  clock: FeatureSource.CLOCK,
  feast: FeatureSource.FEAST,
  population: FeatureSource.POPULATION,
} as const;

/** A reading as it travels. */
export function toFeatureValue(reading: FeatureReading<string, number | readonly number[]>): FeatureValue {
  const { name, value, status, source, asOfMs, storeValue } = reading;
  return create(FeatureValueSchema, {
    name,
    ...(typeof value === 'number' ? { value } : { values: [...(value ?? [])] }),
    status: statuses[status],
    source: source === undefined ? FeatureSource.UNSPECIFIED : sources[source],
    ...(asOfMs === undefined ? {} : { asOf: toTimestamp(asOfMs) }),
    ...(typeof storeValue === 'number' ? { storeValue } : {}),
  });
}
