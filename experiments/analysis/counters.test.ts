import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addCounts,
  addMoments,
  type Contribution,
  momentsByArm,
  momentsOf,
  noCounts,
  rewardPerDecision,
  rewardPerUser,
  type UserCounts,
} from './counters.ts';

const count = fc.integer({ min: 0, max: 3 });
const event = fc.record({
  arm: fc.constantFrom('a', 'b'),
  user: fc.constantFrom('u1', 'u2', 'u3', 'u4', 'u5'),
  adds: fc.record(
    {
      decisions: count,
      rewards: count,
      rewardMilli: fc.integer({ min: -1000, max: 1000 }),
      decisionsBefore: count,
      rewardMilliBefore: fc.integer({ min: -1000, max: 1000 }),
    },
    { requiredKeys: [] },
  ),
});

interface Row {
  readonly arm: string;
  readonly user: string;
  readonly counts: UserCounts;
}

function addRow(rows: Map<string, Row>, { arm, user, counts }: Omit<Row, 'counts'> & { counts: Partial<UserCounts> }) {
  const key = `${arm}/${user}`;
  rows.set(key, { arm, user, counts: addCounts(rows.get(key)?.counts ?? noCounts, counts) });
}

describe('counts of a person', () => {
  it('add up to the same, however the events are ordered and split', () => {
    const cut = fc
      .array(event, { maxLength: 60 })
      .chain((events) =>
        fc.tuple(
          fc.constant(events),
          fc.shuffledSubarray(events, { minLength: events.length, maxLength: events.length }),
          fc.integer({ min: 0, max: events.length }),
        ),
      );
    fc.assert(
      fc.property(cut, ([events, shuffled, at]) => {
        const whole = new Map<string, Row>();
        for (const { arm, user, adds } of events) addRow(whole, { arm, user, counts: adds });
        const parts = [shuffled.slice(0, at), shuffled.slice(at)].map((part) => {
          const rows = new Map<string, Row>();
          for (const { arm, user, adds } of part) addRow(rows, { arm, user, counts: adds });
          return rows;
        });
        const merged = new Map<string, Row>();
        for (const row of parts.toReversed().flatMap((part) => [...part.values()])) addRow(merged, row);
        for (const metric of [rewardPerDecision, rewardPerUser]) {
          const [one, other] = [whole, merged].map((rows) => momentsByArm(rows.values(), metric));
          expect(new Map([...(other ?? [])].sort())).toEqual(new Map([...(one ?? [])].sort()));
        }
      }),
    );
  });
});

describe('moments', () => {
  const whole = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });
  const contribution = fc.record({ total: whole, count: whole, totalBefore: whole, countBefore: whole });
  const sum = (people: readonly Contribution[]) => people.map(momentsOf).reduce(addMoments);

  it('add up to the same, in any order and split, far beyond 2⁵³', () => {
    fc.assert(
      fc.property(fc.array(contribution, { minLength: 3, maxLength: 20 }), fc.nat(), (people, seed) => {
        const at = 1 + (seed % (people.length - 1));
        expect(addMoments(sum(people.slice(at)), sum(people.slice(0, at)))).toEqual(sum(people));
        expect(sum(people.toReversed())).toEqual(sum(people));
      }),
    );
  });

  it('are the sums that they are called', () => {
    const people = [
      { total: 3, count: 2, totalBefore: 5, countBefore: 7 },
      { total: -1, count: 1, totalBefore: 10, countBefore: 100 },
    ];
    expect(sum(people)).toEqual({
      ...{ users: 2n, s: 2n, n: 3n, p: 15n, m: 107n },
      ...{ ss: 10n, sn: 5n, nn: 5n, sp: 5n, sm: -79n, np: 20n, nm: 114n },
      ...{ pp: 125n, pm: 1035n, mm: 10_049n },
    });
  });

  it('take whole numbers only', () => {
    expect(() => momentsOf({ total: 0.5, count: 1, totalBefore: 0, countBefore: 0 })).toThrow(RangeError);
  });

  it('are not to be had from the moments of parts of a person', () => {
    const part = { total: 1, count: 1, totalBefore: 0, countBefore: 0 };
    expect(sum([part, part]).ss).not.toBe(momentsOf({ ...part, total: 2, count: 2 }).ss);
  });
});

describe('the metrics', () => {
  const counts = { decisions: 8, rewards: 3, rewardMilli: 1500, decisionsBefore: 4, rewardMilliBefore: -200 };

  it.each([
    [rewardPerDecision, { total: 1500, count: 8, totalBefore: -200, countBefore: 4 }],
    [rewardPerUser, { total: 1500, count: 1, totalBefore: -200, countBefore: 1 }],
  ])('$name', (metric, expected) => expect(metric.of(counts)).toEqual(expected));
});
