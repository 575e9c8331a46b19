import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext } from '@connectrpc/connect';
import type { ErasureStore } from '../../../features/erasure-store.ts';
import {
  type EraseUserRequest,
  type EraseUserResponse,
  EraseUserResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { type Bus, BusError } from '../../../platform/bus.ts';
import { classifyFailure } from '../../../platform/database.ts';
import { unavailable } from '../../../platform/errors.ts';
import type { Log } from '../../../platform/log.ts';
import { streams } from '../../../platform/streams.ts';
import { callerKey } from '../../interceptors/authenticate.ts';
import { checkStorable } from './check-storable.ts';

export interface EraseUserDeps {
  readonly erasureStore: ErasureStore;
  readonly bus: Pick<Bus, 'remove'>;
  readonly log: Pick<Log, 'info'>;
}

/** Streams name nobody in their subjects, so that a person's events leave these only with their age. */
const { signals, feedback, decisions } = streams;
const streamsCleanWithinMs = Math.max(...[signals, feedback, decisions].map(({ maxAgeMs }) => maxAgeMs));

/** Waiting for one after the other takes three times as long. */
const removedAtOnce = 50;

/** Removes a person from every table, and their dead letters from the stream as well. Asking again is safe. */
export function createEraseUser({ erasureStore, bus, log }: EraseUserDeps) {
  const remove = (sequence: number) => bus.remove(streams.deadletters.name, sequence);
  const removeLetters = async (sequences: readonly number[]) => {
    for (let from = 0; from < sequences.length; from += removedAtOnce)
      await Promise.all(sequences.slice(from, from + removedAtOnce).map(remove));
  };

  return async (
    { userId, reason }: EraseUserRequest,
    context: Pick<HandlerContext, 'values'>,
  ): Promise<EraseUserResponse> => {
    checkStorable({ user_id: userId, reason });
    const { userHash, rowsRemoved } = await erasureStore.erase(userId, reason, removeLetters).catch(explain);
    const caller = context.values.get(callerKey).name;
    log.info({ userHash: userHash.slice(0, 12), rowsRemoved, caller }, 'erased a person');
    return create(EraseUserResponseSchema, {
      rowsRemoved: BigInt(rowsRemoved),
      streamsCleanWithin: durationFromMs(streamsCleanWithinMs),
    });
  };
}

function explain(error: unknown): never {
  if (!(error instanceof BusError) && classifyFailure(error) !== 'outage') throw error;
  throw unavailable('ERASURE_UNAVAILABLE', 'it is not known to be done; ask again', { cause: error });
}
