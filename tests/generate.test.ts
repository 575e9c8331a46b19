import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Degradation, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, rowsOf, startLoop } from './_util/loop.ts';
import { hangs, says, startUnrulyLlm } from './_util/unruly-llm.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const id = () => newId(Date.now());

describe('a Generate', () => {
  const signals = [
    { id: 'task-1', detail: { case: 'task' as const, value: { title: 'Call the dentist', isOverdue: true } } },
  ];

  it('without a language model is written by templates, marked as such, and logged without its texts', async () => {
    const answer = await loop.client.generate({ userId: 'gen', context: { signals } });
    expect(answer).toMatchObject({
      promptVersion: 'fallback',
      model: '',
      degradations: [Degradation.LLM_NOT_CONFIGURED],
      promptTokens: 0,
    });
    expect(answer.candidates).toHaveLength(3);
    expect(
      answer.candidates.every(
        ({ source, promptVersion }) => source === TipSource.FALLBACK && promptVersion === 'fallback',
      ),
    ).toBe(true);
    await loop.drained();
    const rows = (await rowsOf(loop.database, 'generated_tips', 'tip_id')).filter(
      ({ event_id }) => event_id === answer.generationId,
    );
    expect(rows.map(({ tip_id }) => tip_id).toSorted()).toEqual(answer.candidates.map((tip) => tip.id).toSorted());
    expect(rows[0]).toMatchObject({
      prompt_version: 'fallback',
      prompt_hash: answer.promptHash,
      tip_source: 'fallback',
      llm_model: null,
    });
    const { rows: events } = await loop.database.query<{ envelope: Buffer }>(
      'SELECT envelope FROM events WHERE event_id = $1',
      [answer.generationId],
    );
    expect(events[0]?.envelope.toString('latin1')).not.toContain('dentist');
  });

  it('hands its prompt version on: a Score of its tips stores it', async () => {
    const { candidates: written } = await loop.client.generate({ userId: 'gen-score', n: 2 });
    const { decisionId } = await loop.client.score({ userId: 'gen-score', candidates: written });
    await loop.drained();
    const rows = await loop.database.query('SELECT prompt_version, tip_source FROM tip_scores WHERE decision_id = $1', [
      decisionId,
    ]);
    expect(rows.rows).toEqual([{ prompt_version: 'fallback', tip_source: 'fallback' }]);
  });

  it('with a language model says truthfully which prompt and model wrote the tips, all the way into tip_scores', async () => {
    const answer = {
      tips: [
        {
          content: 'Ring the dentist before lunch',
          kind: 'task',
          rationale: 'It is overdue',
          signal_ids: ['task-1'],
          confidence: 0.8,
        },
      ],
    };
    await using llm = await startUnrulyLlm(says(JSON.stringify(answer)));
    const replica = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'qwen2.5:7b', apiKey: undefined } });
    const written = await replica.client.generate({
      userId: 'gen-llm',
      context: { signals },
      promptVersion: 'v2-mentor',
      n: 1,
    });
    expect(written).toMatchObject({ promptVersion: 'v2-mentor', degradations: [] });
    expect(written.candidates).toMatchObject([
      {
        content: 'Ring the dentist before lunch',
        source: TipSource.LLM,
        kind: TipKind.TASK,
        signalIds: ['task-1'],
        confidence: 0.8,
      },
    ]);
    const { decisionId } = await replica.client.score({ userId: 'gen-llm', candidates: written.candidates });
    await loop.drained();
    const { rows } = await loop.database.query(
      `SELECT s.prompt_version, s.llm_model, g.prompt_version AS written_by, g.prompt_hash, g.signal_ids
       FROM tip_scores s JOIN generated_tips g USING (tip_id) WHERE decision_id = $1`,
      [decisionId],
    );
    expect(rows).toEqual([
      {
        prompt_version: 'v2-mentor',
        llm_model: written.model,
        written_by: 'v2-mentor',
        prompt_hash: written.promptHash,
        signal_ids: ['task-1'],
      },
    ]);
  });

  it('with a language model that fails is written by templates in time, and the version says so', async () => {
    await using llm = await startUnrulyLlm(hangs);
    const replica = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', apiKey: undefined } });
    const answer = await replica.client.generate({ userId: 'gen-slow' }, { timeoutMs: 800 });
    expect(answer).toMatchObject({ promptVersion: 'fallback', model: '', degradations: [Degradation.LLM_TIMEOUT] });
  });

  it('streams each tip, and the whole answer last', async () => {
    const parts = [];
    for await (const { part } of loop.client.serving.generateStream({
      generate: { requestId: id(), userId: 'gen', n: 2 },
    }))
      parts.push(part);
    expect(parts.map(({ case: name }) => name)).toEqual(['candidate', 'candidate', 'done']);
    expect(parts[2]?.case === 'done' && parts[2].value.candidates).toEqual(parts.slice(0, 2).map((part) => part.value));
  });

  it('names the known versions where an unknown one is asked for', async () => {
    await expect(loop.client.generate({ userId: 'gen', promptVersion: 'v3x' })).rejects.toMatchObject({
      code: 3,
      rawMessage: expect.stringMatching(/prompt_version.*v1.*v2-mentor.*v3-few-shot/),
    });
  });

  it('does not start on an unknown default', async () => {
    await expect(loop.startReplica({ promptVersion: 'v9' })).rejects.toThrow(/v9.*known versions/);
  });
});
