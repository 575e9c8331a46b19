import { create } from '@bufbuild/protobuf';
import { toTimestamp } from '../../../features/time.ts';
import {
  GateStatus,
  type GateVerdict,
  GateVerdictSchema,
  type PolicyStanding,
  PolicyStandingSchema,
  type Rollout,
  RolloutSchema,
  RolloutStage,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import type { RolloutStep, Stage, Standing, StoredVerdict, Subject } from '../../../registry/rollout.ts';

export const stageNumbers: Readonly<Record<Stage, RolloutStage>> = {
  registered: RolloutStage.REGISTERED,
  shadow: RolloutStage.SHADOW,
  canary: RolloutStage.CANARY,
  active: RolloutStage.ACTIVE,
  retired: RolloutStage.RETIRED,
  rolled_back: RolloutStage.ROLLED_BACK,
};

export const stageOf = (asked: RolloutStage): Stage | undefined =>
  (Object.keys(stageNumbers) as Stage[]).find((stage) => stageNumbers[stage] === asked);

/** A step as operators see it. */
export function toRollout(step: RolloutStep): Rollout {
  return create(RolloutSchema, {
    policy: step.policy,
    policyVersion: step.version,
    fromStage: step.from === undefined ? 0 : stageNumbers[step.from],
    toStage: stageNumbers[step.to],
    trafficPercent: step.percent,
    actor: step.actor,
    reason: step.reason,
    evidenceJson: step.verdict === undefined ? '' : JSON.stringify(step.verdict),
    at: toTimestamp(step.atMs),
    number: step.number,
    caller: step.caller,
    expectedDivergence: step.expectedDivergence ?? '',
    overrideReason: step.overrideReason ?? '',
    causeNumber: step.causeNumber ?? 0,
    cardHash: step.cardHash ?? '',
  });
}

export interface ShownPolicy extends Subject {
  /** Undefined: it took no step yet. */
  readonly standing: Standing | undefined;
  readonly verdict: StoredVerdict | undefined;
  readonly servedHere: boolean;
}

export function toPolicyStanding({ policy, version, standing, verdict, servedHere }: ShownPolicy): PolicyStanding {
  return create(PolicyStandingSchema, {
    ...{ policy, policyVersion: version, servedHere },
    ...(verdict && { verdict: toGateVerdict(verdict) }),
    ...(standing && {
      stage: stageNumbers[standing.stage],
      trafficPercent: standing.percent,
      since: toTimestamp(standing.sinceMs),
      number: standing.number,
      overrides: [...standing.overrides],
    }),
  });
}

function toGateVerdict({ status, step, judgedAtMs, limitsVersion, criteria }: StoredVerdict): GateVerdict {
  return create(GateVerdictSchema, {
    status: GateStatus[status],
    step,
    judgedAt: toTimestamp(judgedAtMs),
    limitsVersion,
    criteria: criteria.map(({ numbers, ...each }) => ({
      ...each,
      status: GateStatus[each.status],
      numbers: { ...numbers },
    })),
  });
}
