import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { createContextValues } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { EraseUserRequestSchema } from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { BusError } from '../../../platform/bus.ts';
import { createEraseUser } from './erase-user.ts';

/** Erases a person with letters at these places, and says which left their stream and how many were on their way at once. */
async function erase(places: readonly number[], fails = (_: number) => false) {
  const removed: number[] = [];
  let [underWay, most] = [0, 0];
  const handler = createEraseUser({
    erasureStore: {
      erase: async (_, __, removeLetters) => {
        await removeLetters(places);
        return { userHash: 'hash', rowsRemoved: places.length };
      },
      findErased: async () => new Set(),
    },
    bus: {
      remove: async (stream, sequence) => {
        most = Math.max(most, ++underWay);
        await sleep(1);
        underWay--;
        if (fails(sequence)) throw new BusError('unavailable', 'gone');
        expect(stream).toBe('deadletters');
        removed.push(sequence);
      },
    },
    log: { info() {} },
  });
  const request = create(EraseUserRequestSchema, { userId: 'anna', reason: 'asked' });
  const outcome = await handler(request, { values: createContextValues() }).catch((error: unknown) => error);
  return { removed, most, outcome };
}

const many = Array.from({ length: 130 }, (_, i) => i + 1);

it('removes all letters of a person from their stream, a few at once', async () => {
  const { removed, most, outcome } = await erase(many);
  expect(removed).toEqual(many);
  expect(most).toBe(50);
  expect(outcome).toMatchObject({ rowsRemoved: 130n });
});

it('is not done where one of them cannot be removed', async () => {
  const { outcome } = await erase(many, (sequence) => sequence === 77);
  expect(outcome).toMatchObject({ code: 'unavailable', reason: 'ERASURE_UNAVAILABLE' });
});
