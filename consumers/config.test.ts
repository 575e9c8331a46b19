import { expect, it } from 'vitest';
import { ConfigError } from '../platform/config.ts';
import { readConsumersConfig } from './config.ts';

const needed = { DATABASE_URL: 'postgres://u@localhost/oo', NATS_URL: 'nats://localhost:4222' };

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConsumersConfig({ ...needed, ...env });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

it('keeps all events, and waits a day for a reaction, unless it is told otherwise', () => {
  expect(readConsumersConfig(needed)).toMatchObject({ keepMonths: undefined, ignoredAfterMs: 86_400_000 });
  const told = { EVENTS_KEEP_MONTHS: '2', IGNORED_AFTER_HOURS: '1' };
  expect(readConsumersConfig({ ...needed, ...told })).toMatchObject({ keepMonths: 2, ignoredAfterMs: 3_600_000 });
});

it.each(['1', '0', '-1', '2.5', 'two', '1201'])('drops nothing by EVENTS_KEEP_MONTHS=%s, and says so', (text) => {
  expect(problemsOf({ EVENTS_KEEP_MONTHS: text })).toEqual([expect.stringContaining('EVENTS_KEEP_MONTHS')]);
});
