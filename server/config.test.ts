import { describe, expect, it } from 'vitest';
import { ConfigError } from '../platform/config.ts';
import { readServerConfig } from './config.ts';

const good = {
  DATABASE_URL: 'postgres://u@localhost/oo',
  NATS_URL: 'nats://localhost:4222',
  FEAST_URL: 'http://feast:6566',
  FEAST_FEATURES: 'completion_rate_30d=person_stats:done_rate',
};

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readServerConfig({ ...good, ...env });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('Feast', () => {
  it('needs its URL and the features to read; the rest has defaults', () => {
    expect(readServerConfig(good).feast).toEqual({
      url: 'http://feast:6566',
      features: new Map([['completion_rate_30d', 'person_stats:done_rate']]),
      entityKey: 'user_id',
      timeoutMs: 25,
    });
  });

  it('can give several features, from any view and of any version of it', () => {
    const { feast } = readServerConfig({
      ...good,
      FEAST_FEATURES: ' completion_rate_30d = person_stats@v2:done_rate, preferred_hour=habits:hour ',
      FEAST_ENTITY_KEY: 'person',
      FEAST_TIMEOUT_MS: '40',
    });
    expect(feast).toMatchObject({ entityKey: 'person', timeoutMs: 40 });
    expect(Object.fromEntries(feast?.features ?? [])).toEqual({
      completion_rate_30d: 'person_stats@v2:done_rate',
      preferred_hour: 'habits:hour',
    });
  });

  it('is not used without a URL', () => {
    expect(readServerConfig({ ...good, FEAST_URL: '' }).feast).toBeUndefined();
  });

  it.each<[string, NodeJS.ProcessEnv, readonly string[]]>([
    ['no features', { FEAST_FEATURES: '' }, ['FEAST_FEATURES: is not set: FEAST_URL needs features to read']],
    ['a URL of another kind', { FEAST_URL: 'grpc://feast:6566' }, [expect.stringMatching(/^FEAST_URL: must be a URL/)]],
    [
      'a password in the URL',
      { FEAST_URL: 'http://me:secret@feast' },
      ['FEAST_URL: must not hold a user name or password'],
    ],
    ['no time', { FEAST_TIMEOUT_MS: '0' }, [expect.stringMatching(/^FEAST_TIMEOUT_MS: .* from 1 to 1000$/)]],
    ['too much time', { FEAST_TIMEOUT_MS: '1001' }, [expect.stringMatching(/^FEAST_TIMEOUT_MS: /)]],
  ])('is refused with %s', (_, env, problems) => {
    expect(problemsOf(env)).toEqual(problems);
  });

  it('is refused with every bad part of its features named', () => {
    const parts = [
      'completion_rate_30d=person_stats:done_rate',
      'secret=person_stats:secret',
      'preferred_hour',
      'preferred_hour=hour',
      'preferred_hour=habits:hour:minute',
      '',
      'completion_rate_30d=habits:rate',
    ];
    expect(problemsOf({ FEAST_FEATURES: parts.join(',') })).toEqual([
      expect.stringMatching(/^FEAST_FEATURES: part 2 names no profile feature; they are completion_rate_30d, /),
      'FEAST_FEATURES: part 3 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 4 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 5 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 6 must be <feature>=<view>:<feature in Feast>',
      'FEAST_FEATURES: part 7 is for the same feature as part 1',
    ]);
  });
});
