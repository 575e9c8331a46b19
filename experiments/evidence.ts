// What the gate is told of a policy, out of what was read of it. What nobody knows is left undefined, never 0.
import { rewardPerDecision } from './analysis/counters.ts';
import { alwaysValidInterval, analysisDefaults, type Interval } from './analysis/difference.ts';
import { type ArmSums, type ExperimentReport, reportOn } from './analysis/report.ts';
import { activeArm, canaryArm } from './canary.ts';
import type { ShadowEvaluation } from './evaluate-shadow.ts';
import type { Experiment } from './experiment.ts';
import type { Evidence, GroupEvidence } from './gate.ts';
import { doublyRobust } from './off-policy/estimators.ts';
import type { Report } from './off-policy/evaluate.ts';
import { type ShadowCounters, slowShadowMs, summariseShadow } from './shadow.ts';

/**
 * How people are grouped, by what they did before the policy came to where it is: then it cannot have moved anybody from
 * one group to another. Who did nothing is in the first of each.
 */
export const segments = {
  /** By tips shown in the 30 UTC days before. */
  activity: ['new', 'light', 'regular'],
  /** By integrations that were connected before, and have not changed since. */
  integrations: ['none', 'one', 'several'],
} as const;

/** By how many tips shown somebody is no longer in the group before. */
export const activityFrom = { light: 5, regular: 60 } as const;

export type Segment = keyof typeof segments;

/** The group of a person in each segment. */
export type Groups = { readonly [Each in Segment]: (typeof segments)[Each][number] };

/** Of somebody who did nothing. */
export const firstGroups: Groups = { activity: 'new', integrations: 'none' };

interface Group {
  readonly segment: Segment;
  readonly group: string;
}

const allGroups: readonly Group[] = [
  ...segments.activity.map((group) => ({ segment: 'activity', group }) as const),
  ...segments.integrations.map((group) => ({ segment: 'integrations', group }) as const),
];

const nameOf = ({ segment, group }: Group): string => `${segment} ${group}`;

/** What each group is called as a part of an evaluation. */
export function partsOf({ activity, integrations }: Groups): readonly string[] {
  return [nameOf({ segment: 'activity', group: activity }), nameOf({ segment: 'integrations', group: integrations })];
}

/** How a policy got on in the shadow. All 0: it never was there. */
export interface ShadowPeriod {
  readonly days: number;
  readonly counters: ShadowCounters;
}

export type Explanation = NonNullable<NonNullable<Evidence['shadow']>['divergenceExplained']>;

export function shadowOf(period: ShadowPeriod, divergenceExplained?: Explanation): Evidence['shadow'] {
  const summary = summariseShadow(period.counters);
  if (!summary) return undefined;
  const { decisions, agreement } = summary;
  return { decisions, days: period.days, agreement, ...(divergenceExplained && { divergenceExplained }) };
}

/** Every decision that a shadow was asked about was measured. */
export function shadowServing({ counters: { decisions, errors, slow } }: ShadowPeriod): Evidence['serving'] {
  const requests = decisions + errors;
  return requests === 0 ? undefined : { requests, slow, errors, limitMs: slowShadowMs };
}

/** What comes of a comparison, of whichever kind. */
export type Compared = Pick<Evidence, 'offPolicy' | 'groups' | 'sampleRatio'>;

/** Of a shadow beside the active policy, by the log of that one. Its parts are those of `partsOf`. */
export function comparedInShadow({ whole, parts }: Pick<ShadowEvaluation, 'whole' | 'parts'>): Compared {
  if (!whole) return { sampleRatio: 'no arms' };
  const { effectiveRows: effectiveDecisions, maxWeight, meanWeight } = whole.spread;
  return {
    offPolicy: { difference: gainOf(whole), effectiveDecisions, maxWeight, meanWeight },
    groups: allGroups.flatMap((group): readonly GroupEvidence[] => {
      const report = parts.get(nameOf(group));
      return report ? [{ ...group, users: report.spread.people, difference: gainOf(report) }] : [];
    }),
    sampleRatio: 'no arms',
  };
}

/** In thousandths. Undefined: too few people for an interval that is right in the limit, or no two of them differ. */
function gainOf({ estimates, spread: { people } }: Report): Interval | undefined {
  const gain = estimates.find(({ name }) => name === doublyRobust.name)?.gain;
  if (!gain || people < analysisDefaults.minUsersPerArm || !(gain.standardError > 0)) return undefined;
  return alwaysValidInterval(gain.value * 1000, gain.standardError * 1000, people, analysisDefaults);
}

/** What people did in an arm, of those in one group. */
export interface GroupSums extends Group {
  readonly sums: ArmSums;
}

export interface CanarySums {
  readonly found: readonly ArmSums[];
  readonly peopleInSeveralArms: number;
  readonly groups: readonly GroupSums[];
}

/** Of a canary beside the active policy: each has decided by itself, so no decision weighs more than another. */
export function comparedInCanary(experiment: Experiment, { groups, ...sums }: CanarySums): Compared {
  const report = reportOn(experiment, activeArm, undefined, sums);
  const { observed, pValue } = report.sampleRatio;
  const own = sumsIn(report, canaryArm);
  return {
    ...(observed > 0 && { sampleRatio: { observed, pValue } }),
    ...(own && {
      offPolicy: { difference: differenceIn(report), effectiveDecisions: Number(own.d), maxWeight: 1, meanWeight: 1 },
      groups: allGroups.flatMap((group): readonly GroupEvidence[] => {
        const found = groups.filter((each) => nameOf(each) === nameOf(group)).map(({ sums }) => sums);
        if (found.length === 0) return [];
        return [groupIn(reportOn(experiment, activeArm, undefined, { found, peopleInSeveralArms: 0 }), group)];
      }),
    }),
  };
}

function groupIn(report: ExperimentReport, { segment, group }: Group): GroupEvidence {
  const sizes = [activeArm, canaryArm].map((arm) => Number(sumsIn(report, arm)?.people ?? 0n));
  return { segment, group, users: Math.min(...sizes), difference: differenceIn(report) };
}

/** Undefined: nobody was in the arm. */
function sumsIn({ arms }: ExperimentReport, arm: string): ArmSums | undefined {
  const sums = arms.find((each) => each.arm === arm)?.sums;
  return sums && sums.people > 0n ? sums : undefined;
}

function differenceIn({ metrics }: ExperimentReport): Interval | undefined {
  const found = metrics.find(({ metric }) => metric === rewardPerDecision)?.analysis.comparisons;
  return found?.find(({ arm }) => arm === canaryArm)?.absolute?.alwaysValid;
}
