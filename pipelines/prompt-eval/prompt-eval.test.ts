import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answer as said, scriptedGateway } from '../../generation/gateway/gateway.fixture.ts';
import { LlmError, type LlmGateway } from '../../generation/gateway/gateway.ts';
import type { ModelPrompt } from '../../generation/prompts/prompt.ts';
import { loadPrompts, promptsDir } from '../../generation/prompts/registry.ts';
import { toLlmRequest } from '../../generation/question.ts';
import { type Answer, askModel, questionOf, readAnswers } from './answers.ts';
import { readContexts } from './contexts.ts';
import { differencesOf, judge, reportOf, shortcomings } from './evaluate.ts';

const evalDir = join(promptsDir, 'eval');
const contextsText = await readFile(join(evalDir, 'contexts.jsonl'), 'utf8');
const madeUp = await readFile(join(evalDir, 'made-up.jsonl'), 'utf8');
const { prompts } = await loadPrompts();
const [v1, v2] = ['v1', 'v2-mentor'].map((version) => prompts.get(version)) as [ModelPrompt, ModelPrompt];

const line = (change: object = {}) =>
  JSON.stringify({
    id: 'a',
    at: '2026-11-24T08:00:00Z',
    context: { signals: [{ id: 't1', task: { title: 'Tax return', isOverdue: true } }] },
    ...change,
  });
const [stored] = readContexts(line());
if (!stored) throw new Error('no context');

const tips = (...contents: readonly string[]) =>
  JSON.stringify({ tips: contents.map((content) => ({ content, kind: 'advice', signal_ids: ['t1'] })) });
const answerOf = (change: Partial<Answer> = {}): Answer => ({
  version: 'v1',
  promptHash: v1.hash,
  context: 'a',
  contextHash: stored.hash,
  model: 'm',
  text: tips('Open the form of the tax return.', 'Stand up for a while.', 'You have 17 tasks.'),
  failure: null,
  ms: 100,
  promptTokens: 10,
  completionTokens: 5,
  microdollars: 20,
  ...change,
});

describe('the contexts of this project', () => {
  const contexts = readContexts(contextsText);

  it('are at least twelve, in several languages and scripts, each with a made-up answer of two versions', async () => {
    expect(contexts.length).toBeGreaterThanOrEqual(12);
    expect(new Set(contexts.map(({ context }) => context.locale)).size).toBeGreaterThanOrEqual(9);
    const ask = readAnswers(madeUp);
    for (const each of contexts) for (const prompt of [v1, v2]) expect((await ask(prompt, each)).model).toBe('made-up');
  });
});

describe('readContexts', () => {
  it('makes of a line what Generate would', () => {
    const [read] = readContexts(`\n${line({ n: 5, profile: { preferredHour: 8 } })}\n\n`);
    expect(read).toMatchObject({ id: 'a', n: 5, hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(read?.context).toMatchObject({ hourOfDay: 8, dayOfWeek: 2, locale: 'en', tasks: [{ title: 'Tax return' }] });
    expect(read?.context.profile).toMatchObject([{ name: 'preferred_hour', value: 8 }]);
    expect(stored.n).toBe(3);
  });

  it('has another hash for another line', () => {
    const changes = [{ n: 4 }, { at: '2026-11-24T09:00:00Z' }, { context: {} }, { profile: {} }];
    const hashes = changes.map((change) => readContexts(line(change))[0]?.hash);
    expect(new Set([stored.hash, ...hashes]).size).toBe(5);
    expect(readContexts(line({ n: 3 }))[0]?.hash).toBe(stored.hash);
  });

  const title = (title: string) => ({ context: { signals: [{ id: 't1', task: { title } }] } });
  it.each([
    ['', 'there is no context'],
    ['{', 'line 1: is no JSON'],
    [`${line()}\n${line()}`, 'line 2: there is another context "a"'],
    [line({ id: 'a b' }), 'line 1: id '],
    [line({ at: 'today' }), 'line 1: at '],
    [line({ n: 11 }), 'line 1: n '],
    [line({ user_id: 'anna' }), 'line 1: '],
    [line({ context: { signal: [] } }), 'line 1: context is no oo.serving.v1.PromptContext'],
    [line({ profile: { mood: 1 } }), 'line 1: profile is no oo.features.v1.ProfileFeatures'],
    [line({ context: { hourOfDay: 24 } }), 'line 1: context: '],
    [line({ context: { timeZone: 'Nowhere/Else' } }), 'line 1: context: '],
    [line(title('Write to anna@example.com')), 'line 1: a text holds an e-mail address'],
    [line({ context: { recentTips: [{ content: 'Call +31 6 1234 5678' }] } }), 'line 1: a text holds'],
    [
      line({
        context: { signals: [{ id: 'e', event: { title: 'password: hunter2', startsAt: '2026-11-24T09:00:00Z' } }] },
      }),
      'line 1: a text holds',
    ],
  ])('refuses %j: %s', (text, problem) => {
    expect(() => readContexts(text)).toThrow(problem);
    expect(() => readContexts(text)).not.toThrow(/anna@|hunter2|Nowhere/);
  });
});

describe('readAnswers', () => {
  const recording = (...answers: readonly Answer[]) =>
    readAnswers(answers.map((each) => JSON.stringify(each)).join('\n'));

  it('answers as was recorded', async () => {
    const failed = answerOf({ version: 'v2-mentor', promptHash: v2.hash, text: null, failure: 'timeout' });
    const ask = recording(answerOf(), failed);
    expect(await ask(v1, stored)).toEqual(answerOf());
    expect(await ask(v2, stored)).toEqual(failed);
  });

  it.each([
    ['a missing answer', answerOf({ context: 'b' }), 'has no answer to v1 about "a"'],
    ['another text of the prompt', answerOf({ promptHash: 'a'.repeat(64) }), 'another text of the prompt'],
    ['another context', answerOf({ contextHash: 'a'.repeat(64) }), 'about another context'],
  ])('refuses %s', async (_, answer, problem) => {
    await expect(recording(answer)(v1, stored)).rejects.toThrow(problem);
  });

  it.each([
    ['an answer twice', [answerOf(), answerOf()], 'line 2: there is another answer to v1 about "a"'],
    ['neither text nor failure', [answerOf({ text: null })], 'line 1: needs a text or a failure'],
    ['text and failure', [answerOf({ failure: 'refused' })], 'line 1: needs a text or a failure'],
    ['an unknown failure', [answerOf({ text: null, failure: 'tired' as 'refused' })], 'line 1: failure '],
    ['a wrong number', [answerOf({ ms: -1 })], 'line 1: ms '],
  ])('refuses %s', (_, answers, problem) => {
    expect(() => recording(...answers)).toThrow(problem);
  });
});

describe('askModel', () => {
  const { signal } = new AbortController();
  const ask = (gateway: LlmGateway, price = { prompt: 1_000_000, completion: 2_000_000 }) => {
    let ms = 0;
    return askModel({ gateway, price, timeoutMs: 500, now: () => (ms += 70), signal })(v1, stored);
  };

  it('asks what is served, once, and keeps what was said and what it took', async () => {
    const { gateway, calls } = scriptedGateway([said]);
    const found = await ask(gateway);
    expect(found).toEqual(answerOf({ model: 'm-2026', text: 'hi', ms: 70 }));
    expect(calls).toEqual([{ request: toLlmRequest(questionOf(v1, stored)), options: { signal, timeoutMs: 500 } }]);
    expect(await readAnswers(JSON.stringify(found))(v1, stored)).toEqual(found);
  });

  it('keeps why there is no answer, and what was spent all the same', async () => {
    const usage = { promptTokens: 7, completionTokens: 1 };
    const { gateway } = scriptedGateway([new LlmError('refused', 'no', { usage })]);
    const none = { model: 'm', text: null, failure: 'refused', ms: 70, microdollars: 9, ...usage } as const;
    expect(await ask(gateway)).toEqual(answerOf(none));
  });

  it('does not take a bug of ours for a model', async () => {
    await expect(ask(scriptedGateway([new TypeError('bug')]).gateway)).rejects.toThrow(TypeError);
  });
});

describe('judge', () => {
  it('judges as the service does', () => {
    expect(judge(answerOf(), v1, stored)).toMatchObject({
      isValid: true,
      ...{ asked: 3, looked: 3, accepted: 2, dropped: { ungrounded: 1 }, chars: [32, 21, 18] },
    });
  });

  it('does not look beyond what was asked for, as the service does not', () => {
    const [one] = readContexts(line({ n: 1 }));
    expect(one && judge(answerOf(), v1, one)).toMatchObject({ asked: 1, looked: 1, accepted: 1, dropped: {} });
  });

  it.each([
    ['hello', null],
    [null, 'timeout'],
  ] as const)('finds nothing in %j', (text, failure) => {
    const nothing = { isValid: false, asked: 3, looked: 0, accepted: 0, dropped: {}, chars: [] };
    expect(judge(answerOf({ text, failure }), v1, stored)).toMatchObject(nothing);
  });

  it('sees a leak of the fence, which is the same for every judgement', () => {
    const { nonce } = questionOf(v1, stored);
    expect(judge(answerOf({ text: tips(`It is data-${nonce}.`) }), v1, stored).dropped).toEqual({ blocked: 1 });
  });
});

describe('reportOf', () => {
  const judged = [
    answerOf(),
    answerOf({ text: 'hello', ms: 300, microdollars: 41 }),
    answerOf({ text: null, failure: 'timeout', ms: 9_000, promptTokens: 0, completionTokens: 0, microdollars: 0 }),
    answerOf({ text: tips('See evil.com', 'Stand up.'), ms: 200, model: 'm-2' }),
  ].map((each) => judge(each, v1, stored));

  it('counts', () => {
    expect(reportOf(v1, judged)).toEqual({
      version: 'v1',
      promptHash: v1.hash,
      models: ['m', 'm-2'],
      contexts: 4,
      values: {
        valid: 2 / 4,
        grounded: 4 / 5,
        accepted: 3 / 12,
        chars: (32 + 21 + 18 + 12 + 9) / 5,
        ms: (100 + 300 + 200) / 3, // what never came has no latency
        promptTokens: 30 / 4,
        completionTokens: 15 / 4,
        microdollars: 81 / 4,
      },
      dropped: { ungrounded: 1, blocked: 1 },
      failures: { timeout: 1 },
      charsMax: 32,
      msP95: 300,
    });
  });

  it('says of nothing that it is nothing, and knows no sum with an unknown price in it', () => {
    const { values, msP95, charsMax } = reportOf(v1, judged.slice(2, 3));
    expect([values.valid, values.grounded, values.ms, values.chars, msP95, charsMax]).toEqual([
      ...[0, undefined, undefined, undefined, undefined, 0],
    ]);
    const unpriced = judge(answerOf({ microdollars: null }), v1, stored);
    expect(reportOf(v1, [...judged, unpriced]).values.microdollars).toBeUndefined();
  });

  it('compares context by context', () => {
    const good = judged.slice(0, 1);
    const both = differencesOf([...good, ...good], judged.slice(0, 2));
    expect(both.valid).toEqual({ value: 0.5, interval: { low: 0, high: 1 } });
    expect(both.ms.value).toBe(-100);
    // Paired: each context costs 10 tokens more, so there is no doubt about the difference.
    const dearer = judged.map((each) => ({
      ...each,
      answer: { ...each.answer, promptTokens: each.answer.promptTokens + 10 },
    }));
    expect(differencesOf(dearer, judged).promptTokens).toEqual({ value: 10, interval: { low: 10, high: 10 } });
    expect(differencesOf(judged, judged).grounded).toMatchObject({ value: 0, interval: undefined }); // draws without tips
    expect(differencesOf(judged.slice(2, 3), good).ms).toEqual({ value: undefined, interval: undefined });
  });
});

describe('shortcomings', () => {
  const all = { chars: 1, ms: 1, promptTokens: 1, completionTokens: 1, microdollars: 1 };
  const report = (version: string, valid: number, grounded: number | undefined, accepted: number) => ({
    ...reportOf(v1, []),
    version,
    values: { ...all, valid, grounded, accepted },
  });
  const good = report('good', 0.95, 0.9, 0.85);

  it.each([
    [{}, []],
    [{ minValid: 0.95, minGrounded: 0.9, minAccepted: 0.85 }, []],
    [{ minValid: 0.951 }, ['good: valid 95.0 %, less than 95.1 %']],
    [{ minGrounded: 0.91 }, ['good: grounded 90.0 %, less than 91.0 %']],
    [{ minAccepted: 1 }, ['good: accepted 85.0 %, less than 100.0 %']],
  ])('of limits %o', (limits, expected) => {
    expect(shortcomings(good, undefined, { margin: 0, ...limits })).toEqual(expected);
  });

  it.each([
    ['as good', report('b', 0.95, 0.9, 0.85), 0, 0],
    ['just within the margin', report('b', 1, 0.95, 0.9), 0.05, 0],
    ['beyond the margin', report('b', 1, 0.95, 0.9), 0.04, 3],
    ['beyond it in one', report('b', 0.95, 0.96, 0.85), 0.05, 1],
    ['better', report('b', 0, 0, 0), 0, 0],
    ['nothing to compare with', report('b', 0.95, undefined, 0.85), 0, 0],
  ])('beside another version: %s', (_, other, margin, count) => {
    expect(shortcomings(good, other, { margin })).toHaveLength(count);
  });

  it('does not fail by a rounding: 0.8 - 0.1 is a little more than 0.7', () => {
    expect(shortcomings(report('a', 0.7, 1, 1), report('b', 0.8, 1, 1), { margin: 0.1 })).toEqual([]);
  });

  it('passes nobody, whatever the limits, where a version has not one answer', () => {
    const silent = reportOf(v2, [judge(answerOf({ text: null, failure: 'timeout' }), v1, stored)]);
    const problem = ['v2-mentor: there is not one answer'];
    expect(shortcomings(silent, undefined, { margin: 0 })).toEqual(problem);
    expect(shortcomings(good, silent, { margin: 0 })).toEqual(problem);
  });

  it('lets nothing pass where there is nothing', () => {
    const none = report('none', 0, undefined, 0);
    expect(shortcomings(none, undefined, { minGrounded: 0.1, margin: 0 })).toEqual([
      'none: grounded 0.0 %, less than 10.0 %',
    ]);
    expect(shortcomings(none, good, { margin: 0.05 })).toHaveLength(3);
  });
});
