import { type Vector, vectorNames } from '../../features/vector.ts';
import { isPossible, noStatistics, type Statistics } from '../linear-model.ts';

/** Entries of every vector that a model is trained on. */
export const dimension = vectorNames.length;

/** A row that a model learns from. */
export interface TrainingRow {
  readonly vector: Vector;
  readonly rewardMilli: number;
}

export interface RowSums {
  /** False: such a row cannot have happened, as `contributionOf` says. It adds nothing. */
  add(row: TrainingRow): boolean;
  read(): Statistics;
}

/**
 * What `contributionOf` says of every row, added up in place: the same bits in any order and any split, a hundred times as
 * fast as adding whole statistics.
 */
export function startRowSums(): RowSums {
  const none = noStatistics(dimension);
  const xx = Float64Array.from(none.xx);
  const xy = Float64Array.from(none.xy);
  let count = 0;
  let reward = 0;
  let rewardSquared = 0;
  return {
    add({ vector, rewardMilli }) {
      if (vector.length !== dimension || !isPossible(vector, rewardMilli)) return false;
      count++;
      reward += rewardMilli;
      rewardSquared += rewardMilli * rewardMilli;
      for (let i = 0, position = 0; i < dimension; i++) {
        const entry = vector[i] ?? 0;
        xy[i] = (xy[i] ?? 0) + entry * rewardMilli;
        for (let j = i; j < dimension; j++, position++) xx[position] = (xx[position] ?? 0) + entry * (vector[j] ?? 0);
      }
      return true;
    },
    read: () => ({ count, xx: [...xx], xy: [...xy], reward, rewardSquared }),
  };
}
