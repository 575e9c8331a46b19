import { describe, expect, it } from 'vitest';
import { policies } from '../experiments/policies/index.ts';
import { ConfigError } from '../platform/config.ts';
import { readConsumersConfig } from './config.ts';

const good = { DATABASE_URL: 'postgres://u@localhost/oo', NATS_URL: 'nats://localhost:4222' };

const shadowsOf = (SHADOW_POLICIES?: string) =>
  readConsumersConfig({ ...good, SHADOW_POLICIES }).shadows.map(({ name }) => name);

describe('SHADOW_POLICIES', () => {
  it.each([
    [undefined, []],
    ['', []],
    ['random', ['random']],
    [' square-cb , random ', ['square-cb', 'random']],
    [[...policies.keys()].join(','), [...policies.keys()]],
  ])('%j is %j', (text, expected) => {
    expect(shadowsOf(text)).toEqual(expected);
  });

  it.each([
    ['best', /^SHADOW_POLICIES: part 1 must be one of random, /],
    ['random,', /^SHADOW_POLICIES: part 2 must be one of /],
    ['random;softmax', /^SHADOW_POLICIES: part 1 must be one of /],
    ['Random', /^SHADOW_POLICIES: part 1 must be one of /],
    ['softmax, random,softmax', /^SHADOW_POLICIES: part 3 stands there twice$/],
  ])('%j is refused', (text, problem) => {
    expect(() => shadowsOf(text)).toThrow(ConfigError);
    try {
      shadowsOf(text);
    } catch (error) {
      expect(error instanceof ConfigError && error.problems).toEqual([expect.stringMatching(problem)]);
    }
  });
});
