import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniform } from '../draw.ts';
import { startRewardModel } from './reward-model.ts';

interface Seen {
  readonly user: string;
  readonly vector: readonly number[];
  readonly reward: number;
}

function fitted(rows: readonly Seen[], length: number) {
  const model = startRewardModel(length);
  for (const { user, vector, reward } of rows) model.add(user, vector, reward);
  return model.fit();
}

/** Rewards are 3 + 2 a - b, and c is always 7. */
function linear(rows: number, noise = 0): Seen[] {
  return Array.from({ length: rows }, (_, i) => {
    const [a, b, n] = [0, 1, 2].map((k) => uniform(7n, 3 * i + k)) as [number, number, number];
    return { user: `u${i % 50}`, vector: [a, b, 7], reward: 3 + 2 * a - b + noise * (n - 0.5) };
  });
}

describe('the reward model', () => {
  it('finds what rewards depend on, beside a column that is always the same', () => {
    const { predict } = fitted(linear(5000), 3);
    // the penalty of one row among 4,000 shrinks slopes by a 4,000th
    for (const [a, b] of [
      [0, 0],
      [1, 0],
      [0, 1],
    ] as const)
      expect(Math.abs(predict('somebody', [a, b, 7]) - (3 + 2 * a - b))).toBeLessThan(2e-3);
  });

  it('is not moved by the unit of a feature', () => {
    const rows = linear(300, 1);
    const scaled = rows.map((row) => ({
      ...row,
      vector: row.vector.map((value, j) => value * ([4096, 1, 0.01][j] ?? 1)),
    }));
    expect(fitted(scaled, 3).predict('u1', [4096 * 0.3, 0.4, 0.07])).toBeCloseTo(
      fitted(rows, 3).predict('u1', [0.3, 0.4, 7]),
      9,
    );
  });

  it('has seen no row of the person whose rewards it predicts: whatever these are, the prediction is the same bit for bit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 49 }),
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        (person, reward) => {
          const user = `u${person}`;
          const rows = linear(200, 1);
          const changed = rows.map((row) => (row.user === user ? { ...row, vector: [reward, 1, 2], reward } : row));
          expect(fitted(changed, 3).predict(user, [0.5, 0.5, 7])).toBe(fitted(rows, 3).predict(user, [0.5, 0.5, 7]));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('has seen the rows of others', () => {
    const rows = linear(200, 1);
    const without = rows.filter(({ user }) => user !== 'u1');
    const predictions = (of: readonly Seen[]) =>
      Array.from({ length: 50 }, (_, i) => fitted(of, 3).predict(`u${i}`, [0.5, 0.5, 7]));
    const [all, fewer] = [predictions(rows), predictions(without)];
    const changed = all.filter((prediction, i) => prediction !== fewer[i]).length;
    expect(changed).toBeGreaterThan(30); // those of the other four folds
  });

  it('takes rows in any order, within 1e-12', () => {
    const rows = linear(1000, 1);
    const vector = [0.3, 0.9, 7];
    expect(fitted(rows.toReversed(), 3).predict('u1', vector)).toBeCloseTo(fitted(rows, 3).predict('u1', vector), 12);
  });

  it('stays finite where two features are the same, and where there are fewer rows than features', () => {
    const twins = linear(200, 1).map((row) => ({ ...row, vector: [0, 0].map((j) => row.vector[j] ?? 0) }));
    expect(fitted(twins, 2).predict('u1', [0.5, 0.5])).toBeCloseTo(3 + 1 - 0.5, 0);
    expect(fitted(linear(2), 3).predict('u1', [0.5, 0.5, 7])).toSatisfy(Number.isFinite);
  });

  it('expects nothing where nobody else was seen', () => {
    expect(fitted([{ user: 'anna', vector: [1], reward: 5 }], 1).predict('anna', [1])).toBe(0);
  });
});
