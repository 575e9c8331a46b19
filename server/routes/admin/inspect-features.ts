import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { type Buckets, startFold } from '../../../features/buckets.ts';
import { personDeltas } from '../../../features/deltas.ts';
import { readHistory } from '../../../features/history-store.ts';
import { readBuckets } from '../../../features/person-store.ts';
import { readPopulation } from '../../../features/population-store.ts';
import { readPerson, readProfile } from '../../../features/profile.ts';
import { toMs } from '../../../features/time.ts';
import {
  type InspectFeaturesRequest,
  type InspectFeaturesResponse,
  InspectFeaturesResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import type { Clock } from '../../../platform/clock.ts';
import type { Database } from '../../../platform/database.ts';
import { toFeatureValue } from '../../feature-value.ts';
import { checkStorable } from './check-storable.ts';

export interface InspectFeaturesDeps {
  readonly database: Database;
  readonly clock: Clock;
}

/**
 * What is known of a person now, out of the tables; or, as of an instant, out of the events that had occurred by then,
 * whenever they arrived. Nobody knows anything of a person that there are no events of.
 */
export function createInspectFeatures({ database, clock }: InspectFeaturesDeps) {
  return async (
    { userId, asOf }: InspectFeaturesRequest,
    { signal }: Pick<HandlerContext, 'signal'>,
  ): Promise<InspectFeaturesResponse> => {
    checkStorable({ user_id: userId });
    const nowMs = asOf ? toMs(asOf) : clock();
    const [buckets, population] = await Promise.all([
      asOf ? foldUntil(database, userId, nowMs, signal) : readBuckets(database, userId),
      readPopulation(database, { notAfterMs: nowMs }),
    ]);
    return create(InspectFeaturesResponseSchema, {
      featureValues: readProfile({ buckets }, nowMs).map(toFeatureValue),
      personFeatureValues: readPerson(buckets, population, nowMs).map(toFeatureValue),
    });
  };
}

async function foldUntil(database: Database, userId: string, untilMs: number, signal: AbortSignal): Promise<Buckets> {
  const folding = startFold();
  for await (const { event } of readHistory(database, [userId])) {
    signal.throwIfAborted();
    if (toMs(event.occurredAt) > untilMs) continue;
    for (const delta of personDeltas(event)) folding.add(delta);
  }
  return folding.buckets;
}
