// What wrote the tips is told the same everywhere, whatever happened on the way.

import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TipClient } from '../client/index.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { fallbackVersion, loadPrompts } from '../generation/prompts/registry.ts';
import type { ServerConfig } from '../server/config.ts';
import { type Loop, rowsOf, startLoop } from './_util/loop.ts';
import { putExperiments } from './_util/put-experiments.ts';
import { type Behaviour, completion, fails, late, says, sends, startUnrulyLlm } from './_util/unruly-llm.ts';

const { prompts } = await loadPrompts();
const tips = JSON.stringify({
  tips: [
    { content: 'Drink a glass of water', kind: 'advice', signal_ids: [] },
    { content: 'Stretch for two minutes', kind: 'advice', signal_ids: [] },
  ],
});
const tipsOfNobody = JSON.stringify({
  tips: [{ content: 'You have 4711 letters', kind: 'advice', signal_ids: ['nobody'] }],
});

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

type Generated = Awaited<ReturnType<TipClient['generate']>>;

/** All places that say what wrote an answer: each must say this version, and the hash of its file. */
async function expectWrittenBy(version: string, answer: Generated, client: TipClient, userId: string): Promise<void> {
  const hash = prompts.get(version)?.hash;
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(answer).toMatchObject({ promptVersion: version, promptHash: hash });
  expect(new Set(answer.candidates.map((tip) => tip.promptVersion))).toEqual(new Set([version]));
  const { decisionId } = await client.score({ userId, candidates: answer.candidates });
  await loop.drained();
  const rows = (await rowsOf(loop.database, 'generated_tips', 'tip_id')).filter(
    ({ event_id }) => event_id === answer.generationId,
  );
  expect(rows).toHaveLength(answer.candidates.length);
  for (const row of rows) expect(row).toMatchObject({ prompt_version: version, prompt_hash: hash });
  const { rows: events } = await loop.database.query<{ envelope: Buffer }>(
    'SELECT envelope FROM events WHERE event_id = $1',
    [answer.generationId],
  );
  const { payload } = fromBinary(EnvelopeSchema, events[0]?.envelope ?? new Uint8Array());
  expect(payload).toMatchObject({ case: 'tipGenerated', value: { promptVersion: version, promptHash: hash } });
  const { rows: scores } = await loop.database.query('SELECT prompt_version FROM tip_scores WHERE decision_id = $1', [
    decisionId,
  ]);
  expect(scores).toEqual([{ prompt_version: version }]);
}

interface Way {
  readonly name: string;
  /** The version that the request names. Unset: none. */
  readonly asked?: string;
  /** What the model does, call by call. Unset: there is none. */
  readonly model?: readonly Behaviour[];
  readonly standIn?: Behaviour;
  readonly config?: Partial<ServerConfig>;
  readonly writtenBy: string;
}

const ways: readonly Way[] = [
  { name: 'no model is configured', asked: 'v2-mentor', writtenBy: fallbackVersion },
  { name: 'templates are asked for', asked: fallbackVersion, model: [says(tips)], writtenBy: fallbackVersion },
  { name: 'nothing is asked for', model: [says(tips)], writtenBy: 'v1' },
  {
    name: 'the default is another',
    model: [says(tips)],
    config: { promptVersion: 'v3-few-shot' },
    writtenBy: 'v3-few-shot',
  },
  {
    name: 'the request says other than the default',
    asked: 'v2-mentor',
    model: [says(tips)],
    config: { promptVersion: 'v3-few-shot' },
    writtenBy: 'v2-mentor',
  },
  { name: 'the model fails', asked: 'v2-mentor', model: [fails(500)], writtenBy: fallbackVersion },
  {
    name: 'the model says what nothing shows',
    asked: 'v2-mentor',
    model: [says(tipsOfNobody)],
    writtenBy: fallbackVersion,
  },
  {
    name: 'the model is asked to repair its answer',
    asked: 'v2-mentor',
    model: [says('{"tips'), says(tips)],
    writtenBy: 'v2-mentor',
  },
  { name: 'the model is asked again', asked: 'v2-mentor', model: [fails(503), says(tips)], writtenBy: 'v2-mentor' },
  {
    name: 'another model stands in',
    asked: 'v2-mentor',
    model: [fails(401)],
    standIn: says(tips),
    writtenBy: 'v2-mentor',
  },
  {
    name: 'the model calls itself something else',
    asked: 'v2-mentor',
    model: [sends(completion(tips).replace('unruly-1', 'v1'))],
    writtenBy: 'v2-mentor',
  },
];

describe('what wrote the tips is told the same in answer, tips, event, tables and metrics', () => {
  it.each(ways)('where $name', async ({ asked, model, standIn, config, writtenBy }) => {
    await using llm = await startUnrulyLlm(...(model ?? [fails(500)]));
    await using other = await startUnrulyLlm(standIn ?? fails(500));
    const fallbacks = standIn ? [{ baseUrl: other.baseUrl, model: 'other' }] : [];
    const upstream = model ? { llm: { baseUrl: llm.baseUrl, model: 'm', fallbacks } } : {};
    const { client, baseUrl } = await loop.startReplica({ ...config, ...upstream });
    const userId = 'version';
    const answer = await client.generate({ userId, n: 2, ...(asked && { promptVersion: asked }) });
    await expectWrittenBy(writtenBy, answer, client, userId);
    const metrics = await (await fetch(`${baseUrl}/metrics`)).text();
    const counted = [...metrics.matchAll(/^oo_generations_total\{prompt_version="([^"]*)".*\} (\d+)$/gm)];
    expect(counted.map(([, version, count]) => [version, count])).toEqual([[writtenBy, '1']]);
  });

  it('where it was remembered, and only for the version that it was asked by', async () => {
    await using llm = await startUnrulyLlm(says(tips));
    const { client } = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', cacheTtlMs: 60_000 } });
    const userId = 'version-cached';
    const ask = (promptVersion: string) => client.generate({ userId, n: 2, promptVersion });
    for (const version of ['v1', 'v2-mentor', 'v1', 'v2-mentor'])
      await expectWrittenBy(version, await ask(version), client, userId);
    expect(llm.requests.length).toBeLessThanOrEqual(2 + 2); // a score in between may change what is known of them
  });

  it('where many ask at once, some of them the same', async () => {
    await using llm = await startUnrulyLlm(late(300, says(tips)));
    const { client } = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', cacheTtlMs: 60_000 } });
    const userId = 'version-many';
    const versions = Array.from({ length: 12 }, (_, i) => ['v1', 'v2-mentor', 'v3-few-shot'][i % 3] ?? 'v1');
    const answers = await Promise.all(
      versions.map((promptVersion) => client.generate({ userId, n: 2, promptVersion })),
    );
    expect(llm.requests).toHaveLength(3);
    for (const [i, answer] of answers.entries()) await expectWrittenBy(versions[i] ?? '', answer, client, userId);
  });

  it('where an experiment chooses', async () => {
    await using llm = await startUnrulyLlm(says(tips));
    const replica = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm' } });
    const arms = ['v1', 'v2-mentor'].map((version) => ({ key: version, weight: 0.5, promptVersion: version }));
    await putExperiments(
      { database: loop.database, baseUrl: replica.baseUrl },
      { experiments: [{ key: 'prompts', version: '1', status: 'running', arms }] },
    );
    const seen = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const userId = `version-arm-${i}`;
      const answer = await replica.client.generate({ userId, n: 2 });
      seen.add(answer.promptVersion);
      await expectWrittenBy(answer.promptVersion, answer, replica.client, userId);
    }
    expect([...seen].toSorted()).toEqual(['v1', 'v2-mentor']);
  });
});
