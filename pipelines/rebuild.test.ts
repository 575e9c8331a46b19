import { describe, expect, it } from 'vitest';
import { tableNames } from '../features/tables.ts';
import { rebuildScope } from './rebuild.ts';

describe('rebuildScope', () => {
  it.each([
    [{ feature: 'steps' }, /^feature: there is none called steps; choose from active_minutes_today, /],
    [{ feature: 'toString' }, /^feature: there is none called toString/],
    [{ table: 'events' }, /^table: there is none called events; choose from .*user_daily/],
    [{ feature: 'steps_today', table: 'user_daily' }, /^table: give a feature or a table, not both$/],
    [{ user: '' }, /^user: an empty id/],
  ])('refuses %j', (asked, message) => {
    expect(() => rebuildScope(asked)).toThrow(message);
  });

  it('leads names to tables', () => {
    expect(rebuildScope({ feature: 'steps_today', user: 'anna' })).toEqual({ tables: ['user_health'], userId: 'anna' });
    expect(rebuildScope({ table: 'tip_scores' })).toEqual({ tables: ['tip_scores'], userId: undefined });
    expect(rebuildScope({})).toEqual({ tables: tableNames, userId: undefined });
  });
});
