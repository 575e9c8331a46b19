import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoredVerdict } from '../registry/rollout.ts';
import { type Evidence, type GateLimits, gateLimits, judge, type Status } from './gate.ts';

const now = Date.UTC(2026, 10, 23);

const good = {
  subject: 'linucb;model=7',
  step: 3,
  shadow: { decisions: 8000, days: 8, agreement: 0.8 },
  offPolicy: {
    difference: { lower: 5, upper: 60 },
    effectiveDecisions: 3000,
    maxWeight: 20,
    meanWeight: 1.02,
  },
  sampleRatio: { observed: 8000, pValue: 0.4 },
  groups: [
    { segment: 'activity', group: 'light', users: 900, difference: { lower: -20, upper: 80 } },
    { segment: 'activity', group: 'heavy', users: 300, difference: { lower: 0, upper: 120 } },
    { segment: 'integrations', group: 'none', users: 700, difference: { lower: -10, upper: 90 } },
    { segment: 'integrations', group: 'todoist', users: 12, difference: { lower: -900, upper: -800 } },
  ],
  serving: { requests: 8000, slow: 12, errors: 1, limitMs: 25 },
} satisfies Evidence;

const { shadow, offPolicy, groups, serving } = good;
const withGroup = (lower: number, upper: number, users = 900): Evidence => ({
  ...good,
  groups: [{ segment: 'activity', group: 'light', users, difference: { lower, upper } }, ...groups.slice(1)],
});

/** Evidence that is good but for one thing, which alone must decide. */
const table: readonly [string, Evidence, string, Status][] = [
  ['too few decisions', { ...good, shadow: { ...shadow, decisions: 4999 } }, 'shadow_decisions', 'INSUFFICIENT'],
  ['too few days', { ...good, shadow: { ...shadow, days: 6.9 } }, 'shadow_days', 'INSUFFICIENT'],
  ['another top tip', { ...good, shadow: { ...shadow, agreement: 0.749 } }, 'agreement', 'FAIL'],
  [
    'an explanation that nobody stands for',
    { ...good, shadow: { ...shadow, agreement: 0.1, divergenceExplained: { by: ' ', reason: 'explores' } } },
    'agreement',
    'FAIL',
  ],
  [
    'an explanation without a reason',
    { ...good, shadow: { ...shadow, agreement: 0.1, divergenceExplained: { by: 'anna', reason: '' } } },
    'agreement',
    'FAIL',
  ],
  [
    'a worse policy',
    { ...good, offPolicy: { ...offPolicy, difference: { lower: -90, upper: -21 } } },
    'reward',
    'FAIL',
  ],
  [
    'a policy that may be worse',
    { ...good, offPolicy: { ...offPolicy, difference: { lower: -21, upper: 300 } } },
    'reward',
    'INSUFFICIENT',
  ],
  [
    'a loss of just the margin',
    { ...good, offPolicy: { ...offPolicy, difference: { lower: -20, upper: 0 } } },
    'reward',
    'INSUFFICIENT',
  ],
  [
    'an interval upside down',
    { ...good, offPolicy: { ...offPolicy, difference: { lower: 60, upper: 5 } } },
    'reward',
    'INSUFFICIENT',
  ],
  [
    'a small effective size',
    { ...good, offPolicy: { ...offPolicy, effectiveDecisions: 999 } },
    'effective_decisions',
    'INSUFFICIENT',
  ],
  ['a heavy decision', { ...good, offPolicy: { ...offPolicy, maxWeight: 100.5 } }, 'max_weight', 'FAIL'],
  ['a high mean weight', { ...good, offPolicy: { ...offPolicy, meanWeight: 1.11 } }, 'mean_weight', 'FAIL'],
  ['a low mean weight', { ...good, offPolicy: { ...offPolicy, meanWeight: 0.89 } }, 'mean_weight', 'FAIL'],
  ['the sample ratio', { ...good, sampleRatio: { observed: 8000, pValue: 0.0009 } }, 'sample_ratio', 'FAIL'],
  ['an early alarm of it', { ...good, sampleRatio: { observed: 60, pValue: 0.0001 } }, 'sample_ratio', 'FAIL'],
  ['a sample ratio of few', { ...good, sampleRatio: { observed: 999, pValue: 1 } }, 'sample_ratio', 'INSUFFICIENT'],
  ['a harmed group', withGroup(-200, -51), 'fairness.activity', 'FAIL'],
  ['a group that may be harmed', withGroup(-51, 200), 'fairness.activity', 'INSUFFICIENT'],
  ['a segment without evidence', { ...good, groups: groups.slice(0, 2) }, 'fairness.integrations', 'INSUFFICIENT'],
  [
    'a segment of small groups',
    { ...good, groups: groups.slice(0, 3).map((g) => ({ ...g, users: g.segment === 'activity' ? g.users : 99 })) },
    'fairness.integrations',
    'INSUFFICIENT',
  ],
  ['slow decisions', { ...good, serving: { ...serving, slow: 81 } }, 'latency', 'FAIL'],
  [
    'decisions that were measured against too long a time',
    { ...good, serving: { ...serving, limitMs: 25.1 } },
    'latency',
    'INSUFFICIENT',
  ],
  [
    'decisions that were measured against no time',
    { ...good, serving: { ...serving, limitMs: 0 } },
    'latency',
    'INSUFFICIENT',
  ],
  ['errors', { ...good, serving: { ...serving, errors: 9 } }, 'errors', 'FAIL'],
];

const statusOf = (evidence: Evidence, limits?: GateLimits) =>
  new Map(judge(evidence, now, limits).criteria.map(({ criterion, status }) => [criterion, status]));

describe('the gate', () => {
  it('lets a better policy pass, with numbers, limits and a sentence for each criterion', () => {
    const verdict = judge(good, now);
    expect(verdict).toMatchObject({ subject: good.subject, judgedAtMs: now, limitsVersion: '1', status: 'PASS' });
    expect(verdict.criteria.map(({ criterion, status }) => `${criterion} ${status}`)).toEqual(
      [
        ...['shadow_decisions', 'shadow_days', 'agreement', 'reward', 'effective_decisions', 'max_weight'],
        ...['mean_weight', 'sample_ratio', 'fairness.activity', 'fairness.integrations', 'latency', 'errors'],
      ].map((name) => `${name} PASS`),
    );
    expect(verdict.criteria.find(({ criterion }) => criterion === 'reward')).toEqual({
      criterion: 'reward',
      status: 'PASS',
      numbers: { lower: 5, upper: 60 },
      limit: -20,
      sentence: 'At worst 0.005 of reward per decision against the active policy: no loss of more than 0.02.',
    });
  });

  it.each(table)('is blocked by %s alone', (_, evidence, criterion, status) => {
    const statuses = statusOf(evidence);
    expect(statuses.get(criterion)).toBe(status);
    const dependents = criterion === 'shadow_decisions' ? ['agreement'] : [];
    for (const [name, other] of statuses)
      if (name !== criterion && !dependents.includes(name)) expect(other, name).toBe('PASS');
    expect(judge(evidence, now).status).toBe(status);
  });

  it.each(['shadow', 'offPolicy', 'sampleRatio', 'groups', 'serving'] as const)('is blocked without %s', (part) => {
    const { [part]: _, ...rest } = good;
    expect(judge(rest, now).status).toBe('INSUFFICIENT');
  });

  it('says that too little is known of too little data, rather than that it is bad', () => {
    const little: Evidence = {
      subject: 'x',
      step: 3,
      shadow: { decisions: 40, days: 1, agreement: 0.3 },
      offPolicy: {
        difference: { lower: -400, upper: 700 },
        effectiveDecisions: 12,
        maxWeight: 9,
        meanWeight: 1.6,
      },
      sampleRatio: { observed: 40, pValue: 0.3 },
      groups: [{ segment: 'activity', group: 'light', users: 9, difference: undefined }],
      serving: { requests: 40, slow: 20, errors: 1, limitMs: 5 },
    };
    expect(judge(little, now).status).toBe('INSUFFICIENT');
    expect([...statusOf(little).values()]).not.toContain('FAIL');
  });

  it('fails whatever is bad, also where something else is not known', () => {
    const { serving: _, ...rest } = good;
    expect(judge({ ...rest, sampleRatio: { observed: 9000, pValue: 0 } }, now).status).toBe('FAIL');
  });

  it('takes an explanation for a divergence, and repeats it', () => {
    const divergenceExplained = { by: 'anna', reason: 'it prefers short tasks.' };
    const verdict = judge({ ...good, shadow: { ...shadow, agreement: 0.3, divergenceExplained } }, now);
    expect(verdict.status).toBe('PASS');
    expect(verdict.criteria.find(({ criterion }) => criterion === 'agreement')?.sentence).toBe(
      'The top tip was that of the active policy in 30 % of decisions. That is meant to be, says anna: it prefers short tasks.',
    );
  });

  it('asks for no sample ratio where there were no arms, and says so', () => {
    const verdict = judge({ ...good, sampleRatio: 'no arms' }, now);
    expect(verdict.status).toBe('PASS');
    expect(verdict.criteria.find(({ criterion }) => criterion === 'sample_ratio')).toEqual({
      criterion: 'sample_ratio',
      status: 'PASS',
      numbers: {},
      limit: 0.001,
      sentence: 'The evidence comes from one log alone, in the shadow: there were no arms to share people out between.',
    });
  });

  it.each<[string, Partial<Evidence>, string, string]>([
    ['fast decisions', {}, 'latency', '0.15 % of decisions took longer than 25 ms.'],
    [
      'slow decisions in the shadow',
      { serving: { ...serving, limitMs: 5, slow: 160 } },
      'latency',
      '2 % of decisions took longer than 5 ms; 1 % may.',
    ],
    [
      'few decisions',
      { serving: { ...serving, requests: 40 } },
      'latency',
      'How long decisions take is not known; decisions measured: 40; 1000 are needed.',
    ],
    [
      'no decisions',
      { serving: undefined },
      'latency',
      'How long decisions take is not known; decisions measured: unknown; 1000 are needed.',
    ],
    [
      'a lenient measurement',
      { serving: { ...serving, limitMs: 1000 } },
      'latency',
      'How long decisions take is not known; they were measured against 1000 ms, and 25 ms are allowed.',
    ],
    [
      'failures',
      { serving: { ...serving, errors: 80 } },
      'errors',
      'The policy failed on 1 % of decisions; 0.1 % are allowed.',
    ],
    [
      'a canary, which decides by itself',
      { offPolicy: { ...offPolicy, effectiveDecisions: 1234, maxWeight: 1, meanWeight: 1 } },
      'effective_decisions',
      "The estimate is worth 1234 decisions of the policy's own.",
    ],
    [
      'a difference that cannot be said',
      { offPolicy: { ...offPolicy, difference: undefined } },
      'reward',
      'A loss of more than 0.02 of reward per decision cannot be excluded: the difference to the active policy is between ? and ?.',
    ],
  ])('says in a sentence what it found: %s', (_, part, criterion, sentence) => {
    const verdict = judge({ ...good, ...part }, now);
    expect(verdict.criteria.find((each) => each.criterion === criterion)?.sentence).toBe(sentence);
  });

  it('names groups that are too small, and shows nothing else of them', () => {
    const verdict = judge(good, now);
    const found = verdict.criteria.find(({ criterion }) => criterion === 'fairness.integrations');
    expect(found?.sentence).toContain('Not shown, with fewer than 100 people: todoist.');
    expect(found?.numbers).toEqual({ 'none.lower': -10, 'none.upper': 90 });
    expect(JSON.stringify(verdict)).not.toContain('-900');
  });

  it('lets nobody pass where no segments are declared', () => {
    expect(statusOf(good, { ...gateLimits, segments: [] }).get('fairness')).toBe('INSUFFICIENT');
    expect(judge(good, now, { ...gateLimits, segments: [] }).status).toBe('INSUFFICIENT');
  });

  it('holds numbers that are at the limit for good enough', () => {
    const edge: Evidence = {
      ...good,
      shadow: { decisions: 5000, days: 7, agreement: 0.75 },
      offPolicy: { ...offPolicy, effectiveDecisions: 1000, maxWeight: 100, meanWeight: 0.9 },
      sampleRatio: { observed: 1000, pValue: 0.001 },
      serving: { requests: 5000, slow: 50, errors: 5, limitMs: 25 },
    };
    expect(judge(edge, now).status).toBe('PASS');
  });
});

/** Every number in evidence, with a function that puts another in its place. */
function numbersIn(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value === 'number') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => numbersIn(part, [...path, key]));
}

function replaced<T>(value: T, [key, ...rest]: readonly string[], by: number): T {
  if (key === undefined) return by as T;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, by);
  return copy as T;
}

describe('a number that is none', () => {
  const { step: _, ...measured } = good;
  const paths = numbersIn(measured).filter((path) => path[1] !== '3'); // group 3 is too small to be looked at

  it.each(paths.map((path) => [path.join('.'), path] as const))('never passes as %s', (_, path) => {
    for (const by of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const verdict = judge(replaced(good, path, by), now);
      const isGroupSize = path.at(-1) === 'users'; // an unknown size leaves the other group, an endless one is large
      if (!isGroupSize) expect(verdict.status, `${path.join('.')} ${by}`).not.toBe('PASS');
      expect(verdict.criteria.every(({ sentence }) => sentence !== '')).toBe(true);
    }
  });

  it('is not in a verdict, which is kept as JSON', () => {
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.double(), (path, by) => {
        const verdict = judge(replaced(good, path, by), now);
        const numbers = verdict.criteria.flatMap((criterion) => [criterion.limit, ...Object.values(criterion.numbers)]);
        expect(numbers.every(Number.isFinite)).toBe(true);
      }),
    );
  });
});

it('a verdict has the shape that the rollout keeps', () => {
  const stored: StoredVerdict = judge(good, now);
  expect(JSON.parse(JSON.stringify(stored))).toEqual(stored);
});
