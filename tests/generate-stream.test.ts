import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Degradation, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import type { TipCandidate } from '../gen/proto/oo/serving/v1/candidate_pb.ts';
import {
  type GenerateResponse,
  type GenerateStreamResponse,
  ServingService,
} from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import {
  type Behaviour,
  chunk,
  fails,
  finale,
  hangs,
  resets,
  says,
  sends,
  startUnrulyLlm,
  streams,
  writesOnSlowly,
} from './_util/unruly-llm.ts';

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());

const adapters = ['fetch', 'ai-sdk'] as const;
const text = JSON.stringify({
  tips: [
    { content: 'Drink a glass of water', kind: 'advice' },
    { content: 'Open the window for a while', kind: 'advice' },
  ],
});
const first = text.slice(0, text.indexOf('}') + 1);
const rest = text.slice(first.length);

interface Heard {
  readonly candidates: TipCandidate[];
  done?: GenerateResponse;
}

/** Reads a stream to its end; whoever looks in between sees what has come. */
async function hear(
  parts: AsyncIterable<GenerateStreamResponse>,
  heard: Heard,
  onCandidate = () => {},
): Promise<Heard> {
  for await (const { part } of parts) {
    expect(heard.done).toBeUndefined(); // nothing comes after it
    if (part.case === 'candidate') {
      heard.candidates.push(part.value);
      onCandidate();
    } else if (part.case === 'done') heard.done = part.value;
  }
  return heard;
}

/** What the log says of a generation, in the order in which it was written. */
async function logged(tipId: string) {
  const { rows } = await loop.database.query<{ tip_id: string; prompt_version: string; llm_model: string | null }>(
    `SELECT tip_id, prompt_version, llm_model FROM generated_tips
     WHERE event_id = (SELECT event_id FROM generated_tips WHERE tip_id = $1) ORDER BY tip_id`,
    [tipId],
  );
  return rows;
}

describe('a stream of tips', () => {
  const transports: readonly (readonly [name: string, (baseUrl: string) => Client<typeof ServingService>])[] = [
    ['gRPC', (baseUrl) => createClient(ServingService, createGrpcTransport({ baseUrl }))],
    ['gRPC-Web', (baseUrl) => createClient(ServingService, createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }))],
    ['Connect', (baseUrl) => createClient(ServingService, createConnectTransport({ baseUrl, httpVersion: '1.1' }))],
  ];
  it.each(transports.flatMap(([name, connect]) => adapters.map((adapter) => [name, adapter, connect] as const)))(
    'over %s, asked by %s, brings the first before the model has written the second, and logs before it is done',
    async (_, adapter, connect) => {
      const goOn = Promise.withResolvers<void>();
      await using llm = await startUnrulyLlm(streams(chunk(first), goOn.promise, chunk(rest), finale()));
      const { baseUrl } = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', adapter } });
      const generate = { requestId: newId(Date.now()), userId: 'streams', n: 2 };
      const before = await loop.messages('decisions');
      const heard: Heard = { candidates: [] };
      const parts = connect(baseUrl).generateStream({ generate }, { timeoutMs: 20_000 });
      const reading = hear(parts, heard, () => goOn.resolve()); // else the second is never written
      await goOn.promise;
      const { candidates, done } = await reading;
      expect(await loop.messages('decisions')).toBe(before + 1);
      expect(done).toMatchObject({ model: 'unruly-1', promptVersion: 'v1', degradations: [], promptTokens: 321 });
      expect(candidates).toHaveLength(2);
      expect(done?.candidates).toEqual(candidates);
      expect(candidates[0]).toMatchObject({
        content: 'Drink a glass of water',
        source: TipSource.LLM,
        model: 'unruly-1',
        promptVersion: 'v1',
      });
      expect(llm.requests).toHaveLength(1);
      await loop.drained();
      expect(await logged(candidates[0]?.id ?? '')).toEqual(
        candidates
          .map(({ id }) => ({ tip_id: id, prompt_version: 'v1', llm_model: 'm' }))
          .toSorted((a, b) => (a.tip_id < b.tip_id ? -1 : 1)),
      );
    },
  );

  it.each(adapters)(
    'that its caller leaves is logged with what was sent, and the model is left too: %s',
    async (adapter) => {
      await using llm = await startUnrulyLlm(streams(chunk(first), hangs));
      const { client } = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', adapter } });
      const caller = new AbortController();
      const heard: Heard = { candidates: [] };
      const parts = client.generateStream({ userId: 'leaves' }, { signal: caller.signal });
      await expect(hear(parts, heard, () => caller.abort())).rejects.toMatchObject({ code: 1 });
      expect(heard.candidates).toHaveLength(1);
      const [sent] = heard.candidates;
      await expect
        .poll(() => logged(sent?.id ?? ''), { timeout: 10_000 })
        .toEqual([{ tip_id: sent?.id, prompt_version: 'v1', llm_model: 'm' }]);
      await expect.poll(() => llm.openAnswers()).toBe(0);
    },
  );

  const { LLM_BAD_OUTPUT, LLM_TIMEOUT, LLM_UNAVAILABLE } = Degradation;
  const faults: readonly [name: string, Behaviour, Degradation][] = [
    ['falls silent', streams(chunk(first), hangs), LLM_TIMEOUT],
    ['trickles', streams(chunk(first), writesOnSlowly(chunk(' '))), LLM_TIMEOUT],
    [
      'keeps the connection open without a word',
      streams(chunk(first), writesOnSlowly(': still here\n\n')),
      LLM_TIMEOUT,
    ],
    ['resets the connection', streams(chunk(first), resets), LLM_UNAVAILABLE],
    ['just ends', streams(chunk(first)), LLM_UNAVAILABLE],
    ['sends an error', streams(chunk(first), 'data: {"error":{"message":"no"}}\n\n'), LLM_UNAVAILABLE],
    ['sends bad JSON', streams(chunk(first), 'data: {"choices": [\n\n'), LLM_BAD_OUTPUT],
    ['writes bad JSON', streams(chunk(first), chunk(', oops'), finale()), LLM_BAD_OUTPUT],
    ['is cut off', streams(chunk(first), finale('length')), LLM_BAD_OUTPUT],
  ];
  it.each(faults)(
    'whose model, after its first tip, %s, keeps that tip, in time, and says why',
    async (_, fault, why) => {
      for (const adapter of adapters) {
        await using llm = await startUnrulyLlm(fault, says(text)); // a second call would be answered
        const { client } = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', adapter } });
        const { candidates, done } = await hear(
          client.generateStream({ userId: `s-${adapter}` }, { timeoutMs: 3000 }),
          {
            candidates: [],
          },
        );
        expect(candidates.map(({ content }) => content)).toEqual(['Drink a glass of water']);
        expect(done).toMatchObject({ candidates, model: 'unruly-1', promptVersion: 'v1', degradations: [why] });
        expect(llm.requests).toHaveLength(1);
        await expect.poll(() => llm.openAnswers()).toBe(0);
      }
    },
  );

  const failures: readonly [name: string, Behaviour, Degradation][] = [
    ['answers 429', fails(429), LLM_UNAVAILABLE],
    ['sends HTML', sends('<html>', 'text/html'), LLM_BAD_OUTPUT],
    ['falls silent within its first tip', streams(chunk(first.slice(0, -1)), hangs), LLM_TIMEOUT],
    ['resets the connection within its first tip', streams(chunk(first.slice(0, -1)), resets), LLM_UNAVAILABLE],
  ];
  it.each(failures)('whose model %s is of templates', async (_, fault, why) => {
    for (const adapter of adapters) {
      await using llm = await startUnrulyLlm(fault);
      const { client } = await loop.startReplica({ llm: { baseUrl: llm.baseUrl, model: 'm', adapter } });
      const { candidates, done } = await hear(client.generateStream({ userId: `t-${adapter}` }, { timeoutMs: 3000 }), {
        candidates: [],
      });
      expect(candidates).toHaveLength(3);
      expect(candidates.every(({ promptVersion }) => promptVersion === 'fallback')).toBe(true);
      expect(done).toMatchObject({ candidates, model: '', promptVersion: 'fallback', degradations: [why] });
    }
  });

  it.each(adapters)(
    'comes at once from a server that knows no streams, and anew from the cache: %s',
    async (adapter) => {
      await using llm = await startUnrulyLlm(says(text));
      const llmOptions = { baseUrl: llm.baseUrl, model: 'm', adapter, cacheTtlMs: 60_000 };
      const { client } = await loop.startReplica({ llm: llmOptions });
      const contents: unknown[] = [];
      const ids = new Set<string>();
      for (let i = 0; i < 2; i++) {
        const context = { hourOfDay: 9, dayOfWeek: 1 };
        const { candidates, done } = await hear(client.generateStream({ userId: 'anew', context }), { candidates: [] });
        expect(done?.candidates).toEqual(candidates);
        contents.push(candidates.map(({ content }) => content));
        for (const { id } of candidates) ids.add(id);
      }
      const both = ['Drink a glass of water', 'Open the window for a while'];
      expect(contents).toEqual([both, both]);
      expect(ids.size).toBe(4);
      expect(llm.requests).toHaveLength(1);
    },
  );

  it('does not begin where its request is refused', async () => {
    const parts = loop.client.generateStream({ userId: 'streams', promptVersion: 'v3x' });
    await expect(hear(parts, { candidates: [] })).rejects.toMatchObject({ code: 3 });
  });
});
