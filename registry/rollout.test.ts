import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type RolloutCommand,
  type RolloutRecord,
  type Stage,
  type StoredVerdict,
  stateOf,
  transition,
} from './rollout.ts';

const subject = 'linucb;model=7';
const hour = 3_600_000;
const rules = { minShadowMs: 24 * hour };

const verdict = (status: StoredVerdict['status'], judgedAtMs: number, about = subject): StoredVerdict => ({
  subject: about,
  judgedAtMs,
  limitsVersion: '1',
  status,
  criteria: [{ criterion: 'reward', status, numbers: { lower: 5 }, limit: -20, sentence: 'No harm.' }],
});

/** The command that takes a history on, if its stage allows that: with a good verdict where one is needed. */
function command(history: readonly RolloutRecord[], to: Stage, more: Partial<RolloutCommand> = {}): RolloutCommand {
  const atMs = (history.at(-1)?.atMs ?? 0) + 48 * hour;
  const needed = to === 'canary' || to === 'active';
  return {
    ...{ id: `r${history.length}`, expectedPreviousId: history.at(-1)?.id, subject, atMs, by: 'anna', to },
    ...(needed && { verdict: verdict('PASS', atMs) }),
    ...more,
  };
}

function run(history: readonly RolloutRecord[], asked: RolloutCommand): readonly RolloutRecord[] {
  const result = transition(history, asked, rules);
  if (result.kind === 'refused') throw new Error(result.refusal.message);
  return [...history, result.record];
}

type Place = Stage | `canary ${number}`;

const stepTo = (history: readonly RolloutRecord[], place: Place, more: Partial<RolloutCommand> = {}) => {
  const [to = 'registered', percent] = place.split(' ') as [Stage, string?];
  return command(history, to, { ...(percent && { percent: Number(percent) }), ...more });
};

const walk = (...places: readonly Place[]): readonly RolloutRecord[] =>
  places.reduce<readonly RolloutRecord[]>((history, place) => run(history, stepTo(history, place)), []);

const ladder: readonly Place[] = ['canary 1', 'canary 5', 'canary 10', 'canary 25', 'canary 50'];
const whole: readonly Place[] = ['registered', 'shadow', ...ladder, 'active'];
const until = (place: Place) => walk(...whole.slice(0, whole.indexOf(place) + 1));
const refusal = (history: readonly RolloutRecord[], asked: RolloutCommand) => {
  const result = transition(history, asked, rules);
  return result.kind === 'refused' ? result.refusal.reason : 'appended';
};

describe('the way to users', () => {
  it('goes through every step, and each is a record', () => {
    const history = walk(...whole, 'retired');
    expect(history.map(({ from, to, percent }) => [from, to, percent])).toEqual([
      [undefined, 'registered', 0],
      ['registered', 'shadow', 0],
      ['shadow', 'canary', 1],
      ['canary', 'canary', 5],
      ['canary', 'canary', 10],
      ['canary', 'canary', 25],
      ['canary', 'canary', 50],
      ['canary', 'active', 100],
      ['active', 'retired', 0],
    ]);
    expect(history[2]).toEqual({
      ...{ id: 'r2', previousId: 'r1', subject, atMs: 6 * 24 * hour, by: 'anna', from: 'shadow', to: 'canary' },
      ...{ percent: 1, verdict: verdict('PASS', 6 * 24 * hour) },
    });
    expect(stateOf(history)).toEqual({
      ...{ stage: 'retired', percent: 0, sinceMs: 18 * 24 * hour, lastId: 'r8', overrides: [] },
    });
  });

  it('starts nowhere', () => {
    expect(stateOf([])).toEqual({
      ...{ stage: undefined, percent: 0, sinceMs: undefined, lastId: undefined, overrides: [] },
    });
  });

  it('leads back at once from whatever serves people, and then only through the shadow', () => {
    for (const place of [...ladder, 'active'] as const) {
      const asked = stepTo(until(place), 'rolled_back', { note: 'complaints' });
      const back = run(until(place), { ...asked, atMs: asked.atMs - 48 * hour });
      expect(stateOf(back)).toMatchObject({ stage: 'rolled_back', percent: 0 });
      expect(back.at(-1)?.note).toBe('complaints');
      for (const next of [...ladder, 'active', 'registered'] as const)
        expect(refusal(back, stepTo(back, next)), next).toBe('ILLEGAL_TRANSITION');
      expect(stateOf(run(back, stepTo(back, 'shadow'))).stage).toBe('shadow');
    }
  });
});

/** Written out, to be compared with the code: from each place, where it can go, and whether that needs a verdict. */
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
  active: { rolled_back: 'free', retired: 'free' },
  rolled_back: { shadow: 'free', retired: 'free' },
  retired: {},
};

const placeOf = (history: readonly RolloutRecord[]): string => {
  const { stage, percent } = stateOf(history);
  return stage === undefined ? 'nothing' : stage === 'canary' ? `canary ${percent}` : stage;
};

const places = Object.keys(edges).filter((place) => place !== 'nothing') as Place[];

describe('a transition is refused', () => {
  const inShadow = until('shadow');
  const atMs = 6 * 24 * hour;

  it.each<[string, readonly RolloutRecord[], RolloutCommand, string]>([
    ['without anyone who answers for it', [], command([], 'registered', { by: ' ' }), 'WHO_MISSING'],
    ['under an id that is taken', inShadow, stepTo(inShadow, 'retired', { id: 'r0' }), 'ID_TAKEN'],
    ['in the history of another', inShadow, stepTo(inShadow, 'retired', { subject: 'x' }), 'OTHER_SUBJECT'],
    [
      'after another came first',
      inShadow,
      stepTo(inShadow, 'retired', { expectedPreviousId: 'r0' }),
      'CHANGED_MEANWHILE',
    ],
    [
      'as the first, if there is one',
      inShadow,
      stepTo(inShadow, 'registered', { expectedPreviousId: undefined }),
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
    [
      'with the verdict about another',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('PASS', atMs, 'x') }),
      'VERDICT_OF_ANOTHER',
    ],
    [
      'with a verdict from before',
      inShadow,
      stepTo(inShadow, 'canary 1', { verdict: verdict('PASS', 4 * 24 * hour - 1) }),
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
    const reach = (place: string): readonly RolloutRecord[] => {
      if (place === 'nothing') return [];
      if (place === 'rolled_back') return walk(...whole, 'rolled_back');
      if (place === 'retired') return walk(...whole, 'retired');
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
    expect(stateOf(further).overrides).toEqual(['few people use it yet']);
    const back = run(further, stepTo(further, 'rolled_back'));
    expect(stateOf(back).overrides).toEqual(['few people use it yet']);
    expect(stateOf(run(back, stepTo(back, 'shadow'))).overrides).toEqual([]);
  });
});

describe('two at the same time', () => {
  it('cannot both go on from the same record', () => {
    const history = until('canary 5');
    const [one, other] = [stepTo(history, 'canary 10'), stepTo(history, 'rolled_back', { id: 'other' })];
    expect(refusal(run(history, one), other)).toBe('CHANGED_MEANWHILE');
    expect(refusal(run(history, other), { ...one, id: 'one' })).toBe('CHANGED_MEANWHILE');
  });
});

describe('a history that is no chain', () => {
  const history = until('canary 5');
  it.each([
    ['a record is lost', history.filter(({ id }) => id !== 'r2')],
    ['the first is lost', history.slice(1)],
    ['records changed places', [...history.slice(0, 2), ...history.slice(2).toReversed()]],
    [
      'a stage was forged',
      history.map((record) => (record.id === 'r3' ? { ...record, from: 'shadow' as const } : record)),
    ],
  ])('is not read: %s', (_, broken) => expect(() => stateOf(broken)).toThrow(/does not follow/));
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
        let history: readonly RolloutRecord[] = [];
        let nowMs = 0;
        for (const [i, { place, onwards, waitMs, view, status, age, override: reason }] of commands.entries()) {
          nowMs += waitMs;
          const before = placeOf(history);
          const since = history.at(-1)?.atMs ?? 0;
          const target = onwards ? (before === 'nothing' ? 'registered' : onwardsFrom(before, place)) : place;
          const edge = edges[before]?.[target];
          const override = onwards && edge !== 'verdict' ? undefined : reason;
          const asked: RolloutCommand = {
            ...stepTo(history, target as Place),
            ...{ id: `c${i}`, atMs: nowMs },
            ...(view === 'stale' && { expectedPreviousId: 'other' }),
            ...(override !== undefined && { overrideReason: override }),
          };
          const { verdict: _, ...bare } = asked;
          const given = status === 'none' ? bare : { ...bare, verdict: verdict(status, nowMs - age) };
          const result = transition(history, given, rules);

          const expected =
            view === 'last' &&
            (edge === 'free'
              ? override === undefined
              : edge === 'verdict' &&
                status !== 'none' &&
                nowMs - age >= since &&
                (before !== 'shadow' || nowMs - since >= rules.minShadowMs) &&
                (status === 'PASS' ? override === undefined : override === 'needed'));
          expect(result.kind === 'appended', `${before} to ${target}`).toBe(expected);

          if (result.kind === 'refused') continue;
          Object.freeze(result.record);
          const kept = JSON.stringify(history);
          const longer = [...history, result.record];
          expect(placeOf(longer)).toBe(target);
          expect(JSON.stringify(longer.slice(0, -1))).toBe(kept);
          history = longer;
          seen.add(target);
          if (result.record.percent > 0) {
            const start = history.findLastIndex(({ to }) => to === 'shadow');
            const served = history.findIndex(({ percent }, index) => index > start && percent > 0);
            const [shadowed, first] = [history[start], history[served]];
            expect(history.slice(start).some(({ to }) => to === 'rolled_back')).toBe(false);
            expect((first?.atMs ?? 0) - (shadowed?.atMs ?? Number.NaN)).toBeGreaterThanOrEqual(rules.minShadowMs);
            const { verdict: _, ...back } = command(history, 'rolled_back', { id: 'back', atMs: nowMs });
            expect(refusal(history, back)).toBe('appended');
          }
        }
      }),
      { numRuns: 400, seed: 42 },
    );
    expect([...seen].sort()).toEqual([...places].sort());
  });
});
