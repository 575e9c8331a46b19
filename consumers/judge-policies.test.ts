import { describe, expect, it } from 'vitest';
import type { Standing } from '../registry/rollout.ts';
import { requestOf } from './judge-policies.ts';

const standing = (policy: string, more: Partial<Standing>): Standing => ({
  ...{ policy, version: '1', stage: 'shadow', percent: 0, sinceMs: 500, number: 7 },
  ...{ servesSinceMs: undefined, activeNumber: undefined, overrides: [], expectedDivergence: undefined },
  ...more,
});
const active = standing('house', { stage: 'active', percent: 100 });

describe('the evidence that is asked for', () => {
  it('of a shadow is of what was logged, with people grouped as they were when it came there', () => {
    expect(requestOf(standing('new', {}), active)).toEqual({
      ...{ subject: 'new 1', step: 7, sinceMs: 500, canary: undefined, expectedDivergence: undefined },
      ...{ policy: { name: 'new', version: '1' }, active: { name: 'house', version: '1' } },
    });
  });

  it('of a canary is of its present share, with people grouped as they were before it served anyone', () => {
    const canary = standing('new', { stage: 'canary', percent: 5, servesSinceMs: 100 });
    expect(requestOf(canary, active)).toMatchObject({
      sinceMs: 100,
      canary: { experiment: { key: 'canary:new', version: '7', arms: [{ weight: 0.05 }, { weight: 0.95 }] } },
    });
  });
});
