// How arms differ, from their moments. People are what was randomised, so all variances are between people: a mean per
// decision is a ratio of two sums over people, and its variance comes from the delta method (Deng, Knoblich, Lu:
// Applying the Delta Method in Metric Analytics, KDD 2018). With one count per person this is Welch's test.
import type { Moments } from './counters.ts';
import { studentQuantile } from './distributions.ts';

export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** In the unit of the metric. Undefined: it cannot be said, for want of people or of any difference between them. */
export interface ArmResult {
  readonly arm: string;
  readonly users: number;
  /** What the mean is taken over, for example decisions. */
  readonly count: number;
  readonly mean: number | undefined;
  /** For one look, at a size that was set beforehand. */
  readonly interval: Interval | undefined;
}

/** An arm less the control. */
export interface Difference {
  readonly value: number;
  readonly standardError: number;
  /** For one look, at a size that was set beforehand. */
  readonly fixed: Interval;
  /** Holds for any number of looks, so whoever stops at what they see is still right. Undefined: too few people. */
  readonly alwaysValid: Interval | undefined;
}

export interface Adjusted extends Difference {
  /** How much of a difference before the experiment is taken off. */
  readonly theta: number;
  /** By how much the variance has shrunk, 0 to 1. */
  readonly varianceCut: number;
}

export type Direction = 'better' | 'worse' | 'unclear';

export interface Comparison {
  readonly arm: string;
  readonly absolute: Difference | undefined;
  /** In parts of the control's mean. Undefined also where that may be 0. */
  readonly relative: Difference | undefined;
  /**
   * The absolute difference, less what the same people already differed by. Undefined: too little is known from before, or
   * nothing that tells people apart.
   */
  readonly adjusted: Adjusted | undefined;
  /** What the always-valid interval says, of the adjusted difference where there is one. */
  readonly direction: Direction;
}

export interface AnalysisOptions {
  readonly better: 'higher' | 'lower';
  /** The share of experiments in which an interval misses the truth. With several arms to compare, divide it by them. */
  readonly alpha: number;
  /** Number of people at which the always-valid interval is about as tight as it gets. Set it beforehand. */
  readonly tightestAtUsers: number;
  /** The always-valid interval is asymptotic: with fewer people than this in one of the arms there is none. */
  readonly minUsersPerArm: number;
  /**
   * The mean before must be that of this many people of like weight, in each arm: (Σm)²/Σm² (Kish 1965). That of one or two
   * shows too little variance, and intervals would be too short.
   */
  readonly minUsersBefore: number;
}

export const analysisDefaults: AnalysisOptions = {
  better: 'higher',
  alpha: 0.05,
  tightestAtUsers: 5000,
  minUsersPerArm: 100,
  minUsersBefore: 10,
};

export interface Analysis {
  readonly arms: readonly ArmResult[];
  /** Every other arm with the control. */
  readonly comparisons: readonly Comparison[];
}

export function analyse(
  arms: ReadonlyMap<string, Moments>,
  control: string,
  options: Partial<AnalysisOptions> = {},
): Analysis {
  const settings = { ...analysisDefaults, ...options };
  const base = arms.get(control);
  if (!base) throw new RangeError(`no arm ${control} to compare with`);
  const others = [...arms].filter(([arm]) => arm !== control);
  return {
    arms: [...arms].map(([arm, moments]) => armResult(arm, moments, settings)),
    comparisons: others.map(([arm, moments]) => compare(arm, moments, base, settings)),
  };
}

/** Where an interval of differences lies. An end at 0 decides nothing. */
export function directionOf(interval: Interval | undefined, better: 'higher' | 'lower'): Direction {
  if (interval === undefined) return 'unclear';
  if (interval.lower > 0) return better === 'higher' ? 'better' : 'worse';
  if (interval.upper < 0) return better === 'higher' ? 'worse' : 'better';
  return 'unclear';
}

/** A mean over an arm, and the variance of that mean. */
interface Mean {
  readonly users: number;
  readonly value: number;
  readonly variance: number;
}

function armResult(arm: string, moments: Moments, { alpha }: AnalysisOptions): ArmResult {
  const mean = meanOf(moments);
  return {
    arm,
    users: Number(moments.users),
    count: Number(moments.n),
    mean: moments.n > 0n ? quotient(moments.s, moments.n) : undefined,
    interval: mean && mean.variance > 0 ? around(mean.value, halfWidth(mean, alpha)) : undefined,
  };
}

const halfWidth = ({ users, variance }: Mean, alpha: number) =>
  studentQuantile(1 - alpha / 2, users - 1) * Math.sqrt(variance);

function compare(arm: string, moments: Moments, base: Moments, options: AnalysisOptions): Comparison {
  const [treated, control] = [meanOf(moments), meanOf(base)];
  const absolute = treated && control && differenceOf(treated, control, options);
  const adjusted = absolute && adjust(absolute, moments, base, options);
  return {
    arm,
    absolute,
    relative: treated && control && relativeDifference(treated, control, options),
    adjusted,
    direction: directionOf((adjusted ?? absolute)?.alwaysValid, options.better),
  };
}

/** Total by count over all, undefined with fewer than two people or nothing to count. */
function meanOf({ users, s, n, ss, sn, nn }: Moments): Mean | undefined {
  if (users < 2n || n <= 0n) return undefined;
  return {
    users: Number(users),
    value: quotient(s, n),
    variance: covariance(users, [s, n], [s, n], [ss, sn, sn, nn]),
  };
}

function meanBefore({ users, p, m, pp, pm, mm }: Moments, minUsersBefore: number): Mean | undefined {
  if (users < 2n || m <= 0n || quotient(m * m, mm) < minUsersBefore) return undefined;
  return {
    users: Number(users),
    value: quotient(p, m),
    variance: covariance(users, [p, m], [p, m], [pp, pm, pm, mm]),
  };
}

/**
 * Covariance of the ratios S/N and P/M: U/(U−1) · Σ(s − n·S/N)(p − m·P/M) / (N·M), where `products` are the sums
 * [sp, sm, np, nm]. In whole numbers to the last division, so nothing cancels and no order of adding shows.
 */
function covariance(
  users: bigint,
  [S, N]: readonly [bigint, bigint],
  [P, M]: readonly [bigint, bigint],
  [sp, sm, np, nm]: readonly [bigint, bigint, bigint, bigint],
): number {
  const residuals = sp * N * M - P * sm * N - S * np * M + S * P * nm;
  return quotient(users * residuals, (users - 1n) * N * N * M * M);
}

const quotient = (a: bigint, b: bigint): number => Number(a) / Number(b);

/** Undefined where everybody is the same: that is too little to tell how far off the difference may be. */
function differenceOf(treated: Mean, control: Mean, options: AnalysisOptions): Difference | undefined {
  const variance = treated.variance + control.variance;
  return variance > 0 ? withIntervals(treated.value - control.value, treated, control, variance, options) : undefined;
}

/**
 * (m₂ − m₁)/|m₁| with variance v₂/m₁² + v₁·m₂²/m₁⁴ by the delta method. Where the control's own interval reaches 0 the
 * quotient has no bounds (Fieller 1954).
 */
function relativeDifference(treated: Mean, control: Mean, options: AnalysisOptions): Difference | undefined {
  const scale = Math.abs(control.value);
  if (!(scale > halfWidth(control, options.alpha))) return undefined;
  const parts: readonly [Mean, Mean] = [
    { ...treated, variance: treated.variance / scale ** 2 },
    { ...control, variance: (control.variance * treated.value ** 2) / scale ** 4 },
  ];
  const variance = parts[0].variance + parts[1].variance;
  return variance > 0 ? withIntervals((treated.value - control.value) / scale, ...parts, variance, options) : undefined;
}

/**
 * CUPED (Deng, Xu, Kohavi, Walker, WSDM 2013): the difference less θ times the difference before. θ is Σcov/Σvar over the
 * two arms, which makes the variance smallest. What was before cannot have been moved by the arm, so whatever θ is, the
 * expected difference stays the same.
 */
function adjust(absolute: Difference, moments: Moments, base: Moments, options: AnalysisOptions): Adjusted | undefined {
  const arms = [moments, base].map((arm) => {
    const [mean, before] = [meanOf(arm), meanBefore(arm, options.minUsersBefore)];
    const { users, s, n, p, m, sp, sm, np, nm } = arm;
    return mean && before && { mean, before, shared: covariance(users, [s, n], [p, m], [sp, sm, np, nm]) };
  });
  const [treated, control] = arms;
  if (!treated || !control) return undefined;
  const varianceBefore = treated.before.variance + control.before.variance;
  if (!(varianceBefore > 0)) return undefined;
  const theta = (treated.shared + control.shared) / varianceBefore;
  const adjusted = ({ mean, before, shared }: typeof treated): Mean => ({
    users: mean.users,
    value: mean.value - theta * before.value,
    variance: Math.max(0, mean.variance + theta ** 2 * before.variance - 2 * theta * shared),
  });
  const difference = differenceOf(adjusted(treated), adjusted(control), options);
  if (!difference) return undefined;
  const varianceCut = Math.max(0, 1 - (difference.standardError / absolute.standardError) ** 2); // but for rounding
  return { ...difference, theta, varianceCut };
}

function withIntervals(
  value: number,
  treated: Mean,
  control: Mean,
  variance: number,
  { alpha, tightestAtUsers, minUsersPerArm }: AnalysisOptions,
): Difference {
  const standardError = Math.sqrt(variance);
  // degrees of freedom after Welch 1947 and Satterthwaite 1946
  const df =
    variance ** 2 / (treated.variance ** 2 / (treated.users - 1) + control.variance ** 2 / (control.users - 1));
  const enough = Math.min(treated.users, control.users) >= minUsersPerArm;
  return {
    value,
    standardError,
    fixed: around(value, studentQuantile(1 - alpha / 2, df) * standardError),
    alwaysValid: enough
      ? alwaysValidInterval(value, standardError, treated.users + control.users, { alpha, tightestAtUsers })
      : undefined,
  };
}

/**
 * Standard errors to either side that hold at all sizes at once: an asymptotic confidence sequence (Waudby-Smith, Arbour,
 * Sinha, Kennedy, Ramdas: Time-uniform central limit theory, arXiv 2103.06476). There it is σ·√(2(nρ²+1)·ln(√(nρ²+1)/α))
 * / (nρ) with σ² = n·se², and ρ² = (−2·ln α + ln(−2·ln α + 1))/N makes it tightest near n = N.
 */
export function alwaysValidFactor(users: number, alpha: number, tightestAtUsers: number): number {
  const loss = -2 * Math.log(alpha);
  const k = (users * (loss + Math.log(loss + 1))) / tightestAtUsers; // nρ²
  return Math.sqrt(2 * (1 + 1 / k) * Math.log(Math.sqrt(k + 1) / alpha));
}

/** Around an estimate with a standard error between people, of whom there are `users` in all. */
export function alwaysValidInterval(
  value: number,
  standardError: number,
  users: number,
  { alpha, tightestAtUsers }: Pick<AnalysisOptions, 'alpha' | 'tightestAtUsers'>,
): Interval {
  return around(value, standardError * alwaysValidFactor(users, alpha, tightestAtUsers));
}

const around = (value: number, half: number): Interval => ({ lower: value - half, upper: value + half });
