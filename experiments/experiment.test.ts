import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../platform/errors.ts';
import { assign } from './assignment.ts';
import { noExperiments, parseExperiments } from './experiment.ts';

const choices = { policies: new Set(['random', 'egreedy-v2']), promptVersions: new Set(['v1', 'v2-mentor']) };

const halves = [
  { key: 'control', weight: 0.5 },
  { key: 'treatment', weight: 0.5 },
];
const experiment = (change: object = {}) => ({
  key: 'first',
  version: '1',
  status: 'running',
  arms: halves,
  ...change,
});
const second = (change: object = {}) => experiment({ key: 'second', ...change });

/** Every problem, as `<field>: <description>`. */
const problemsOf = (input: unknown): readonly string[] => {
  try {
    parseExperiments(input, choices);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    expect(error).toMatchObject({ code: 'invalid_argument', reason: 'INVALID_EXPERIMENTS' });
    return error.violations.map(({ field, description }) => `${field}: ${description}`);
  }
  return [];
};

const withArms = (...arms: readonly object[]) => ({ experiments: [experiment({ arms })] });
const withPolicy = (change: object = {}) => ({
  arms: [
    { key: 'control', weight: 0.5 },
    { key: 'random', weight: 0.5, policy: 'random' },
  ],
  ...change,
});

const prompts = [
  { key: 'control', promptVersion: 'v1' },
  { key: 'mentor', promptVersion: 'v2-mentor' },
];
const withBandit = (change: object = {}) => ({
  ...{ experiments: [experiment({ bandit: { policy: 'ucb1' }, arms: prompts, ...change })] },
});
const withBanditArm = (change: object) => withBandit({ arms: [prompts[0], { ...prompts[1], ...change }] });

describe('definitions', () => {
  it('are read with all that they say', () => {
    const set = parseExperiments(
      {
        holdouts: [{ key: 'winter', share: 0.05 }],
        experiments: [
          {
            key: 'policy',
            version: '3',
            status: 'running',
            seed: 'policy-b',
            hashVersion: 1,
            arms: [
              { key: 'control', weight: 0.9, policy: 'egreedy-v2', parameters: { banner: 'blue', size: 2 } },
              {
                key: 'random',
                weight: 0.1,
                policy: 'random',
                promptVersion: 'v2-mentor',
                parameters: { banner: true },
              },
            ],
            coverage: 0.25,
            namespace: { key: 'policies', from: 0.5, to: 1, hashVersion: 1 },
            holdout: 'winter',
            forced: { tester: 'random', 'tester@oo': 'control' },
            start: '2026-12-01T00:00:00Z',
            end: '2026-12-08T01:00:00+01:00',
          },
        ],
      },
      choices,
    );
    expect(set).toEqual({
      version: expect.stringMatching(/^[0-9a-f]{64}$/),
      holdouts: [{ key: 'winter', share: 0.05 }],
      experiments: [
        {
          key: 'policy',
          version: '3',
          status: 'running',
          seed: 'policy-b',
          hashVersion: 1,
          arms: [
            { key: 'control', weight: 0.9, policy: 'egreedy-v2', parameters: { banner: 'blue', size: 2 } },
            { key: 'random', weight: 0.1, policy: 'random', promptVersion: 'v2-mentor', parameters: { banner: true } },
          ],
          coverage: 0.25,
          namespace: { key: 'policies', from: 0.5, to: 1, hashVersion: 1 },
          holdout: 'winter',
          forced: { tester: 'random', 'tester@oo': 'control' },
          startMs: Date.UTC(2026, 11, 1),
          endMs: Date.UTC(2026, 11, 8),
        },
      ],
    });
  });

  it('are as the documentation shows them', () => {
    const page = readFileSync(new URL('../docs/experiments.md', import.meta.url), 'utf8');
    const set = parseExperiments(JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? ''), choices);
    const [assignment] = assign(set, 'user-84', Date.parse('2026-11-23T00:00:00Z'));
    expect(assignment).toMatchObject({ kind: 'assigned', arm: { key: 'mentor' }, bucket: 0.9202 });
    expect(page).toContain(`"propensity":${assignment?.kind === 'assigned' ? assignment.propensity : undefined}`);
  });

  it('of a bandit are as the documentation shows them', () => {
    const page = readFileSync(new URL('../docs/experiments.md', import.meta.url), 'utf8');
    const [, shown = ''] = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json]) => json);
    const promptVersions = new Set([...choices.promptVersions, 'v3-few-shot']);
    const [read] = parseExperiments(JSON.parse(shown), { ...choices, promptVersions }).experiments;
    expect(read).toMatchObject({ key: 'which-prompt', bandit: { policy: 'beta-thompson', floor: 0.05, fixed: 0.05 } });
  });

  it('may leave out what goes without saying', () => {
    const { experiments, holdouts } = parseExperiments({ experiments: [experiment()] }, choices);
    expect(holdouts).toEqual([]);
    expect(experiments).toEqual([{ ...experiment(), seed: 'first', hashVersion: 2, coverage: 1, forced: {} }]);
  });

  it('of a bandit leave out weights, which are equal, and may leave out what goes without saying', () => {
    const [read] = parseExperiments(withBandit(), choices).experiments;
    expect(read).toEqual({
      ...experiment({ seed: 'first', hashVersion: 2, coverage: 1, forced: {} }),
      bandit: { policy: 'ucb1', floor: 0.05, fixed: 0.05 },
      arms: prompts.map((arm) => ({ ...arm, weight: 0.5 })),
    });
  });

  it('of a bandit that ran may not change its draw within a version', () => {
    const bandit = { policy: 'ucb1', floor: 0.1, fixed: 0.1 };
    const ran = parseExperiments(withBandit({ bandit }), choices).experiments;
    for (const change of [{ policy: 'beta-thompson' }, { floor: 0.2 }, { fixed: 0 }]) {
      const changed = withBandit({ bandit: { ...bandit, ...change } });
      expect(() => parseExperiments(changed, choices, ran)).toThrow(/arms or bandit: give it a new one/);
    }
    expect(parseExperiments(withBandit({ bandit, coverage: 0.5 }), choices, ran).experiments).toHaveLength(1);
  });

  it.each<[string, object]>([
    ['nothing', { experiments: [] }],
    ['a bandit', withBandit({ bandit: { policy: 'beta-thompson', floor: 0.5, fixed: 0 } })],
    ['a bandit whose people all keep their arm', withBandit({ coverage: 0.5, bandit: { policy: 'ucb1', fixed: 0.5 } })],
    ['thirds in three digits', withArms(...['a', 'b', 'c'].map((key) => ({ key, weight: 0.333 })))],
    [
      'weights that floating point sums to 0.9999999999999999',
      withArms(...[...'abcdefghij'].map((key) => ({ key, weight: 0.1 }))),
    ],
    ['an arm without weight', withArms({ key: 'a', weight: 1 }, { key: 'b', weight: 0 })],
    [
      'neighbours in a namespace',
      {
        experiments: [
          experiment({ namespace: { key: 'n', from: 0, to: 0.3 } }),
          second({ namespace: { key: 'n', from: 0.3, to: 1 } }),
        ],
      },
    ],
    [
      'an overlap that holds no value of the hash',
      {
        experiments: [
          experiment({ namespace: { key: 'n', from: 0, to: 0.30004 } }),
          second({ namespace: { key: 'n', from: 0.30001, to: 1 } }),
        ],
      },
    ],
    [
      'the same part of two namespaces',
      {
        experiments: [
          experiment({ namespace: { key: 'n', from: 0, to: 1 } }),
          second({ namespace: { key: 'm', from: 0, to: 1 } }),
        ],
      },
    ],
    [
      'a part that a stopped experiment had',
      {
        experiments: [
          experiment({ status: 'stopped', namespace: { key: 'n', from: 0, to: 1 } }),
          second({ namespace: { key: 'n', from: 0, to: 1 } }),
        ],
      },
    ],
    [
      'a part that another experiment has before',
      {
        experiments: [
          experiment({ end: '2026-12-01T00:00:00Z', namespace: { key: 'n', from: 0, to: 1 } }),
          second({ start: '2026-12-01T00:00:00Z', namespace: { key: 'n', from: 0, to: 1 } }),
        ],
      },
    ],
    [
      'the seed of a stopped experiment',
      { experiments: [experiment({ seed: 's' }), second({ seed: 's', status: 'stopped' })] },
    ],
    [
      'two policies in one namespace',
      {
        experiments: [
          experiment(withPolicy({ namespace: { key: 'n', from: 0, to: 0.5 } })),
          second(withPolicy({ namespace: { key: 'n', from: 0.5, to: 1 } })),
        ],
      },
    ],
    ['a hash version of tomorrow, in which nobody is assigned', { experiments: [experiment({ hashVersion: 3 })] }],
  ])('may hold %s', (_, input) => {
    expect(problemsOf(input)).toEqual([]);
  });

  const isName = 'must be 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit';
  const isShare = 'must be a number from 0 to 1';

  it.each<[string, unknown, readonly string[]]>([
    ['no object', 7, [': must be an object']],
    ['null', null, [': must be an object']],
    ['no experiments', {}, ['experiments: must be a list']],
    ['an unknown field', { experiments: [], experiment: [] }, ['experiment: is unknown']],
    [
      'too many',
      { experiments: Array.from({ length: 65 }, (_, i) => experiment({ key: `e${i}` })) },
      ['experiments: must have at most 64'],
    ],
    [
      'an empty experiment',
      { experiments: [{}] },
      [
        'experiments[0].key: must be a string',
        'experiments[0].version: must be a string',
        'experiments[0].status: must be draft, running or stopped',
        'experiments[0].arms: must be a list',
      ],
    ],
    ['a key that no URL can hold', { experiments: [experiment({ key: 'a/b' })] }, [`experiments[0].key: ${isName}`]],
    [
      'a key that no event can hold',
      { experiments: [experiment({ key: 'k'.repeat(65) })] },
      [`experiments[0].key: ${isName}`],
    ],
    [
      'a misspelt field',
      withArms({ key: 'a', wieght: 1, weight: 1 }, { key: 'b', weight: 0 }),
      ['experiments[0].arms[0].wieght: is unknown'],
    ],
    ['one arm', withArms({ key: 'a', weight: 1 }), ['experiments[0].arms: must have at least 2']],
    [
      'a weight that is NaN',
      withArms({ key: 'a', weight: Number.NaN }, { key: 'b', weight: 1 }),
      [`experiments[0].arms[0].weight: ${isShare}`],
    ],
    [
      'a weight that is infinite',
      withArms({ key: 'a', weight: 1 }, { key: 'b', weight: Number.POSITIVE_INFINITY }),
      [`experiments[0].arms[1].weight: ${isShare}`],
    ],
    [
      'a negative weight',
      {
        experiments: [
          experiment(),
          second(),
          experiment({
            key: 'third',
            arms: [
              { key: 'a', weight: -0.5 },
              { key: 'b', weight: 1.5 },
            ],
          }),
        ],
      },
      [`experiments[2].arms[0].weight: ${isShare}`, `experiments[2].arms[1].weight: ${isShare}`],
    ],
    [
      'a weight in words',
      withArms({ key: 'a', weight: '0.5' }, { key: 'b', weight: 0.5 }),
      [`experiments[0].arms[0].weight: ${isShare}`],
    ],
    [
      'weights that sum to less',
      withArms({ key: 'a', weight: 0.5 }, { key: 'b', weight: 0.498 }),
      ['experiments[0].arms: their weights sum to 0.998, but must sum to 1, give or take 0.001'],
    ],
    [
      'weights that sum to more',
      withArms({ key: 'a', weight: 0.5 }, { key: 'b', weight: 0.502 }),
      ['experiments[0].arms: their weights sum to 1.002, but must sum to 1, give or take 0.001'],
    ],
    [
      'an arm twice',
      withArms({ key: 'a', weight: 0.5 }, { key: 'a', weight: 0.5 }),
      ['experiments[0].arms[1].key: is the same as that of experiments[0].arms[0]'],
    ],
    [
      'an unknown policy',
      withArms({ key: 'a', weight: 0.5, policy: 'best' }, { key: 'b', weight: 0.5 }),
      ['experiments[0].arms[0].policy: is unknown; known: random, egreedy-v2'],
    ],
    [
      'an unknown prompt version',
      withArms({ key: 'a', weight: 0.5 }, { key: 'b', weight: 0.5, promptVersion: 'v9' }),
      ['experiments[0].arms[1].promptVersion: is unknown; known: v1, v2-mentor'],
    ],
    [
      'parameters for one arm only',
      withArms({ key: 'a', weight: 0.5, parameters: {} }, { key: 'b', weight: 0.5 }),
      ['experiments[0].arms[1].parameters: is not set, but other arms have parameters'],
    ],
    [
      'a parameter that is a list',
      withArms(
        { key: 'a', weight: 0.5, parameters: { x: [] } },
        { key: 'b', weight: 0.5, parameters: { x: Number.NaN } },
      ),
      [
        'experiments[0].arms[0].parameters.x: must be a string, a number or a boolean',
        'experiments[0].arms[1].parameters.x: must be a string, a number or a boolean',
      ],
    ],
    ['coverage beyond 1', { experiments: [experiment({ coverage: 1.5 })] }, [`experiments[0].coverage: ${isShare}`]],
    ['negative coverage', { experiments: [experiment({ coverage: -0.1 })] }, [`experiments[0].coverage: ${isShare}`]],
    [
      'a namespace beyond [0, 1]',
      { experiments: [experiment({ namespace: { key: 'n', from: -0.1, to: 1.1 } })] },
      [`experiments[0].namespace.from: ${isShare}`, `experiments[0].namespace.to: ${isShare}`],
    ],
    [
      'a namespace backwards',
      { experiments: [experiment({ namespace: { key: 'n', from: 0.5, to: 0.4 } })] },
      ['experiments[0].namespace.to: must be more than from'],
    ],
    [
      'an empty part of a namespace',
      { experiments: [experiment({ namespace: { key: 'n', from: 0.5, to: 0.5 } })] },
      ['experiments[0].namespace.to: must be more than from'],
    ],
    [
      'a namespace with an unknown hash',
      { experiments: [experiment({ namespace: { key: 'n', from: 0, to: 1, hashVersion: 3 } })] },
      ['experiments[0].namespace.hashVersion: must be 1 or 2'],
    ],
    [
      'a hash version that is no number',
      { experiments: [experiment({ hashVersion: '2' })] },
      ['experiments[0].hashVersion: must be a whole number'],
    ],
    [
      'an experiment twice',
      { experiments: [experiment(), experiment({ seed: 'other' })] },
      ['experiments[1].key: is the same as that of experiments[0]'],
    ],
    [
      'a holdout twice',
      {
        experiments: [],
        holdouts: [
          { key: 'h', share: 0 },
          { key: 'h', share: 1 },
        ],
      },
      ['holdouts[1].key: is the same as that of holdouts[0]'],
    ],
    [
      'a holdout of more than all',
      { experiments: [], holdouts: [{ key: 'h', share: 2 }] },
      [`holdouts[0].share: ${isShare}`],
    ],
    [
      'an unknown holdout',
      { experiments: [experiment({ holdout: 'h' })] },
      ['experiments[0].holdout: is no key in holdouts'],
    ],
    [
      'an unknown arm forced',
      { experiments: [experiment({ forced: { anna: 'control', ben: 'other', 'c d': 'x' } })] },
      ['experiments[0].forced.ben: is the key of no arm', 'experiments[0].forced["c d"]: is the key of no arm'],
    ],
    [
      'nobody forced',
      { experiments: [experiment({ forced: { '': 'control' } })] },
      ['experiments[0].forced[""]: must not be empty'],
    ],
    [
      'a start that is no instant',
      { experiments: [experiment({ start: 'tomorrow', end: '2026-12-01' })] },
      [
        'experiments[0].start: must be an instant, for example 2026-11-23T08:00:00Z',
        'experiments[0].end: must be an instant, for example 2026-11-23T08:00:00Z',
      ],
    ],
    [
      'a start after the end',
      { experiments: [experiment({ start: '2026-12-02T00:00:00Z', end: '2026-12-01T00:00:00Z' })] },
      ['experiments[0].end: must be after start'],
    ],
    [
      'no time at all',
      { experiments: [experiment({ start: '2026-12-01T00:00:00Z', end: '2026-12-01T00:00:00Z' })] },
      ['experiments[0].end: must be after start'],
    ],
    ['an empty seed', { experiments: [experiment({ seed: '' })] }, ['experiments[0].seed: must not be empty']],
    [
      'the seed of a namespace',
      { experiments: [experiment({ seed: '__n' })] },
      ['experiments[0].seed: must not begin with __ or holdout: or canary:'],
    ],
    [
      'the seed of a holdout',
      { experiments: [experiment({ seed: 'holdout:h' })] },
      ['experiments[0].seed: must not begin with __ or holdout: or canary:'],
    ],
    [
      'one seed for two experiments',
      { experiments: [experiment(), second({ seed: 'first' })] },
      ['experiments[1].seed: is the same as that of experiments[0]'],
    ],
    [
      'overlapping parts of a namespace',
      {
        experiments: [
          experiment({ namespace: { key: 'n', from: 0, to: 0.5 } }),
          second({ namespace: { key: 'n', from: 0.4, to: 1 } }),
        ],
      },
      ['experiments[1].namespace: overlaps that of experiments[0]'],
    ],
    [
      'an overlap of one value, by floating point',
      {
        experiments: [
          experiment({ namespace: { key: 'n', from: 0, to: 0.1 + 0.2 } }),
          second({ namespace: { key: 'n', from: 0.3, to: 1 } }),
        ],
      },
      ['experiments[1].namespace: overlaps that of experiments[0]'],
    ],
    [
      'overlap with a draft',
      {
        experiments: [
          experiment({ status: 'draft', namespace: { key: 'n', from: 0, to: 0.5 } }),
          second({ namespace: { key: 'n', from: 0.2, to: 0.3 } }),
        ],
      },
      ['experiments[1].namespace: overlaps that of experiments[0]'],
    ],
    [
      'one namespace with two hashes',
      {
        experiments: [
          experiment({ namespace: { key: 'n', from: 0, to: 0.5 } }),
          second({ namespace: { key: 'n', from: 0.5, to: 1, hashVersion: 1 } }),
        ],
      },
      ['experiments[1].namespace.hashVersion: must be 2, as that of experiments[0]'],
    ],
    [
      'two policies for one person',
      { experiments: [experiment(withPolicy()), second(withPolicy())] },
      ['experiments[1].arms: choose a policy, as those of experiments[0] do: both must be in one namespace'],
    ],
    [
      'an arm without a weight where there is no bandit',
      withArms({ key: 'a', weight: 1 }, { key: 'b' }),
      [`experiments[0].arms[1].weight: ${isShare}`],
    ],
    ['a bandit that is no object', withBandit({ bandit: 'ucb1' }), ['experiments[0].bandit: must be an object']],
    [
      'a bandit by an unknown policy',
      withBandit({ bandit: { policy: 'linucb-v1' } }),
      ['experiments[0].bandit.policy: must be beta-thompson or ucb1'],
    ],
    [
      'an unknown field of a bandit',
      withBandit({ bandit: { policy: 'ucb1', epsilon: 0.1 } }),
      ['experiments[0].bandit.epsilon: is unknown'],
    ],
    ...[0, 0.51, Number.NaN, '0.1'].map((floor): [string, unknown, readonly string[]] => [
      `a floor of ${floor}`,
      withBandit({ bandit: { policy: 'ucb1', floor } }),
      ['experiments[0].bandit.floor: must be a number from 0.001 to 0.5'],
    ]),
    [
      'floors of more than all together',
      withBandit({
        bandit: { policy: 'ucb1', floor: 0.4 },
        arms: [...prompts, { key: 'third', promptVersion: 'v3' }],
      }),
      [
        'experiments[0].bandit.floor: is 0.4 for each of 3 arms: together more than 1',
        'experiments[0].arms[2].promptVersion: is unknown; known: v1, v2-mentor',
      ],
    ],
    [
      'more people who keep an arm than there are',
      withBandit({ coverage: 0.1, bandit: { policy: 'ucb1', fixed: 0.2 } }),
      ['experiments[0].bandit.fixed: must not be more than coverage'],
    ],
    [
      'more than everybody',
      withBandit({ bandit: { policy: 'ucb1', fixed: 2 } }),
      [`experiments[0].bandit.fixed: ${isShare}`],
    ],
    ['a bandit with one arm', withBandit({ arms: [prompts[0]] }), ['experiments[0].arms: must have at least 2']],
    [
      'weights in a bandit',
      withBanditArm({ weight: 0.5 }),
      ['experiments[0].arms[1].weight: must not be set: the bandit finds it'],
    ],
    [
      'an arm of a bandit without a prompt version',
      withBanditArm({ promptVersion: undefined }),
      ['experiments[0].arms[1].promptVersion: must be set: a bandit chooses among prompt versions'],
    ],
    [
      'two arms of a bandit with one prompt version',
      withBanditArm({ promptVersion: 'v1' }),
      ['experiments[0].arms[1].promptVersion: is the same as that of arms[0]'],
    ],
    [
      'a policy in a bandit',
      withBanditArm({ policy: 'random' }),
      ['experiments[0].arms[1].policy: must not be set in a bandit'],
    ],
    [
      'parameters in a bandit',
      withBandit({ arms: prompts.map((arm) => ({ ...arm, parameters: {} })) }),
      [0, 1].map((i) => `experiments[0].arms[${i}].parameters: must not be set in a bandit`),
    ],
    [
      'a bandit beside another experiment on prompts',
      {
        experiments: [
          experiment({ bandit: { policy: 'ucb1' }, arms: prompts }),
          second({ bandit: { policy: 'ucb1' }, arms: prompts }),
        ],
      },
      ['experiments[1].arms: choose a promptVersion, as those of experiments[0] do: both must be in one namespace'],
    ],
  ])('may not hold %s', (_, input, expected) => {
    expect(problemsOf(input)).toEqual(expected);
  });

  it('name every problem at once, and never throw anything else', () => {
    const values = fc.oneof(fc.jsonValue(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, undefined));
    const field = fc.constantFrom(
      ...Object.keys({ ...experiment(), bandit: 0, seed: 0, coverage: 0, namespace: 0, forced: 0, start: 0, extra: 0 }),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          values,
          fc.dictionary(field, values).map((change) => ({ experiments: [experiment(change)] })),
        ),
        (input) => {
          for (const problem of problemsOf(input))
            expect(problem).toMatch(/^(|experiments.*|holdouts.*|\[.*\]|\w+): ./s);
        },
      ),
    );
  });
});

describe('the version of a set', () => {
  const holdouts = [
    { key: 'h', share: 0.1 },
    { key: 'g', share: 0.1 },
  ];
  const experiments = [experiment({ forced: { a: 'control', b: 'treatment' } }), second()];
  const versionOf = (input: unknown) => parseExperiments(input, choices).version;
  const version = versionOf({ experiments, holdouts });

  const reverse = (value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([key, each]) => [key, reverse(each)]),
        )
      : value;

  it('depends on no order of keys, experiments or holdouts, nor on how an instant or a default is written', () => {
    expect(versionOf(reverse({ experiments: experiments.map(reverse), holdouts: holdouts.map(reverse) }))).toBe(
      version,
    );
    expect(versionOf({ experiments: experiments.toReversed(), holdouts: holdouts.toReversed() })).toBe(version);
    expect(versionOf({ experiments: experiments.map((each) => ({ ...each, coverage: 1 })), holdouts })).toBe(version);
    const starting = (start: string) => versionOf({ experiments: [experiment({ start })] });
    expect(starting('2026-12-01T01:00:00+01:00')).toBe(starting('2026-12-01T00:00:00Z'));
  });

  it.each<[string, object]>([
    ['an arm', { arms: halves.toReversed() }],
    ['a status', { status: 'stopped' }],
    ['coverage', { coverage: 0.5 }],
    ['a version', { version: '2' }],
    ['who is forced', { forced: { a: 'control' } }],
  ])('changes with %s', (_, change) => {
    expect(versionOf({ experiments: [{ ...experiments[0], ...change }, second()], holdouts })).not.toBe(version);
  });

  it('of no experiments is that of an empty definition', () => {
    expect(parseExperiments({ experiments: [] }, choices)).toEqual(noExperiments);
  });
});
