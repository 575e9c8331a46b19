import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import {
  type RollBackRequest,
  type RollBackResponse,
  RollBackResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import type { Clock } from '../../../platform/clock.ts';
import { invalidArgument, unavailable } from '../../../platform/errors.ts';
import type { Followed } from '../../../platform/follow.ts';
import type { Log } from '../../../platform/log.ts';
import { rollBack } from '../../../registry/roll-back.ts';
import { type Rollouts, type Standing, type Subject, servesPeople } from '../../../registry/rollout.ts';
import type { RolloutStore } from '../../../registry/rollout-store.ts';
import { callerKey } from '../../interceptors/authenticate.ts';
import { type KnownPolicies, type PolicySource, subjectIn } from './advance-rollout.ts';
import { checkStorable } from './check-storable.ts';
import { refusedRollout } from './refused-rollout.ts';
import { toRollout } from './rollout-messages.ts';

export interface RollBackDeps {
  readonly rolloutStore: Pick<RolloutStore, 'readSteps' | 'append'>;
  readonly rollouts: Pick<Followed<unknown>, 'refresh'>;
  /** One of them comes back in the place of the active one. */
  readonly policies: PolicySource;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info'>;
}

/** Takes a policy away from all people: no verdict, no look at the last step, no build that has it is needed. */
export function createRollBack({ rolloutStore, rollouts, policies, clock, log }: RollBackDeps) {
  return async (
    { policy, actor, reason }: RollBackRequest,
    context: Pick<HandlerContext, 'values'>,
  ): Promise<RollBackResponse> => {
    checkStorable({ actor, reason });
    const caller = context.values.get(callerKey).name;
    await policies.refresh();
    const known = policies.current();
    const canServe = (subject: Subject) => known.get(subject.policy)?.version === subject.version;
    const by = { atMs: clock(), actor, caller, reason, canServe };
    const done = await rollBack(rolloutStore, (rollouts) => find(rollouts, policy, known), by);
    if (done.kind === 'refused') throw refusedRollout(done.refusal, done.number);
    if (done.kind === 'busy') throw unavailable('ROLLOUTS_BUSY', 'others take steps all the time; try again');
    await rollouts.refresh();
    log.info({ policy, caller }, 'rolled back');
    return create(RollBackResponseSchema, { rollouts: done.steps.map(toRollout) });
  };
}

/** The version that serves people, or any, so that the refusal says where it stands. */
function find({ standings }: Rollouts, policy: string, policies: KnownPolicies): Standing {
  const own = standings.filter((each) => each.policy === policy);
  const found = own.find(servesPeople) ?? own.at(-1);
  if (found) return found;
  subjectIn(policies, policy);
  throw invalidArgument([{ field: 'policy', description: 'took no step yet, so there is nothing to roll back' }]);
}
