// How a person's sums are named, stored and packed.
import { vectorNames, vectorVersion } from '../features/vector.ts';
import type { LinearStatistics } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { type ArrayParameter, plainArray, textArray } from '../platform/postgres-arrays.ts';
import { noStatistics, type Statistics } from './linear-model.ts';
import { rewards } from './rewards.ts';

/** Which sums belong together: of vectors of one encoding, and rewards of one table. */
export const statisticsVersion = `${vectorVersion}/${rewards.version}`;

export const nothingLearnt: Statistics = noStatistics(vectorNames.length);

/** The columns of a table that holds sums, in the order of `statisticsArrays`. */
export const statisticsColumns = 'count, reward, reward_squared, xy, xx';

/** Each column of some sums as an array: three of `int8`, then two of texts that cast to `int8[]`. */
export function statisticsArrays(all: readonly Statistics[]): ArrayParameter[] {
  return [
    plainArray(all.map(({ count }) => count)),
    plainArray(all.map(({ reward }) => reward)),
    plainArray(all.map(({ rewardSquared }) => rewardSquared)),
    textArray(all.map(({ xy }) => `{${xy.join(',')}}`)),
    textArray(all.map(({ xx }) => `{${xx.join(',')}}`)),
  ];
}

/** Reads what `packedStatistics` packed. Null: there are none. What is not right is found when a model is fitted. */
export function unpackStatistics(packed: string | null): Statistics {
  if (packed === null) return nothingLearnt;
  const [count, reward, rewardSquared, xy = '', xx = ''] = packed.split(';');
  return {
    count: Number(count),
    reward: Number(reward),
    rewardSquared: Number(rewardSquared),
    xy: xy.split(',').map(Number),
    xx: xx.split(',').map(Number),
  };
}

/** Sums as a decision event holds them. */
export function toLogged({ count, reward, rewardSquared, xy, xx }: Statistics) {
  return {
    count: BigInt(count),
    reward: BigInt(reward),
    rewardSquared: BigInt(rewardSquared),
    xy: xy.map(BigInt),
    xx: xx.map(BigInt),
  };
}

/** Undefined: nothing was learnt. */
export function ofLogged(logged: LinearStatistics | undefined): Statistics {
  if (!logged) return nothingLearnt;
  const { count, reward, rewardSquared, xy, xx } = logged;
  return {
    count: Number(count),
    reward: Number(reward),
    rewardSquared: Number(rewardSquared),
    xy: xy.map(Number),
    xx: xx.map(Number),
  };
}
