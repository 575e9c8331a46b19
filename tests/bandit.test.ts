// A bandit over prompt versions: what people do with tips changes which prompt writes the next ones, over the real servers.

import { fromBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TipClient } from '../client/index.ts';
import { drawArm, epochOf } from '../experiments/bandit.ts';
import { createBanditReader, measureBandits } from '../experiments/bandit-store.ts';
import type { Experiment } from '../experiments/experiment.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import type { BanditDraw, ExperimentAssignment } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { idAt } from '../platform/ids.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { type Loop, rowsOf, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';
import { putExperiments } from './_util/put-experiments.ts';
import { says, startUnrulyLlm, type UnrulyLlm } from './_util/unruly-llm.ts';

const definition = {
  key: 'prompts',
  version: '1',
  status: 'running',
  bandit: { policy: 'beta-thompson', floor: 0.1, fixed: 0.2 },
  arms: [
    { key: 'plain', promptVersion: 'v1' },
    { key: 'mentor', promptVersion: 'v2-mentor' },
  ],
};
const written = JSON.stringify({ tips: [{ content: 'Drink a glass of water', kind: 'advice', signal_ids: [] }] });

let loop: Loop;
let llm: UnrulyLlm;
let replicas: readonly { readonly client: TipClient; readonly baseUrl: string }[];
let experiment: Experiment;
beforeAll(async () => {
  loop = await startLoop();
  llm = await startUnrulyLlm(says(written));
  const config = { llm: { baseUrl: llm.baseUrl, model: 'unruly-1', apiKey: undefined } };
  replicas = [await loop.startReplica(config), await loop.startReplica(config)];
  for (const replica of [...replicas, loop]) {
    const set = await putExperiments(
      { database: loop.database, baseUrl: replica.baseUrl },
      { experiments: [definition] },
    );
    experiment = set.experiments[0] ?? experiment;
  }
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await llm[Symbol.asyncDispose]();
});

/** Always the same ones, so that luck is. */
let asked = 0;
const requestId = () => idAt(Date.UTC(2026, 10, 23), `tests/bandit ${asked++}`);
const client = (i = 0) => replicas[i]?.client ?? loop.client;

/** What was logged of a generation's experiments. */
async function loggedOf(generationId: string): Promise<readonly ExperimentAssignment[]> {
  await loop.drained();
  const { rows } = await loop.database.query<{ envelope: Uint8Array }>(
    'SELECT envelope FROM events WHERE event_id = $1',
    [generationId],
  );
  const { payload } = fromBinary(EnvelopeSchema, rows[0]?.envelope ?? new Uint8Array());
  return payload.case === 'tipGenerated' ? payload.value.experiments : [];
}

async function reward(): Promise<void> {
  await loop.drained();
  const store = createRewardStore(loop.database);
  while ((await store.rewardTips()) > 0);
}

const measurements = () =>
  rowsOf(loop.database, '(SELECT number, arm, people, tips, reward_milli FROM bandit_measurements)', 'number, arm');

/** Generates twice, scores all tips together, and reacts as somebody does who likes what `liked` wrote. */
async function live(userId: string, liked: string) {
  const answers = [
    await client().generate({ requestId: requestId(), userId, n: 1 }),
    await client(1).generate({ requestId: requestId(), userId, n: 1 }),
  ];
  const candidates = answers.flatMap((each) => each.candidates);
  const { tipId, decisionId, experiments } = await client().score({ requestId: requestId(), userId, candidates });
  const promptVersion = candidates.find(({ id }) => id === tipId)?.promptVersion;
  const reaction = promptVersion === liked ? Reaction.HELPFUL : Reaction.DISMISS;
  await loop.publisher.publish({ userId, payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction } } });
  return { answers, promptVersion, scored: experiments };
}

const users = (of: string, count: number) => Array.from({ length: count }, (_, i) => `${of}-${i}`);

describe('a bandit over prompt versions', () => {
  const lives: { readonly userId: string; readonly life: Awaited<ReturnType<typeof live>> }[] = [];

  it('begins with equal shares, and whoever keeps an arm has it in Generate and Score', async () => {
    for (const userId of users('first', 60)) lives.push({ userId, life: await live(userId, 'v2-mentor') });
    let kept = 0;
    for (const { life } of lives) {
      const logged = await Promise.all(life.answers.map(({ generationId }) => loggedOf(generationId)));
      for (const [i, [assignment]] of logged.entries()) {
        const arm = definition.arms.find(({ promptVersion }) => promptVersion === life.answers[i]?.promptVersion);
        expect(assignment).toMatchObject({ experiment: 'prompts', arm: arm?.key, propensity: 0.5 });
        if (assignment?.bandit)
          expect(assignment.bandit).toMatchObject({
            policy: 'beta-thompson',
            measurement: 0,
            propensities: [0.5, 0.5],
          });
      }
      const isKept = logged[0]?.[0]?.bandit === undefined;
      expect(life.scored.map(({ arm }) => arm)).toEqual(isKept ? [logged[0]?.[0]?.arm] : []);
      if (isKept) kept++;
    }
    expect(kept).toBeGreaterThan(3);
    expect(kept).toBeLessThan(30);
    const mixed = lives.filter(({ life: { answers } }) => answers[0]?.promptVersion !== answers[1]?.promptVersion);
    expect(mixed.length).toBeGreaterThan(10); // an arm is the request's, not the person's
  });

  it('measures what became of each tip by what wrote it, whichever arm was drawn last', async () => {
    await reward();
    await Promise.all([1, 2, 3].map(() => measureBandits(loop.database)));
    const rowOf = (arm: string, promptVersion: string, milli: number) => {
      const tips = lives.filter(({ life }) => life.promptVersion === promptVersion).length;
      return { number: 1, arm, people: tips, tips, reward_milli: milli * tips };
    };
    expect(await measurements()).toEqual([rowOf('mentor', 'v2-mentor', 500), rowOf('plain', 'v1', -1000)]);
  });

  it('then writes most tips with the prompt that people liked, and every draw can be computed again', async () => {
    const isMeasured = async () => {
      for (const i of [0, 1]) {
        const draws: (BanditDraw | undefined)[] = [];
        for (const userId of users('waits', 6)) {
          const { generationId } = await client(i).generate({ userId, n: 1 });
          draws.push((await loggedOf(generationId))[0]?.bandit);
        }
        if (draws.some((bandit) => bandit && bandit.measurement !== 1)) return false;
      }
      return true;
    };
    await waitFor('both servers to use the measurement', isMeasured);

    const known = await createBanditReader(loop.database).readNewestOf(experiment);
    if (!known) throw new Error('not measured');
    const epoch = epochOf(experiment, known);
    let [mentor, drawn] = [0, 0];
    for (const [i, userId] of users('second', 60).entries()) {
      const request = { requestId: requestId(), userId, n: 1 };
      const { promptVersion, generationId } = await client().generate(request);
      if (i < 6) expect(await client(1).generate(request)).toMatchObject({ promptVersion }); // the same on every replica
      const [logged] = await loggedOf(generationId);
      if (!logged?.bandit) continue;
      const again = drawArm(experiment, epoch, request.requestId);
      expect([logged.arm, logged.propensity]).toEqual([again.arm.key, again.propensity]);
      expect(logged.bandit.propensities).toEqual(epoch.propensities);
      expect(logged.bandit).toMatchObject({ policyVersion: epoch.policyVersion, measurement: 1 });
      drawn++;
      if (logged.arm === 'mentor') mentor++;
    }
    expect(epoch.propensities[1]).toBeGreaterThan(0.85);
    expect(drawn).toBeGreaterThan(30);
    expect(mentor / drawn).toBeGreaterThan(0.7);
  });

  it('reports what it learnt, and sees no wrong ratio though shares have moved', async () => {
    await loop.drained();
    const admin = createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl, defaultTimeoutMs: 10_000 }));
    const { bandit, sampleRatio, arms } = await admin.getExperimentReport({ experiment: 'prompts' });
    expect(sampleRatio?.alarm).toBe(false);
    expect(arms.map(({ share }) => share)).toEqual([0.5, 0.5]);
    expect(bandit).toMatchObject({
      policy: 'beta-thompson',
      policyVersion: '1;samples=1024;floor=0.1',
      measurement: 1,
    });
    expect(Number(bandit?.measuredAt?.seconds)).toBeCloseTo(Date.now() / 1000, -3);
    const [plain, mentor] = bandit?.arms ?? [];
    expect(mentor?.probability).toBeGreaterThan(0.85);
    expect((mentor?.probability ?? 0) + (plain?.probability ?? 0)).toBeCloseTo(1, 12);
    expect(mentor?.requests).toBeGreaterThan(plain?.requests ?? 0n);
    expect(Number(mentor?.rewardMilli)).toBe(500 * Number(mentor?.tips));
    const { rows } = await loop.database.query(
      'SELECT count(DISTINCT event_id)::int AS drawn FROM generated_tips WHERE measurement IS NOT NULL',
    );
    expect(Number(plain?.requests) + Number(mentor?.requests)).toBe(rows[0]?.drawn);

    const command = startNode('scripts/experiment.ts', { DATABASE_URL: loop.databaseUrl }, ['prompts']);
    expect(await command.ended).toBe(0);
    expect(command.output()).toMatch(/a bandit, beta-thompson 1;samples=1024;floor=0\.1: measurement 1 of 20/);
    expect(command.output()).toMatch(/mentor\s+v2-mentor\s+\d\d\.\d %/);
  });

  it('sees a wrong ratio where requests did not get the arms they should have', async () => {
    const spoiled = "UPDATE generated_tips SET experiment_arms = '{plain}' WHERE measurement = 1";
    await loop.database.query('BEGIN; CREATE TABLE spare AS SELECT * FROM generated_tips; COMMIT');
    await loop.database.query(spoiled);
    const admin = createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl, defaultTimeoutMs: 10_000 }));
    expect((await admin.getExperimentReport({ experiment: 'prompts' })).sampleRatio?.alarm).toBe(true);
    await loop.database.query(
      'BEGIN; DELETE FROM generated_tips; INSERT INTO generated_tips SELECT * FROM spare; DROP TABLE spare; COMMIT',
    );
  });
});

describe('what a bandit measures', () => {
  const newestOf = async (arm: string) => (await measurements()).findLast((each) => each.arm === arm);

  it('keeps its number while nothing changes, and counts neither what is open nor what templates wrote', async () => {
    const before = await measurements();
    const open = await client().generate({ userId: 'open', n: 1 });
    await client().score({ userId: 'open', candidates: open.candidates });
    for (const userId of users('template', 4)) {
      const { candidates } = await loop.client.generate({ userId, n: 1 });
      const { tipId, decisionId } = await loop.client.score({ userId, candidates });
      const value = { tipId, decisionId, reaction: Reaction.HELPFUL };
      await loop.publisher.publish({ userId, payload: { case: 'tipFeedback', value } });
    }
    for (const userId of users('named', 4)) {
      const { candidates, generationId } = await client().generate({ userId, n: 1, promptVersion: 'v1' });
      expect(await loggedOf(generationId)).toEqual([]);
      const { tipId, decisionId } = await client().score({ userId, candidates });
      const value = { tipId, decisionId, reaction: Reaction.HELPFUL };
      await loop.publisher.publish({ userId, payload: { case: 'tipFeedback', value } });
    }
    await reward();
    await measureBandits(loop.database);
    expect(await measurements()).toEqual(before);
  });

  it('counts a tip that was ignored, with a reward of nothing', async () => {
    const { candidates, promptVersion } = await client().generate({ userId: 'silent', n: 1 });
    const { tipId, decisionId } = await client().score({ userId: 'silent', candidates });
    const arm = definition.arms.find((each) => each.promptVersion === promptVersion)?.key ?? '';
    const before = await newestOf(arm);
    const value = { tipId, decisionId, waitedMs: 1n };
    await loop.publisher.publish({ userId: 'silent', payload: { case: 'tipIgnored', value } });
    await reward();
    await measureBandits(loop.database);
    expect(await newestOf(arm)).toEqual({
      ...before,
      ...{ number: 2, people: Number(before?.people) + 1, tips: Number(before?.tips) + 1 },
    });
  });

  it('counts at most 50 tips of one person from an arm, the first ones', async () => {
    const before = await newestOf('plain');
    await loop.database.query(`
      WITH tips AS (
        INSERT INTO generated_tips (event_id, tip_id, user_id, generated_at, tip_kind, tip_source, prompt_version, prompt_hash,
          signal_ids, experiments, experiment_versions, experiment_arms, measurement)
        SELECT gen_random_uuid(), 'heavy-' || i, 'heavy', now() + i * interval '1 second', 'advice', 'llm', 'v1', '', '{}',
          '{other,prompts}', '{1,1}', '{mentor,plain}', 1
        FROM generate_series(1, 60) AS i RETURNING user_id, tip_id
      )
      INSERT INTO tip_outcomes (user_id, tip_id, decision_id, decided_at, reward_milli, reward_version)
      SELECT user_id, tip_id, gen_random_uuid(), now(), CASE WHEN substr(tip_id, 7)::int <= 50 THEN 1 ELSE 1000 END,
        (SELECT max(reward_version) FROM tip_outcomes)
      FROM tips`);
    await measureBandits(loop.database);
    expect(await newestOf('plain')).toMatchObject({
      people: Number(before?.people) + 1,
      tips: Number(before?.tips) + 50,
      reward_milli: Number(before?.reward_milli) + 50,
    });
  });

  it('is only of bandits that run, and starts anew with another version', async () => {
    const before = await measurements();
    await loop.database.query("UPDATE tip_outcomes SET reward_milli = 7 WHERE user_id = 'heavy'");
    await putExperiments(loop, { experiments: [{ ...definition, status: 'stopped' }] });
    await measureBandits(loop.database);
    expect(await measurements()).toEqual(before);
    const set = await putExperiments(loop, { experiments: [{ ...definition, version: '2' }] });
    await measureBandits(loop.database);
    expect(await measurements()).toEqual(before);
    const [second] = set.experiments;
    expect(second && (await createBanditReader(loop.database).readNewestOf(second))).toBeUndefined();
  });
});
