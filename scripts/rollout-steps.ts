// Where a policy stands, and where it can go from there. Pure.

import { type PolicyStanding, RolloutStage } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { canarySteps } from '../registry/rollout.ts';

export interface Place {
  readonly stage: RolloutStage;
  /** Of a canary. Else 0. */
  readonly percent: number;
}

/** The step that `advance` takes without `--percent`. Undefined: there is none. */
export function nextPlace({
  stage,
  trafficPercent,
}: Pick<PolicyStanding, 'stage' | 'trafficPercent'>): Place | undefined {
  switch (stage) {
    case RolloutStage.UNSPECIFIED:
      return at(RolloutStage.REGISTERED);
    case RolloutStage.REGISTERED:
    case RolloutStage.ROLLED_BACK:
    case RolloutStage.RETIRED:
      return at(RolloutStage.SHADOW);
    case RolloutStage.SHADOW:
      return at(RolloutStage.CANARY, canarySteps[0]);
    case RolloutStage.CANARY: {
      const more = canarySteps.find((step) => step > trafficPercent);
      return more === undefined ? at(RolloutStage.ACTIVE) : at(RolloutStage.CANARY, more);
    }
    case RolloutStage.ACTIVE:
      return undefined;
  }
}

const at = (stage: RolloutStage, percent = 0): Place => ({ stage, percent });

/** Whether a step there needs the gate. */
export const isTowardsPeople = ({ stage }: Place): boolean =>
  stage === RolloutStage.CANARY || stage === RolloutStage.ACTIVE;

const names: Readonly<Record<RolloutStage, string>> = {
  [RolloutStage.UNSPECIFIED]: 'not begun',
  [RolloutStage.REGISTERED]: 'registered',
  [RolloutStage.SHADOW]: 'shadow',
  [RolloutStage.CANARY]: 'canary',
  [RolloutStage.ACTIVE]: 'active',
  [RolloutStage.RETIRED]: 'retired',
  [RolloutStage.ROLLED_BACK]: 'rolled back',
};

/** As a person reads it. A stage of a later contract is a number. */
export const placeName = ({ stage, percent }: Place): string =>
  stage === RolloutStage.CANARY ? `canary ${percent} %` : (names[stage] ?? `stage ${stage}`);

export const placeOf = ({ stage, trafficPercent }: Pick<PolicyStanding, 'stage' | 'trafficPercent'>): Place => ({
  stage,
  percent: trafficPercent,
});
