import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DomainError } from '../platform/errors.ts';
import { type Dag, dagOf, defineDag, type RunStep, stepOf, toDagJson } from './dag.ts';
import { createDags } from './dags/index.ts';

const run: RunStep = async () => null;
type Needs = Readonly<Record<string, readonly string[]>>;

const dag = (needs: Needs, rest: object = {}): Dag =>
  defineDag({
    id: 'test',
    steps: Object.fromEntries(Object.entries(needs).map(([name, each]) => [name, { needs: each, run }])),
    ...rest,
  });
const orderOf = (needs: Needs) => dag(needs).steps.map(({ name }) => name);

/** The fields that a definition is refused for. */
function refused(define: () => Dag): readonly string[] {
  try {
    define();
  } catch (error) {
    return (error as DomainError).violations.map(({ field, description }) => `${field}: ${description}`);
  }
  return [];
}

const deps = { deltas: () => [], judge: async () => [], owner: 'somebody' };

describe('a DAG', () => {
  it('has its steps after those they need, otherwise by name, however they are written down', () => {
    expect(
      orderOf({ train: ['training:build'], 'training:build': ['features:backfill'], 'features:backfill': [] }),
    ).toEqual(['features:backfill', 'training:build', 'train']);
    expect(orderOf({ c: [], b: [], a: ['b'] })).toEqual(['b', 'a', 'c']);
  });

  it('has one order, in which needs come first', () => {
    const anyNeeds = fc
      .uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1, maxLength: 12 })
      .chain((names) =>
        fc.tuple(
          fc.constant(names),
          fc.tuple(...names.map((_, i) => fc.subarray(names.slice(0, i)))),
          fc.shuffledSubarray(names, { minLength: names.length }),
        ),
      );
    fc.assert(
      fc.property(anyNeeds, ([names, needs, shuffled]) => {
        const all = new Map(names.map((name, i) => [name, needs[i] ?? []]));
        const ordered = orderOf(Object.fromEntries(all));
        for (const [name, each] of all) {
          for (const need of each) expect(ordered.indexOf(need)).toBeLessThan(ordered.indexOf(name));
        }
        expect(orderOf(Object.fromEntries(shuffled.map((name) => [name, all.get(name) ?? []])))).toEqual(ordered);
      }),
    );
  });

  it.each<[string, Needs, object, string]>([
    ['an id with capitals', { a: [] }, { id: 'Train' }, 'id: '],
    ['an id with a quote', { a: [] }, { id: 'a"b' }, 'id: '],
    ['an id that is too long', { a: [] }, { id: 'a'.repeat(41) }, 'id: '],
    ['no id', { a: [] }, { id: '' }, 'id: '],
    ['no step', {}, {}, 'steps: '],
    ['a step with a space', { 'a b': [] }, {}, 'steps[a b]: '],
    ['a step with a shell in it', { 'a;rm': [] }, {}, 'steps[a;rm]: '],
    ['a step that is an option', { '--as-of': [] }, {}, 'steps[--as-of]: '],
    ['a step with an empty part', { 'a::b': [] }, {}, 'steps[a::b]: '],
    ['a step with a dot, which Airflow makes of a colon', { 'a.b': [] }, {}, 'steps[a.b]: '],
    ['a step that is too long', { [`a${'b'.repeat(80)}`]: [] }, {}, 'steps[abb'],
    ['an unknown need', { a: ['b'] }, {}, 'steps[a].needs[0]: there is no step b'],
    ['a need that is named twice', { a: [], b: ['a', 'a'] }, {}, 'steps[b].needs[1]: a stands there twice'],
    ['a step that needs itself', { a: ['a'] }, {}, 'steps[a].needs[0]: it needs itself'],
    ['a circle', { a: ['c'], b: ['a'], c: ['b'], d: ['a'], e: [] }, {}, 'steps: need each other: a → c → b → a'],
    ['a schedule that is none', { a: [] }, { schedule: 'daily' }, 'schedule: '],
    ['a schedule with six fields', { a: [] }, { schedule: '0 0 0 * * *' }, 'schedule: '],
    ['retries without end', { a: [] }, { retries: { limit: Infinity, afterSeconds: 1 } }, 'retries.limit: '],
    ['fewer than no retries', { a: [] }, { retries: { limit: -1, afterSeconds: 1 } }, 'retries.limit: '],
    ['retries without a wait', { a: [] }, { retries: { limit: 1, afterSeconds: 0 } }, 'retries.afterSeconds: '],
  ])('is refused for %s', (_, needs, rest, field) => {
    const found = refused(() => dag(needs, rest));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(field);
  });

  it('is refused for all that is wrong with it at once', () => {
    expect(refused(() => dag({ A: [], b: ['c', 'b'] }, { id: '' }))).toHaveLength(4);
  });

  it('is found by its id, and a step by its name; else those that there are, are named', () => {
    const dags = [dag({ a: [], b: [] }, { id: 'one' }), dag({ a: [] }, { id: 'two' })];
    expect(dagOf(dags, 'two')).toBe(dags[1]);
    expect(() => dagOf(dags, 'three')).toThrow('there is no DAG three; choose from one, two');
    expect(() => stepOf(dagOf(dags, 'one'), 'c')).toThrow('one has no step c; choose from a, b');
  });
});

describe('what other schedulers read', () => {
  it('is of a shape that grows only with its version', () => {
    const declared = dag({ 'b:c': ['a'], a: [] }, { schedule: '5 4 * * *', retries: { limit: 2, afterSeconds: 7 } });
    const steps = [
      { name: 'a', needs: [] },
      { name: 'b:c', needs: ['a'] },
    ];
    expect(toDagJson([declared])).toEqual({
      version: 1,
      dags: [{ id: 'test', schedule: '5 4 * * *', retries: 2, retryAfterSeconds: 7, steps }],
    });
    expect(toDagJson([dag({ a: [] })]).dags[0]?.schedule).toBeNull();
  });

  it('is fresh: npm run pipeline -- export', () => {
    const committed = readFileSync(new URL('../deploy/dag.json', import.meta.url), 'utf8');
    const dags = createDags({ ...deps, keepMonths: undefined });
    expect(committed).toBe(`${JSON.stringify(toDagJson(dags), undefined, 2)}\n`);
  });

  it('names no DAG as a command is named', () => {
    const ids = createDags({ ...deps, keepMonths: 2 }).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => ['status', 'enqueue', 'dead', 'redrive', 'export'].includes(id))).toEqual([]);
  });
});
