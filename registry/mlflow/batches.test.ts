import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesOf, type Facts, factLimits } from './batches.ts';

const key = fc.string({ minLength: 1, maxLength: 40 });
const entry = fc.record({ key, value: fc.string({ maxLength: 1_000, unit: 'binary' }) });
const facts: fc.Arbitrary<Facts> = fc.record({
  metrics: fc.array(fc.record({ key, value: fc.double(), timestamp: fc.nat(), step: fc.nat() }), { maxLength: 2_500 }),
  params: fc.array(entry, { maxLength: 350 }),
  tags: fc.array(entry, { maxLength: 350 }),
});

const many = (count: number) => Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: 'x' }));
const manyMetrics = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: i, timestamp: 1, step: 0 }));

describe('facts of a run', () => {
  it('come in batches that MLflow takes, all of them, once and in order', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const batches = batchesOf(given);
        for (const { metrics, params, tags } of batches) {
          expect(metrics.length + params.length + tags.length).toBeLessThanOrEqual(1_000);
          expect(metrics.length + params.length + tags.length).toBeGreaterThan(0);
          expect(Math.max(params.length, tags.length)).toBeLessThanOrEqual(100);
          const body = JSON.stringify({ run_id: 'r'.repeat(32), metrics, params, tags });
          expect(Buffer.byteLength(body)).toBeLessThanOrEqual(1_000_000);
        }
        for (const kind of ['metrics', 'params', 'tags'] as const)
          expect(batches.flatMap((batch): readonly unknown[] => batch[kind])).toEqual(given[kind]);
      }),
      { numRuns: 60 },
    );
  });

  it.each<[string, Partial<Facts>, readonly number[]]>([
    ['parameters', { params: many(250) }, [100, 100, 50]],
    ['tags', { tags: many(250) }, [100, 100, 50]],
    ['metrics', { metrics: manyMetrics(2_001) }, [1_000, 1_000, 1]],
    ['of all', { params: many(100), metrics: manyMetrics(850), tags: many(100) }, [1_000, 50]],
  ])('that are many (%s) are split by their count', (_, given, sizes) => {
    const batches = batchesOf({ metrics: [], params: [], tags: [], ...given });
    expect(batches.map(({ metrics, params, tags }) => metrics.length + params.length + tags.length)).toEqual(sizes);
  });

  it('that are many and long are split by their bytes', () => {
    const tags = Array.from({ length: 300 }, (_, i) => ({ key: `k${i}`, value: 'ü'.repeat(2_500) }));
    const params = Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, value: 'x'.repeat(6_000) }));
    for (const batch of batchesOf({ metrics: [], params, tags }))
      expect(Buffer.byteLength(JSON.stringify(batch))).toBeLessThanOrEqual(1_000_000);
  });

  it.each<[string, Partial<Facts>, string]>([
    ['no key', { tags: [{ key: '', value: '' }] }, 'keys of 1 to 250'],
    ['a long key', { params: [{ key: 'k'.repeat(251), value: '' }] }, 'keys of 1 to 250'],
    [
      'a long parameter',
      { params: [{ key: 'long', value: 'x'.repeat(6_001) }] },
      '6000 bytes for a parameter, and long',
    ],
    [
      'a tag that is long in UTF-8',
      { tags: [{ key: 'long', value: 'ü'.repeat(2_501) }] },
      '5000 bytes for a tag, and long',
    ],
  ])('with %s are refused by name', (_, given, message) => {
    expect(() => batchesOf({ metrics: [], params: [], tags: [], ...given })).toThrow(message);
  });

  it('may be as long as MLflow says', () => {
    const { keyLength, paramBytes, tagBytes } = factLimits;
    const params = [{ key: 'k'.repeat(keyLength), value: 'x'.repeat(paramBytes) }];
    expect(batchesOf({ metrics: [], params, tags: [{ key: 't', value: 'x'.repeat(tagBytes) }] })).toHaveLength(1);
  });
});
