// Small: the full claims are those of `npm run simulate`, in docs/simulation.md.
import { describe, expect, it } from 'vitest';
import { drawsOf, seedOf } from '../../experiments/draw.ts';
import { defaultPolicy, policies } from '../../experiments/policies/index.ts';
import { rewardMilli } from '../../experiments/rewards.ts';
import { toTipScored } from '../../server/tip-scored.ts';
import { differenceOf, estimateOf } from './compare.ts';
import { type Lived, live } from './live.ts';
import { personas } from './personas.ts';
import { drawRegret } from './regret-chart.ts';
import { replayAll } from './replay.ts';
import { type Contender, simulate, simulateAll, withoutPrior } from './simulate.ts';
import { createVisits, expectedReward, reactionTo, type Visit, type WorldOptions } from './world.ts';

const world: WorldOptions = { kind: 'drifting', seed: 1, people: 6, days: 7, joinDays: 3 };
const visits = createVisits(world);
const atFirst = { shownToday: 0, kindBefore: undefined };

const all = [...policies.values()].map((policy) => ({ name: policy.name, policy, isPooled: true }));
const learning = all.filter(({ policy }) => policy.learning);
const alone = learning.map((contender) => ({ ...contender, isPooled: false }));

/** Regret of each contender by the last day, one number for each seed. */
function regrets(
  options: Omit<WorldOptions, 'seed'>,
  contenders: readonly Contender[],
  seeds: number,
): readonly number[][] {
  const lives = Array.from({ length: seeds }, (_, i) =>
    simulateAll({ ...options, seed: i + 1 }, contenders, toTipScored),
  );
  return contenders.map((_, i) => lives.map((life) => life[i]?.regret.at(-1) ?? Number.NaN));
}

describe('a world', () => {
  it('is the same for the same seed, and another one for another', () => {
    expect(createVisits(world).map(({ request }) => request)).toEqual(visits.map(({ request }) => request));
    expect(createVisits({ ...world, seed: 2 })[0]?.request).not.toEqual(visits[0]?.request);
  });

  it('asks in the order of time, with 5 to 20 candidates', () => {
    expect(visits.map(({ atMs }) => atMs)).toEqual(visits.map(({ atMs }) => atMs).sort((a, b) => a - b));
    const counts = createVisits({ ...world, days: 60 }).map(({ request }) => request.candidates.length);
    expect([Math.min(...counts), Math.max(...counts)]).toEqual([5, 20]);
  });

  it('has personas whose refusals are shares', () => {
    for (const { refusal } of personas)
      expect(refusal.dismiss + refusal.notHelpful + refusal.snooze).toBeCloseTo(1, 12);
  });

  it('stands still where it is stationary, and moves where it drifts', () => {
    const tastesOf = (kind: WorldOptions['kind']) => {
      const visits = createVisits({ ...world, kind, days: 60 });
      return personas.map(({ name }) => {
        const own = visits.filter(({ person }) => person.persona.name === name);
        return new Set(own.map(({ taste }) => taste.overdue)).size;
      });
    };
    expect(tastesOf('stationary')).toEqual(personas.map(() => 1));
    for (const tastes of tastesOf('drifting')) expect(tastes).toBeGreaterThan(1);
  });

  it('rewards on average what it expects, by the real table', () => {
    const visit = visits.find(({ person }) => person.persona.name === 'steady') as Visit;
    const rewards = Array.from({ length: 20_000 }, (_, i) => {
      const { outcome, dwellMs } = reactionTo({ ...visit, draws: drawsOf(seedOf(`luck ${i}`)) }, atFirst, 0);
      return rewardMilli(outcome, dwellMs) / 1000;
    });
    const { low, high } = estimateOf(rewards);
    const expected = expectedReward(visit, atFirst, 0);
    expect(expected).toBeGreaterThan(low - (high - low) / 2);
    expect(expected).toBeLessThan(high + (high - low) / 2);
  });

  it('is not linear in our vector: candidates with one vector are worth different things', () => {
    const differs = visits.some((visit) => {
      const bare = visit.request.candidates.flatMap(({ features }, i) => (features ? [] : [i]));
      return new Set(bare.map((i) => expectedReward(visit, atFirst, i))).size > 1;
    });
    expect(differs).toBe(true);
  });
});

describe('life', () => {
  it('never regrets the best, and goes on in the order of time', () => {
    const regrets: number[] = [];
    const times: number[] = [];
    const best = (visit: Visit) => {
      const worth = visit.request.candidates.map((_, i) => expectedReward(visit, atFirst, i));
      return worth.indexOf(Math.max(...worth));
    };
    const firsts = visits.filter(
      ({ day }, i) => day === 0 && visits.findIndex((v) => v.person === visits[i]?.person) === i,
    );
    const life = live(firsts, ({ regret }: Lived) => regrets.push(regret));
    let step = life.next();
    for (let i = 0; !step.done; ) {
      if (step.value.kind === 'event') times.push(Number(step.value.event.occurredAt?.seconds));
      if (step.value.kind !== 'score') {
        step = life.next();
        continue;
      }
      const chosen = best(firsts[i++] as Visit);
      const { candidates } = step.value.request;
      times.push(step.value.atMs / 1000);
      step = life.next({
        tipId: candidates[chosen]?.id ?? '',
        decisionId: '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d',
        propensities: candidates.map((_, index) => Number(index === chosen)),
      });
    }
    expect(regrets).toEqual(firsts.map(() => 0));
    for (const [i, time] of times.entries()) expect(time).toBeGreaterThan((times[i - 1] ?? 0) - 1);
  });

  it('is the same for the same seed', () => {
    const lived = () => {
      const answers: unknown[] = [];
      simulate(
        visits,
        { policy: policies.get('lin-thompson') as never, isPooled: true, toTipScored },
        ({ answer, regret }) => answers.push(answer, regret),
      );
      return answers;
    };
    expect(lived()).toEqual(lived());
  });
});

describe('decisions replay', () => {
  it.each(all)('bit for bit, from the bytes of the log: $name', ({ policy }) => {
    const replay = replayAll(visits, policy, toTipScored);
    expect(replay.examples).toEqual([]);
    expect(replay).toMatchObject({ decisions: visits.length, equal: visits.length, fallbacks: 0 });
    expect(replay.largestError).toBeLessThanOrEqual(1e-12);
  });

  it('only from the right population', () => {
    const someone = all.find(({ name }) => name === 'egreedy-v2');
    const many = createVisits({ ...world, people: 12 });
    const forget: typeof toTipScored = (scored) => ({ ...toTipScored(scored), populationId: '' });
    const replay = replayAll(many, someone?.policy as never, forget);
    expect(replay.equal).toBeLessThan(many.length);
  });
});

describe('policies', () => {
  it.each(['stationary', 'drifting'] as const)(
    'earn more than random, all of them, in a week: %s world',
    { timeout: 120_000 },
    (kind) => {
      const [random = [], ...others] = regrets({ kind, people: 6, days: 7, joinDays: 7 }, all, 20);
      const found = others.map((regret, i) => ({ ...all[i + 1], ...differenceOf(regret, random) }));
      expect(found.filter(({ high }) => high >= 0)).toEqual([]);
    },
  );
});

describe('a person in their first week', () => {
  it('gains from those before them, where people are alike and not as expected', { timeout: 120_000 }, () => {
    const options = { kind: 'alike', people: 8, days: 7, joinDays: 14 } as const;
    const found = regrets(options, [...learning, ...alone], 20);
    const gains = learning.map(({ name }, i) => ({
      name,
      ...differenceOf(found[i] ?? [], found[learning.length + i] ?? []),
    }));
    expect(gains.filter(({ high }) => high >= 0)).toEqual([]);
  });

  it('gains from those before them where people differ, by the policy that decides', { timeout: 120_000 }, () => {
    const pooled = all.find(({ name }) => name === defaultPolicy) as Contender;
    const alone = { ...pooled, isPooled: false };
    const own = { ...alone, policy: withoutPrior(pooled.policy) };
    const options = { kind: 'stationary', people: 36, days: 7, joinDays: 28 } as const;
    const [found = [], ...others] = regrets(options, [pooled, own, alone], 20);
    expect(others.map((regret) => differenceOf(found, regret)).filter(({ high }) => high >= 0)).toEqual([]);
  });

  it('has no prior in a model of their own', () => {
    for (const { policy } of all) {
      const { learning, ...rest } = withoutPrior(policy);
      expect(rest).toMatchObject({ name: policy.name, version: policy.version });
      expect(learning?.prior.mean).toEqual(policy.learning?.prior.mean.map(() => 0));
    }
  });
});

describe('estimates', () => {
  it('are those of a t test', () => {
    // mean 2, deviation 1, three of them: 2 +- 4.302653 / sqrt(3)
    expect(estimateOf([1, 2, 3])).toEqual({
      mean: 2,
      low: expect.closeTo(2 - 2.48414, 5),
      high: expect.closeTo(2 + 2.48414, 5),
    });
    expect(differenceOf([1, 2, 3], [0, 1, 2])).toEqual({ mean: 1, low: 1, high: 1 });
  });
});

describe('the chart', () => {
  it('has a line, a band and a name for every curve', () => {
    const points = [1, 2, 3].map((mean) => ({ mean, low: mean - 0.5, high: mean + 0.5 }));
    const curves = ['a', '<b>'].map((name) => ({ name, points }));
    const svg = drawRegret({ title: 'a & b', curves });
    expect(svg.match(/fill-opacity/g)).toHaveLength(2);
    expect(svg.match(/stroke-width="2"/g)).toHaveLength(2);
    expect(svg).toContain('&lt;b&gt; 3.0');
    expect(svg).toContain('a &amp; b');
    expect(svg).not.toContain('NaN');
  });

  it('stands out from a light page and from a dark one', () => {
    const points = [{ mean: 1, low: 0, high: 2 }];
    const curves = [...policies.keys()].map((name) => ({ name, points }));
    const colours = drawRegret({ title: '', curves }).matchAll(/stroke="(#\w{6})" stroke-width="2"/g);
    const contrasts = [...colours].flatMap(([, colour = '']) =>
      ['#ffffff', '#0d1117'].map((page) => {
        const [dark = 0, light = 0] = [luminance(colour), luminance(page)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
      }),
    );
    expect(contrasts).toHaveLength(2 * policies.size);
    expect(Math.min(...contrasts)).toBeGreaterThan(3);
  });
});

/** Relative luminance, WCAG 2.2. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((from) => {
    const part = Number.parseInt(colour.slice(from, from + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
