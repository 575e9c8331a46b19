import { createHash } from 'node:crypto';
import { normalQuantile } from './normal-quantile.ts';

/** The seed of a request's draws: the first 64 bits of the SHA-256 of its id. */
export function seedOf(requestId: string): bigint {
  return createHash('sha256').update(requestId.toLowerCase()).digest().readBigUInt64BE(0);
}

/**
 * The `counter`-th number in [0, 1) of a seed, with 53 random bits; `counter` is whole, 0 to 2^32 - 2. SplitMix64 read as
 * a counter-based generator: no state, the same on every machine. Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, OOPSLA 2014.
 */
export function uniform(seed: bigint, counter: number): number {
  return splitMix(Number(seed >> 32n), Number(seed & 0xffffffffn), counter);
}

/** Numbers by their counter. A counter has one number: whoever needs several independent ones takes several counters. */
export interface Draws {
  /** In [0, 1). */
  uniform(counter: number): number;
  /** Of the standard normal distribution. */
  normal(counter: number): number;
}

/**
 * The draws of a policy for one request. The request's own seed draws the tip, with counter 0, and nothing else. A policy
 * has a seed of its own for each request and version, and starts at `firstCounter`: whatever it draws, the tip's draw is
 * another one.
 */
export function policyDraws(requestId: string, policy: { readonly name: string; readonly version: string }): Draws {
  return drawsOf(seedOf(`${requestId}/${policy.name}/${policy.version}`));
}

export const firstCounter = 1;

export function drawsOf(seed: bigint): Draws {
  const high = Number(seed >> 32n);
  const low = Number(seed & 0xffffffffn);
  return {
    uniform: (counter) => splitMix(high, low, counter),
    normal: (counter) => normalQuantile((Math.floor(splitMix(high, low, counter) * 2 ** 52) + 0.5) / 2 ** 52),
  };
}

/** 64 bits as two halves in 32-bit arithmetic: many times as fast as bigint, and a policy draws a thousand and more. */
function splitMix(seedHigh: number, seedLow: number, counter: number): number {
  const step = (counter + 1) >>> 0;
  const sum = seedLow + (Math.imul(step, 0x7f4a7c15) >>> 0);
  let low = sum >>> 0;
  let high = seedHigh + highOf(step, 0x7f4a7c15) + Math.imul(step, 0x9e3779b9) + (sum > 0xffffffff ? 1 : 0);

  low ^= (low >>> 30) | (high << 2);
  high ^= high >>> 30;
  high = highOf(low, 0x1ce4e5b9) + Math.imul(high, 0x1ce4e5b9) + Math.imul(low, 0xbf58476d);
  low = Math.imul(low, 0x1ce4e5b9);

  low ^= (low >>> 27) | (high << 5);
  high ^= high >>> 27;
  high = highOf(low, 0x133111eb) + Math.imul(high, 0x133111eb) + Math.imul(low, 0x94d049bb);
  low = Math.imul(low, 0x133111eb);

  low ^= (low >>> 31) | (high << 1);
  high ^= high >>> 31;
  return ((high >>> 0) * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers. */
function highOf(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const rest = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (rest >>> 16)) | 0;
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
