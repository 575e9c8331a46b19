import { describe, expect, it } from 'vitest';
import { type RewardedPrompt, rewardsByPrompt } from './prompt-rewards.ts';

const tip = {
  ...{ user_id: 'anna', decided_day: 7, prompt_version: 'v1', llm_model: 'm', tip_kind: 'task', policy: 'p' },
  ...{ before: null, after: null },
} as const satisfies RewardedPrompt;

const row = {
  ...{ userId: 'anna', day: 7, promptVersion: 'v1', llmModel: 'm', tipKind: 'task', policy: 'p' },
  ...{ done: 0, dismissed: 0, snoozed: 0, helpful: 0, notHelpful: 0, rewardMilli: 0 },
};

const done = { outcome: 'done', milli: 600 } as const;
const snoozed = { outcome: 'snooze', milli: 100 } as const;
const ignored = { outcome: 'ignored', milli: -7 } as const;

describe('the counts of prompts', () => {
  it.each<[string, Partial<RewardedPrompt>, object]>([
    ['a first reward', { after: done }, { done: 1, rewardMilli: 600 }],
    ['another reaction in its place', { before: snoozed, after: done }, { snoozed: -1, done: 1, rewardMilli: 500 }],
    ['a reward that is gone', { before: done }, { done: -1, rewardMilli: -600 }],
    ['another worth of the same', { before: { ...done, milli: 1000 }, after: done }, { rewardMilli: -400 }],
    ['a reaction after silence', { before: ignored, after: done }, { done: 1, rewardMilli: 600 }],
    ['dismissed', { after: { outcome: 'dismiss', milli: -1000 } }, { dismissed: 1, rewardMilli: -1000 }],
    ['helpful', { after: { outcome: 'helpful', milli: 0 } }, { helpful: 1 }],
    ['not helpful', { after: { outcome: 'not_helpful', milli: -500 } }, { notHelpful: 1, rewardMilli: -500 }],
    [
      'no model and no prompt',
      { llm_model: null, prompt_version: null, after: snoozed },
      { llmModel: '', promptVersion: '', snoozed: 1, rewardMilli: 100 },
    ],
  ])('move by %s', (_, change, expected) => {
    expect(rewardsByPrompt([{ ...tip, ...change }])).toEqual([{ ...row, ...expected }]);
  });

  it.each<[string, readonly Partial<RewardedPrompt>[]]>([
    ['silence', [{ after: ignored }, { before: ignored }]],
    ['the same again', [{ before: done, after: done }]],
    ['what cancels out', [{ after: done }, { before: done }]],
    ['a tip without a decision', [{ decided_day: null, after: done }]],
  ])('are not moved by %s', (_, changes) => {
    expect(rewardsByPrompt(changes.map((change) => ({ ...tip, ...change })))).toEqual([]);
  });

  it('are kept apart by each part of the key', () => {
    const others = [
      { user_id: 'ben' },
      { decided_day: 8 },
      { prompt_version: 'v2' },
      { llm_model: 'n' },
      { tip_kind: 'advice' },
      { policy: 'q' },
    ];
    const tips = [{}, {}, ...others].map((change) => ({ ...tip, ...change, after: done }));
    expect(rewardsByPrompt(tips).map((each) => each.done)).toEqual([2, 1, 1, 1, 1, 1, 1]);
  });
});
