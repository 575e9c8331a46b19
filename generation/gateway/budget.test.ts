import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBudget, type Reservation } from './budget.ts';
import { answer, handClock, heldGateway, options, request, scriptedGateway } from './gateway.fixture.ts';
import { LlmError } from './gateway.ts';
import { costOf } from './price.ts';
import { estimate, withBudget } from './with-budget.ts';

const dayMs = 86_400_000;
const amount = (tokens: number, microdollars = 0) => ({ tokens, microdollars });

describe('a budget', () => {
  it('holds, for all and for each person, whatever is reserved and settled below its estimate, in any order', () => {
    const people = ['anna', 'bob', undefined];
    const step = fc.record({
      person: fc.constantFrom(...people),
      tokens: fc.nat(40),
      settle: fc.nat(5),
      share: fc.nat(4),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const budget = createBudget({ tokensPerDay: 100, tokensPerPersonDay: 60 }, { clock: () => 0 });
        const held: { person: string | undefined; tokens: number; reservation: Reservation | undefined }[] = [];
        const spentBy = (person: string | undefined) =>
          held.filter((each) => each.person === person).reduce((sum, { tokens }) => sum + tokens, 0);
        for (const { person, tokens, settle, share } of steps) {
          const all = held.reduce((sum, each) => sum + each.tokens, 0);
          const reservation = budget.reserve(person, amount(tokens));
          const fits = all + tokens <= 100 && (person === undefined || spentBy(person) + tokens <= 60);
          expect(reservation !== undefined).toBe(fits);
          if (reservation) held.push({ person, tokens, reservation });
          const ending = held[settle];
          if (!ending?.reservation) continue;
          const truly = Math.floor((ending.tokens * share) / 4);
          ending.reservation.settle(amount(truly));
          ending.reservation.settle(amount(0)); // says nothing
          ending.tokens = truly;
          ending.reservation = undefined;
        }
      }),
    );
  });

  it('is new each UTC day, and yesterday is not settled in it', () => {
    const clock = handClock(dayMs - 1);
    const budget = createBudget({ tokensPerDay: 100, tokensPerPersonDay: 100 }, { clock: clock.now });
    const old = budget.reserve('anna', amount(100));
    expect(budget.reserve('anna', amount(1))).toBeUndefined();
    clock.pass(1);
    expect(budget.reserve('anna', amount(100))).toBeDefined();
    old?.settle(amount(0));
    expect(budget.reserve('anna', amount(1))).toBeUndefined();
  });

  it('counts money beside tokens', () => {
    const budget = createBudget({ microdollarsPerDay: 50, microdollarsPerPersonDay: 30 }, { clock: () => 0 });
    expect(budget.reserve('anna', amount(1_000_000, 31))).toBeUndefined();
    expect(budget.reserve('anna', amount(1_000_000, 30))).toBeDefined();
    expect(budget.reserve('bob', amount(0, 21))).toBeUndefined();
    expect(budget.reserve('bob', amount(0, 20))).toBeDefined();
  });

  it('remembers only so many people, those who spent last; all of them count together', () => {
    const budget = createBudget({ tokensPerDay: 1000, tokensPerPersonDay: 10 }, { clock: () => 0, personsMax: 2 });
    for (const person of ['anna', 'bob', 'anna', 'carl']) expect(budget.reserve(person, amount(5))).toBeDefined();
    expect(budget.reserve('anna', amount(1))).toBeUndefined();
    expect(budget.reserve('carl', amount(6))).toBeUndefined();
    expect(budget.reserve('bob', amount(10))).toBeDefined(); // forgotten
    expect(budget.reserve(undefined, amount(971))).toBeUndefined();
    expect(budget.reserve(undefined, amount(970))).toBeDefined();
  });
});

describe('withBudget', () => {
  const price = { prompt: 2_000_000, completion: 4_000_000 }; // 2 and 4 micro-dollars a token
  const most = estimate(request);
  const mostTokens = most.promptTokens + most.completionTokens;

  /** What is left of a budget after one call, found by trying. */
  async function spentOn(outcome: Parameters<typeof scriptedGateway>[0][number]): Promise<number> {
    const budget = createBudget({ tokensPerDay: 1000 }, { clock: () => 0 });
    const { gateway } = scriptedGateway([outcome]);
    await withBudget(gateway, { budget, price })
      .complete(request, options())
      .catch(() => undefined);
    for (let left = 1000; left >= 0; left--) if (budget.reserve(undefined, amount(left))) return 1000 - left;
    return Number.NaN;
  }

  it.each([
    ['an answer: what it says', answer, 15],
    ['an answer that says nothing: the estimate', { ...answer, promptTokens: 0, completionTokens: 0 }, mostTokens],
    ['a useless answer: what it says', new LlmError('bad_output', '', { usage: answer }), 15],
    ['a useless answer that says nothing: the question', new LlmError('bad_output', ''), most.promptTokens],
    ['no answer in time: the question', new LlmError('timeout', ''), most.promptTokens],
    ['an error: nothing', new LlmError('unavailable', '500'), 0],
    ['nobody asked: nothing', new LlmError('unavailable', '', { notAsked: 'circuit_open' }), 0],
  ])('counts for %s', async (_, outcome, tokens) => {
    expect(await spentOn(outcome)).toBe(tokens);
  });

  it('does not ask for more than there is, also by many at once', async () => {
    const { gateway, calls } = heldGateway();
    const budget = createBudget({ tokensPerDay: mostTokens * 2.5 }, { clock: () => 0 });
    const budgeted = withBudget(gateway, { budget, price });
    const all = Promise.allSettled(Array.from({ length: 10 }, () => budgeted.complete(request, options())));
    expect(calls).toHaveLength(2);
    for (const call of calls) call.resolve(answer);
    const refused = (await all).filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(8);
    expect(refused[0]).toMatchObject({ reason: { kind: 'budget', retryable: false } });
    await Promise.race([budgeted.complete(request, options()), null]);
    expect(calls).toHaveLength(3);
  });
});

it.each([
  ['free', { promptTokens: 10, completionTokens: 10 }, undefined, 0],
  ['rounded up', { promptTokens: 1, completionTokens: 0 }, { prompt: 1, completion: 0 }, 1],
  [
    'the sum of both',
    { promptTokens: 1_000_000, completionTokens: 500_000 },
    { prompt: 250_000, completion: 2_000_000 },
    1_250_000,
  ],
  [
    'exact where doubles are not',
    { promptTokens: 2 ** 32 - 1, completionTokens: 0 },
    { prompt: 15_000_001, completion: 0 },
    64_424_513_720,
  ],
])('a cost is %s', (_, usage, price, expected) => {
  expect(costOf(usage, price)).toBe(expected);
});
