import { pick, policyDraws, seedOf, uniform } from './draw.ts';
import type { Arm, Experiment } from './experiment.ts';
import { type Arm as ArmSums, createArmPolicy } from './policies/fixed-arms.ts';

/** What the arms of a bandit had earned, at one instant, by the number that events name. */
export interface BanditMeasurement {
  /** Counted from 1 over all bandits. 0: nothing was measured yet. */
  readonly number: number;
  /** By arm. One that is not there has earned nothing. */
  readonly arms: ReadonlyMap<string, ArmSums>;
}

export const nothingMeasured: BanditMeasurement = { number: 0, arms: new Map() };

/** The time from one measurement to the next, in which the probabilities of a bandit's arms stay the same. */
export interface BanditEpoch {
  readonly policy: string;
  readonly policyVersion: string;
  readonly measurement: number;
  /** Of every arm, in the order of the definition. They sum to 1 within 1e-12. */
  readonly propensities: readonly number[];
}

/** An arm as a bandit drew it for one request. */
export interface BanditDraw {
  readonly kind: 'drawn';
  readonly experiment: Experiment;
  readonly arm: Arm;
  readonly propensity: number;
  readonly epoch: BanditEpoch;
}

/**
 * The probabilities of a bandit's arms. Pure, and the policy draws by the measurement, not by the request: every replica
 * and every replay finds the same, bit for bit. While nothing is learnt, and where sums are none that rewards can lead
 * to, all arms are equal. Throws a RangeError for an experiment without a bandit.
 */
export function epochOf(
  { key, version, bandit, arms }: Experiment,
  { number, arms: earned }: BanditMeasurement,
): BanditEpoch {
  if (!bandit) throw new RangeError(`${key} has no bandit`);
  const policy = createArmPolicy(bandit.policy, { floor: bandit.floor, arms: arms.length });
  const sums = arms.map((arm): ArmSums => earned.get(arm.key) ?? { pulls: 0, reward: 0 });
  const isLearnt = sums.some(({ pulls }) => pulls > 0);
  const outcome = isLearnt ? policy.choose(sums, policyDraws(`${key}/${version}/${number}`, policy)) : undefined;
  return {
    policy: policy.name,
    policyVersion: policy.version,
    measurement: number,
    propensities: outcome?.propensities ?? arms.map(() => 1 / arms.length),
  };
}

/**
 * The arm of a request. Its draw has a seed of its own for each request and experiment, so that it is none of those of a
 * Score, whatever id that has. The same request gets the same arm for as long as the epoch lasts.
 */
export function drawArm(experiment: Experiment, epoch: BanditEpoch, requestId: string): BanditDraw {
  const { arms, seed } = experiment;
  const { propensities } = epoch;
  const index = pick(propensities, uniform(seedOf(`${requestId}/${seed}`), 0));
  const [arm, propensity] = [arms[index], propensities[index]];
  if (!arm || propensity === undefined) throw new RangeError(`an epoch of ${experiment.key} has no arm ${index}`);
  return { kind: 'drawn', experiment, arm, propensity, epoch };
}
