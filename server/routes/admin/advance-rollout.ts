import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import type { Policy } from '../../../experiments/policies/policy.ts';
import {
  type AdvanceRolloutRequest,
  type AdvanceRolloutResponse,
  AdvanceRolloutResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import type { Clock } from '../../../platform/clock.ts';
import { invalidArgument } from '../../../platform/errors.ts';
import type { Followed } from '../../../platform/follow.ts';
import type { Log } from '../../../platform/log.ts';
import { type CardRules, cardStateOf } from '../../../registry/card-problems.ts';
import type { CardStore } from '../../../registry/card-store.ts';
import {
  foldRollouts,
  moveRollout,
  type RolloutCommand,
  type Stage,
  type Subject,
  subjectName,
} from '../../../registry/rollout.ts';
import type { RolloutStore } from '../../../registry/rollout-store.ts';
import { callerKey } from '../../interceptors/authenticate.ts';
import { checkStorable } from './check-storable.ts';
import { refusedRollout } from './refused-rollout.ts';
import { stageOf, toRollout } from './rollout-messages.ts';

export type KnownPolicies = ReadonlyMap<string, Pick<Policy, 'name' | 'version'>>;

/** All that can decide. One may be of a model that was registered a moment ago. */
export type PolicySource = Pick<Followed<KnownPolicies>, 'refresh' | 'current'>;

export interface AdvanceRolloutDeps {
  readonly rolloutStore: Pick<RolloutStore, 'readSteps' | 'readVerdicts' | 'append'>;
  readonly cardStore: Pick<CardStore, 'read'>;
  readonly cardRules: CardRules;
  readonly rollouts: Pick<Followed<unknown>, 'refresh'>;
  readonly policies: PolicySource;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info'>;
}

/**
 * Takes a policy a step further, if the rules, its model card and the gate's last verdict let it, and the caller has seen the
 * last step.
 */
export function createAdvanceRollout(deps: AdvanceRolloutDeps) {
  const { rolloutStore, cardStore, cardRules, rollouts, policies, clock, log } = deps;
  return async (
    request: AdvanceRolloutRequest,
    context: Pick<HandlerContext, 'values'>,
  ): Promise<AdvanceRolloutResponse> => {
    const { actor, reason, overrideReason, expectedDivergence, trafficPercent, expectedPreviousNumber } = request;
    checkStorable({ actor, reason, override_reason: overrideReason, expected_divergence: expectedDivergence });
    const to = stageOf(request.toStage);
    if (!to) throw invalidArgument([{ field: 'to_stage', description: 'is unknown' }]);
    await policies.refresh();
    const subject = subjectOf(request, to, policies.current());
    const [steps, verdicts, cards] = await Promise.all([
      rolloutStore.readSteps(0),
      rolloutStore.readVerdicts(),
      isTowardsPeople(to) ? cardStore.read([subject]) : [],
    ]);
    const [found] = cards;
    const command: RolloutCommand = {
      ...{ ...subject, atMs: clock(), actor, caller: context.values.get(callerKey).name, to, reason },
      percent: trafficPercent === 0 ? undefined : trafficPercent,
      expectedNumber: expectedPreviousNumber,
      overrideReason: overrideReason === '' ? undefined : overrideReason,
      expectedDivergence: expectedDivergence === '' ? undefined : expectedDivergence,
      card: found && cardStateOf(found.card, found.of, cardRules),
      verdict: isTowardsPeople(to) ? verdicts.find((each) => each.subject === subjectName(subject)) : undefined,
    };
    const before = foldRollouts(steps ?? []);
    const moved = moveRollout(before, command);
    if (moved.kind === 'refused') throw refusedRollout(moved.refusal, before.number);
    const response = create(AdvanceRolloutResponseSchema, { rollouts: moved.steps.map(toRollout) });
    if (request.dryRun) return response;
    if (!(await rolloutStore.append(moved.steps))) {
      const message = 'somebody else has taken a step meanwhile';
      throw refusedRollout({ reason: 'CHANGED_MEANWHILE', message }, before.number);
    }
    await rollouts.refresh();
    log.info({ policy: subject.policy, to, percent: trafficPercent, caller: command.caller }, 'took a rollout step');
    return response;
  };
}

/** Throws `invalid_argument` for what this server does not have, unless it is to be retired. */
function subjectOf(
  { policy, policyVersion: version }: AdvanceRolloutRequest,
  to: Stage,
  policies: KnownPolicies,
): Subject {
  if (version === '') return subjectIn(policies, policy);
  if (to === 'retired' || policies.get(policy)?.version === version) return { policy, version };
  const description = 'is not the version that this server has: that one can only be retired';
  throw invalidArgument([{ field: 'policy_version', description }]);
}

const isTowardsPeople = (to: RolloutCommand['to']): boolean => to === 'canary' || to === 'active';

/** Throws `invalid_argument` for a policy that there is not. */
export function subjectIn(policies: KnownPolicies, name: string) {
  const policy = policies.get(name);
  if (policy) return { policy: policy.name, version: policy.version };
  const known = [...policies.keys()].join(', ');
  throw invalidArgument([{ field: 'policy', description: `is unknown; known: ${known}` }]);
}
