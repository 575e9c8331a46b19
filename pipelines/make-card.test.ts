import { describe, expect, it } from 'vitest';
import { type Evidence, gateLimits } from '../experiments/gate.ts';
import { evaluate } from '../experiments/off-policy/evaluate.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { random } from '../experiments/policies/random.ts';
import { policyHash, readCard } from '../registry/card.ts';
import { problemsOf } from '../registry/card-problems.ts';
import { versionHash } from '../registry/model.ts';
import { modelCardOf, policyCardOf } from '../tests/_util/cards.ts';
import { manifestOf } from '../tests/_util/models.ts';
import { type LogOf, makeCard } from './make-card.ts';

const of = (policy: { name: string; version: string }) => ({
  hash: policyHash({ policy: policy.name, version: policy.version }),
  manifest: undefined,
});
const said = { owner: 'recommendations' };

/** Of so many people with four decisions each, about which the policy did what was logged; q is their reward's half. */
const report = (people: number) =>
  evaluate(
    Array.from({ length: people * 4 }, (_, i) => ({
      ...{ user: `u${i % people}`, propensity: 0.5, targetProbability: 0.5, reward: (i % 3) / 2, unsupported: 0 },
      q: { chosen: (i % 3) / 4, target: (i % 3) / 4 },
    })),
    { replicates: 0 },
  );

const group = (segment: string, name: string, users: number, difference = { lower: -10, upper: 30 }) => ({
  ...{ segment, group: name, users, difference },
});
const evidence: Evidence = {
  ...{ subject: 'x', step: 3, shadow: { decisions: 6_000, days: 8, agreement: 0.8 } },
  groups: [
    group('activity', 'new', 800),
    group('activity', 'light', 100),
    group('activity', 'regular', 99),
    group('integrations', 'none', 900),
  ],
};
const log: LogOf = {
  ...{ source: 'shadow', atMs: Date.parse('2026-11-23T08:00:00Z'), against: 'house 1', evidence, report: report(800) },
};
const make = (changes: Partial<LogOf> = {}, policy = egreedyV2) =>
  makeCard({ policy, of: of(policy), earlier: undefined, log: { ...log, ...changes }, said });
const problems = (card: ReturnType<typeof make>, policy = egreedyV2) =>
  problemsOf(card, of(policy), gateLimits).map(({ field }) => field);

describe('a card of a policy of the build', () => {
  it('is complete where the log says enough, and can be read again', () => {
    const card = make();
    expect(problems(card)).toEqual([]);
    expect(readCard(JSON.parse(JSON.stringify(card)))).toEqual({ kind: 'card', card });
    const { explorer, code } = card.model;
    expect(
      [code, ...Object.entries(explorer.hyperparameters).map(([name, value]) => `${name}=${value}`)].join(';'),
    ).toBe(egreedyV2.version);
    expect(card.inputs.map(({ name }) => name)).toHaveLength(egreedyV2.learning?.prior.mean.length ?? 0);
    expect(card.training).toMatchObject({ kind: 'by hand', says: expect.stringContaining('prior-1') });
    expect(problems(make({}, random), random)).toEqual([]);
    expect(make({}, random)).toMatchObject({
      inputs: [],
      training: { says: 'It has no weights, and learns nothing.' },
    });
  });

  it('has no numbers of groups that are too small, and rewards in their own unit', () => {
    expect(make().log?.fairness[0]).toEqual({
      segment: 'activity',
      suppressed: ['regular'],
      gain: [
        { group: 'new', figure: { value: 0.01, low: -0.01, high: 0.03, people: 800 } },
        { group: 'light', figure: { value: 0.01, low: -0.01, high: 0.03, people: 100 } },
      ],
    });
  });

  it.each<[string, Partial<LogOf>, readonly string[]]>([
    ['nothing of the shadow', { evidence: { ...evidence, shadow: undefined } }, ['log.decisions']],
    [
      'no groups',
      { evidence: { ...evidence, groups: undefined } },
      ['log.fairness.activity', 'log.fairness.integrations'],
    ],
    [
      'a group about which nothing can be said',
      {
        evidence: {
          ...evidence,
          groups: [{ ...group('activity', 'new', 800), difference: undefined }, group('integrations', 'none', 900)],
        },
      },
      ['log.fairness.activity.new'],
    ],
    [
      'an interval without end',
      {
        evidence: {
          ...evidence,
          groups: [group('activity', 'new', 800, { lower: -1, upper: 1 / 0 }), group('integrations', 'none', 900)],
        },
      },
      ['log.fairness.activity.new'],
    ],
    [
      'no outcomes',
      { report: undefined },
      ['log.offPolicy.checks', 'log.offPolicy.value', 'log.offPolicy.gain', 'log.offPolicy.logged'],
    ],
    [
      'too few decisions to believe an estimate',
      { report: report(20) },
      ['log.offPolicy.checks', 'log.offPolicy.checks'],
    ],
  ])('is not complete where the log says %s', (_, changes, fields) => {
    expect(problems(make(changes))).toEqual(fields);
  });

  it('gives no estimate that is not to be believed', () => {
    const { value, gain, logged } = make({ report: report(20) }).log?.offPolicy ?? {};
    for (const each of [value, gain])
      expect(each).toEqual({ value: null, reason: 'too little evidence to believe an estimate' });
    expect(logged?.value).toBeCloseTo(0.49375);
  });

  it('keeps what people said before, unless they say it anew', () => {
    const earlier = policyCardOf({ policy: egreedyV2.name, version: egreedyV2.version });
    const parts = { policy: egreedyV2, of: of(egreedyV2), earlier, log: undefined };
    expect(makeCard({ ...parts, said: { owner: undefined } })).toMatchObject({
      ...{ owner: earlier.owner, purpose: earlier.purpose, weaknesses: earlier.weaknesses, log: earlier.log },
    });
    const anew = { owner: 'others', purpose: 'a try', weaknesses: ['it tries'] };
    expect(makeCard({ ...parts, said: anew })).toMatchObject(anew);
  });
});

describe('a card of a registered model', () => {
  const manifest = manifestOf();
  const parts = { policy: egreedyV2, of: { hash: versionHash(manifest), manifest }, log: undefined };

  it('keeps how it was trained and measured, and takes another evaluation', () => {
    const earlier = modelCardOf(manifest);
    const card = makeCard({ ...parts, earlier, said: { owner: undefined } });
    expect(card).toEqual(earlier);
    const evaluation = earlier.evaluation && { ...earlier.evaluation, rows: 7 };
    if (!evaluation) throw new Error('the example has no evaluation');
    expect(makeCard({ ...parts, earlier, said: { owner: undefined, evaluation } }).evaluation?.rows).toBe(7);
  });

  it('that nobody wrote before lacks how it was trained', () => {
    const card = makeCard({ ...parts, earlier: undefined, said });
    expect(problemsOf(card, parts.of, gateLimits).map(({ field }) => field)).toEqual(['training.kind', 'evaluation']);
  });
});
