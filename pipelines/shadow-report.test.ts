import { describe, expect, it } from 'vitest';
import { evaluate } from '../experiments/off-policy/evaluate.ts';
import { noShadow } from '../experiments/shadow.ts';
import { doubtsOf } from './shadow-report.ts';

/** As many people as decisions, of which the shadow would have shown a third. */
const rows = Array.from({ length: 300 }, (_, i) => ({
  user: `user ${i}`,
  propensity: 1 / 3,
  targetProbability: i % 3 === 0 ? 1 : 0,
  reward: (i % 7) / 10,
}));

describe('doubts', () => {
  it('are said in sentences, and none where there are none', async () => {
    const evaluation = evaluate(rows, { replicates: 10 });
    const known = (counters: object, days: number, behind = 0) => ({
      counters: { ...noShadow, ...counters },
      days,
      behind,
    });
    const without = evaluation && { ...evaluation, verdict: { kind: 'sufficient evidence' } as const };
    expect(doubtsOf(known({ decisions: 300 }, 7), 300, without)).toEqual([]);
    expect(doubtsOf(known({}, 0), 0, undefined)).toEqual(['It was compared with no decision yet.']);
    expect(
      doubtsOf(known({ decisions: 9, errors: 1, skippedStatistics: 1_234, skippedVectors: 2 }, 1, 5), 0, undefined),
    ).toEqual([
      'It failed on 1 decision of 10; nothing is known of what it would have earned there.',
      expect.stringMatching(/^1,234 decisions came without what policies had learnt by then .* were left out\.$/),
      '2 decisions with vectors of another encoding were left out.',
      '5 decisions wait to be scored.',
      'There are decisions of 1 day only: no week is whole.',
      'No outcome is known yet: what it would have earned cannot be said.',
    ]);
    expect(doubtsOf(known({ decisions: 300 }, 7), 300, evaluation)).toEqual([
      expect.stringMatching(/^Too little evidence, by the effective sample size: 300 decisions are worth .*\.$/),
    ]);
  });
});
