import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assembleContext } from '../features/context.ts';
import { PromptContextSchema } from '../gen/proto/oo/serving/v1/context_pb.ts';
import {
  type Behaviour,
  chunk,
  completion,
  fails,
  finale,
  floods,
  hangs,
  late,
  resets,
  says,
  sends,
  startUnrulyLlm,
  streams,
  trickles,
  truncates,
  writesOn,
  writesOnSlowly,
} from '../tests/_util/unruly-llm.ts';
import { createGateway, type GatewayOptions } from './gateway/create-gateway.ts';
import type { LlmGateway, LlmRequest } from './gateway/gateway.ts';
import { loadPrompts, resolvePrompt } from './prompts/registry.ts';
import { type WriteTipsRequest, type WrittenBy, type WrittenTip, writeTips } from './write-tips.ts';

const registry = await loadPrompts();
const v1 = resolvePrompt(registry, 'v1', undefined);
const context = assembleContext(
  create(PromptContextSchema, {
    signals: [{ id: 't1', detail: { case: 'task', value: { title: 'Tax return', isOverdue: true } } }],
  }),
  [],
  Date.UTC(2026, 10, 24, 9),
);

const deadlineMs = 3000;
const request = (over: Partial<WriteTipsRequest> = {}): WriteTipsRequest => ({
  prompt: v1,
  fallbackPrompt: registry.fallback,
  context,
  n: 3,
  tipId: (index) => `tip-${index}`,
  nonce: '0123456789abcdef',
  deadlineMs,
  signal: new AbortController().signal,
  ...over,
});

const tip = (content: string, signalIds: readonly string[] = ['t1']) => ({
  content,
  kind: 'task',
  rationale: 'It is overdue.',
  signal_ids: signalIds,
  confidence: 0.5,
});
const answer = (...tips: unknown[]) => JSON.stringify({ tips });
const good = answer(tip('Open the form of the tax return.'), tip('Find last year’s papers.'));
const sources = { random: () => 0, now: () => performance.now(), clock: Date.now };
const gatewayTo = async (baseUrl: string, options: Partial<GatewayOptions> = {}) =>
  await createGateway({ baseUrl, model: 'asked-1', ...options }, sources);

async function timed<Result>(work: Promise<Result>): Promise<{ result: Result; elapsedMs: number }> {
  const startMs = performance.now();
  const result = await work;
  return { result, elapsedMs: performance.now() - startMs };
}

describe('with a model that behaves', () => {
  it('the tips are its own, under the version that was asked for', async () => {
    await using llm = await startUnrulyLlm(says(good));
    expect(await writeTips(request(), { gateway: await gatewayTo(llm.baseUrl) })).toEqual({
      tips: [
        {
          id: 'tip-0',
          source: 'llm',
          content: 'Open the form of the tax return.',
          kind: 'task',
          rationale: 'It is overdue.',
          signalIds: ['t1'],
          confidence: 0.5,
        },
        expect.objectContaining({ id: 'tip-1', source: 'llm', content: 'Find last year’s papers.' }),
      ],
      model: 'unruly-1',
      askedModel: 'asked-1',
      promptVersion: 'v1',
      promptHash: v1.hash,
      requestedPromptVersion: 'v1',
      promptTokens: 321,
      completionTokens: 54,
      degradations: [],
      failure: undefined,
      dropped: {},
    });
  });

  it.each([...registry.prompts.values()].filter(({ form }) => form === 'model'))(
    'it is asked with $version',
    async (prompt) => {
      const asked: LlmRequest[] = [];
      const gateway: LlmGateway = {
        model: 'm',
        complete: async (request) => {
          asked.push(request);
          return { text: good, model: 'm', promptTokens: 1, completionTokens: 1 };
        },
      };
      expect(await writeTips(request({ prompt }), { gateway })).toMatchObject({ promptVersion: prompt.version });
      expect(asked[0]).toMatchObject({ schemaName: 'tips', schema: { required: ['tips'] } });
      expect(asked[0]?.user).toContain('"title":"Tax return"');
      expect(asked[0]?.user).toContain('Write 3 ');
    },
  );

  it('it is asked once for the same person and the same context at the same time, for another person anew', async () => {
    await using llm = await startUnrulyLlm(late(100, says(good)));
    const gateway = await gatewayTo(llm.baseUrl);
    const nonces = ['0123456789abcdef', 'fedcba9876543210', '0123456789abcdef'];
    const people = ['anna', 'anna', 'bob'];
    const all = people.map((person, i) => writeTips(request({ person, nonce: nonces[i] ?? '' }), { gateway }));
    const results = await Promise.all(all);
    expect(llm.requests).toHaveLength(2);
    expect(results.map(({ promptTokens }) => promptTokens)).toEqual([321, 0, 321]);
    expect(results.every(({ tips, promptVersion }) => tips.length === 2 && promptVersion === 'v1')).toBe(true);
    expect(JSON.stringify(llm.requests)).not.toMatch(/anna|bob/);
  });

  it('some tips that cite what does not exist are dropped', async () => {
    await using llm = await startUnrulyLlm(says(answer(tip('Open the form.'), tip('Call Bob.', ['t1', 'bob']))));
    const { tips, ...rest } = await writeTips(request(), { gateway: await gatewayTo(llm.baseUrl) });
    expect(tips.map(({ id, content }) => [id, content])).toEqual([['tip-0', 'Open the form.']]);
    expect(rest).toMatchObject({
      promptVersion: 'v1',
      model: 'unruly-1',
      degradations: ['llm_ungrounded'],
      dropped: { ungrounded: 1 },
    });
  });
});

describe.concurrent('with a model that does not', () => {
  const none: readonly string[] = [];
  const cases: readonly [
    name: string,
    behaviours: readonly Behaviour[],
    degradations: readonly string[],
    tries: number,
  ][] = [
    ['503 then ok', [fails(503), says(good)], none, 2],
    ['reset then ok', [resets, says(good)], none, 2],
    ['429 with a Retry-After that fits, then ok', [fails(429, { 'retry-after': '1' }), says(good)], none, 2],
    ['hanging then ok', [hangs, says(good)], none, 2],
    ['prose, then ok when asked again', [says('Here are your tips!'), says(good)], none, 2],
    ['a code fence', [says(`\`\`\`json\n${good}\n\`\`\``)], none, 1],
    ['429 with a Retry-After that does not fit', [fails(429, { 'retry-after': '60' })], ['llm_unavailable'], 1],
    ['429', [fails(429)], ['llm_unavailable'], 2],
    ['500', [fails(500)], ['llm_unavailable'], 2],
    ['401', [fails(401)], ['llm_unavailable'], 1],
    ['a connection reset', [resets], ['llm_unavailable'], 2],
    ['a truncated body', [truncates(completion(good))], ['llm_unavailable'], 2],
    ['trickling', [trickles(completion(good))], ['llm_timeout'], 2],
    ['hanging', [hangs], ['llm_timeout'], 2],
    ['bad JSON', [sends('{"choices": [')], ['llm_bad_output'], 1],
    ['prose', [says('Here are your tips!')], ['llm_bad_output'], 2],
    ['a wrong schema', [says('{"advice": []}')], ['llm_bad_output'], 2],
    ['a wrong kind', [says(good.replaceAll('"task"', '"todo"'))], ['llm_bad_output'], 2],
    ['too long a tip', [says(answer(tip('x'.repeat(281))))], ['llm_bad_output'], 2],
    ['prose, then nothing', [says('Here are your tips!'), hangs], ['llm_bad_output'], 2],
    ['an answer cut off', [sends(completion('{"tips', { finish_reason: 'length' }))], ['llm_bad_output'], 1],
    ['a redirect', [fails(302, { location: 'http://127.0.0.1:9/' })], ['llm_unavailable'], 1],
    ['HTML', [sends('<html>', 'text/html')], ['llm_bad_output'], 1],
    ['an oversized answer', [floods], ['llm_bad_output'], 1],
    ['empty choices', [sends('{"choices": []}')], ['llm_bad_output'], 1],
    ['a refusal', [sends(completion('', { finish_reason: 'content_filter' }))], ['llm_bad_output'], 1],
    ['only tips that cite what does not exist', [says(answer(tip('Call Bob.', ['bob'])))], ['llm_ungrounded'], 1],
  ];

  it.for(cases)(
    '%s: an answer comes in time and says what wrote it',
    async ([, behaviours, degradations, tries], { expect }) => {
      await using llm = await startUnrulyLlm(...behaviours);
      const { result, elapsedMs } = await timed(writeTips(request(), { gateway: await gatewayTo(llm.baseUrl) }));
      expect(elapsedMs).toBeLessThan(deadlineMs);
      expect(llm.requests).toHaveLength(tries);
      expect(result).toMatchObject({ degradations, askedModel: 'asked-1', requestedPromptVersion: 'v1' });
      if (degradations.length === 0) {
        expect(result).toMatchObject({
          promptVersion: 'v1',
          promptHash: v1.hash,
          model: 'unruly-1',
          failure: undefined,
        });
        return;
      }
      expect(result).toMatchObject({ promptVersion: 'fallback', promptHash: registry.fallback.hash, model: '' });
      expect(result.tips).toHaveLength(3);
      expect(result.tips.every(({ source }) => source === 'fallback')).toBe(true);
      expect(result.tips[0]?.content).toContain('“Tax return” is overdue');
      expect(result.failure).not.toMatch(/undefined|Bob|Tax|https?:/);
    },
  );

  it('tokens that were spent on a useless answer are told', async ({ expect }) => {
    await using llm = await startUnrulyLlm(says('no'));
    const result = await writeTips(request(), { gateway: await gatewayTo(llm.baseUrl) });
    expect(result).toMatchObject({ promptTokens: 642, completionTokens: 108, model: '', promptVersion: 'fallback' });
    await using cut = await startUnrulyLlm(sends(completion('{"ti', { finish_reason: 'length' })));
    const wasted = await writeTips(request(), { gateway: await gatewayTo(cut.baseUrl) });
    expect(wasted).toMatchObject({ promptTokens: 321, completionTokens: 54, model: '', promptVersion: 'fallback' });
  });

  it('another one answers in its place, and is named as the one that was asked', async ({ expect }) => {
    await using broken = await startUnrulyLlm(fails(500));
    await using well = await startUnrulyLlm(says(good));
    const fallbacks = [{ baseUrl: well.baseUrl, model: 'second-1' }];
    const result = await writeTips(request(), { gateway: await gatewayTo(broken.baseUrl, { fallbacks }) });
    expect(result).toMatchObject({ model: 'unruly-1', askedModel: 'second-1', promptVersion: 'v1', degradations: [] });
    expect([broken, well].map(({ requests }) => requests.length)).toEqual([1, 1]);
  });

  it('a spent budget is told as such, and for that person alone', async ({ expect }) => {
    await using llm = await startUnrulyLlm(says(good));
    const gateway = await gatewayTo(llm.baseUrl, { budget: { tokensPerPersonDay: 5000 } });
    const degradations = async (person: string) => {
      const all: string[] = [];
      for (let i = 0; i < 20; i++) all.push(...(await writeTips(request({ person }), { gateway })).degradations);
      return [...new Set(all)];
    };
    expect(await degradations('anna')).toEqual(['llm_budget']);
    const asked = llm.requests.length;
    expect(asked).toBeGreaterThan(0);
    expect(await writeTips(request({ person: 'bob' }), { gateway })).toMatchObject({ degradations: [] });
    expect(llm.requests).toHaveLength(asked + 1);
  });

  const brokenGateways: readonly [name: string, complete: LlmGateway['complete'], degradation: string][] = [
    ['ignores time and abort', () => new Promise(() => undefined), 'llm_timeout'],
    ['rejects with something else', () => Promise.reject(new TypeError('secret')), 'llm_unavailable'],
    [
      'throws at once',
      () => {
        throw new Error('secret');
      },
      'llm_unavailable',
    ],
    [
      'fails after the answer was given',
      (_, { timeoutMs }) => new Promise((_, reject) => setTimeout(() => reject(new Error('late')), timeoutMs + 50)),
      'llm_timeout',
    ],
  ];
  it.for(brokenGateways)('a gateway that %s is survived', async ([, complete, degradation], { expect }) => {
    const gateway = { model: 'm', complete };
    const { result, elapsedMs } = await timed(writeTips(request({ deadlineMs: 1500 }), { gateway }));
    expect(elapsedMs).toBeLessThan(1500);
    expect(result).toMatchObject({ promptVersion: 'fallback', degradations: [degradation] });
    expect(result.failure).not.toContain('secret');
  });

  it('a caller that goes away ends the waiting', async ({ expect }) => {
    await using llm = await startUnrulyLlm(hangs);
    const caller = new AbortController();
    setTimeout(() => caller.abort(), 50);
    const over = { signal: caller.signal, deadlineMs: 20_000 };
    const { result, elapsedMs } = await timed(writeTips(request(over), { gateway: await gatewayTo(llm.baseUrl) }));
    expect(elapsedMs).toBeLessThan(5000);
    expect(result).toMatchObject({ promptVersion: 'fallback', degradations: ['llm_timeout'] });
  });
});

describe.concurrent('heard while it is written', () => {
  const first = good.slice(0, good.indexOf('}') + 1);
  const rest = good.slice(first.length);
  const whole = streams(chunk(first), chunk(rest), finale());
  const open = 'Open the form of the tax return.';
  const find = 'Find last year’s papers.';

  const listenTo = async (over: Partial<WriteTipsRequest>, gateway: LlmGateway | undefined) => {
    const given: (readonly [WrittenTip, WrittenBy])[] = [];
    const onTip = (tip: WrittenTip, { model, promptVersion }: WrittenBy) => given.push([tip, { model, promptVersion }]);
    const { result, elapsedMs } = await timed(writeTips(request({ ...over, onTip }), { gateway }));
    const atTheEnd = [...given];
    return { result, elapsedMs, given: atTheEnd, contents: atTheEnd.map(([{ content }]) => content) };
  };

  const cases: readonly [
    name: string,
    behaviours: readonly Behaviour[],
    contents: readonly string[],
    degradations: readonly string[],
    tries: number,
  ][] = [
    ['a good answer', [whole], [open, find], [], 1],
    ['an answer in one piece', [says(good)], [open, find], [], 1],
    [
      'an answer in a code fence',
      [streams(chunk('```json\n'), chunk(good), chunk('\n```'), finale())],
      [open, find],
      [],
      1,
    ],
    ['a silence after the first', [streams(chunk(first), hangs), whole], [open], ['llm_timeout'], 1],
    [
      'a trickle after the first',
      [streams(chunk(first), writesOnSlowly(chunk(' '))), whole],
      [open],
      ['llm_timeout'],
      1,
    ],
    ['a reset after the first', [streams(chunk(first), resets), whole], [open], ['llm_unavailable'], 1],
    ['an end after the first', [streams(chunk(first)), whole], [open], ['llm_unavailable'], 1],
    [
      'an error after the first',
      [streams(chunk(first), 'data: {"error":{}}\n\n'), whole],
      [open],
      ['llm_unavailable'],
      1,
    ],
    [
      'bad JSON in the stream after the first',
      [streams(chunk(first), 'data: {"ch\n\n'), whole],
      [open],
      ['llm_bad_output'],
      1,
    ],
    [
      'bad JSON in the text after the first',
      [streams(chunk(first), chunk(' oops'), finale()), whole],
      [open],
      ['llm_bad_output'],
      1,
    ],
    [
      'a wrong kind after the first',
      [streams(chunk(first), chunk(rest.replace('"task"', '"todo"')), finale()), whole],
      [open],
      ['llm_bad_output'],
      1,
    ],
    [
      'its maximum length after the first',
      [streams(chunk(first), finale('length')), whole],
      [open],
      ['llm_bad_output'],
      1,
    ],
    [
      'a filter after the first',
      [streams(chunk(first), finale('content_filter')), whole],
      [open],
      ['llm_bad_output'],
      1,
    ],
    ['a flood after the first', [streams(chunk(first), writesOn(' ')), whole], [open], ['llm_bad_output'], 1],
    ['a reset within the first, then ok', [streams(chunk(first.slice(0, -1)), resets), whole], [open, find], [], 2],
    [
      'bad JSON within the first, then ok',
      [streams(chunk(first.replace('{"content"', '{content')), finale()), whole],
      [open, find],
      [],
      2,
    ],
    ['429, then ok', [fails(429), whole], [open, find], [], 2],
    ['prose, then ok', [streams(chunk('Here are your tips!'), finale()), whole], [open, find], [], 2],
    [
      'a tip that may not be shown before one that may',
      [streams(chunk(answer(tip('Call Bob.', ['bob']), tip(open))), finale())],
      [open],
      ['llm_ungrounded'],
      1,
    ],
    [
      'a tip that may not be shown, and a reset after one that may',
      [streams(chunk(answer(tip('Call Bob.', ['bob']), tip(open)).slice(0, -1)), resets), whole],
      [open],
      ['llm_unavailable', 'llm_ungrounded'],
      1,
    ],
  ];
  it.for(cases)(
    '%s: what was given stays, and is all there is',
    async ([, behaviours, contents, degradations, tries], { expect }) => {
      await using llm = await startUnrulyLlm(...behaviours);
      const heard = await listenTo({}, await gatewayTo(llm.baseUrl));
      expect(heard.elapsedMs).toBeLessThan(deadlineMs);
      expect(heard.contents).toEqual(contents);
      expect(llm.requests).toHaveLength(tries);
      expect(heard.result).toMatchObject({
        tips: heard.given.map(([tip]) => tip),
        model: 'unruly-1',
        askedModel: 'asked-1',
        promptVersion: 'v1',
        promptHash: v1.hash,
        degradations,
      });
      expect(heard.given.map(([{ id, source }, by]) => ({ id, source, ...by }))).toEqual(
        contents.map((_, at) => ({ id: `tip-${at}`, source: 'llm', model: 'unruly-1', promptVersion: 'v1' })),
      );
      expect(heard.result.failure === undefined).toBe(!degradations.some((each) => each !== 'llm_ungrounded'));
      await expect.poll(() => llm.openAnswers(), { timeout: 5000 }).toBe(0);
    },
  );

  const failures: readonly [name: string, Behaviour, degradation: string][] = [
    ['429', fails(429), 'llm_unavailable'],
    ['HTML', sends('<html>', 'text/html'), 'llm_bad_output'],
    ['a reset within the first', streams(chunk(first.slice(0, -1)), resets), 'llm_unavailable'],
    ['a silence within the first', streams(chunk(first.slice(0, -1)), hangs), 'llm_timeout'],
    [
      'only tips that cite what does not exist',
      streams(chunk(answer(tip('Call Bob.', ['bob']))), finale()),
      'llm_ungrounded',
    ],
  ];
  it.for(failures)('%s: where nothing was given, templates write', async ([, behaviour, degradation], { expect }) => {
    await using llm = await startUnrulyLlm(behaviour);
    const { result, given } = await listenTo({}, await gatewayTo(llm.baseUrl));
    expect(result).toMatchObject({ model: '', promptVersion: 'fallback', degradations: [degradation] });
    expect(result.tips).toHaveLength(3);
    expect(given).toEqual(result.tips.map((tip) => [tip, { model: '', promptVersion: 'fallback' }]));
  });

  it('what fails after the last tip that was asked for is no failure: nothing is missing', async ({ expect }) => {
    await using llm = await startUnrulyLlm(streams(chunk(first), chunk(rest), resets));
    const { result, contents } = await listenTo({ n: 2 }, await gatewayTo(llm.baseUrl));
    expect(contents).toEqual([open, find]);
    expect(result).toMatchObject({ degradations: [], failure: undefined, promptTokens: 0 });
    expect(llm.requests).toHaveLength(1);
  });

  it('tips beyond those asked for are not given', async ({ expect }) => {
    await using llm = await startUnrulyLlm(whole);
    const { result, contents } = await listenTo({ n: 1 }, await gatewayTo(llm.baseUrl));
    expect([contents, result.tips.length]).toEqual([[open], 1]);
  });

  it('tokens are told, also of an answer that left the form', async ({ expect }) => {
    for (const behaviour of [whole, streams(chunk(first), chunk(' oops'), finale())]) {
      await using llm = await startUnrulyLlm(behaviour);
      const { result } = await listenTo({}, await gatewayTo(llm.baseUrl));
      expect(result).toMatchObject({ promptTokens: 321, completionTokens: 54 });
    }
  });

  it('no other model goes on where one that gave a tip has failed; one that gave none is forgotten', async ({
    expect,
  }) => {
    await using well = await startUnrulyLlm(whole);
    const fallbacks = [{ baseUrl: well.baseUrl, model: 'second-1' }];
    await using broken = await startUnrulyLlm(
      streams(chunk(first), resets),
      streams(chunk(first.slice(0, -1)), resets),
    );
    const gateway = await gatewayTo(broken.baseUrl, { fallbacks });
    const one = await listenTo({}, gateway);
    expect(one.contents).toEqual([open]);
    expect(one.result).toMatchObject({ askedModel: 'asked-1', degradations: ['llm_unavailable'] });
    expect(well.requests).toHaveLength(0);
    const two = await listenTo({}, gateway);
    expect(two.contents).toEqual([open, find]);
    expect(two.result).toMatchObject({ askedModel: 'second-1', degradations: [] });
  });

  it('who asks the same meanwhile gets the same tips, and the whole answer where the first one ended early', async ({
    expect,
  }) => {
    const goOn = Promise.withResolvers<void>();
    await using llm = await startUnrulyLlm(streams(chunk(first), goOn.promise, chunk(rest), finale()));
    const gateway = await gatewayTo(llm.baseUrl, { cacheTtlMs: 60_000 });
    const asked = { person: 'anna' };
    const leader = listenTo(asked, gateway);
    await expect.poll(() => llm.requests.length).toBe(1);
    const followers = [listenTo(asked, gateway), writeTips(request(asked), { gateway })] as const;
    goOn.resolve();
    const contents = [(await leader).contents, (await followers[0]).contents];
    expect(contents).toEqual([
      [open, find],
      [open, find],
    ]);
    expect((await followers[1]).tips.map(({ content }) => content)).toEqual([open, find]);
    expect((await listenTo(asked, gateway)).contents).toEqual([open, find]); // from the cache
    expect(llm.requests).toHaveLength(1);

    await using breaks = await startUnrulyLlm(streams(chunk(first), sleep(100), resets), says(good));
    const again = await gatewayTo(breaks.baseUrl, { cacheTtlMs: 60_000 });
    const ended = listenTo(asked, again);
    await expect.poll(() => breaks.requests.length).toBe(1);
    const follower = listenTo(asked, again);
    expect((await ended).contents).toEqual([open]);
    expect((await follower).contents).toEqual([open, find]);
    expect((await listenTo(asked, again)).contents).toEqual([open, find]);
    expect(breaks.requests).toHaveLength(2);
  });

  it('a caller that goes away keeps what was given, and no more comes', async ({ expect }) => {
    await using llm = await startUnrulyLlm(streams(chunk(first), hangs));
    const caller = new AbortController();
    const contents: string[] = [];
    const onTip = ({ content }: WrittenTip) => {
      contents.push(content);
      caller.abort();
    };
    const result = await writeTips(request({ onTip, signal: caller.signal }), {
      gateway: await gatewayTo(llm.baseUrl),
    });
    expect(contents).toEqual([open]);
    expect(result).toMatchObject({ model: 'unruly-1', promptVersion: 'v1', degradations: ['llm_timeout'] });
    expect(result.tips.map(({ content }) => content)).toEqual([open]);
    expect(llm.requests).toHaveLength(1);
  });

  it('a gateway that goes on after the time gives nothing more', async ({ expect }) => {
    let late: (() => void) | undefined;
    const gateway: LlmGateway = {
      model: 'm',
      complete: (_, { listen }) => {
        const listener = listen?.('m');
        late = () => listener?.onText(good, 'm');
        return new Promise(() => undefined);
      },
    };
    const { result, given } = await listenTo({ deadlineMs: 400 }, gateway);
    late?.();
    expect(result).toMatchObject({ promptVersion: 'fallback', degradations: ['llm_timeout'] });
    expect(given).toHaveLength(3);
  });

  it('without a model, templates are given', async ({ expect }) => {
    const { result, given } = await listenTo({}, undefined);
    expect(given.map(([tip]) => tip)).toEqual(result.tips);
  });
});

describe('without a model', () => {
  const asked = { model: 'm', complete: () => Promise.reject(new Error('must not be asked')) };

  it('templates write, and say why', async () => {
    const result = await writeTips(request({ n: 10 }), { gateway: undefined });
    expect(result).toMatchObject({
      model: '',
      askedModel: '',
      promptVersion: 'fallback',
      promptHash: registry.fallback.hash,
      requestedPromptVersion: 'v1',
      promptTokens: 0,
      completionTokens: 0,
      degradations: ['llm_not_configured'],
    });
    expect(result.tips.map(({ id }) => id)).toEqual(Array.from({ length: 10 }, (_, at) => `tip-${at}`));
  });

  it('templates that were asked for are no degradation, and no model is asked', async () => {
    const prompt = resolvePrompt(registry, 'fallback', undefined);
    expect(await writeTips(request({ prompt }), { gateway: asked })).toMatchObject({
      promptVersion: 'fallback',
      requestedPromptVersion: 'fallback',
      askedModel: '',
      degradations: [],
    });
  });

  it.each([0, -5, 60])('templates write when the deadline is %d ms away', async (deadlineMs) => {
    expect(await writeTips(request({ deadlineMs }), { gateway: asked })).toMatchObject({
      askedModel: '',
      degradations: ['llm_timeout'],
    });
  });
});

it.each([1000, 60_000, Number.POSITIVE_INFINITY])('a deadline of %d ms leaves a reserve', async (deadlineMs) => {
  const times: number[] = [];
  const gateway: LlmGateway = {
    model: 'm',
    complete: async (_, { timeoutMs }) => {
      times.push(timeoutMs);
      return { text: good, model: 'm', promptTokens: 1, completionTokens: 1 };
    },
  };
  await writeTips(request({ deadlineMs }), { gateway });
  expect(times[0]).toBeGreaterThan(0);
  expect(times[0]).toBeLessThanOrEqual(Math.min(60_000, deadlineMs - 100));
});

it('whatever models do and however late, an answer comes in time and nothing goes on behind it', async () => {
  const pieces = [good.slice(0, 60), good.slice(60, 160), good.slice(160)].map((piece) => chunk(piece));
  const behaviours: readonly Behaviour[] = [
    ...[hangs, resets, trickles(completion(good)), says(good), says('no')],
    ...[resets, hangs, finale()].flatMap((end) => pieces.map((_, at) => streams(...pieces.slice(0, at + 1), end))),
  ];
  const behaviour = fc
    .record({ ms: fc.constantFrom(0, 0, 50, 200, 400), behave: fc.constantFrom(...behaviours, fails(500), fails(429)) })
    .map(({ ms, behave }) => late(ms, behave));
  const list = fc.array(behaviour, { minLength: 1, maxLength: 4 });
  const isAnsweredInTime = async ([first, second, deadlineMs]: readonly [Behaviour[], Behaviour[], number]) => {
    await using one = await startUnrulyLlm(...first);
    await using other = await startUnrulyLlm(...second);
    const fallbacks = [{ baseUrl: other.baseUrl, model: 'second-1' }];
    const gateway = await gatewayTo(one.baseUrl, { fallbacks, callsMax: 1, cooldownMs: 100, cacheTtlMs: 50 });
    const all = ['anna', 'anna', 'bob', 'carl'].map(async (person) => {
      const tooLate = sleep(deadlineMs, 'too late'); // the same clock: a machine that is busy delays both
      const given: WrittenTip[] = [];
      const onTip = person === 'bob' ? undefined : (tip: WrittenTip) => given.push(tip);
      const { tips } = await Promise.race([
        writeTips(request({ person, deadlineMs, onTip }), { gateway }),
        tooLate.then(fail),
      ]);
      if (onTip) expect(given).toEqual(tips);
      return tips.length > 0;
    });
    const areWritten = (await Promise.all(all)).every((isWritten) => isWritten);
    await expect.poll(() => one.openAnswers() + other.openAnswers(), { timeout: 5000 }).toBe(0);
    return areWritten;
  };
  const scenarios = fc.sample(fc.tuple(list, list, fc.integer({ min: 150, max: 1000 })), 40);
  while (scenarios.length > 0) {
    const areAnswered = await Promise.all(scenarios.splice(0, 10).map(isAnsweredInTime));
    expect(areAnswered.every((isAnswered) => isAnswered)).toBe(true);
  }
});

function fail(why: string): never {
  throw new Error(why);
}
