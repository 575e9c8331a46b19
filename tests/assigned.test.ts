// What experiments do to Scores and Generates, what their events say of it, and that they replay.

import { fromBinary, toJson } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, assign } from '../experiments/assignment.ts';
import type { ExperimentSet } from '../experiments/experiment.ts';
import { policies } from '../experiments/policies/index.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { ScoreResponseSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { verify } from '../pipelines/verify.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import { putExperiments } from './_util/put-experiments.ts';

let loop: Loop;
let set: ExperimentSet;
beforeAll(async () => {
  loop = await startLoop();
  set = await putExperiments(loop, definitions);
});
afterAll(() => loop[Symbol.asyncDispose]());

const definitions = {
  experiments: [
    {
      key: 'policies',
      version: '3',
      status: 'running',
      arms: [
        { key: 'control', weight: 0.4 },
        { key: 'linucb', weight: 0.3, policy: 'linucb-v1' },
        { key: 'softmax', weight: 0.3, policy: 'softmax' },
      ],
      forced: { tester: 'softmax' },
    },
    {
      key: 'prompts',
      version: '1',
      status: 'running',
      coverage: 0.5,
      arms: [
        { key: 'control', weight: 0.5, promptVersion: 'v1' },
        { key: 'mentor', weight: 0.5, promptVersion: 'v2-mentor' },
      ],
      forced: { tester: 'mentor' },
    },
    {
      key: 'colours',
      version: '1',
      status: 'running',
      arms: [
        { key: 'red', weight: 0.9, parameters: { colour: 'red' } },
        { key: 'blue', weight: 0.1, parameters: { colour: 'blue' } },
      ],
    },
    {
      key: 'later',
      version: '1',
      status: 'draft',
      arms: [
        { key: 'a', weight: 0.5 },
        { key: 'b', weight: 0.5 },
      ],
    },
  ],
};
const candidates = ['a', 'b', 'c'].map((id, i) => ({
  ...{ id, kind: TipKind.ADVICE, source: TipSource.LLM },
  features: { isOverdue: i === 0, taskAgeDays: i, priority: i + 1 },
}));
const people = Array.from({ length: 60 }, (_, i) => `person-${i}`);

const assignedTo = (userId: string) =>
  assign(set, userId, Date.now()).filter(
    (each): each is Extract<Assignment, { kind: 'assigned' }> => each.kind === 'assigned',
  );
const expectedFor = (userId: string) =>
  assignedTo(userId).map(({ experiment: { key, version }, arm, propensity }) => ({
    ...{ experiment: key, version, arm: arm.key, propensity },
  }));

async function eventOf(eventId: string) {
  await loop.drained();
  const { rows } = await loop.database.query<{ envelope: Buffer }>('SELECT envelope FROM events WHERE event_id = $1', [
    eventId,
  ]);
  return fromBinary(EnvelopeSchema, rows[0]?.envelope ?? Buffer.of()).payload;
}

describe('a Score', () => {
  it('is decided by the policy of the arm, says so with its propensity, and replays', async () => {
    const answers = await Promise.all(people.map((userId) => loop.client.score({ userId, candidates })));
    for (const [i, { policy, policyVersion, experiments, forcedExperiments, decisionId }] of answers.entries()) {
      const userId = people[i] ?? '';
      const chosen = assignedTo(userId).find(({ experiment }) => experiment.key === 'policies')?.arm.policy;
      expect([policy, policyVersion]).toEqual([chosen ?? 'egreedy-v2', policies.get(chosen ?? 'egreedy-v2')?.version]);
      expect(experiments).toMatchObject(expectedFor(userId));
      expect(experiments).toHaveLength(expectedFor(userId).length);
      expect(forcedExperiments).toEqual([]);
      expect(await eventOf(decisionId)).toMatchObject({ case: 'tipScored', value: { policy, experiments } });
    }
    expect(new Set(answers.map(({ policy }) => policy)).size).toBe(3);
    const report = await verify(loop.database);
    expect(report.examples).toEqual([]);
    expect([report.equal, [...report.notReplayed]]).toEqual([report.decisions, []]);
  });

  it('of somebody forced gets that arm, and says so apart from the arms that were drawn', async () => {
    const { policy, experiments, forcedExperiments, decisionId } = await loop.client.score({
      userId: 'tester',
      candidates,
    });
    expect(policy).toBe('softmax');
    expect(experiments.map(({ experiment }) => experiment)).toEqual(['colours']);
    expect(forcedExperiments).toMatchObject([
      { experiment: 'policies', version: '3', arm: 'softmax' },
      { experiment: 'prompts', version: '1', arm: 'mentor' },
    ]);
    expect(await eventOf(decisionId)).toMatchObject({ value: { experiments, forcedExperiments } });
  });

  it('that is repeated gets its answer again, whatever experiments there are by then', async () => {
    const request = { requestId: newId(Date.now()), userId: 'tester', candidates };
    const first = toJson(ScoreResponseSchema, await loop.client.score(request));
    await putExperiments(loop, { experiments: [] });
    expect(toJson(ScoreResponseSchema, await loop.client.score(request))).toEqual(first);
    await loop.drained();
    expect(toJson(ScoreResponseSchema, await loop.client.score(request))).toEqual(first);
    const { policy, experiments, forcedExperiments } = await loop.client.score({ userId: 'tester', candidates });
    expect([policy, experiments, forcedExperiments]).toEqual(['egreedy-v2', [], []]);
    await putExperiments(loop, definitions);
  });
});

describe('a Generate', () => {
  const requested = async (userId: string, promptVersion?: string) => {
    const { generationId } = await loop.client.generate({ userId, ...(promptVersion && { promptVersion }) });
    const payload = await eventOf(generationId);
    if (payload.case !== 'tipGenerated') throw new Error('no TipGenerated');
    return payload.value;
  };

  it('uses the prompt of the arm where the request names none, else the default, and says so', async () => {
    const versions = new Set<string>();
    for (const userId of people.slice(0, 20)) {
      const chosen = assignedTo(userId).find(({ experiment }) => experiment.key === 'prompts')?.arm.promptVersion;
      const { requestedPromptVersion, experiments } = await requested(userId);
      expect(requestedPromptVersion).toBe(chosen ?? 'v1');
      expect(experiments).toMatchObject(expectedFor(userId));
      versions.add(`${chosen}`);
    }
    expect([...versions].toSorted()).toEqual(['undefined', 'v1', 'v2-mentor']);
  });

  it('uses the prompt that the request names, and is then part of no experiment on prompts', async () => {
    for (const userId of [...people.slice(0, 10), 'tester']) {
      const { requestedPromptVersion, experiments, forcedExperiments } = await requested(userId, 'v3-few-shot');
      expect(requestedPromptVersion).toBe('v3-few-shot');
      const all = [...experiments, ...forcedExperiments].map(({ experiment }) => experiment);
      expect(all.toSorted()).toEqual(['colours', 'policies']);
    }
  });

  it('of somebody forced uses that arm', async () => {
    const { requestedPromptVersion, experiments, forcedExperiments } = await requested('tester');
    expect(requestedPromptVersion).toBe('v2-mentor');
    expect(experiments.map(({ experiment }) => experiment)).toEqual(['colours']);
    expect(forcedExperiments.map(({ experiment }) => experiment)).toEqual(['policies', 'prompts']);
  });
});
