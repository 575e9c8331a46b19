import { describe, expect, it } from 'vitest';
import { readConsumersConfig } from '../consumers/config.ts';
import { readServerConfig } from '../server/config.ts';
import { ConfigError, checkConfig } from './config.ts';

const good = { DATABASE_URL: 'postgres://u@localhost/oo', NATS_URL: 'nats://localhost:4222' };

const problemsOf = (
  env: NodeJS.ProcessEnv,
  read: (env: NodeJS.ProcessEnv) => unknown = readServerConfig,
): readonly string[] => {
  try {
    read(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

describe('the configuration', () => {
  it('has defaults for all but the database and the bus', () => {
    expect(readServerConfig(good)).toEqual({
      port: 8080,
      host: '127.0.0.1',
      databaseUrl: good.DATABASE_URL,
      natsUrl: good.NATS_URL,
      authKeysFile: undefined,
      policy: 'egreedy-v2',
      promptVersion: 'v1',
      llm: undefined,
      logLevel: 'info',
    });
  });

  it('takes an empty variable for an unset one', () => {
    expect(readServerConfig({ ...good, PORT: '', LLM_BASE_URL: '' })).toMatchObject({ port: 8080, llm: undefined });
  });

  it('names every bad variable at once, without repeating its value', () => {
    const bad = {
      PORT: '80x',
      NATS_URL: 'http://secret@host',
      LLM_BASE_URL: 'http://llm',
      LOG_LEVEL: 'loud',
      DEFAULT_POLICY: 'best',
    };
    const problems = problemsOf(bad);
    expect(problems.map((problem) => problem.split(':')[0]).toSorted()).toEqual([
      'DATABASE_URL',
      'DEFAULT_POLICY',
      'LLM_MODEL',
      'LOG_LEVEL',
      'NATS_URL',
      'PORT',
    ]);
    expect(problems.join()).not.toMatch(/80x|secret|loud/);
  });

  it.each([
    ['PORT', 'abc'],
    ['PORT', '12abc'],
    ['PORT', '-1'],
    ['PORT', '65536'],
    ['PORT', '8e3'],
    ['DATABASE_URL', 'mysql://localhost/oo'],
    ['DATABASE_URL', 'localhost:5432'],
    ['NATS_URL', 'localhost:4222'],
    ['LLM_BASE_URL', 'llm.example'],
    ['DEFAULT_POLICY', 'egreedy'],
    ['LOG_LEVEL', 'verbose'],
  ])('refuses %s=%s', (name, value) => {
    expect(problemsOf({ ...good, LLM_MODEL: 'm', [name]: value })).toEqual([
      expect.stringMatching(`^${name}: must be `),
    ]);
  });

  it('is checked in every process', () => {
    expect(problemsOf({}, readConsumersConfig).map((problem) => problem.split(':')[0])).toEqual([
      'DATABASE_URL',
      'NATS_URL',
    ]);
  });

  it('has times in milliseconds, whatever the unit of the variable', () => {
    expect(readConsumersConfig(good)).toMatchObject({ ignoredAfterMs: 86_400_000, ackWaitMs: 30_000 });
    expect(readConsumersConfig({ ...good, IGNORED_AFTER_HOURS: '6' })).toMatchObject({ ignoredAfterMs: 21_600_000 });
  });

  it('of several processes that start together is checked as one', () => {
    const bad = { ...good, PORT: '80x', LOG_LEVEL: 'loud', IGNORED_AFTER_HOURS: '0' };
    const check = (env: NodeJS.ProcessEnv) => checkConfig([readServerConfig, readConsumersConfig], env);
    expect(problemsOf(bad, check).map((problem) => problem.split(':')[0])).toEqual([
      'PORT',
      'LOG_LEVEL',
      'IGNORED_AFTER_HOURS',
    ]);
    expect(problemsOf(good, check)).toEqual([]);
  });
});
