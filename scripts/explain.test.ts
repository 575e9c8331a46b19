import { describe, expect, it } from 'vitest';
import { ConfigError } from '../platform/config.ts';
import { explain } from './explain.ts';

const coded = (message: string, more: object) => Object.assign(new Error(message), more);
const refused = coded('connect ECONNREFUSED ::1:5432', { code: 'ECONNREFUSED' });

describe('explain', () => {
  it.each([
    ['a bad variable', new ConfigError(['DATABASE_URL: is not set']), 'bad configuration:\n  DATABASE_URL: is not set'],
    ['no Postgres', refused, 'Postgres does not answer: connect ECONNREFUSED ::1:5432'],
    ['none at any address', new AggregateError([refused]), 'Postgres does not answer: connect ECONNREFUSED ::1:5432'],
    [
      'a database without the tables',
      coded('relation "events" does not exist', { code: '42P01', severity: 'ERROR' }),
      'relation "events" does not exist: is DATABASE_URL right, and every migration applied?',
    ],
    ['a wrong password', coded('no', { code: '28P01', severity: 'FATAL' }), 'no'],
    [
      'a file that cannot be written',
      coded('ENOENT: no such file', { code: 'ENOENT', syscall: 'open' }),
      'ENOENT: no such file',
    ],
  ])('says %s in a line', (_, error, text) => {
    expect(explain(error)).toBe(text);
  });

  it('shows where a mistake of ours was made', () => {
    expect(explain(new TypeError('x is not a function'))).toMatch(/^TypeError: x is not a function\n +at /);
  });
});
