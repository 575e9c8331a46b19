// `npm run decision`: what the real command says about decisions of the real loop, and how it ends.
import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventInit } from '../client/index.ts';
import { measureLearnt } from '../experiments/population-store.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { toTimestamp } from '../features/time.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { dayMs } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const script = fileURLToPath(new URL('../scripts/decision.ts', import.meta.url));

async function decision(...args: string[]) {
  await loop.drained();
  const started = startNode(script, { PATH: process.env.PATH, DATABASE_URL: loop.databaseUrl, NO_COLOR: '1' }, args);
  return { code: await started.ended, output: started.output() };
}

const tell = (userId: string, payload: EventInit['payload'], agoMs = 0) =>
  loop.publisher.publish({ userId, payload, occurredAt: toTimestamp(Date.now() - agoMs) });

const candidates = [
  {
    id: 'task-7',
    kind: TipKind.TASK,
    source: TipSource.TASK_DIRECT,
    features: { isOverdue: true, taskAgeDays: 12, priority: 3 },
  },
  { id: 'walk', kind: TipKind.ADVICE, source: TipSource.LLM, model: 'some-model', promptVersion: 'v1' },
  { id: 'tea', kind: TipKind.INSIGHT, source: TipSource.FALLBACK },
];

/** A decision about somebody with three days behind them, some of it rewarded. */
async function livedDecision(userId: string, more: object = {}) {
  for (const day of [1, 2, 3]) {
    const { tipId, decisionId } = await loop.client.score({ userId, candidates });
    await tell(userId, { case: 'tipServed', value: { tipId, decisionId } }, day * dayMs);
    const reaction = day === 2 ? Reaction.DISMISS : Reaction.DONE;
    await tell(userId, { case: 'tipFeedback', value: { tipId, decisionId, reaction, hourOfDay: 9 } }, day * dayMs);
  }
  await loop.drained();
  await createRewardStore(loop.database).rewardTips();
  await measureLearnt(loop.database);
  return loop.client.score({ userId, candidates, context: { timeZone: 'Europe/Amsterdam' }, ...more });
}

describe('npm run decision', () => {
  it('says what was known, what was chosen and why, what happened then, and that it replays', async () => {
    const { tipId, decisionId } = await livedDecision('anna', { profileFeatures: { preferredHour: 7 } });
    const open = await decision(decisionId);
    expect(open.output).toContain('Nobody has said that it was shown.\n   No reaction yet: still open.');
    await tell('anna', { case: 'tipServed', value: { tipId, decisionId } });
    await tell('anna', { case: 'tipFeedback', value: { tipId, decisionId, reaction: Reaction.SNOOZE } });
    await tell('anna', {
      case: 'tipFeedback',
      value: { tipId, decisionId, reaction: Reaction.DONE, dwellMs: 45_000n },
    });
    await loop.drained();
    expect((await decision(decisionId)).output).toContain('No reward has been given yet.');
    await createRewardStore(loop.database).rewardTips();
    const { code, output } = await decision(decisionId.toUpperCase());
    for (const line of [
      `Why anna got the tip ${tipId}`,
      /share of tips done, 30 days +66\.7 % +known +our records +24 hours before/,
      /mean time to react, 30 days +taken as 0 of 1 +not known +the default +–/,
      /hour of most tips done, 30 days +7:00 to 7:59 +known +the caller \(our records: 9:00 to 9:59\) +–/,
      /tips shown, 30 days +3 +known, but old /,
      /hour of their day .* our clock, in Europe\/Amsterdam +that moment/,
      /task-7 +task +\d+\.\d % +[+−]\d\.\d{3} +.*overdue [+−]\d\.\d{3}/,
      /walk +advice, by some-model, prompt v1 +\d+\.\d % +[+−]/,
      /tea +insight, from a template +\d+\.\d %/,
      /The same for each: .*tips done [+−]\d\.\d{3}/,
      'egreedy-v2, version 2, lambda 20, kappa 10, epsilon 0.1',
      'learnt from   3 rewards of this person, +0.333 on average',
      /on top of {5}3 rewards of 1 person, added up .* before; worth 10 own rewards \(kappa\)/,
      'weights set by hand, prior-1; worth 20 rewards of everybody (lambda)',
      /▲ on \S+, \d\.\d{4} to \d\.\d{4}/,
      /Shown .* later\./,
      /Done .* later, 45 s after it was shown\./,
      'Reward +1.000 for “Done”, which counts, by version 2 of the rewards.',
      'The same, bit for bit: 7 features, 9 inputs and 6 results.',
    ])
      expect(output).toMatch(line);
    expect(code).toBe(0);
    expect(output.split('\n').length).toBeLessThan(60);
  });

  it('prints one document for programs', async () => {
    const { tipId, decisionId } = await livedDecision('ben');
    const { code, output } = await decision(decisionId, '--json');
    const document = JSON.parse(output);
    expect(document).toMatchObject({
      ...{ kind: 'decision', decision_id: decisionId, user_id: 'ben', tip_id: tipId, time_zone: 'Europe/Amsterdam' },
      policy: { name: 'egreedy-v2', code: '2', hyperparameters: { lambda: 20, kappa: 10, epsilon: 0.1 } },
      learnt: { own_rewards: 3, population: { people: expect.any(Number), rewards: expect.any(Number) } },
      after: { shown_at: null, reactions: [], outcome: null, reward: null },
      replay: { is_equal: true, features: 'recomputed', policy: 'replayed', differences: [] },
    });
    const chosen = document.candidates.find((each: { is_chosen: boolean }) => each.is_chosen);
    expect(document.draw.value).toBeGreaterThanOrEqual(chosen.drawn_from);
    expect(document.draw.value).toBeLessThan(chosen.drawn_to);
    expect(code).toBe(0);
  });

  it('shows the best of many tips beside the chosen one, and lets no id write on the terminal', async () => {
    const many = Array.from({ length: 30 }, (_, i) => ({
      id: `\u202etip-${i}`,
      kind: TipKind.ADVICE,
      source: TipSource.LLM,
    }));
    const { decisionId } = await loop.client.score({ userId: 'fay', candidates: many });
    const { code, output } = await decision(decisionId);
    expect(output).toContain('Why fay got the tip �tip-');
    expect(output).toMatch(/and 2[12] more, with a chance of \d+\.\d % together/);
    expect(output).not.toContain('\u202e');
    expect(code).toBe(0);
  });

  it('says exactly what is not the same, and ends with 1', async () => {
    const { decisionId } = await livedDecision('cem');
    await loop.drained();
    const { rows } = await loop.database.query<{ envelope: Buffer }>(
      'SELECT envelope FROM events WHERE event_id = $1',
      [decisionId],
    );
    const envelope = fromBinary(EnvelopeSchema, rows[0]?.envelope ?? new Uint8Array());
    const [feature] = envelope.payload.case === 'tipScored' ? envelope.payload.value.featureValues : [];
    if (feature) feature.value = 0.123;
    const last = envelope.payload.case === 'tipScored' ? envelope.payload.value.candidates[2] : undefined;
    if (last) last.score = 0.5;
    await loop.database.query('UPDATE events SET envelope = $2 WHERE event_id = $1', [
      decisionId,
      Buffer.from(toBinary(EnvelopeSchema, envelope)),
    ]);
    const { code, output } = await decision(decisionId);
    expect(output).toContain('Not the same: 2 of 7 features, 9 inputs and 6 results differ.');
    expect(output).toMatch(
      /feature completion_rate_30d\n +logged +value 0\.123, .*\n +recomputed value 0\.6666666666666666, /,
    );
    expect(output).toMatch(/decision score\n +logged +\[2\] 0\.5\n +recomputed \[2\] [-\d.]+\n/);
    expect(code).toBe(1);
  });

  it('tells what is left of a decision whose month was dropped, and of one that had seen events of it', async () => {
    const { tipId, decisionId } = await livedDecision('dora');
    await loop.drained();
    await loop.database.query(`INSERT INTO dropped_partitions (name, from_day, to_day, events)
      VALUES ('events_old', DATE '2020-01-01', CURRENT_DATE, 0)`);
    try {
      const seen = await decision(decisionId);
      expect(seen.output).toContain('The same, bit for bit: 0 features, 0 inputs and 6 results.');
      expect(seen.output).toContain('what was known is taken from the log');
      expect(seen.code).toBe(0);
      await loop.database.query("DELETE FROM events WHERE user_id = 'dora'");
      const { code, output } = await decision(decisionId);
      expect(output).toContain(`Why dora got the tip ${tipId}`);
      expect(output).toMatch(/one of 3 tips \(.*\), with an estimate of [+−]0\.\d{3}/);
      expect(output).toContain('No reaction yet: still open.');
      expect(code).toBe(2);
      const json = await decision(decisionId, '--json');
      expect(JSON.parse(json.output)).toMatchObject({ kind: 'remains', tip_id: tipId, candidates: 3 });
      expect(json.code).toBe(2);
    } finally {
      await loop.database.query('DELETE FROM dropped_partitions');
    }
  });

  it('says kindly why there is nothing to explain, and names nobody', async () => {
    const requestId = newId(Date.now());
    const { decisionId } = await loop.client.score({ userId: 'emma', requestId, candidates });
    const eventId = await tell('emma', { case: 'tipServed', value: { tipId: 'tea' } });
    expect(await decision(requestId)).toMatchObject({ code: 2, output: expect.stringContaining(`-- ${decisionId}`) });
    expect(await decision(eventId)).toMatchObject({
      code: 2,
      output: expect.stringContaining('oo.events.v1.TipServed'),
    });
    const none = await decision(newId(Date.now()));
    expect(none).toMatchObject({ code: 2, output: expect.stringContaining('There is no such decision here.') });

    const admin = createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl }));
    await admin.eraseUser({ userId: 'emma', reason: 'asked' });
    const erased = await decision(decisionId);
    expect(erased).toMatchObject({ code: 2, output: expect.stringContaining('Its person was erased') });
    expect(erased.output).not.toContain('emma');
  });

  it.each([
    [[], 'Which decision?'],
    [['0190a5d2'], 'That is no decision id.'],
    [['a\u001b[2J'], 'That is no decision id.'],
    [['0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d', 'again'], 'One decision at a time'],
    [['--jsn'], "Unknown option '--jsn'"],
  ])('refuses %j', async (args, complaint) => {
    const { code, output } = await decision(...args);
    expect(output).toContain(complaint);
    expect(output).toContain('Usage: npm run decision -- <decision_id> [--json]');
    expect(code).toBe(2);
  });

  it('fails where the database does not answer', async () => {
    const env = { PATH: process.env.PATH, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' };
    const started = startNode(script, env, [newId(0)]);
    expect([await started.ended, started.output()]).toEqual([1, expect.stringContaining('Postgres does not answer')]);
  });
});
