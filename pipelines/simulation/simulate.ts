import type { Policy } from '../../experiments/policies/policy.ts';
import type { TipScored } from '../../gen/proto/oo/events/v1/decisions_pb.ts';
import { type Lived, live, type Step } from './live.ts';
import { createMemoryService, type MemoryServiceOptions, type Scored } from './memory-service.ts';
import { createVisits, type Visit, type WorldOptions } from './world.ts';

/** A way to decide that is compared with others. */
export interface Contender {
  readonly name: string;
  readonly policy: Policy;
  readonly isPooled: boolean;
}

/** What one contender did in one world. */
export interface Life {
  readonly decisions: number;
  /** The sum of the regrets of all decisions up to the end of each day, divided by the number of people. */
  readonly regret: readonly number[];
  /** The same of the third of the people who joined last: they found the largest population. */
  readonly regretOfLast: readonly number[];
}

/** The same policy without the prior set by hand: every weight is expected to be 0 until rewards say otherwise. */
export function withoutPrior(policy: Policy): Policy {
  const { learning } = policy;
  if (!learning) return policy;
  const prior = { ...learning.prior, version: 'none', mean: learning.prior.mean.map(() => 0) };
  return { ...policy, learning: { ...learning, prior } };
}

/** One world for all contenders: pairing by seed takes the luck of the draw out of every comparison. */
export function simulateAll(
  world: WorldOptions,
  contenders: readonly Contender[],
  toTipScored: (scored: Scored) => TipScored,
): readonly Life[] {
  const visits = createVisits(world);
  const joined = [...new Set(visits.map(({ person }) => person.userId))];
  const last = new Set(joined.slice(-Math.ceil(joined.length / 3)));
  return contenders.map(({ policy, isPooled }) => {
    const daily = new Float64Array(world.days);
    const dailyOfLast = new Float64Array(world.days);
    let decisions = 0;
    simulate(visits, { policy, isPooled, toTipScored }, ({ visit: { day, person }, regret }) => {
      daily[day] = (daily[day] ?? 0) + regret / joined.length;
      if (last.has(person.userId)) dailyOfLast[day] = (dailyOfLast[day] ?? 0) + regret / last.size;
      decisions++;
    });
    return { decisions, regret: addUp(daily), regretOfLast: addUp(dailyOfLast) };
  });
}

function addUp(daily: Float64Array): readonly number[] {
  let total = 0;
  return Array.from(daily, (regret) => (total += regret));
}

/** Lives through visits with a service in memory. */
export function simulate(
  visits: readonly Visit[],
  options: MemoryServiceOptions,
  observe: (lived: Lived) => void,
): void {
  const service = createMemoryService(options);
  const life = live(visits, observe);
  let step: IteratorResult<Step, void> = life.next();
  while (!step.done) step = life.next(service.take(step.value));
}
