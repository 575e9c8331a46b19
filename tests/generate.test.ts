import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Degradation, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, rowsOf, startLoop } from './_util/loop.ts';
import {
  type Behaviour,
  completion,
  fails,
  floods,
  hangs,
  miscounts,
  resets,
  says,
  sends,
  sendsZipped,
  startUnrulyLlm,
  trickles,
  truncates,
} from './_util/unruly-llm.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const id = () => newId(Date.now());
const tips = (over: Readonly<Record<string, unknown>>) =>
  JSON.stringify({ tips: [{ content: 'Drink a glass of water', kind: 'advice', signal_ids: [], ...over }] });

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

  const { LLM_BAD_OUTPUT, LLM_TIMEOUT, LLM_UNAVAILABLE, LLM_UNGROUNDED } = Degradation;
  const faults: readonly [name: string, Behaviour, Degradation][] = [
    ['hangs', hangs, LLM_TIMEOUT],
    ['trickles', trickles(completion('{}')), LLM_TIMEOUT],
    ['truncates', truncates(completion('{}')), LLM_UNAVAILABLE],
    ['promises more bytes than it sends', miscounts(completion(tips({})), 9), LLM_UNAVAILABLE],
    ['sends more bytes than it promised', miscounts(completion(tips({})), -9), LLM_BAD_OUTPUT],
    ['says that garbage is zipped', sendsZipped(Buffer.from('{"choices": []}')), LLM_UNAVAILABLE],
    ['zips half of its answer', sendsZipped(gzipSync(completion(tips({}))).subarray(0, 90)), LLM_BAD_OUTPUT],
    ['zips what is without end', sendsZipped(gzipSync(Buffer.alloc(100_000_000, ' '))), LLM_BAD_OUTPUT],
    ['answers 429', fails(429), LLM_UNAVAILABLE],
    ['answers 429 and wants a long rest', fails(429, { 'retry-after': '3600' }), LLM_UNAVAILABLE],
    ['answers 500', fails(500), LLM_UNAVAILABLE],
    ['answers 401', fails(401), LLM_UNAVAILABLE],
    ['redirects', fails(302, { location: 'http://127.0.0.1:9/' }), LLM_UNAVAILABLE],
    ['resets connections', resets, LLM_UNAVAILABLE],
    ['sends bad JSON', sends('{"choices": ['), LLM_BAD_OUTPUT],
    ['sends HTML', sends('<html>', 'text/html'), LLM_BAD_OUTPUT],
    ['sends without end', floods, LLM_BAD_OUTPUT],
    ['sends another schema', says('{"advice": []}'), LLM_BAD_OUTPUT],
    ['sends prose', says('Here are your tips!'), LLM_BAD_OUTPUT],
    ['sends nothing', says(''), LLM_BAD_OUTPUT],
    ['is cut off', sends(completion('{"ti', { finish_reason: 'length' })), LLM_BAD_OUTPUT],
    ['refuses', sends(completion('', { message: { content: null, refusal: 'no' } })), LLM_BAD_OUTPUT],
    ['cites what does not exist', says(tips({ signal_ids: ['bob'] })), LLM_UNGROUNDED],
  ];
  it.each(faults)(
    'with a language model that %s is answered before the deadline, and says why',
    async (_, fault, why) => {
      const timeoutMs = why === LLM_TIMEOUT ? 3000 : 8000;
      for (const adapter of ['fetch', 'ai-sdk'] as const) {
        await using llm = await startUnrulyLlm(fault);
        const replica = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', adapter } });
        const answer = await replica.client.generate({ userId: `gen-${adapter}` }, { timeoutMs });
        expect(answer).toMatchObject({ promptVersion: 'fallback', model: '', degradations: [why] });
        expect(answer.candidates).toHaveLength(3);
        await expect.poll(() => llm.openAnswers()).toBe(0); // nothing goes on behind
      }
    },
  );

  it.each(['http://127.0.0.1:9/v1', 'http://nowhere.invalid/v1'])(
    'with a language model at %s, where nobody answers, is answered before the deadline, and says why',
    async (baseUrl) => {
      for (const adapter of ['fetch', 'ai-sdk'] as const) {
        const replica = await loop.startReplica({ llm: { baseUrl, model: 'm', adapter } });
        const answer = await replica.client.generate({ userId: `gen-${adapter}` }, { timeoutMs: 8000 });
        expect(answer).toMatchObject({ promptVersion: 'fallback', model: '', degradations: [LLM_UNAVAILABLE] });
      }
    },
  );

  // How short a deadline can be is measured (`npm run bench -- generate`): here others have the machine as well.
  it('with a language model that hangs is answered before the deadline, every time, by many at once', async () => {
    await using llm = await startUnrulyLlm(hangs);
    const replica = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm' } });
    await replica.client.generate({ userId: 'gen-first', promptVersion: 'fallback' }); // connections are there
    const ask = async (_: unknown, i: number) => {
      await new Promise((resolve) => setTimeout(resolve, i * 25));
      return (await replica.client.generate({ userId: `gen-hang-${i}` }, { timeoutMs: 3000 })).degradations;
    };
    const together = await Promise.all(Array.from({ length: 16 }, ask));
    expect(new Set(together.flat())).toEqual(new Set([LLM_TIMEOUT]));
    // they were enough to open the circuit: nobody waits any more
    const asked = llm.requests.length; // 16, and the second tries of those whose time was up before it opened
    const later = await Promise.all(Array.from({ length: 16 }, ask));
    expect(new Set(later.flat())).toEqual(new Set([LLM_UNAVAILABLE]));
    expect(llm.requests).toHaveLength(asked);
  });

  it('says that the budget is spent, for that person alone, and counts calls without a word of them', async () => {
    await using llm = await startUnrulyLlm(says(tips({})));
    const replica = await loop.startReplica({
      llm: {
        baseUrl: llm.baseUrl,
        model: 'm',
        prices: new Map([['m', { prompt: 1_000_000, completion: 1_000_000 }]]),
        budget: { tokensPerPersonDay: 4000 },
      },
    });
    const degradationsOf = async (userId: string) => (await replica.client.generate({ userId })).degradations;
    let asked = 0;
    while ((await degradationsOf('gen-dear')).length === 0) asked++;
    expect(asked).toBeGreaterThan(0);
    expect(await degradationsOf('gen-dear')).toEqual([Degradation.LLM_BUDGET]);
    expect(await degradationsOf('gen-cheap')).toEqual([]);
    expect(llm.requests).toHaveLength(asked + 1);
    const metrics = await (await fetch(`${replica.baseUrl}/metrics`)).text();
    const labels = `upstream="${new URL(llm.baseUrl).host}",model="m"`;
    expect(metrics).toContain(`oo_llm_calls_total{${labels},outcome="answered"} ${asked + 1}`);
    expect(metrics).toContain(`oo_llm_calls_total{${labels},outcome="budget"} 2`);
    expect(metrics).toMatch(/oo_generations_total\{prompt_version="v1",degradation="none"\} [1-9]/);
    expect(metrics).toMatch(/oo_generations_total\{prompt_version="fallback",degradation="llm_budget"\} 2/);
    expect(metrics).toContain(`oo_llm_tokens_total{${labels},direction="prompt"} ${321 * (asked + 1)}`);
    expect(metrics).toContain(`oo_llm_cost_microdollars_total{${labels}} ${375 * (asked + 1)}`);
    expect(metrics).toContain(`oo_llm_call_duration_seconds_count{${labels}} ${asked + 3}`);
    expect(metrics).not.toMatch(/gen-dear|dentist/);
  });

  it('is written by the next model where one fails, and the log names that one', async () => {
    await using broken = await startUnrulyLlm(fails(503));
    await using well = await startUnrulyLlm(says(tips({})));
    const fallbacks = [{ baseUrl: well.baseUrl, model: 'second' }];
    const replica = await loop.startReplica({ llm: { baseUrl: broken.baseUrl, model: 'first', fallbacks } });
    const answer = await replica.client.generate({ userId: 'gen-next', promptVersion: 'v2-mentor' });
    expect(answer).toMatchObject({ model: 'unruly-1', promptVersion: 'v2-mentor', degradations: [] });
    await loop.drained();
    const { rows } = await loop.database.query('SELECT llm_model FROM generated_tips WHERE event_id = $1', [
      answer.generationId,
    ]);
    expect(rows).toEqual([{ llm_model: 'second' }]);
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
