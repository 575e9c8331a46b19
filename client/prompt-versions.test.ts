import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePromptVersions, pickPromptVersion, type WeightedVersion } from './prompt-versions.ts';

const people = Array.from({ length: 20_000 }, (_, i) => `person-${i}`);
const versionOf = (versions: readonly WeightedVersion[], userId: string, salt = 'prompts') =>
  pickPromptVersion({ by: 'person', versions }, { userId, salt, random: Math.random() });

describe('TIP_PROMPT_VERSION', () => {
  it.each([
    [undefined, []],
    ['', []],
    ['v1', ['v1']],
    ['v1,v2-mentor', ['v1', 'v2-mentor']],
    [' v1 , v2-mentor ,', ['v1', 'v2-mentor']],
  ])('%j is %o, by request', (text, versions) => {
    expect(parsePromptVersions(text)).toEqual({ by: 'request', versions });
  });

  it.each([
    ['v1=1', [['v1', 1]]],
    [
      'v1=3,v2-mentor=1',
      [
        ['v1', 3],
        ['v2-mentor', 1],
      ],
    ],
    [
      ' v1 = 1000000 , v3.x = 01 ,',
      [
        ['v1', 1_000_000],
        ['v3.x', 1],
      ],
    ],
  ])('%j is %o, by person', (text, versions) => {
    const weighted = versions.map(([version, weight]) => ({ version, weight }));
    expect(parsePromptVersions(text)).toEqual({ by: 'person', versions: weighted });
  });

  it.each([
    ['v 1', '"v 1" is no prompt version'],
    ['v1;v2', '"v1;v2" is no prompt version'],
    ['ä', '"ä" is no prompt version'],
    ['x'.repeat(65), 'is no prompt version'],
    ['ä=1', '"ä" is no prompt version'],
    ['=1', '"" is no prompt version'],
    ['v1=0', '"v1=0" must be <version>=<weight>'],
    ['v1=0,v2=0', '"v1=0" must be'],
    ['v1=3,v2=-1', '"v2=-1" must be'],
    ['v1=', '"v1=" must be'],
    ['v1=0.5,v2=0.5', '"v1=0.5" must be'],
    ['v1=1e3', '"v1=1e3" must be'],
    ['v1=NaN', '"v1=NaN" must be'],
    ['v1=Infinity', '"v1=Infinity" must be'],
    ['v1=1000001', '"v1=1000001" must be'],
    ['v1=1=2', '"v1=1=2" must be'],
    ['v1=75%,v2=25%', '"v1=75%" must be'],
    ['v1=3,v2', '"v2" must be'],
    ['v1,v2=1', '"v1" must be'],
    ['v1=3,v2=1,v1=1', '"v1" has two weights'],
  ])('refuses %j: %s', (text, problem) => {
    expect(() => parsePromptVersions(text)).toThrow(problem);
    expect(() => parsePromptVersions(text)).toThrow(/^TIP_PROMPT_VERSION: /);
  });
});

describe('by request', () => {
  const pick = (versions: readonly string[], random: number) =>
    pickPromptVersion({ by: 'request', versions }, { userId: 'anna', salt: 'prompts', random });

  it('gives every version the same share of the requests, and none is the default of the service', () => {
    const versions = ['v1', 'v2-mentor', 'v3-few-shot'];
    expect([0, 0.333, 0.334, 0.666, 0.667, 0.999999].map((random) => pick(versions, random))).toEqual([
      'v1',
      'v1',
      'v2-mentor',
      'v2-mentor',
      'v3-few-shot',
      'v3-few-shot',
    ]);
    expect(pick([], 0.5)).toBe('');
  });
});

describe('by person', () => {
  const weighted = fc.uniqueArray(
    fc.record({ version: fc.stringMatching(/^v[0-9a-z]{1,4}$/), weight: fc.integer({ min: 1, max: 20 }) }),
    { minLength: 2, maxLength: 5, selector: ({ version }) => version },
  );

  it('is the same on every machine and in every release', () => {
    // If this fails, people change their version with an update of the client.
    const versions = parsePromptVersions('v1=3,v2-mentor=1');
    const picked = ['anna', 'ben', 'cem', 'dora', 'émile', '李'].map((userId) =>
      pickPromptVersion(versions, { userId, salt: 'prompts', random: 0.5 }),
    );
    expect(picked).toEqual(['v2-mentor', 'v1', 'v1', 'v1', 'v1', 'v2-mentor']);
  });

  it('gives each version its share of the people', () => {
    fc.assert(
      fc.property(weighted, fc.string({ maxLength: 8 }), (versions, salt) => {
        const total = versions.reduce((sum, { weight }) => sum + weight, 0);
        const picked = people.slice(0, 5_000).map((userId) => versionOf(versions, userId, salt));
        for (const { version, weight } of versions) {
          const share = weight / total;
          const error = Math.sqrt((share * (1 - share)) / picked.length);
          const found = picked.filter((each) => each === version).length / picked.length;
          expect(Math.abs(found - share)).toBeLessThan(5 * error);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('keeps people where they are, whatever the order and whatever is drawn', () => {
    fc.assert(
      fc.property(weighted, fc.string(), (versions, userId) => {
        expect(versionOf(versions.toReversed(), userId)).toBe(versionOf(versions, userId));
      }),
    );
  });

  it('moves people only to the version whose weight is raised', () => {
    fc.assert(
      fc.property(weighted, fc.integer({ min: 1, max: 50 }), (versions, more) => {
        const [first, ...others] = versions;
        if (!first) return;
        const raised = [{ ...first, weight: first.weight + more }, ...others];
        for (const userId of people.slice(0, 500)) {
          const [before, after] = [versionOf(versions, userId), versionOf(raised, userId)];
          expect([before, first.version]).toContain(after);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('sorts people anew with another salt', () => {
    const versions = [
      { version: 'v1', weight: 1 },
      { version: 'v2', weight: 1 },
    ];
    const stayed = people.filter((userId) => versionOf(versions, userId, 'a') === versionOf(versions, userId, 'b'));
    expect(Math.abs(stayed.length / people.length - 0.5)).toBeLessThan(0.02);
  });
});
