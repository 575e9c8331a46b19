// What time brings: silence becomes an outcome, and the population is measured.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventInit } from '../client/index.ts';
import { createChores, runChores } from '../consumers/chores.ts';
import { readBuckets } from '../features/person-store.ts';
import { measurePopulation, readPopulation } from '../features/population-store.ts';
import { readPerson } from '../features/profile.ts';
import { toTimestamp } from '../features/time.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs, utcDay } from '../platform/clock.ts';
import { type Loop, rowsOf, silent, startLoop } from './_util/loop.ts';

const nowMs = utcDay(Date.now()) * dayMs + 12 * 3_600_000; // noon, so that the tests do the same at any time of day
const hourMs = 3_600_000;
const decisionId = '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d';
const otherDecisionId = '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1e';

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

/** Takes people out of what is measured of all. */
const forget = async (...userIds: string[]) => {
  for (const table of ['tip_outcomes', 'user_daily'])
    await loop.database.query(`DELETE FROM ${table} WHERE user_id = ANY ($1)`, [userIds]);
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

  it('is one too where we hear of it long after it was due, only later', async () => {
    await shown('late', 'months ago', 90 * dayMs);
    await loop.drained();
    await chore('ignored tips')();
    expect(await outcomesOf('late')).toEqual({ 'months ago': null });
    await chore('ignored tips that came late')();
    expect(await outcomesOf('late')).toEqual({ 'months ago': 'ignored' });
    await forget('late');
  });

  it('gives way to a reaction that still comes, early or late', async () => {
    await reacted('silent', 'long ago', 0, Reaction.DISMISS);
    await reacted('silent', 'decided', 0, Reaction.DONE, { decisionId });
    expect(await outcomesOf('silent')).toMatchObject({ 'long ago': 'dismiss', decided: 'done' });
  });

  it('is open no more once there is a reaction, also where one of the two does not say which decision it is of', async () => {
    await shown('vague', 'decided', 30 * hourMs, { decisionId });
    await reacted('vague', 'decided', 29 * hourMs, Reaction.SNOOZE);
    await shown('vague', 'undecided', 30 * hourMs);
    await reacted('vague', 'undecided', 29 * hourMs, Reaction.DONE, { decisionId });
    await shown('vague', 'again', 30 * hourMs, { decisionId }); // what was said of it before says nothing of this time
    await reacted('vague', 'again', 31 * hourMs, Reaction.SNOOZE);
    await shown('vague', 'another', 30 * hourMs, { decisionId });
    await reacted('vague', 'another', 29 * hourMs, Reaction.DONE, { decisionId: otherDecisionId });
    await shown('vague', 'twice', 30 * hourMs, { decisionId });
    await loop.drained();
    await chore('ignored tips')();
    await shown('vague', 'twice', 29 * hourMs); // silence about the one is no reaction to the other
    await loop.drained();
    await chore('ignored tips')();
    await loop.drained();
    const rows = await rowsOf(loop.database, "(SELECT * FROM tip_outcomes WHERE user_id = 'vague')", 'tip_id, outcome');
    expect(rows.map(({ tip_id, outcome }) => [tip_id, outcome])).toEqual([
      ['again', 'ignored'],
      ['again', 'snooze'],
      ['another', 'done'],
      ['another', 'ignored'],
      ['decided', 'snooze'],
      ['decided', null],
      ['twice', 'ignored'],
      ['twice', 'ignored'],
      ['undecided', 'done'],
      ['undecided', null],
    ]);
    await forget('vague');
  });

  it('is one of several, where one tip was shown to several people or for several decisions at the same instant', async () => {
    for (const userId of ['twin', 'other twin']) await shown(userId, 'same', 26 * hourMs, { decisionId });
    await shown('twin', 'same', 26 * hourMs, { decisionId: otherDecisionId });
    await loop.drained();
    await chore('ignored tips')();
    await loop.drained();
    const rows = await rowsOf(loop.database, "(SELECT * FROM tip_outcomes WHERE user_id LIKE '%twin')", 'user_id');
    expect(rows.map(({ user_id, outcome }) => [user_id, outcome])).toEqual([
      ['other twin', 'ignored'],
      ['twin', 'ignored'],
      ['twin', 'ignored'],
    ]);
    await forget('twin', 'other twin');
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

describe('the population', () => {
  it('is measured over the days of the features that it stands in for, the same for kinds and sources', async () => {
    const before = await readPopulation(loop.database);
    const insight = { kind: TipKind.INSIGHT, source: TipSource.FALLBACK };
    await shown('edges', 'first', 29 * dayMs + 11 * hourMs, insight); // that day's morning
    await shown('edges', 'too early', 29 * dayMs + 13 * hourMs, insight);
    await shown('edges', 'last', -11 * hourMs, insight);
    await shown('edges', 'too late', -13 * hourMs, insight);
    await loop.drained();
    await measurePopulation(loop.database, nowMs + 1);
    const after = await readPopulation(loop.database);
    expect((after?.all.served ?? 0) - (before?.all.served ?? 0)).toBe(2);
    expect(after?.byKind.insight?.served).toBe(2);
    expect(after?.bySource.fallback?.served).toBe(2);
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
