/** What `withFloor` guarantees to each of so many. */
export function leastOf(floor: number, candidates: number): number {
  return Math.min(floor, 1 / candidates);
}

/**
 * Gives everyone `floor`, and shares the rest by weights that sum to 1: p = f + (1 - n f) w. Where the floor alone takes
 * everything, all are equal. Added rather than clipped, since clipping and dividing again would distort the ratios of
 * those above the floor.
 */
export function withFloor(weights: readonly number[], floor: number): number[] {
  const rest = 1 - weights.length * floor;
  if (rest <= 0) return weights.map(() => 1 / weights.length);
  return weights.map((weight) => floor + rest * weight);
}

/**
 * `epsilon` shared by all, the rest by those with the highest value. Sutton and Barto, Reinforcement Learning, 2nd edition,
 * 2018, 2.2.
 */
export function epsilonGreedy(values: readonly number[], epsilon: number): number[] {
  let best = Number.NEGATIVE_INFINITY;
  let winners = 0;
  for (const value of values) {
    if (value > best) winners = 0;
    if (value >= best) {
      best = value;
      winners++;
    }
  }
  const explore = epsilon / values.length;
  const exploit = (1 - epsilon) / winners;
  return values.map((value) => explore + (value === best ? exploit : 0));
}
