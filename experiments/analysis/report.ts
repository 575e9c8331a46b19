import { bucketsOf, keptRangesOf } from '../assignment.ts';
import { type BanditEpoch, epochOf, nothingMeasured } from '../bandit.ts';
import type { DrawnRequests, TakenMeasurement } from '../bandit-store.ts';
import type { Experiment } from '../experiment.ts';
import { type Metric, type Moments, rewardPerDecision, rewardPerUser } from './counters.ts';
import { type Analysis, analyse, analysisDefaults } from './difference.ts';
import type { Period } from './period-before.ts';
import { type Epoch, type SampleRatio, sampleRatio } from './sample-ratio.ts';

/**
 * Sums over the people who are in one arm only: r is reward in thousandths, d decisions, p and m the same in the period
 * before, two letters a product.
 */
export interface ArmSums {
  readonly arm: string;
  readonly people: bigint;
  readonly d: bigint;
  readonly rewards: bigint;
  readonly r: bigint;
  readonly rr: bigint;
  readonly rd: bigint;
  readonly dd: bigint;
  readonly p: bigint;
  readonly m: bigint;
  readonly rp: bigint;
  readonly rm: bigint;
  readonly dp: bigint;
  readonly dm: bigint;
  readonly pp: bigint;
  readonly pm: bigint;
  readonly mm: bigint;
}

export interface ArmReport {
  readonly arm: string;
  /** Of the people, that it should have. */
  readonly share: number;
  readonly sums: ArmSums;
}

export interface ExperimentReport {
  readonly experiment: Experiment;
  readonly control: string;
  /** What the differences are adjusted by. Undefined: the experiment never ran. */
  readonly before: Period | undefined;
  readonly arms: readonly ArmReport[];
  readonly peopleInSeveralArms: number;
  readonly sampleRatio: SampleRatio;
  readonly metrics: readonly { readonly metric: Metric; readonly analysis: Analysis }[];
  /** What its bandit has learnt. Undefined: it has none. */
  readonly bandit: BanditReport | undefined;
}

/** Of all people, while the rest of the report is of those who keep an arm. */
export interface BanditReport {
  readonly epoch: BanditEpoch;
  /** When it was measured. Undefined: nothing is. */
  readonly measuredAtMs: number | undefined;
  /** In the order of the definition. */
  readonly arms: readonly {
    readonly arm: string;
    readonly promptVersion: string;
    readonly probability: number;
    readonly requests: number;
    readonly people: number;
    readonly tips: number;
    readonly rewardMilli: number;
  }[];
}

/** What is known of a bandit. */
export interface BanditLog {
  readonly newest: TakenMeasurement | undefined;
  readonly drawn: readonly DrawnRequests[];
}

/**
 * How the arms of an experiment differ from the control, an arm of it. The share of errors is shared among the comparisons.
 * Whoever is found in an arm that the definition does not have came by mistake, and raises the alarm of the ratio.
 */
export function reportOn(
  experiment: Experiment,
  control: string,
  before: Period | undefined,
  { found, peopleInSeveralArms }: { readonly found: readonly ArmSums[]; readonly peopleInSeveralArms: number },
  log?: BanditLog,
): ExperimentReport {
  const { arms: defined, hashVersion } = experiment;
  const drawn = keptRangesOf(experiment).map((range) => bucketsOf(range, hashVersion));
  const all = drawn.reduce((sum, buckets) => sum + buckets, 0);
  const others = found.filter(({ arm }) => !defined.some(({ key }) => key === arm));
  const arms = [
    ...defined.map(({ key }, i) => ({
      arm: key,
      share: all === 0 ? 0 : (drawn[i] ?? 0) / all,
      sums: found.find(({ arm }) => arm === key) ?? noSums(key),
    })),
    ...others.map((sums) => ({ arm: sums.arm, share: 0, sums })),
  ];
  const alpha = analysisDefaults.alpha / (arms.length - 1);
  const analysed = (metric: Metric, momentsOf: (sums: ArmSums) => Moments) => {
    const moments = new Map(arms.map(({ arm, sums }) => [arm, momentsOf(sums)]));
    return { metric, analysis: analyse(moments, control, { alpha, better: metric.better }) };
  };
  return {
    experiment,
    control,
    before,
    arms,
    peopleInSeveralArms,
    sampleRatio: sampleRatio([
      { arms: arms.map(({ share, sums }) => ({ weight: share, observed: Number(sums.people) })) },
      ...(log?.drawn ?? []).slice(-epochsMax).map((each) => epochDrawn(experiment, each)),
    ]),
    metrics: [analysed(rewardPerDecision, perDecision), analysed(rewardPerUser, perPerson)],
    bandit: log && banditReport(experiment, log),
  };
}

/** Each takes a few milliseconds to work out. Half a day of a bandit of which something changes all the time. */
const epochsMax = 72;

/** A bandit's probabilities move with what it learns, so requests are compared with those they were drawn by. */
function epochDrawn(experiment: Experiment, { measurement, requests }: DrawnRequests): Epoch {
  const { propensities } = epochOf(experiment, measurement);
  return {
    arms: experiment.arms.map(({ key }, i) => ({ weight: propensities[i] ?? 0, observed: requests.get(key) ?? 0 })),
  };
}

function banditReport(experiment: Experiment, { newest, drawn }: BanditLog): BanditReport {
  const epoch = epochOf(experiment, newest ?? nothingMeasured);
  const arms = experiment.arms.map(({ key, promptVersion = '' }, i) => {
    const sums = newest?.arms.get(key);
    return {
      arm: key,
      promptVersion,
      probability: epoch.propensities[i] ?? 0,
      requests: drawn.reduce((sum, { requests }) => sum + (requests.get(key) ?? 0), 0),
      people: newest?.people.get(key) ?? 0,
      tips: sums?.pulls ?? 0,
      rewardMilli: sums?.reward ?? 0,
    };
  });
  return { epoch, measuredAtMs: newest?.atMs, arms };
}

const noSums = (arm: string): ArmSums => ({
  ...{ arm, people: 0n, d: 0n, rewards: 0n, r: 0n, rr: 0n, rd: 0n, dd: 0n },
  ...{ p: 0n, m: 0n, rp: 0n, rm: 0n, dp: 0n, dm: 0n, pp: 0n, pm: 0n, mm: 0n },
});

/** What `momentsByArm` makes of the people one by one. */
const perDecision = ({ people, d, r, rr, rd, dd, p, m, rp, rm, dp, dm, pp, pm, mm }: ArmSums): Moments => ({
  ...{ users: people, s: r, n: d, ss: rr, sn: rd, nn: dd },
  ...{ p, m, sp: rp, sm: rm, np: dp, nm: dm, pp, pm, mm },
});

const perPerson = ({ people, r, rr, p, rp, pp }: ArmSums): Moments => ({
  ...{ users: people, s: r, n: people, ss: rr, sn: r, nn: people },
  ...{ p, m: people, sp: rp, sm: r, np: p, nm: people, pp, pm: p, mm: people },
});
