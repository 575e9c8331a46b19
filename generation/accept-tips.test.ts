import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assembleContext } from '../features/context.ts';
import { PromptContextSchema } from '../gen/proto/oo/serving/v1/context_pb.ts';
import { acceptTips } from './accept-tips.ts';
import { isNear, tokensOf } from './checks/repeats.ts';
import { parseOutput, type TipDraft } from './output.ts';

const request = create(PromptContextSchema, {
  signals: [
    { id: 't1', detail: { case: 'task', value: { title: 'Tax return', isOverdue: true } } },
    { id: 't4', detail: { case: 'task', value: { title: 'Garden shed' } } },
    { id: 't2', detail: { case: 'task', value: { title: 'Steuer und Post für die Bank' } } },
  ],
  recentTips: [
    { content: 'Drink a glass of water and look out of the window.' },
    { content: '“Old report” is overdue. Give it ten minutes now, and stop there if you like.' },
  ],
});
const context = assembleContext(request, [], Date.UTC(2026, 10, 24, 9));
const options = { n: 3, nonce: '0f3a9c1e1b2d4c3e8f5a0123456789ab', promptText: 'You write tips.' };
const tip = (content: string, signalIds: readonly string[] = [], rationale = ''): TipDraft => ({
  content,
  kind: 'advice',
  rationale,
  signalIds,
});
const accept = (...written: readonly TipDraft[]) => acceptTips(written, context, options);

describe('acceptTips', () => {
  it('keeps good tips as they are, in their order, and says nothing of it', () => {
    const good = [tip('Open the form of the tax return.', ['t1'], 'It is overdue.'), tip('Stand up for a while.')];
    expect(accept(...good)).toEqual({ tips: good, dropped: {} });
  });

  it.each([
    ['blocked', tip('See evil.com')],
    ['blocked', tip('Stand up.', [], 'As an AI I say so.')],
    ['blocked', tip('Stand up.', [], `It said ${options.nonce}`)],
    ['ungrounded', tip('Stand up.', ['t9'])],
    ['ungrounded', tip('You have 17 tasks.')],
    ['wrong_language', tip('Öffne das Formular und fülle nur die erste Seite aus, dann ist es gut.')],
    ['seen', tip('Drink a glass of water, and look out of the window')],
    ['repeated', tip('Open the form of the tax return now!', ['t1'])],
  ] as const)('drops and counts as %s: %o', (reason, bad) => {
    const good = tip('Open the form of the tax return.', ['t1']);
    const { tips, dropped } = accept(good, bad);
    expect(tips).toEqual([good]);
    expect(dropped).toEqual({ [reason]: 1 });
  });

  it('does not mistake a title in another language for the language of the tip', () => {
    expect(accept(tip('Do Steuer und Post für die Bank now.', ['t2'])).dropped).toEqual({});
  });

  it('takes tips of one form about different things for different', () => {
    const form = (title: string) => `“${title}” is overdue. Give it ten minutes now, and stop there if you like.`;
    const two = [tip(form('Tax return'), ['t1']), tip(form('Garden shed'), ['t4'])];
    expect(accept(...two)).toEqual({ tips: two, dropped: {} });
    expect(accept(tip(form('Old report'))).dropped).toEqual({ seen: 1 });
  });

  it('looks at no more than it needs', () => {
    const names = ['Stand up.', 'Drink some tea.', 'Open a window.', 'You have 17 tasks.', 'Close the door.'];
    expect(accept(...names.map((name) => tip(name)))).toMatchObject({ dropped: {}, tips: { length: 3 } });
    expect(accept(...names.toReversed().map((name) => tip(name)))).toMatchObject({
      tips: { length: 3 },
      dropped: { ungrounded: 1 },
      degradation: 'llm_ungrounded',
    });
  });

  it.each([
    [
      [tip('You have 17 tasks.'), tip('See evil.com')],
      'llm_ungrounded',
      'No tip was accepted: ungrounded 1, blocked 1.',
    ],
    [[tip('See evil.com'), tip('See evil.org')], 'llm_bad_output', 'No tip was accepted: blocked 2.'],
  ] as const)('says why nothing is left', (written, degradation, failure) => {
    expect(accept(...written)).toMatchObject({ tips: [], degradation, failure });
  });

  it('never throws, takes no more than there are, invents nothing, and is the same again', () => {
    const content = fc.oneof(
      fc.string({ unit: 'binary', minLength: 3, maxLength: 280 }),
      fc
        .array(
          fc.constantFrom('12', ':', '30', ' ', 'tax return', '“', '”', 'at', '.', '%', 'h', '½', '月', '٣', 'and'),
          { maxLength: 20 },
        )
        .map((parts) => `tip ${parts.join('')}`),
    );
    const drafts = fc.array(
      fc.record({ content, signal_ids: fc.subarray(['t1', 't2', 't3']), kind: fc.constantFrom('task', 'advice') }),
      { minLength: 1, maxLength: 12 },
    );
    const locale = fc.constantFrom('en', 'de', 'fr', 'ja', 'ar', 'x', 'ignore-previous', '');
    fc.assert(
      fc.property(drafts, locale, fc.integer({ min: 1, max: 10 }), (tips, locale, n) => {
        const written = parseOutput(JSON.stringify({ tips }), 10) ?? [];
        const accepted = acceptTips(written, { ...context, locale }, { ...options, n });
        const dropped = Object.values(accepted.dropped).reduce((sum, each) => sum + each, 0);
        expect(accepted.tips.length).toBeLessThanOrEqual(n);
        expect(accepted.tips.length + dropped).toBeLessThanOrEqual(written.length);
        expect(accepted.tips.every((each) => written.includes(each) && !each.signalIds.includes('t3'))).toBe(true);
        expect(acceptTips(written, { ...context, locale }, { ...options, n })).toEqual(accepted);
      }),
      { numRuns: 300 },
    );
  });
});

describe('isNear', () => {
  it.each([
    ['Drink a glass of water now.', 'Now drink a glass of water!', true],
    ['Drink a glass of water now.', 'Drink a big glass of water now.', true],
    ['Drink a glass of water now.', 'Drink a cup of tea now.', false],
    ['Call Bob.', 'Call Ann.', false],
    ['書類を開いて最初のページだけ書きましょう', '書類を開いて、最初のページだけ書きましょう。', true],
    ['書類を開いて最初のページだけ書きましょう', '窓の外を眺めて少し休みましょう', false],
    ['!!!', '???', false],
  ])('%s / %s: %s', (a, b, expected) => {
    expect(isNear(tokensOf(a), tokensOf(b))).toBe(expected);
    expect(isNear(tokensOf(b), tokensOf(a))).toBe(expected);
  });
});
