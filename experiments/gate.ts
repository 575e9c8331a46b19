// May a policy go on towards more people? Evidence in, a verdict out that a person can read. What is not known blocks.
import type { Interval } from './analysis/difference.ts';

export type Status = 'PASS' | 'FAIL' | 'INSUFFICIENT';

/** Rewards are in thousandths. A change of any number is a new version, as verdicts are kept. */
export interface GateLimits {
  readonly version: string;
  readonly minDecisions: number;
  /** A whole week at least, as people's weekends differ from their working days. */
  readonly minDays: number;
  /** Share of decisions, 0 to 1, with the same top tip as the active policy. */
  readonly minAgreement: number;
  /** A reward per decision that may be lost, at worst, against the active policy. */
  readonly harmMarginMilli: number;
  readonly minEffectiveDecisions: number;
  readonly maxWeight: number;
  /** How far the mean weight may be from 1. */
  readonly maxMeanWeightOff: number;
  readonly minSampleRatioObserved: number;
  readonly minSampleRatioP: number;
  /** By which people are grouped to see that no group is harmed. None: the verdict is INSUFFICIENT. */
  readonly segments: readonly string[];
  /** Smaller groups say little, and too much about those in them: they are named, without numbers. */
  readonly minGroupUsers: number;
  /** As `harmMarginMilli`, for each group. Wider, as groups are smaller. */
  readonly groupHarmMarginMilli: number;
  readonly minRequests: number;
  /**
   * Share of decisions, 0 to 1, that may be slow. At most 1 in 100 over a limit is a 99th percentile of at most that limit,
   * and two sums tell.
   */
  readonly maxSlowShare: number;
  /**
   * A decision about people is slow beyond this, from the arrival of the call: half of the 50 ms that a Score may take, as
   * it is yet to be logged and sent. Evidence that was measured against a longer time says nothing.
   */
  readonly slowDecisionMs: number;
  /** Share of decisions, 0 to 1. */
  readonly maxErrorRate: number;
}

export const gateLimits: GateLimits = {
  version: '1',
  minDecisions: 5000,
  minDays: 7,
  minAgreement: 0.75,
  harmMarginMilli: 20,
  minEffectiveDecisions: 1000,
  maxWeight: 100,
  maxMeanWeightOff: 0.1,
  minSampleRatioObserved: 1000,
  minSampleRatioP: 0.001,
  segments: ['activity', 'integrations'],
  minGroupUsers: 100,
  groupHarmMarginMilli: 50,
  minRequests: 1000,
  maxSlowShare: 0.01,
  slowDecisionMs: 25,
  maxErrorRate: 0.001,
};

/** What is known of a policy. Undefined, or a number that is none: not known. */
export interface Evidence {
  /** The policy and its version, as the rollout names them. */
  readonly subject: string;
  /** Number of the step that it has come to in the rollout. */
  readonly step: number;
  readonly shadow?:
    | {
        readonly decisions: number;
        readonly days: number;
        /** Share of decisions, 0 to 1, with the same top tip. */
        readonly agreement: number;
        /** Why the policy is meant to differ, and who says so. */
        readonly divergenceExplained?: { readonly by: string; readonly reason: string };
      }
    | undefined;
  /** From the log of the active policy, or once the policy serves people from the comparison with it. */
  readonly offPolicy?:
    | {
        /**
         * Reward per decision less that of the active policy, in thousandths. An always-valid interval if the gate is asked
         * more than once about growing evidence. Undefined: it cannot be said.
         */
        readonly difference: Interval | undefined;
        readonly effectiveDecisions: number;
        readonly maxWeight: number;
        readonly meanWeight: number;
      }
    | undefined;
  /**
   * Of the experiment that the evidence comes from. `no arms`: it comes from one log alone, in the shadow, and there was
   * nobody to share out.
   */
  readonly sampleRatio?: { readonly observed: number; readonly pValue: number } | 'no arms' | undefined;
  readonly groups?: readonly GroupEvidence[] | undefined;
  readonly serving?:
    | {
        /** Decisions whose time was measured. */
        readonly requests: number;
        /** Those of them that took longer than `limitMs`. */
        readonly slow: number;
        /** Decisions on which the policy failed. */
        readonly errors: number;
        readonly limitMs: number;
      }
    | undefined;
}

export interface GroupEvidence {
  readonly segment: string;
  readonly group: string;
  /** Of two arms, those in the smaller one. */
  readonly users: number;
  /** As in `offPolicy`, within the group. Undefined: it cannot be said. */
  readonly difference: Interval | undefined;
}

export interface CriterionVerdict {
  readonly criterion: string;
  readonly status: Status;
  /** What was found, by name; only finite numbers. */
  readonly numbers: Readonly<Record<string, number>>;
  readonly limit: number;
  readonly sentence: string;
}

export interface Verdict {
  readonly subject: string;
  /** Of the rollout that the evidence was of. */
  readonly step: number;
  readonly judgedAtMs: number;
  readonly limitsVersion: string;
  /** FAIL if any criterion failed, else INSUFFICIENT if any is, else PASS. */
  readonly status: Status;
  readonly criteria: readonly CriterionVerdict[];
}

export function judge(evidence: Evidence, judgedAtMs: number, limits: GateLimits = gateLimits): Verdict {
  const criteria = [
    ...shadowPeriod(evidence, limits),
    agreement(evidence, limits),
    ...harm(evidence, limits),
    sampleRatio(evidence, limits),
    ...limits.segments.map((segment) => fairness(segment, evidence, limits)),
    ...(limits.segments.length === 0 ? [noSegments] : []),
    ...serving(evidence, limits),
  ];
  const status = worstOf(criteria.map((criterion) => criterion.status));
  return {
    subject: evidence.subject,
    step: evidence.step,
    judgedAtMs,
    limitsVersion: limits.version,
    status,
    criteria,
  };
}

/** Criteria that measure what a policy does to those it decides about, rather than how much is known of it. */
const ofPeople = /^(reward|latency|errors|fairness\..+)$/;

/** What a verdict finds to be harm. Of a policy that serves people: a reason to take it away from them at once. */
export function harmsOf({ criteria }: Verdict): readonly CriterionVerdict[] {
  return criteria.filter(({ criterion, status }) => status === 'FAIL' && ofPeople.test(criterion));
}

const worstOf = (statuses: readonly Status[]): Status =>
  (['FAIL', 'INSUFFICIENT'] as const).find((status) => statuses.includes(status)) ?? 'PASS';

function shadowPeriod({ shadow }: Evidence, { minDecisions, minDays }: GateLimits): readonly CriterionVerdict[] {
  const { decisions = Number.NaN, days = Number.NaN } = shadow ?? {};
  return [
    criterion('shadow_decisions', { decisions }, minDecisions, enough(decisions, minDecisions), {
      PASS: `${decisions} decisions were compared in the shadow.`,
      INSUFFICIENT: `Decisions compared in the shadow: ${known(decisions)}; ${minDecisions} are needed.`,
    }),
    criterion('shadow_days', { days }, minDays, enough(days, minDays), {
      PASS: `The policy was in the shadow for ${known(days)} days.`,
      INSUFFICIENT: `Days in the shadow: ${known(days)}; ${minDays} are needed.`,
    }),
  ];
}

function agreement({ shadow }: Evidence, { minAgreement, minDecisions }: GateLimits): CriterionVerdict {
  const { agreement = Number.NaN, decisions = Number.NaN, divergenceExplained } = shadow ?? {};
  const { by = '', reason = '' } = divergenceExplained ?? {};
  const explained = by.trim() !== '' && reason.trim() !== '';
  const found = `The top tip was that of the active policy in ${percent(agreement)} of decisions`;
  const status = !(enough(decisions, minDecisions) === 'PASS' && agreement >= 0 && agreement <= 1)
    ? 'INSUFFICIENT'
    : agreement >= minAgreement || explained
      ? 'PASS'
      : 'FAIL';
  return criterion('agreement', { agreement }, minAgreement, status, {
    PASS: agreement >= minAgreement ? `${found}.` : `${found}. That is meant to be, says ${by}: ${reason}`,
    FAIL: `${found}, under ${percent(minAgreement)}, and nobody has explained why.`,
    INSUFFICIENT: `How often the top tip is that of the active policy is not known from enough decisions.`,
  });
}

function harm({ offPolicy }: Evidence, limits: GateLimits): readonly CriterionVerdict[] {
  const { harmMarginMilli, minEffectiveDecisions, maxWeight, maxMeanWeightOff } = limits;
  const { difference, effectiveDecisions = Number.NaN, meanWeight = Number.NaN } = offPolicy ?? {};
  const heaviest = offPolicy?.maxWeight ?? Number.NaN;
  const isEnough = enough(effectiveDecisions, minEffectiveDecisions);
  // with few effective decisions a mean weight far from 1 may be chance; with many it is an error in the propensities
  const meanOff = within(Math.abs(meanWeight - 1), maxMeanWeightOff);
  const meanStatus = meanOff === 'FAIL' && isEnough !== 'PASS' ? 'INSUFFICIENT' : meanOff;
  return [
    criterion('reward', numbersOf(difference), -harmMarginMilli, noHarm(difference, harmMarginMilli), {
      PASS: `At worst ${milli(difference?.lower)} of reward per decision against the active policy: no loss of more than ${milli(harmMarginMilli)}.`,
      FAIL: `At best ${milli(difference?.upper)} of reward per decision against the active policy: worse by more than ${milli(harmMarginMilli)}.`,
      INSUFFICIENT: `A loss of more than ${milli(harmMarginMilli)} of reward per decision cannot be excluded: the difference to the active policy is between ${milli(difference?.lower)} and ${milli(difference?.upper)}.`,
    }),
    criterion('effective_decisions', { effectiveDecisions }, minEffectiveDecisions, isEnough, {
      PASS: `The estimate is worth ${Math.floor(effectiveDecisions)} decisions of the policy's own.`,
      INSUFFICIENT: `Decisions of the policy's own that the estimate is worth: ${known(Math.floor(effectiveDecisions))}; ${minEffectiveDecisions} are needed.`,
    }),
    criterion('max_weight', { maxWeight: heaviest }, maxWeight, within(heaviest, maxWeight), {
      PASS: `No decision weighs more than ${known(heaviest)}.`,
      FAIL: `One decision weighs ${known(heaviest)}, more than ${maxWeight}: the estimate may hang on it.`,
      INSUFFICIENT: 'How much the heaviest decision weighs is not known.',
    }),
    criterion('mean_weight', { meanWeight }, maxMeanWeightOff, meanStatus, {
      PASS: `The mean weight is ${known(meanWeight)}, close enough to 1.`,
      FAIL: `The mean weight is ${known(meanWeight)}, further from 1 than ${maxMeanWeightOff}: logged propensities are wrong, or the policy shows what the active one never does.`,
      INSUFFICIENT: `The mean weight is ${known(meanWeight)}, from too few effective decisions to tell.`,
    }),
  ];
}

function sampleRatio({ sampleRatio: found }: Evidence, limits: GateLimits): CriterionVerdict {
  const { minSampleRatioP: limit, minSampleRatioObserved: least } = limits;
  if (found === 'no arms')
    return criterion('sample_ratio', {}, limit, 'PASS', {
      PASS: 'The evidence comes from one log alone, in the shadow: there were no arms to share people out between.',
    });
  const { observed = Number.NaN, pValue = Number.NaN } = found ?? {};
  // few people are no excuse for an alarm: that much is off already
  const status = pValue < limit ? 'FAIL' : worstOf([enough(pValue, limit), enough(observed, least)]);
  return criterion('sample_ratio', { observed, pValue }, limit, status, {
    PASS: `The arms got the share that their weights say (p = ${known(pValue)}).`,
    FAIL: `The arms did not get the share that their weights say (p = ${known(pValue)}): no comparison can be trusted.`,
    INSUFFICIENT: `Shared out between the arms: ${known(observed)}; ${least} are needed to see whether their weights were kept.`,
  });
}

const noSegments = criterion('fairness', {}, 0, 'INSUFFICIENT', {
  INSUFFICIENT: 'No segments are declared, so nothing says that no group of people is harmed.',
});

/**
 * Every group that is large enough must exclude harm by itself. That is an intersection-union test, so its level holds
 * without a correction for the number of groups (Berger, Technometrics 24, 1982).
 */
function fairness(segment: string, { groups = [] }: Evidence, limits: GateLimits): CriterionVerdict {
  const { minGroupUsers, groupHarmMarginMilli: margin } = limits;
  const own = groups.filter((group) => group.segment === segment);
  const large = own.filter(({ users }) => users >= minGroupUsers);
  const small = own.filter((group) => !large.includes(group)).map(({ group }) => group);
  const judged = large.map(({ group, difference }) => ({ group, difference, status: noHarm(difference, margin) }));
  const status = judged.length === 0 ? 'INSUFFICIENT' : worstOf(judged.map((group) => group.status));
  const names = (of: Status) => judged.filter((group) => group.status === of).map(({ group }) => group);
  const suppressed =
    small.length === 0 ? '' : ` Not shown, with fewer than ${minGroupUsers} people: ${small.join(', ')}.`;
  const numbers = judged.flatMap(({ group, difference }) =>
    Object.entries(numbersOf(difference)).map(([end, value]) => [`${group}.${end}`, value] as const),
  );
  return criterion(`fairness.${segment}`, Object.fromEntries(numbers), -margin, status, {
    PASS: `By ${segment}, no group loses more than ${milli(margin)} of reward per decision.${suppressed}`,
    FAIL: `By ${segment}, these lose more than ${milli(margin)} of reward per decision: ${names('FAIL').join(', ')}.${suppressed}`,
    INSUFFICIENT:
      judged.length === 0
        ? `By ${segment}, no group is large enough to say anything.${suppressed}`
        : `By ${segment}, a loss of more than ${milli(margin)} of reward per decision cannot be excluded for: ${names('INSUFFICIENT').join(', ')}.${suppressed}`,
  });
}

function serving({ serving: found }: Evidence, limits: GateLimits): readonly CriterionVerdict[] {
  const { requests = Number.NaN, slow = Number.NaN, errors = Number.NaN, limitMs = Number.NaN } = found ?? {};
  const { minRequests, maxSlowShare, slowDecisionMs, maxErrorRate } = limits;
  const [slowShare, errorRate] = [slow / requests, errors / requests];
  const few = `decisions measured: ${known(requests)}; ${minRequests} are needed.`;
  const isTimed = limitMs > 0 && limitMs <= slowDecisionMs;
  const lenient = `they were measured against ${known(limitMs)} ms, and ${slowDecisionMs} ms are allowed.`;
  const measured = (value: number, limit: number): Status =>
    enough(requests, minRequests) === 'PASS' ? within(value, limit) : 'INSUFFICIENT';
  return [
    criterion(
      'latency',
      { slowShare, limitMs, requests },
      maxSlowShare,
      isTimed ? measured(slowShare, maxSlowShare) : 'INSUFFICIENT',
      {
        PASS: `${percent(slowShare)} of decisions took longer than ${known(limitMs)} ms.`,
        FAIL: `${percent(slowShare)} of decisions took longer than ${known(limitMs)} ms; ${percent(maxSlowShare)} may.`,
        INSUFFICIENT: `How long decisions take is not known; ${limitMs > slowDecisionMs ? lenient : few}`,
      },
    ),
    criterion('errors', { errorRate, requests }, maxErrorRate, measured(errorRate, maxErrorRate), {
      PASS: `The policy failed on ${percent(errorRate)} of decisions.`,
      FAIL: `The policy failed on ${percent(errorRate)} of decisions; ${percent(maxErrorRate)} are allowed.`,
      INSUFFICIENT: `How often the policy fails is not known; ${few}`,
    }),
  ];
}

// A comparison with NaN is false: each of these must find that all is well to say so, and never the reverse.

const enough = (value: number, least: number): Status =>
  Number.isFinite(value) && value >= least ? 'PASS' : 'INSUFFICIENT';

/** Of what cannot be below 0. */
function within(value: number, most: number): Status {
  if (!(value >= 0)) return 'INSUFFICIENT';
  return value <= most ? 'PASS' : 'FAIL';
}

/** Whether an interval of differences lies above -margin, below it, or on both sides. */
function noHarm(difference: Interval | undefined, margin: number): Status {
  if (!difference || !Number.isFinite(difference.upper - difference.lower)) return 'INSUFFICIENT';
  if (difference.lower > difference.upper) return 'INSUFFICIENT';
  if (difference.lower > -margin) return 'PASS';
  return difference.upper < -margin ? 'FAIL' : 'INSUFFICIENT';
}

function criterion(
  name: string,
  numbers: Readonly<Record<string, number>>,
  limit: number,
  status: Status,
  sentences: Readonly<Partial<Record<Status, string>>>,
): CriterionVerdict {
  const finite = Object.entries(numbers).filter(([, value]) => Number.isFinite(value));
  return { criterion: name, status, numbers: Object.fromEntries(finite), limit, sentence: sentences[status] ?? '' };
}

const numbersOf = (interval: Interval | undefined): Readonly<Record<string, number>> =>
  interval ? { lower: interval.lower, upper: interval.upper } : {};

/** For a sentence; the verdict's numbers keep all digits. */
function known(value: number): string {
  if (!Number.isFinite(value)) return 'unknown';
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(4)));
}
const percent = (share: number): string => `${Number((100 * share).toFixed(2))} %`;
const milli = (value = Number.NaN): string =>
  Number.isFinite(value) ? String(Number((value / 1000).toFixed(4))) : '?';
