import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  firstStep,
  foldRollouts,
  moveRollout,
  type RolloutCommand,
  type RolloutStep,
  type Stage,
  type StoredVerdict,
  servingOf,
  standingOf,
  subjectName,
} from './rollout.ts';

const subject = { policy: 'linucb', version: '7' };
const house = { policy: 'house', version: '1' };
const hour = 3_600_000;
const rules = { minShadowMs: 24 * hour, maxVerdictAgeMs: 24 * hour };
const by = { actor: 'anna', caller: 'ops', reason: 'a test' };

/** Of a policy that is the first after `house` to come into the shadow, unless another step is given. */
const verdict = (
  status: StoredVerdict['status'],
  judgedAtMs: number,
  about = subjectName(subject),
  step = 3,
): StoredVerdict => ({
  subject: about,
  step,
  judgedAtMs,
  limitsVersion: '1',
  status,
  criteria: [{ criterion: 'reward', status, numbers: { lower: 5 }, limit: -20, sentence: 'No harm.' }],
});

const complete = { kind: 'complete', hash: 'c4rd' } as const;

const lacking = {
  kind: 'incomplete',
  problems: ['a', 'b', 'c', 'd', 'e'].map((field) => ({ field, description: 'is missing' })),
} as const;

type History = readonly RolloutStep[];

/** A database in which `house` decides. */
const start: History = [firstStep(house, { ...by, atMs: 0 })];

/** The command that takes a history on, if its stage allows that: with a good verdict where one is needed. */
function command(history: History, to: Stage, more: Partial<RolloutCommand> = {}): RolloutCommand {
  const atMs = (history.at(-1)?.atMs ?? 0) + 48 * hour;
  const needed = to === 'canary' || to === 'active';
  const about = { ...subject, ...more };
  const number = standingOf(foldRollouts(history), about)?.number ?? 0;
  return {
    ...{ ...subject, ...by, atMs, to, expectedNumber: history.length },
    ...(needed && { verdict: verdict('PASS', atMs, subjectName(about), number), card: complete }),
    ...more,
  };
}

function run(history: History, asked: RolloutCommand): History {
  const result = moveRollout(foldRollouts(history), asked, rules);
  if (result.kind === 'refused') throw new Error(result.refusal.message);
  return [...history, ...result.steps];
}

type Place = Stage | `canary ${number}`;

const stepTo = (history: History, place: Place, more: Partial<RolloutCommand> = {}) => {
  const [to = 'registered', percent] = place.split(' ') as [Stage, string?];
  return command(history, to, { ...(percent && { percent: Number(percent) }), ...more });
};

const go = (history: History, places: readonly Place[], more: Partial<RolloutCommand> = {}): History =>
  places.reduce((sofar, place) => run(sofar, stepTo(sofar, place, more)), history);
const walk = (...places: readonly Place[]): History => go(start, places);

const ladder: readonly Place[] = ['canary 1', 'canary 5', 'canary 10', 'canary 25', 'canary 50'];
const whole: readonly Place[] = ['registered', 'shadow', ...ladder, 'active'];
const until = (place: Place) => walk(...whole.slice(0, whole.indexOf(place) + 1));
const refusal = (history: History, asked: RolloutCommand) => {
  const result = moveRollout(foldRollouts(history), asked, rules);
  return result.kind === 'refused' ? result.refusal.reason : 'appended';
};
const standing = (history: History, of = subject) => standingOf(foldRollouts(history), of);
const serving = (history: History) => {
  const { active, canary, shadows, cleared } = servingOf(foldRollouts(history));
  const names = (each: typeof shadows) => each.map(({ policy }) => policy);
  return { active: active?.policy, canary: canary?.policy, shadows: names(shadows), cleared: names(cleared) };
};

describe('the way to people', () => {
  it('goes through every step, and each is a record', () => {
    const history = walk(...whole);
    expect(history.map(({ number, policy, from, to, percent }) => [number, policy, from, to, percent])).toEqual([
      [1, 'house', undefined, 'active', 100],
      [2, 'linucb', undefined, 'registered', 0],
      [3, 'linucb', 'registered', 'shadow', 0],
      [4, 'linucb', 'shadow', 'canary', 1],
      [5, 'linucb', 'canary', 'canary', 5],
      [6, 'linucb', 'canary', 'canary', 10],
      [7, 'linucb', 'canary', 'canary', 25],
      [8, 'linucb', 'canary', 'canary', 50],
      [9, 'linucb', 'canary', 'active', 100],
      [10, 'house', 'active', 'retired', 0],
    ]);
    expect(history[3]).toEqual({
      ...{ number: 4, ...subject, ...by, atMs: 6 * 24 * hour, from: 'shadow', to: 'canary', percent: 1 },
      verdict: verdict('PASS', 6 * 24 * hour),
      cardHash: 'c4rd',
    });
    expect(history[9]).toMatchObject({ ...by, atMs: history[8]?.atMs, causeNumber: 9 });
    expect(standing(history)).toEqual({
      ...{ ...subject, stage: 'active', percent: 100, sinceMs: 16 * 24 * hour, number: 9, activeNumber: 9 },
      ...{ servesSinceMs: 6 * 24 * hour, overrides: [], expectedDivergence: undefined },
    });
  });

  it('starts nowhere', () => {
    expect(foldRollouts([])).toEqual({ number: 0, standings: [] });
    expect(serving([])).toEqual({ active: undefined, canary: undefined, shadows: [], cleared: [] });
  });

  it('says who serves at each place, and whom experiments may choose', () => {
    const others = { shadows: [], cleared: ['house'] };
    expect(serving(start)).toEqual({ active: 'house', canary: undefined, ...others });
    expect(serving(until('registered'))).toEqual({ active: 'house', canary: undefined, ...others });
    expect(serving(until('shadow'))).toEqual({ ...serving(start), shadows: ['linucb'] });
    const cleared = ['house', 'linucb'];
    expect(serving(until('canary 5'))).toEqual({ active: 'house', canary: 'linucb', shadows: [], cleared });
    expect(serving(until('active'))).toEqual({ active: 'linucb', canary: undefined, shadows: [], cleared });
    expect(serving(walk(...whole, 'rolled_back'))).toEqual(serving(start));
    expect(serving(walk('registered', 'shadow', 'retired'))).toEqual(serving(start));
  });

  it('leads back at once from whatever serves people, and then only through the shadow', () => {
    for (const place of [...ladder, 'active'] as const) {
      const asked = stepTo(until(place), 'rolled_back', { reason: 'complaints' });
      const back = run(until(place), { ...asked, atMs: asked.atMs - 48 * hour });
      expect(standing(back)).toMatchObject({ stage: 'rolled_back', percent: 0 });
      expect(back.at(-1)?.reason).toBe('complaints');
      expect(serving(back)).toEqual(serving(start));
      for (const next of [...ladder, 'active', 'registered'] as const)
        expect(refusal(back, stepTo(back, next)), next).toBe('ILLEGAL_TRANSITION');
      expect(standing(run(back, stepTo(back, 'shadow')))?.stage).toBe('shadow');
    }
  });

  it('leads back without knowing the last step', () => {
    const { expectedNumber: _, ...asked } = stepTo(until('canary 5'), 'rolled_back');
    expect(refusal(until('canary 5'), { ...asked, expectedNumber: undefined })).toBe('appended');
  });
});

describe('whoever was active', () => {
  const other = { policy: 'softmax', version: '1' };
  const both = go(until('active'), whole, other);

  it('comes back, the last one first, when the one that took its place is rolled back', () => {
    expect(serving(both)).toMatchObject({ active: 'softmax', cleared: ['house', 'linucb', 'softmax'] });
    const once = run(both, stepTo(both, 'rolled_back', other));
    expect(serving(once)).toMatchObject({ active: 'linucb', cleared: ['house', 'linucb'] });
    expect(once.at(-1)).toMatchObject({ ...subject, from: 'retired', to: 'active', percent: 100, causeNumber: 20 });
    const twice = run(once, stepTo(once, 'rolled_back'));
    expect(serving(twice)).toMatchObject({ active: 'house', cleared: ['house'] });
  });

  it('comes back only if servers have it', () => {
    const asked = {
      ...stepTo(both, 'rolled_back', other),
      canServe: ({ policy }: { policy: string }) => policy !== 'linucb',
    };
    expect(serving(run(both, asked))).toMatchObject({ active: 'house' });
    expect(refusal(both, { ...asked, canServe: () => false })).toBe('NOTHING_BEFORE');
  });

  it.each([
    ['is retired', ['retired']],
    ['goes into the shadow', ['shadow']],
    ['is retired and goes into the shadow', ['retired', 'shadow']],
  ] as const)('does not come back once it was rolled back, also where it then %s', (_, places) => {
    const back = run(until('active'), stepTo(until('active'), 'rolled_back'));
    const moved = go(back, places);
    expect(serving(moved)).toMatchObject({ active: 'house', cleared: ['house'] });
    const third = go(moved, whole, other);
    expect(serving(run(third, stepTo(third, 'rolled_back', other)))).toMatchObject({ active: 'house' });
  });

  it('comes back from wherever it is, but not once it was rolled back itself', () => {
    const inShadow = run(both, stepTo(both, 'shadow'));
    expect(serving(run(inShadow, stepTo(inShadow, 'rolled_back', other)))).toMatchObject({ active: 'linucb' });
    const again = run(inShadow, stepTo(inShadow, 'canary 1'));
    const failed = run(again, stepTo(again, 'rolled_back'));
    expect(serving(run(failed, stepTo(failed, 'rolled_back', other)))).toMatchObject({ active: 'house' });
  });
});

/** Written out, to be compared with the code: from each place, where it can go, and whether that needs a verdict. */
describe('a model card', () => {
  it('is asked for by each step towards more people, and by no other', () => {
    for (const [from, to] of whole.slice(1).map((place, i) => [whole[i] ?? 'registered', place] as const)) {
      const asked = stepTo(until(from), to, { card: undefined });
      expect(refusal(until(from), asked), to).toBe(to === 'shadow' ? 'appended' : 'CARD_MISSING');
    }
    const canary = until('canary 25');
    for (const place of ['canary 5', 'rolled_back'] as const) {
      const back = run(canary, stepTo(canary, place, { card: undefined, verdict: undefined }));
      expect(back.at(-1)).toMatchObject({ to: place.split(' ')[0] });
      expect(back.at(-1)?.cardHash).toBeUndefined();
    }
  });

  it('stays with the step by its hash, where the step needed it', () => {
    expect(until('active').map(({ cardHash }) => cardHash)).toEqual([
      ...[undefined, undefined, undefined],
      ...Array(6).fill('c4rd'),
      undefined, // whoever retires for it
    ]);
    const fewer = run(until('canary 5'), stepTo(until('canary 5'), 'canary 1', { verdict: undefined }));
    expect(fewer.at(-1)?.cardHash).toBeUndefined();
  });

  it('that lacks something is refused with what it lacks and what to do', () => {
    const inShadow = until('shadow');
    const messageOf = (card: RolloutCommand['card']) => {
      const moved = moveRollout(foldRollouts(inShadow), stepTo(inShadow, 'canary 1', { card }), rules);
      return moved.kind === 'refused' ? moved.refusal.message : '';
    };
    expect(messageOf(undefined)).toBe('it has no model card: make one before it serves anyone');
    expect(messageOf(lacking)).toBe(
      'its model card is not complete, so make another one: a is missing; b is missing; c is missing; and 2 more',
    );
    expect(messageOf({ ...lacking, problems: lacking.problems.slice(0, 1) })).toMatch(
      /make another one: a is missing$/,
    );
  });
});

const edges: Readonly<Record<string, Readonly<Record<string, 'free' | 'verdict'>>>> = {
  nothing: { registered: 'free' },
  registered: { shadow: 'free', retired: 'free' },
  shadow: { 'canary 1': 'verdict', retired: 'free' },
  'canary 1': { 'canary 5': 'verdict', rolled_back: 'free' },
  'canary 5': { 'canary 1': 'free', 'canary 10': 'verdict', rolled_back: 'free' },
  'canary 10': { 'canary 1': 'free', 'canary 5': 'free', 'canary 25': 'verdict', rolled_back: 'free' },
  'canary 25': {
    ...{ 'canary 1': 'free', 'canary 5': 'free', 'canary 10': 'free' },
    ...{ 'canary 50': 'verdict', rolled_back: 'free' },
  },
  'canary 50': {
    ...{ 'canary 1': 'free', 'canary 5': 'free', 'canary 10': 'free', 'canary 25': 'free' },
    ...{ active: 'verdict', rolled_back: 'free' },
  },
  active: { rolled_back: 'free' },
  rolled_back: { shadow: 'free', retired: 'free' },
  retired: { shadow: 'free' },
};

const placeOf = (history: History): string => {
  const { stage, percent } = standing(history) ?? {};
  return stage === undefined ? 'nothing' : stage === 'canary' ? `canary ${percent}` : stage;
};

const places = Object.keys(edges).filter((place) => place !== 'nothing') as Place[];

describe('a step is refused', () => {
  const softmax = { policy: 'softmax', version: '1' };
  const inShadow = until('shadow');
  const atMs = 6 * 24 * hour;

  it.each<[string, History, RolloutCommand, string]>([
    ['before anybody decides about people', [], command([], 'registered'), 'NOT_BEGUN'],
    ['without anyone who answers for it', start, command(start, 'registered', { actor: ' ' }), 'ACTOR_MISSING'],
    ['after another came first', inShadow, stepTo(inShadow, 'retired', { expectedNumber: 2 }), 'CHANGED_MEANWHILE'],
    [
      'as the first, if there is one',
      inShadow,
      stepTo(inShadow, 'registered', { expectedNumber: 0 }),
      'CHANGED_MEANWHILE',
    ],
    [
      'after too short a shadow',
      inShadow,
      stepTo(inShadow, 'canary 1', { atMs: 4 * 24 * hour + rules.minShadowMs - 1 }),
      'SHADOW_TOO_SHORT',
    ],
    [
      'after too short a shadow, also as an override',
      inShadow,
      stepTo(inShadow, 'canary 1', {
        atMs: 4 * 24 * hour,
        verdict: verdict('FAIL', atMs),
        overrideReason: 'the board asked',
      }),
      'SHADOW_TOO_SHORT',
    ],
    ['at no time', inShadow, stepTo(inShadow, 'canary 1', { atMs: Number.NaN }), 'SHADOW_TOO_SHORT'],
    ['without a model card', inShadow, stepTo(inShadow, 'canary 1', { card: undefined }), 'CARD_MISSING'],
    [
      'with a model card that lacks something',
      inShadow,
      stepTo(inShadow, 'canary 1', { card: lacking }),
      'CARD_INCOMPLETE',
    ],
    [
      'without a model card, and against the gate: of the card first',
      inShadow,
      stepTo(inShadow, 'canary 1', { card: undefined, verdict: verdict('FAIL', atMs) }),
      'CARD_MISSING',
    ],
    ...[undefined, lacking].map((card): [string, History, RolloutCommand, string] => [
      `${card ? 'with a card that lacks something' : 'without a model card'}, also as an override`,
      inShadow,
      stepTo(inShadow, 'canary 1', { card, verdict: verdict('FAIL', atMs), overrideReason: 'the board asked' }),
      card ? 'CARD_INCOMPLETE' : 'CARD_MISSING',
    ]),
    [
      'with the verdict about another',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('PASS', atMs, 'x') }),
      'VERDICT_OF_ANOTHER',
    ],
    [
      'with the verdict about another version',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('PASS', atMs, 'linucb 8') }),
      'VERDICT_OF_ANOTHER',
    ],
    [
      'with a verdict of yesterday',
      inShadow,
      stepTo(inShadow, 'canary 1', { atMs: atMs + 1, verdict: verdict('PASS', atMs - 24 * hour) }),
      'VERDICT_TOO_OLD',
    ],
    [
      'to a second canary',
      go(until('canary 5'), ['registered', 'shadow'], softmax),
      stepTo(go(until('canary 5'), ['registered', 'shadow'], softmax), 'canary 1', softmax),
      'ANOTHER_CANARY',
    ],
    ['back to nobody', start, command(start, 'rolled_back', house), 'NOTHING_BEFORE'],
    ['of the active policy into retirement', start, command(start, 'retired', house), 'ILLEGAL_TRANSITION'],
    [
      'with a reason to differ, where it does not begin to be compared',
      inShadow,
      stepTo(inShadow, 'retired', { expectedDivergence: 'it explores more' }),
      'DIVERGENCE_WITHOUT_NEED',
    ],
    [
      'with a verdict from before',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('PASS', atMs, subjectName(subject), 2) }),
      'VERDICT_TOO_OLD',
    ],
    [
      'if the gate says FAIL',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('FAIL', atMs) }),
      'VERDICT_BLOCKS',
    ],
    [
      'if the gate knows too little',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('INSUFFICIENT', atMs) }),
      'VERDICT_BLOCKS',
    ],
    [
      'if a criterion does not bear the verdict out',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: { ...verdict('FAIL', atMs), status: 'PASS' } }),
      'VERDICT_BLOCKS',
    ],
    [
      'with a verdict about nothing',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: { ...verdict('PASS', atMs), criteria: [] } }),
      'VERDICT_BLOCKS',
    ],
    [
      'with an override without a reason',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('FAIL', atMs), overrideReason: ' ' }),
      'VERDICT_BLOCKS',
    ],
    [
      'with an override of a PASS',
      inShadow,
      stepTo(inShadow, 'canary 1', { overrideReason: 'why not' }),
      'OVERRIDE_WITHOUT_NEED',
    ],
    [
      'with an override of nothing',
      inShadow,
      stepTo(inShadow, 'retired', { overrideReason: 'why not' }),
      'OVERRIDE_WITHOUT_NEED',
    ],
    ['at a percentage that is no step', inShadow, stepTo(inShadow, 'canary 7'), 'ILLEGAL_TRANSITION'],
    ['at no percentage', inShadow, command(inShadow, 'canary'), 'ILLEGAL_TRANSITION'],
    [
      'with a percentage that makes no sense',
      inShadow,
      command(inShadow, 'retired', { percent: 5 }),
      'ILLEGAL_TRANSITION',
    ],
  ])('%s', (_, history, asked, reason) => expect(refusal(history, asked)).toBe(reason));

  it('without a verdict, even as an override', () => {
    const { verdict: _, ...asked } = stepTo(inShadow, 'canary 1', { overrideReason: 'trust me' });
    expect(refusal(inShadow, asked)).toBe('VERDICT_MISSING');
  });

  it('wherever the way does not lead there', () => {
    const reach = (place: string): History => {
      if (place === 'nothing') return start;
      if (place === 'rolled_back') return walk(...whole, 'rolled_back');
      if (place === 'retired') return walk('registered', 'shadow', 'retired');
      return until(place as Place);
    };
    for (const from of Object.keys(edges))
      for (const to of places) {
        const history = reach(from);
        const expected = edges[from]?.[to] === undefined ? 'ILLEGAL_TRANSITION' : 'appended';
        const { verdict: _, ...free } = stepTo(history, to);
        const asked = edges[from]?.[to] === 'free' ? free : stepTo(history, to);
        expect(refusal(history, asked), `${from} to ${to}`).toBe(expected);
      }
  });
});

describe('an override', () => {
  it('stays in the record with the verdict that it went against, and in the state until the next shadow', () => {
    const inShadow = until('shadow');
    const asked = stepTo(inShadow, 'canary 1', {
      verdict: verdict('INSUFFICIENT', 6 * 24 * hour),
      overrideReason: 'few people use it yet',
    });
    const canary = run(inShadow, asked);
    expect(canary.at(-1)).toMatchObject({
      overrideReason: 'few people use it yet',
      verdict: { status: 'INSUFFICIENT', criteria: [{ numbers: { lower: 5 } }] },
    });
    const further = run(canary, stepTo(canary, 'canary 5'));
    expect(standing(further)?.overrides).toEqual(['few people use it yet']);
    const back = run(further, stepTo(further, 'rolled_back'));
    expect(standing(back)?.overrides).toEqual(['few people use it yet']);
    expect(standing(run(back, stepTo(back, 'shadow')))?.overrides).toEqual([]);
  });
});

describe('two at the same time', () => {
  it('cannot both go on from the same step', () => {
    const history = until('canary 5');
    const [one, other] = [stepTo(history, 'canary 10'), stepTo(history, 'rolled_back')];
    expect(refusal(run(history, one), other)).toBe('CHANGED_MEANWHILE');
    expect(refusal(run(history, other), one)).toBe('CHANGED_MEANWHILE');
  });
});

describe('a history that is no chain', () => {
  const history = until('canary 5');
  it.each([
    ['a step is lost', history.filter(({ number }) => number !== 3)],
    ['the first is lost', history.slice(1)],
    ['steps changed places', [...history.slice(0, 2), ...history.slice(2).toReversed()]],
    ['a stage was forged', history.map((step) => (step.number === 5 ? { ...step, from: 'shadow' as const } : step))],
  ])('is not read: %s', (_, broken) => expect(() => foldRollouts(broken)).toThrow(/does not follow/));
});

describe('whatever is asked, in whatever order', () => {
  const anything = fc.record({
    onwards: fc.constant(false),
    place: fc.constantFrom<string>(...places, 'canary 7', 'canary 100'),
    waitMs: fc.constantFrom(0, hour, 24 * hour, 48 * hour),
    view: fc.constantFrom('last', 'last', 'last', 'stale'),
    status: fc.constantFrom('PASS', 'FAIL', 'INSUFFICIENT', 'none'),
    age: fc.constantFrom(0, 0, 0, 100 * hour),
    override: fc.constantFrom(undefined, undefined, 'needed', ' '),
  });
  /** What goes on along the way, so that long ways are tried too. */
  const onwards = fc
    .record({
      onwards: fc.constant(true),
      place: fc.constantFrom<string>('retired', 'shadow'),
      waitMs: fc.constant(48 * hour),
      view: fc.constant('last'),
      status: fc.constantFrom('PASS', 'FAIL'),
      age: fc.constant(0),
      override: fc.constant(undefined),
    })
    .map((asked) => (asked.status === 'FAIL' ? { ...asked, override: 'needed' } : asked));

  const onwardsFrom = (place: string, fallback: string): string =>
    place === 'rolled_back' ? 'shadow' : (whole[whole.indexOf(place as Place) + 1] ?? fallback);

  it('does what the table says, keeps every record, and lets nobody serve without a shadow', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(fc.oneof(anything, onwards, onwards), { maxLength: 40, size: 'max' }), (commands) => {
        let history = start;
        let nowMs = 0;
        for (const { place, onwards, waitMs, view, status, age, override: reason } of commands) {
          nowMs += waitMs;
          const before = placeOf(history);
          const since = standing(history)?.sinceMs ?? 0;
          const target = onwards ? (before === 'nothing' ? 'registered' : onwardsFrom(before, place)) : place;
          const edge = edges[before]?.[target];
          const override = onwards && edge !== 'verdict' ? undefined : reason;
          const asked: RolloutCommand = {
            ...stepTo(history, target as Place),
            atMs: nowMs,
            ...(view === 'stale' && { expectedNumber: history.length - 1 }),
            ...(override !== undefined && { overrideReason: override }),
          };
          const { verdict: _, ...bare } = asked;
          const number = standing(history)?.number ?? 0;
          const ofStep = nowMs - age >= since ? number : number - 1;
          const judged = () => verdict(status as 'PASS', nowMs - age, subjectName(subject), ofStep);
          const given = status === 'none' ? bare : { ...bare, verdict: judged() };
          const result = moveRollout(foldRollouts(history), given, rules);

          const expected =
            view === 'last' &&
            (edge === 'free'
              ? override === undefined
              : edge === 'verdict' &&
                status !== 'none' &&
                nowMs - age >= since &&
                age <= rules.maxVerdictAgeMs &&
                (before !== 'shadow' || nowMs - since >= rules.minShadowMs) &&
                (status === 'PASS' ? override === undefined : override === 'needed'));
          expect(result.kind === 'appended', `${before} to ${target}`).toBe(expected);

          if (result.kind === 'refused') continue;
          const kept = JSON.stringify(history);
          const longer = [...history, ...result.steps];
          expect(placeOf(longer)).toBe(target);
          expect(JSON.stringify(longer.slice(0, history.length))).toBe(kept);
          history = longer;
          seen.add(target);
          const own = history.filter(({ policy }) => policy === subject.policy);
          const last = own.at(-1);
          if (last && last.percent > 0) {
            const begun = own.findLastIndex(({ to }) => to === 'shadow');
            const first = own.find(({ percent }, index) => index > begun && percent > 0);
            expect(own.slice(begun).some(({ to }) => to === 'rolled_back')).toBe(false);
            expect((first?.atMs ?? 0) - (own[begun]?.atMs ?? Number.NaN)).toBeGreaterThanOrEqual(rules.minShadowMs);
            const back = run(history, command(history, 'rolled_back', { atMs: nowMs }));
            expect(serving(back).active).toBe('house');
          }
          expect(foldRollouts(history).standings.filter(({ stage }) => stage === 'active')).toHaveLength(1);
        }
      }),
      { numRuns: 400, seed: 42 },
    );
    expect([...seen].sort()).toEqual([...places].sort());
  });
});
