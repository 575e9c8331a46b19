import { describe, expect, it } from 'vitest';
import { gateLimits } from '../experiments/gate.ts';
import { modelCardOf, policyCardOf } from '../tests/_util/cards.ts';
import { manifestOf } from '../tests/_util/models.ts';
import { policyHash } from './card.ts';
import { cardPage, type PageOf } from './card-page.ts';
import { problemsOf } from './card-problems.ts';
import { versionHash } from './model.ts';
import type { RolloutStep } from './rollout.ts';

const manifest = manifestOf({ kind: 'logistic' });
const subject = { policy: 'softmax', version: '1' };
const atMs = Date.parse('2026-11-20T08:00:00Z');

const step = (number: number, changes: Partial<RolloutStep>): RolloutStep => ({
  ...{ number, policy: 'reward.3', version: '1', atMs: atMs + number * 86_400_000, actor: 'ana', caller: 'ops' },
  ...{ from: undefined, to: 'registered', percent: 0, reason: 'better in the simulation' },
  ...changes,
});
const verdict: NonNullable<RolloutStep['verdict']> = {
  ...{ subject: 'reward.3 1', step: 3, judgedAtMs: atMs, limitsVersion: '1', status: 'INSUFFICIENT' },
  criteria: [
    { criterion: 'reward', status: 'PASS', numbers: {}, limit: 0, sentence: '' },
    { criterion: 'sample_ratio', status: 'INSUFFICIENT', numbers: {}, limit: 0, sentence: '' },
  ],
};
const steps = [
  step(4, {
    ...{ from: 'shadow', to: 'canary', percent: 1, verdict, cardHash: '0123456789abcdef' },
    overrideReason: 'few people use it',
  }),
  step(3, { from: 'registered', to: 'shadow', expectedDivergence: 'it explores | more' }),
  step(2, {}),
];

const page = (changes: Partial<PageOf> = {}) =>
  cardPage({ title: 'reward/3', card: modelCardOf(manifest), problems: [], steps: [], ...changes });

describe('a page', () => {
  it('of a model reads as the one that a person looked at', async () => {
    const card = modelCardOf(manifest);
    const problems = problemsOf(card, { hash: versionHash(manifest), manifest }, gateLimits);
    const text = page({ card, problems, steps, registered: { actor: 'ana', atMs } });
    await expect(text).toMatchFileSnapshot('../tests/cards/of-model.md');
  });

  it('of a policy of the build reads as the one that a person looked at', async () => {
    const card = policyCardOf(subject);
    const problems = problemsOf(card, { hash: policyHash(subject), manifest: undefined }, gateLimits);
    await expect(
      page({ title: 'softmax 1', card, problems, gate: { ...verdict, status: 'PASS', criteria: [] } }),
    ).toMatchFileSnapshot('../tests/cards/of-policy.md');
  });

  it('says first whether it may go on, and if not, all that keeps it', () => {
    const first = (changes: Partial<PageOf>) => page(changes).split('\n\n')[1];
    expect(first({})).toBe('**The card is complete.** Nobody asked the gate about the model where it stands.');
    expect(first({ gate: { ...verdict, status: 'PASS', criteria: [] } })).toMatch(/^\*\*May be promoted\.\*\*/);
    expect(first({ gate: verdict })).toBe(
      '**Blocked by the gate**, which says INSUFFICIENT: sample_ratio. The card is complete.',
    );
    const problems = [
      { field: 'evaluation', description: 'is missing' },
      { field: 'log', description: 'is missing' },
    ];
    const lines = page({ problems, gate: verdict }).split('\n');
    expect(lines.slice(2, 6)).toEqual([
      '**Blocked by 2 problems** on this card. No override lifts this.',
      '',
      '- `evaluation` is missing',
      '- `log` is missing',
    ]);
  });

  it('of no card says so, and what happened all the same', () => {
    const text = page({ card: undefined, problems: [{ field: 'card', description: 'is missing' }], steps });
    expect(text).toContain('- `card` is missing');
    expect(text).toContain('| #4 | 2026-11-24 08:00 UTC | canary 1 % | ana |');
    expect(text).not.toContain('undefined');
  });

  it('has tables whose rows have as many cells as their heads, whatever is written into them', () => {
    const nasty = 'a | b <script>alert(1)</script> [x](y) `z` *w*';
    const card = { ...modelCardOf(manifest), owner: nasty, weaknesses: [nasty], purpose: nasty };
    const text = page({ card, title: nasty, steps: [step(2, { reason: nasty, actor: nasty })] });
    expect(text).not.toMatch(/(?<!\\)<script|(?<!\\)\[x/);
    const cells = (line: string) => line.split(/(?<!\\)\|/).length;
    for (const table of text
      .trim()
      .split('\n\n')
      .filter((part) => part.startsWith('| ')))
      expect(new Set(table.split('\n').map(cells)).size, table).toBe(1);
  });
});
