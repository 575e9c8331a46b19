import { describe, expect, it } from 'vitest';
import { chiSquareTail, normalQuantile, studentQuantile } from './distributions.ts';

// All expected values were computed by mpmath 1.3 with 40 digits; 13 are given.

const within = (actual: number, expected: number) =>
  expect(Math.abs(actual - expected)).toBeLessThan(1e-9 * Math.max(Math.abs(expected), Number.MIN_VALUE));

describe('chiSquareTail', () => {
  it.each([
    [0.5, 1, 0.479500122187],
    [3.841458820694, 1, 0.05],
    [10.82756617066, 1, 0.001],
    [100, 1, 1.523970604832e-23],
    [1e-12, 1, 0.9999992021154],
    [0.1, 2, 0.9512294245007],
    [5.991464547108, 2, 0.05],
    [2, 3, 0.5724067044709],
    [16.26623619624, 3, 0.001],
    [7.5, 4, 0.111709292816],
    [20, 9, 0.01791240452984],
    [600, 9, 2.094184551936e-123],
    [95, 99, 0.5950779044295],
    [150, 99, 0.000720445395717],
    [800, 499, 2.499817550896e-16],
  ])('of %d with %d degrees of freedom is %d', (x, df, expected) => within(chiSquareTail(x, df), expected));

  it('is 1 at 0', () => expect(chiSquareTail(0, 3)).toBe(1));
});

describe('normalQuantile', () => {
  it.each([
    [0.75, 0.6744897501961],
    [0.9, 1.281551565545],
    [0.975, 1.95996398454],
    [0.995, 2.575829303549],
    [0.9995, 3.290526731492],
    [0.99999, 4.264890793924],
    [0.999999999, 5.997807019602],
    [0.001, -3.090232306168],
    [0.425, -0.1891184262728],
  ])('at %d is %d', (p, expected) => within(normalQuantile(p), expected));

  it('is 0 in the middle', () => expect(normalQuantile(0.5)).toBeCloseTo(0, 12));

  it.each([0, 1, -0.1, Number.NaN])('does not exist at %d', (p) => expect(() => normalQuantile(p)).toThrow(RangeError));
});

describe('studentQuantile', () => {
  it.each([
    [0.75, 1, 1],
    [0.75, 3.7, 0.7464851534825],
    [0.9, 2, 1.885618083164],
    [0.9, 29.4, 1.311017692525],
    [0.975, 1, 12.70620473617],
    [0.975, 2, 4.302652729749],
    [0.975, 3.7, 2.867520707191],
    [0.975, 5, 2.570581835636],
    [0.975, 10, 2.228138851986],
    [0.975, 29.4, 2.044021640037],
    [0.975, 100, 1.983971518524],
    [0.975, 1000, 1.962339080826],
    [0.975, 1_000_000, 1.959966356814],
    [0.995, 10, 3.169272672617],
    [0.995, 1_000_000, 2.575834220105],
    [0.9995, 1, 636.6192487688],
    [0.9995, 5, 6.868826625881],
    [0.9995, 1000, 3.300282648424],
  ])('at %d with %d degrees of freedom is %d', (p, df, expected) => within(studentQuantile(p, df), expected));

  it('has no step where the expansion takes over', () => {
    for (const p of [0.9, 0.975, 0.9995]) within(studentQuantile(p, 10_000.001), studentQuantile(p, 10_000));
  });

  it('is symmetric', () => expect(studentQuantile(0.1, 7)).toBeCloseTo(-studentQuantile(0.9, 7), 12));
});
