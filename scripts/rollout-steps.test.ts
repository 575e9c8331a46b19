import { describe, expect, it } from 'vitest';
import { RolloutStage } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { nextPlace, placeName, placeOf } from './rollout-steps.ts';

const { UNSPECIFIED, REGISTERED, SHADOW, CANARY, ACTIVE, RETIRED, ROLLED_BACK } = RolloutStage;

describe('the next step', () => {
  it.each([
    [UNSPECIFIED, 0, 'not begun', 'registered'],
    [REGISTERED, 0, 'registered', 'shadow'],
    [SHADOW, 0, 'shadow', 'canary 1 %'],
    [CANARY, 1, 'canary 1 %', 'canary 5 %'],
    [CANARY, 5, 'canary 5 %', 'canary 10 %'],
    [CANARY, 10, 'canary 10 %', 'canary 25 %'],
    [CANARY, 25, 'canary 25 %', 'canary 50 %'],
    [CANARY, 50, 'canary 50 %', 'active'],
    [CANARY, 7, 'canary 7 %', 'canary 10 %'],
    [ACTIVE, 100, 'active', undefined],
    [ROLLED_BACK, 0, 'rolled back', 'shadow'],
    [RETIRED, 0, 'retired', 'shadow'],
  ])('of stage %d with %d %%, which is %s, is %s', (stage, trafficPercent, here, there) => {
    const standing = { stage, trafficPercent };
    const next = nextPlace(standing);
    expect(placeName(placeOf(standing))).toBe(here);
    expect(next && placeName(next)).toBe(there);
  });

  it('is known for every stage of the contract', () => {
    const stages = Object.values(RolloutStage);
    const without = stages.filter((stage) => nextPlace({ stage, trafficPercent: 0 }) === undefined);
    expect(without).toEqual([ACTIVE]);
  });
});

it('a stage of a later contract has a name as well', () => {
  expect(placeName({ stage: 9 as RolloutStage, percent: 0 })).toBe('stage 9');
});
