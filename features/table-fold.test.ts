import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyPersonEvent } from '../tests/_util/arbitraries.ts';
import { sorted } from '../tests/_util/buckets.ts';
import { type BucketTable, bucketTables, fold } from './buckets.ts';
import { personDeltas } from './deltas.ts';
import { differenceOf, type Row, startTableFold } from './table-fold.ts';
import { columnsOf, type Delta, type TableName, tableNames } from './tables.ts';
import { toMs } from './time.ts';

const keyOf = (table: TableName, row: Row) =>
  columnsOf(table)
    .filter(({ role }) => role === 'key')
    .map(({ name }) => String(row[name]))
    .join('\0');

const folded = (table: TableName, ...rows: readonly Row[]) => new Map(rows.map((row) => [keyOf(table, row), row]));

describe('the fold of tables', () => {
  it('adds up to what the fold of buckets does, for each person', () => {
    fc.assert(
      fc.property(fc.array(anyPersonEvent(['anna', 'ben']), { maxLength: 60 }), (events) => {
        const all = startTableFold(tableNames);
        for (const event of events) all.add(personDeltas(event));
        for (const userId of ['anna', 'ben']) {
          const own = Object.fromEntries(
            bucketTables.map((table) => {
              const rows = [...(all.tables.get(table)?.values() ?? [])].filter(({ user_id }) => user_id === userId);
              return [table, rows.map(({ user_id: _, ...bucket }) => bucket)];
            }),
          ) as Partial<Record<BucketTable, never[]>>;
          const expected = sorted(fold(events.filter((event) => event.userId === userId).flatMap(personDeltas)));
          expect(sorted(own)).toEqual(expected);
        }
      }),
    );
  });

  it('leaves out other tables, writes ids as Postgres does, and leaves deltas as they are', () => {
    const delta = {
      table: 'generated_tips',
      row: { event_id: 'ABCDEF00-0000-7000-8000-000000000000', tip_id: 'T', user_id: 'Anna' },
    } as unknown as Delta;
    const one = startTableFold(['generated_tips']);
    one.add([delta, { table: 'user_daily', row: { user_id: 'Anna', day: 1 } }]);
    expect([...one.tables.keys()]).toEqual(['generated_tips']);
    expect([...(one.tables.get('generated_tips')?.values() ?? [])]).toEqual([
      { event_id: 'abcdef00-0000-7000-8000-000000000000', tip_id: 'T', user_id: 'Anna' },
    ]);
    expect(delta.row).toMatchObject({ event_id: 'ABCDEF00-0000-7000-8000-000000000000' });
  });
});

describe('every table', () => {
  it('says whose its rows are, as a rebuild goes person by person', () => {
    for (const table of tableNames)
      expect(
        columnsOf(table).map(({ name }) => name),
        table,
      ).toContain('user_id');
  });

  it('has in a day of its key the UTC day on which the event occurred, as retention relies on', () => {
    fc.assert(
      fc.property(anyPersonEvent(), (event) => {
        for (const { row } of personDeltas(event)) {
          if ('day' in row) expect(row.day).toBe(Math.floor(toMs(event.occurredAt) / 86_400_000));
        }
      }),
    );
  });
});

describe('differenceOf', () => {
  const daily = (served: number, more: Row = {}): Row => ({
    ...Object.fromEntries(columnsOf('user_daily').flatMap(({ name, role }) => (role === 'sum' ? [[name, 0]] : []))),
    ...{ user_id: 'u', day: 100, served, ...more },
  });
  const list = (synced_at: number, open_tasks: number, id = 'a'): Row => ({
    ...{ user_id: 'u', provider: 'p', synced_at, synced_event_id: id, open_tasks, overdue_tasks: 0 },
  });
  const reaction = (reward_milli: number): Row => ({
    ...{ user_id: 'u', event_id: 'e', tip_id: 't', decision_id: null, reaction: 'done', dwell_ms: null },
    ...{ reward_milli, reward_version: 'v', reacted_at: 5 },
  });
  const nothing = { missing: [], differing: [], surplus: [] };

  const table: readonly [string, TableName, Row[], Row[], number | undefined, object][] = [
    ['equal', 'user_daily', [daily(2)], [daily(2)], undefined, nothing],
    [
      'equal, columns without a value left out',
      'user_daily',
      [{ user_id: 'u', day: 100, served: 2 }],
      [daily(2)],
      undefined,
      nothing,
    ],
    ['missing', 'user_daily', [daily(2)], [], undefined, { ...nothing, missing: [daily(2)] }],
    ['surplus', 'user_daily', [], [daily(2)], undefined, { ...nothing, surplus: [daily(2)] }],
    ['too many', 'user_daily', [daily(2)], [daily(3)], undefined, { ...nothing, differing: [daily(2)] }],
    ['a whole day: too many', 'user_daily', [daily(2)], [daily(3)], 100, { ...nothing, differing: [daily(2)] }],
    ['a whole day: surplus', 'user_daily', [], [daily(3)], 100, { ...nothing, surplus: [daily(3)] }],
    ['not whole: more than is known', 'user_daily', [daily(2)], [daily(3)], 101, nothing],
    ['not whole: surplus stays', 'user_daily', [], [daily(3)], 101, nothing],
    ['not whole: missing', 'user_daily', [daily(2)], [], 101, { ...nothing, missing: [daily(2)] }],
    [
      'not whole: never less than is known, column by column',
      'user_daily',
      [daily(2, { done: 1, last_served_at: 5 })],
      [daily(1, { done: 4, last_served_at: 9 })],
      101,
      { ...nothing, differing: [daily(2, { done: 4, last_served_at: 9 })] },
    ],
    [
      'register: as folded',
      'user_tasks',
      [list(5, 1)],
      [list(9, 2)],
      undefined,
      { ...nothing, differing: [list(5, 1)] },
    ],
    ['register, months dropped: not back', 'user_tasks', [list(5, 1)], [list(9, 2)], 1, nothing],
    [
      'register, months dropped: forward',
      'user_tasks',
      [list(9, 1)],
      [list(5, 2)],
      1,
      { ...nothing, differing: [list(9, 1)] },
    ],
    ['register, months dropped: surplus stays', 'user_tasks', [], [list(5, 2)], 1, nothing],
    [
      'register, the same instant: by id',
      'user_tasks',
      [list(5, 1, 'b')],
      [list(5, 2, 'a')],
      1,
      { ...nothing, differing: [list(5, 1, 'b')] },
    ],
    ['set once', 'tip_feedback', [reaction(1)], [reaction(2)], undefined, { ...nothing, differing: [reaction(1)] }],
    [
      'set once, months dropped: as its event says',
      'tip_feedback',
      [reaction(1)],
      [reaction(2)],
      1,
      { ...nothing, differing: [reaction(1)] },
    ],
    ['set once, months dropped: its event is gone', 'tip_feedback', [], [reaction(2)], 1, nothing],
  ];
  it.each(table)('%s (%s)', (_, name, expected, held, wholeFromDay, difference) => {
    expect(differenceOf(name, folded(name, ...expected), held, wholeFromDay)).toEqual({ table: name, ...difference });
  });
});
