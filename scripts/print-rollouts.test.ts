import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import {
  GateCriterionSchema,
  GateStatus,
  PolicyStandingSchema,
  RolloutSchema,
  RolloutStage,
} from '../gen/proto/oo/admin/v1/admin_pb.ts';
import {
  clean,
  criteriaRows,
  gateWords,
  nextMinute,
  nextWords,
  policyCells,
  standingLines,
  stepLines,
  takenLines,
  whoDecides,
  wrapWords,
} from './print-rollouts.ts';

const { UNSPECIFIED, REGISTERED, SHADOW, CANARY, ACTIVE, RETIRED, ROLLED_BACK } = RolloutStage;
const { PASS, FAIL, INSUFFICIENT } = GateStatus;
const [minute, hour] = [60_000, 3_600_000];
const now = Date.parse('2026-11-23T12:00:00Z');

interface Init {
  readonly policy?: string;
  readonly version?: string;
  readonly percent?: number;
  readonly since?: number;
  readonly verdict?: { status: GateStatus; judgedAt: number; step?: number };
  readonly overrides?: string[];
  readonly servedHere?: boolean;
}

/** Times are milliseconds before now. */
const standing = (stage: RolloutStage, { policy = 'p', version = '1', percent = 0, verdict, ...init }: Init = {}) =>
  create(PolicyStandingSchema, {
    ...{ policy, policyVersion: version, stage, trafficPercent: percent, number: 7 },
    ...{ overrides: init.overrides ?? [], servedHere: init.servedHere ?? true },
    ...(stage !== UNSPECIFIED && { since: timestampFromMs(now - (init.since ?? 30 * hour)) }),
    ...(verdict && { verdict: { step: 7, ...verdict, judgedAt: timestampFromMs(now - verdict.judgedAt) } }),
  });

describe('who decides', () => {
  it.each([
    [[], 'No policy is active yet.'],
    [[standing(ACTIVE, { policy: 'a' }), standing(SHADOW, { policy: 's' })], 'a decides about everybody.'],
    [
      [standing(ACTIVE, { policy: 'a' }), standing(CANARY, { policy: 'c', percent: 5 })],
      'a decides, but about 5 % of people c does.',
    ],
  ])('is told of %#', (policies, sentence) => {
    expect(whoDecides(policies)).toBe(sentence);
  });
});

describe('what the gate says', () => {
  it.each([
    ['a shadow that was not judged', standing(SHADOW), 'was not asked yet'],
    ['a canary that was not judged', standing(CANARY, { percent: 1 }), 'was not asked yet'],
    ['an active one', standing(ACTIVE), ''],
    ['one that has not begun', standing(UNSPECIFIED), ''],
    ['a pass', standing(SHADOW, { verdict: { status: PASS, judgedAt: 9 * minute } }), 'PASS, 9 minutes old'],
    ['a fail', standing(CANARY, { verdict: { status: FAIL, judgedAt: hour } }), 'FAIL, 1 hour old'],
    [
      'what is more than a day old',
      standing(SHADOW, { verdict: { status: PASS, judgedAt: 25 * hour } }),
      'PASS, 25 hours old: too old to count',
    ],
    [
      'what was said before the last step',
      standing(CANARY, { verdict: { status: PASS, judgedAt: 2 * minute, step: 6 } }),
      'PASS, 2 minutes old: of the stage before',
    ],
    [
      'what was said of one that was rolled back',
      standing(ROLLED_BACK, { since: minute, verdict: { status: FAIL, judgedAt: 2 * minute } }),
      'FAIL, 2 minutes old',
    ],
    [
      'a clock that is behind that of the server',
      standing(SHADOW, { verdict: { status: INSUFFICIENT, judgedAt: -minute } }),
      'INSUFFICIENT, less than a second old',
    ],
  ])('of %s', (_, policy, text) => {
    expect(gateWords(policy, now)).toBe(text);
  });
});

describe('a row of the list', () => {
  const row = (policy: ReturnType<typeof standing>, ...others: readonly ReturnType<typeof standing>[]) =>
    policyCells(policy, [policy, ...others], now);

  it('says since when, and marks overrides', () => {
    expect(row(standing(CANARY, { percent: 10, since: 90 * minute, overrides: ['we learn'] }))).toEqual([
      'p',
      'canary 10 % (!)',
      '2026-11-23 10:30 UTC (1 hour)',
      'was not asked yet',
    ]);
    expect(row(standing(UNSPECIFIED))).toEqual(['p', 'not begun', '–', '']);
  });

  it('names the version where there are several, or where it is not in the build', () => {
    expect(row(standing(ACTIVE), standing(RETIRED, { version: '0' }))[0]).toBe('p 1');
    expect(row(standing(ACTIVE, { servedHere: false }))[0]).toBe('p 1');
  });
});

describe('what comes next', () => {
  it.each([
    [standing(UNSPECIFIED), 'next: registered'],
    [standing(REGISTERED), 'next: shadow'],
    [standing(SHADOW), 'next: canary 1 %, with a complete model card, if the gate says PASS'],
    [
      standing(SHADOW, { since: hour }),
      'next: canary 1 %, from 2026-11-24 11:00 UTC on, with a complete model card, if the gate says PASS',
    ],
    [
      standing(CANARY, { percent: 25, since: hour }),
      'next: canary 50 %, with a complete model card, if the gate says PASS',
    ],
    [standing(CANARY, { percent: 50 }), 'next: active, with a complete model card, if the gate says PASS'],
    [standing(ACTIVE), 'next: nothing; it stays until another policy takes its place'],
    [standing(ROLLED_BACK), 'next: shadow, and the whole way again'],
    [standing(RETIRED), 'next: shadow, and the whole way again'],
  ])('%#', (policy, text) => {
    expect(nextWords(policy, now)).toBe(text);
  });

  it('is nothing where the policy is not in the build', () => {
    expect(standingLines(standing(CANARY, { percent: 5, servedHere: false, overrides: ['we\nlearn'] }), now)).toEqual([
      'canary 5 % since 2026-11-22 06:00 UTC (30 hours), by step 7',
      '(!) went on against the gate: “we learn”',
      'is not in the build of this server, so it goes no further',
      'the gate was not asked yet; the consumers do so within half a minute of a step',
    ]);
  });
});

it('criteria that block come first, and long sentences go on below', () => {
  const criterion = (name: string, status: GateStatus, sentence: string) =>
    create(GateCriterionSchema, { criterion: name, status, sentence });
  const criteria = [
    criterion('days', PASS, 'Long enough.'),
    criterion('reward', INSUFFICIENT, 'Who knows?'),
    criterion('latency', FAIL, 'One request in 100 took too long.'),
  ];
  expect(criteriaRows(criteria, 20)).toEqual([
    ['latency', 'FAIL', 'One request in 100'],
    ['', '', 'took too long.'],
    ['reward', 'INSUFFICIENT', 'Who knows?'],
    ['days', 'PASS', 'Long enough.'],
  ]);
});

describe('a step', () => {
  const step = (number: number, fromStage: RolloutStage, toStage: RolloutStage, more = {}) =>
    create(RolloutSchema, {
      ...{ number, fromStage, toStage, policy: 'p', policyVersion: '1', actor: 'ana', caller: 'anonymous' },
      ...{ reason: 'it is good', at: timestampFromMs(now), ...more },
    });
  const head = (number: number, text: string) => `${`#${number}`.padEnd(5)}2026-11-23 12:00 UTC   ${text}`;

  it('says who, when, and why', () => {
    expect(stepLines(step(2, UNSPECIFIED, REGISTERED))).toEqual([head(2, 'p: registered   by ana'), 'it is good']);
    expect(stepLines(step(3, SHADOW, RETIRED, { caller: 'ops' }))[0]).toBe(
      head(3, 'p: shadow → retired   by ana (key ops)'),
    );
  });

  it('says what the gate said, and why it went on all the same', () => {
    const evidenceJson = JSON.stringify({ status: 'FAIL' });
    const against = step(4, SHADOW, CANARY, { trafficPercent: 1, evidenceJson, overrideReason: 'we learn' });
    expect(stepLines(against).slice(2)).toEqual(['the gate said FAIL', '(!) went on against the gate: “we learn”']);
    expect(stepLines(step(3, REGISTERED, SHADOW, { expectedDivergence: 'it explores' })).at(-1)).toBe(
      'meant to decide otherwise: “it explores”',
    );
    for (const broken of ['{', 'null', '[]', '{"status":1}'])
      expect(stepLines(step(4, SHADOW, CANARY, { evidenceJson: broken }))).toHaveLength(2);
  });

  it('finds what a canary had before, and names versions where there are several', () => {
    const steps = [
      step(9, CANARY, CANARY, { trafficPercent: 5 }),
      step(8, SHADOW, CANARY, { trafficPercent: 50, policyVersion: '2' }),
      step(7, SHADOW, CANARY, { trafficPercent: 1 }),
    ];
    expect(steps.map((each) => stepLines(each, steps)[0])).toEqual([
      head(9, 'p 1: canary 1 % → canary 5 %   by ana'),
      head(8, 'p 2: shadow → canary 50 %   by ana'),
      head(7, 'p 1: shadow → canary 1 %   by ana'),
    ]);
  });

  it('that came with another one says so', () => {
    expect(stepLines(step(6, ACTIVE, RETIRED, { causeNumber: 5 }))[1]).toBe('came with step 5');
  });

  it('that was just taken says what follows', () => {
    const steps = [step(5, CANARY, ACTIVE), step(6, ACTIVE, RETIRED, { policy: 'q', causeNumber: 5 })];
    const before = standing(CANARY, { percent: 50 });
    expect(takenLines({ steps, isDryRun: false, standing: before })).toEqual([
      'Done: p: canary 50 % → active, as step 5',
      'with it, q: active → retired',
      'Every replica follows within two seconds.',
      'next: nothing; it stays until another policy takes its place',
    ]);
    expect(takenLines({ steps, isDryRun: true, standing: undefined })).toEqual([
      'Nothing was done. What would be: p: canary → active',
      'with it, q: active → retired',
    ]);
    expect(takenLines({ steps: [], isDryRun: false, standing: undefined })).toEqual([
      'The server answers that no step was taken.',
    ]);
  });
});

it('other people’s texts are on one line, without control characters', () => {
  expect(clean(' two\nlines \u001b[31m\u202e ')).toBe('two lines �[31m�');
  expect(clean('x'.repeat(500))).toHaveLength(500);
});

it.each([
  ['one two three', 7, ['one two', 'three']],
  ['seventeen of them', 5, ['seventeen', 'of', 'them']],
  ['', 5, ['']],
])('%j breaks at %d', (text, width, lines) => {
  expect(wrapWords(text, width)).toEqual(lines);
});

it('an instant to come is told by the first full minute after it', () => {
  expect([now, now + 1, now + minute].map(nextMinute)).toEqual([
    '2026-11-23 12:00 UTC',
    '2026-11-23 12:01 UTC',
    '2026-11-23 12:01 UTC',
  ]);
});
