import { describe, expect, it } from 'vitest';
import { dayMs } from '../../platform/clock.ts';
import type { Experiment } from '../experiment.ts';
import { periodBefore, type Run } from './period-before.ts';

const experiment: Experiment = {
  ...{ key: 'e', version: '2', status: 'running', seed: 'e', hashVersion: 2, coverage: 1, forced: {} },
  arms: [
    { key: 'a', weight: 0.5 },
    { key: 'b', weight: 0.5 },
  ],
};

const day = (number: number): number => Date.UTC(2026, 0, number);

function run(from: number, until?: number, definition: Partial<Experiment> = {}): Run {
  return {
    definition: { ...experiment, ...definition },
    fromMs: day(from),
    untilMs: until === undefined ? undefined : day(until),
  };
}

describe('periodBefore', () => {
  it.each<[string, readonly Run[], number | undefined]>([
    ['before it ran', [run(40)], 40],
    ['before it first ran, of several sets', [run(42, 44), run(40, 42), run(44)], 40],
    ['before its own start, where that is later', [run(40, undefined, { startMs: day(50) })], 50],
    ['before the set, where its own start is earlier', [run(40, undefined, { startMs: day(30) })], 40],
    ['before it ran, though its start was moved then', [run(40, 45), run(45, undefined, { startMs: day(50) })], 40],
    ['before a start that came', [run(40, 45, { startMs: day(48) }), run(45, undefined, { startMs: day(60) })], 60],
    ['before nothing, where it was replaced at its start', [run(40, 45, { startMs: day(45) })], undefined],
    ['before nothing, where it had ended by then', [run(40, undefined, { endMs: day(40) })], undefined],
    ['before another version that drew the same people', [run(40), run(20, 30, { version: '1' })], 20],
    ['before another experiment that drew the same people', [run(40), run(20, 30, { key: 'f' })], 20],
    ['whatever a version did that drew others', [run(40), run(20, 30, { version: '1', seed: 'f' })], 40],
    ['whatever a version did that drew by another hash', [run(40), run(20, 30, { hashVersion: 1 })], 40],
    ['before nothing, where it never ran', [], undefined],
  ])('is four weeks %s', (_, runs, expected) => {
    const toMs = expected === undefined ? undefined : day(expected);
    expect(periodBefore(experiment, runs)).toEqual(toMs && { fromMs: toMs - 28 * dayMs, toMs });
  });
});
