import { describe, expect, it } from 'vitest';
import { epochOf, nothingMeasured } from './bandit.ts';
import { parseExperiments } from './experiment.ts';
import { treat, withBandits, withCanary, without } from './treatment.ts';

const choices = { policies: new Set(['p1', 'p2', 'p3']), promptVersions: new Set(['v1', 'v2']) };
type Arm = { readonly policy?: string; readonly promptVersion?: string };

/** Everybody is drawn into `x`, as `y` has no weight; whoever is forced gets `y`. */
const experiment = (key: string, x: Arm, y: Arm, forced: readonly string[] = [], more: object = {}) => ({
  key,
  version: '1',
  status: 'running',
  arms: [
    { key: 'x', weight: 1, ...x },
    { key: 'y', weight: 0, ...y },
  ],
  forced: Object.fromEntries(forced.map((userId) => [userId, 'y'])),
  ...more,
});
const setOf = (...experiments: readonly object[]) => parseExperiments({ experiments }, choices);
const half = (from: number) => ({ namespace: { key: 'n', from, to: from + 0.5 } });

const seen = ({ policy, promptVersion, assigned, forced }: ReturnType<typeof treat>) => [
  policy,
  promptVersion,
  assigned.map(({ experiment: { key }, arm }) => `${key}/${arm.key}`).join(' '),
  forced.map(({ experiment: { key }, arm }) => `${key}/${arm.key}`).join(' '),
];

describe('a person', () => {
  it.each<[string, readonly object[], readonly unknown[]]>([
    ['without experiments is treated as ever', [], [undefined, undefined, '', '']],
    ['gets what the arm chooses', [experiment('a', { policy: 'p1' }, {})], ['p1', undefined, 'a/x', '']],
    ['keeps what the arm leaves open', [experiment('a', {}, { policy: 'p1' })], [undefined, undefined, 'a/x', '']],
    [
      'gets the choices of several experiments',
      [experiment('a', { policy: 'p1' }, {}), experiment('b', { promptVersion: 'v2' }, {}), experiment('c', {}, {})],
      ['p1', 'v2', 'a/x b/x c/x', ''],
    ],
    [
      'is in no experiment that does not run',
      [experiment('a', { policy: 'p1' }, {}, [], { status: 'draft' })],
      [undefined, undefined, '', ''],
    ],
    [
      'gets the arm they are forced into',
      [experiment('a', { policy: 'p1' }, { policy: 'p2' }, ['u'])],
      ['p2', undefined, '', 'a/y'],
    ],
    [
      'is forced also where nothing runs',
      [experiment('a', { policy: 'p1' }, { policy: 'p2' }, ['u'], { status: 'stopped' })],
      ['p2', undefined, '', 'a/y'],
    ],
    [
      'is left out of an experiment whose choice is displaced, and stays in the others',
      [
        experiment('a', { policy: 'p1' }, {}, [], half(0)),
        experiment('b', { policy: 'p1' }, {}, [], half(0.5)),
        experiment('c', { policy: 'p1' }, { policy: 'p3' }, ['u'], { status: 'stopped' }),
        experiment('d', { promptVersion: 'v2' }, {}),
      ],
      ['p3', 'v2', 'd/x', 'c/y'],
    ],
    [
      'is left out also where the forced arm chooses nothing',
      [experiment('a', { policy: 'p1' }, {}), experiment('b', { policy: 'p2' }, {}, ['u'], { status: 'stopped' })],
      [undefined, undefined, '', 'b/y'],
    ],
    [
      'forced twice gets what the first by key chooses',
      [
        experiment('b', {}, { policy: 'p2' }, ['u'], { status: 'stopped' }),
        experiment('a', {}, { policy: 'p1' }, ['u'], { status: 'stopped' }),
      ],
      ['p1', undefined, '', 'a/y b/y'],
    ],
  ])('%s', (_, experiments, expected) => {
    expect(seen(treat(setOf(...experiments), 'u', Date.now()))).toEqual(expected);
  });

  it('whose prompt is chosen by somebody else is in no experiment on prompts', () => {
    const set = setOf(
      experiment('a', { promptVersion: 'v2' }, {}),
      experiment('b', { policy: 'p1' }, {}),
      experiment('c', {}, { promptVersion: 'v1' }, ['forced'], { status: 'stopped' }),
    );
    expect(seen(without(treat(set, 'u', 0), 'promptVersion'))).toEqual(['p1', undefined, 'b/x', '']);
    expect(seen(without(treat(set, 'forced', 0), 'promptVersion'))).toEqual(['p1', undefined, 'b/x', '']);
  });
});

describe('a person in a bandit', () => {
  const arms = ['v1', 'v2'].map((promptVersion) => ({ key: promptVersion, promptVersion }));
  const bandit = (more: object = {}, fixed = 0) => ({
    ...{ key: 'bandit', version: '1', status: 'running', bandit: { policy: 'ucb1', fixed }, arms, ...more },
  });
  const equal = (experiment: Parameters<typeof epochOf>[0]) => epochOf(experiment, nothingMeasured);
  const requests = Array.from({ length: 40 }, (_, i) => `request-${i}`);

  it('has no arm and no prompt until a request draws one, and then the prompt of that arm', () => {
    const treatment = treat(setOf(bandit(), experiment('b', { policy: 'p1' }, {})), 'u', 0);
    expect(seen(treatment)).toEqual(['p1', undefined, 'b/x', '']);
    const drawn = requests.map((id) => seen(withBandits(treatment, id, equal)));
    expect([...new Set(drawn.map(String))].toSorted()).toEqual(['p1,v1,b/x bandit/v1,', 'p1,v2,b/x bandit/v2,']);
    const [again] = requests;
    expect(seen(withBandits(treatment, again ?? '', equal))).toEqual(drawn[0]);
    expect(withBandits(treatment, again ?? '', equal).enrolled).toEqual([]);
  });

  it('who keeps an arm has it in every request', () => {
    const treatment = treat(setOf(bandit({}, 1)), 'u', 0);
    expect(treatment.assigned).toMatchObject([{ kind: 'assigned', propensity: 0.5 }]);
    expect(requests.every((id) => withBandits(treatment, id, equal) === treatment)).toBe(true);
  });

  it.each<[string, object, object | undefined]>([
    ['was forced into one of its arms', { forced: { u: 'v2' } }, undefined],
    [
      'was forced into a prompt elsewhere',
      {},
      experiment('c', {}, { promptVersion: 'v2' }, ['u'], { status: 'stopped' }),
    ],
  ])('who %s has no arm drawn', (_, more, other) => {
    const treatment = withBandits(treat(setOf(bandit(more), ...(other ? [other] : [])), 'u', 0), 'r', equal);
    expect(treatment).toMatchObject({ promptVersion: 'v2', assigned: [], enrolled: [] });
  });

  it('whose prompt is chosen by somebody else has no arm drawn', () => {
    expect(without(treat(setOf(bandit()), 'u', 0), 'promptVersion').enrolled).toEqual([]);
  });

  it('is in a canary all the same, and in the bandit', () => {
    const [canary] = setOf(experiment('canary', { policy: 'p1' }, {})).experiments;
    if (!canary) throw new Error('no canary');
    const treatment = withCanary(treat(setOf(bandit()), 'u', 0), canary, 'u', 0);
    expect(seen(treatment)).toEqual(['p1', undefined, 'canary/x', '']);
    expect(treatment.enrolled).toHaveLength(1);
  });
});
