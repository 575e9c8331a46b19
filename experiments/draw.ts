import { createHash } from 'node:crypto';

/** The seed of a request's draws: the first 64 bits of the SHA-256 of its id. */
export function seedOf(requestId: string): bigint {
  return createHash('sha256').update(requestId.toLowerCase()).digest().readBigUInt64BE(0);
}

const golden = 0x9e3779b97f4a7c15n;

/**
 * The `counter`-th number in [0, 1) of a seed, with 53 random bits. SplitMix64 read as a counter-based generator: no
 * state, the same on every machine. Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
 */
export function uniform(seed: bigint, counter: number): number {
  let z = BigInt.asUintN(64, seed + BigInt(counter + 1) * golden);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
}

/**
 * The index that a number in [0, 1) falls on, with the probabilities laid side by side in order. Probabilities sum to 1
 * but for rounding; what rounding leaves over at the end belongs to the last index that has any probability.
 */
export function pick(probabilities: readonly number[], draw: number): number {
  let cumulated = 0;
  for (const [index, probability] of probabilities.entries()) {
    cumulated += probability;
    if (draw < cumulated) return index;
  }
  return probabilities.findLastIndex((probability) => probability > 0);
}
