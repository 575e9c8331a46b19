// What time brings: silence becomes an outcome, and the population is measured.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventInit } from '../client/index.ts';
import { createChores, runChores } from '../consumers/chores.ts';
import { readBuckets } from '../features/person-store.ts';
import { readPopulation } from '../features/population-store.ts';
import { readPerson } from '../features/profile.ts';
import { toTimestamp } from '../features/time.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { type Loop, rowsOf, silent, startLoop } from './_util/loop.ts';

const nowMs = utcDay(Date.now()) * dayMs + 12 * 3_600_000; // noon, so that the tests do the same at any time of day
const hourMs = 3_600_000;
const decisionId = '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const chore = (name: string) => {
  const options = { ignoredAfterMs: dayMs, keepMonths: undefined };
  const found = createChores(loop, options).find((each) => each.name === name);
  if (!found) throw new Error(`no chore ${name}`);
  return () => found.run(nowMs);
};

const tell = (userId: string, agoMs: number, payload: EventInit['payload']) =>
  loop.publisher.publish({ userId, occurredAt: toTimestamp(nowMs - agoMs), payload });
const shown = (userId: string, tipId: string, agoMs: number, more = {}) =>
  tell(userId, agoMs, {
    case: 'tipServed',
    value: { tipId, kind: TipKind.ADVICE, source: TipSource.LLM, ...more },
  });
const reacted = (userId: string, tipId: string, agoMs: number, reaction: Reaction, more = {}) =>
  tell(userId, agoMs, { case: 'tipFeedback', value: { tipId, reaction, ...more } });

const outcomesOf = async (userId: string) => {
  await loop.drained();
  const rows = await rowsOf(loop.database, `(SELECT * FROM tip_outcomes WHERE user_id = '${userId}')`, 'tip_id');
  return Object.fromEntries(rows.map(({ tip_id, outcome }) => [tip_id, outcome]));
};

const valuesOf = async (userId: string) => {
  const population = await readPopulation(loop.database);
  const readings = readPerson(await readBuckets(loop.database, userId), population, nowMs);
  return Object.fromEntries(readings.map((reading) => [reading.name, reading]));
};

describe('a tip that was shown and left without any reaction', () => {
  it('is an outcome of its own once the time allowed for a reaction is over, and only then', async () => {
    await shown('silent', 'long ago', 25 * hourMs);
    await shown('silent', 'decided', 30 * hourMs, { decisionId });
    await shown('silent', 'just now', 23 * hourMs);
    await shown('silent', 'done', 30 * hourMs);
    await reacted('silent', 'done', 29 * hourMs, Reaction.DONE);
    await shown('silent', 'snoozed', 30 * hourMs);
    await reacted('silent', 'snoozed', 29 * hourMs, Reaction.SNOOZE);
    await reacted('silent', 'never shown', 29 * hourMs, Reaction.HELPFUL);
    await loop.drained();
    await chore('ignored tips')();
    expect(await outcomesOf('silent')).toEqual({
      'long ago': 'ignored',
      decided: 'ignored',
      'just now': null,
      done: 'done',
      snoozed: 'snooze',
      'never shown': 'helpful',
    });
    const [row] = await rowsOf(loop.database, "(SELECT * FROM tip_outcomes WHERE tip_id = 'decided')", '1');
    expect(row).toMatchObject({ decision_id: decisionId, outcome_rank: 2 });
    expect(new Date(String(row?.outcome_at)).getTime()).toBe(nowMs - 6 * hourMs);
    expect((await valuesOf('silent')).tips_ignored_7d?.value).toBe(2);
  });

  it('counts once, however often it is said', async () => {
    const before = await loop.messages('feedback');
    await chore('ignored tips')();
    await Promise.all([chore('ignored tips')(), chore('ignored tips')()]);
    await loop.drained();
    expect(await loop.messages('feedback')).toBe(before);
    expect((await valuesOf('silent')).tips_ignored_7d?.value).toBe(2);
  });

  it('gives way to a reaction that still comes, early or late', async () => {
    await reacted('silent', 'long ago', 0, Reaction.DISMISS);
    await reacted('silent', 'decided', 0, Reaction.DONE, { decisionId });
    expect(await outcomesOf('silent')).toMatchObject({ 'long ago': 'dismiss', decided: 'done' });
  });

  it('is found among more than fit one page', async () => {
    await Promise.all(Array.from({ length: 1_100 }, (_, i) => shown('crowd', `tip-${i}`, 26 * hourMs)));
    await loop.drained();
    await chore('ignored tips')();
    await loop.drained();
    expect((await valuesOf('crowd')).tips_ignored_7d?.value).toBe(1_100);
  });
});

describe('of a person of whom nothing is known', () => {
  it('rates are those of the population, and say so; without a population they are missing', async () => {
    expect((await valuesOf('nobody')).done_rate_30d).toMatchObject({ status: 'missing', value: undefined });
    await chore('population')();
    const population = await readPopulation(loop.database);
    expect(population?.all.served).toBe(1_105);
    expect(population?.byKind.advice).toMatchObject({ served: 1_105, done: 2, dismissed: 1, snoozed: 1 });
    const nobody = await valuesOf('nobody');
    expect(nobody.done_rate_30d).toMatchObject({ status: 'default', source: 'population', value: 2 / 1_105 });
    expect(nobody.advice_done_rate_30d).toMatchObject({ status: 'default', value: 2 / 1_105 });
    expect(nobody.reminder_done_rate_30d).toMatchObject({ status: 'missing' });
    expect(nobody.tips_done_30d).toMatchObject({ status: 'missing' });
    const known = await valuesOf('silent');
    expect(known.done_rate_30d).toMatchObject({ status: 'present', source: 'store' });
    expect(known.done_rate_30d?.value).toBeCloseTo((2 + (10 * 2) / 1_105) / (5 + 10), 12);
  });
});

describe('chores', () => {
  it('are all done at once and again at their pace, whatever one of them throws, until they are stopped', async () => {
    const stop = new AbortController();
    const done: string[] = [];
    const running = runChores(
      [
        { name: 'fails', everyMs: 20, run: async () => Promise.reject(new Error('no')) },
        {
          name: 'works',
          everyMs: 20,
          run: async () => {
            done.push('works');
            if (done.length === 3) stop.abort();
          },
        },
      ],
      { clock: () => nowMs, log: silent, signal: stop.signal },
    );
    await running;
    expect(done).toEqual(['works', 'works', 'works']);
  });
});
