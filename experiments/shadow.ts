// A policy in the shadow decides nothing: it is asked afterwards what it would have done, for the same vectors. What it
// would have earned is told by the weights, with the rewards of what was shown (off-policy evaluation).

/** What a logged decision and a shadow policy say of the same candidates, in the same order. */
export interface ShadowedDecision {
  /** As logged: the distribution that the tip was drawn from. */
  readonly propensities: readonly number[];
  /** Index of the tip that was shown. */
  readonly chosen: number;
  readonly shadow: readonly number[];
}

export interface ShadowComparison {
  /** The chance that both have the same top tip, where ties are broken by lot: 0 or 1 where there are none. */
  readonly agreement: number;
  /** Total variation distance of the two distributions: 0 the same, 1 nothing in common. */
  readonly divergence: number;
  /** The shadow's probability of the tip that was shown. */
  readonly massOnChosen: number;
  /** The shadow's probability of tips that could not have been shown, so that the log says nothing of them. */
  readonly unsupported: number;
  /** How much the decision counts when the shadow's value is estimated: mass on the chosen tip / its propensity. */
  readonly weight: number;
}

export function compareShadow({ propensities, chosen, shadow }: ShadowedDecision): ShadowComparison {
  const propensity = propensities[chosen] ?? 0;
  if (shadow.length !== propensities.length || !(propensity > 0))
    throw new RangeError(
      `no logged decision: ${shadow.length} of ${propensities.length} with propensity ${propensity}`,
    );
  const [ours, theirs] = [topOf(propensities), topOf(shadow)];
  const massOnChosen = shadow[chosen] ?? 0;
  return {
    agreement: ours.filter((index) => theirs.includes(index)).length / (ours.length * theirs.length),
    divergence: shadow.reduce((total, p, i) => total + Math.abs(p - (propensities[i] ?? 0)), 0) / 2,
    massOnChosen,
    unsupported: shadow.reduce((total, p, i) => total + (propensities[i] === 0 ? p : 0), 0),
    weight: massOnChosen / propensity,
  };
}

function topOf(probabilities: readonly number[]): readonly number[] {
  const best = Math.max(...probabilities);
  return probabilities.flatMap((probability, index) => (probability === best ? [index] : []));
}

/** Larger weights count as this one. Far above what the gate lets pass, and small enough for exact sums. */
export const weightCap = 1000;

/** Why a decision says nothing of a shadow. */
export type Skip =
  /** Its vectors are of another encoding. */
  | 'vectors'
  /** What policies had learnt by then was not logged, or is lost. */
  | 'statistics'
  /** Its logged probabilities are none, or do not allow for what was shown. */
  | 'propensities';

/**
 * Sums over decisions, but for one maximum, which merge in any order to the same bits: all are whole numbers. Millionths,
 * but thousandths of squared weights, so that nine million decisions of the largest weight stay below 2⁵³.
 */
export interface ShadowCounters {
  /** Those that were compared; errors and skipped ones come beside them. */
  readonly decisions: number;
  readonly agreementMicro: number;
  readonly divergenceMicro: number;
  readonly massOnChosenMicro: number;
  readonly unsupportedMicro: number;
  readonly weightMicro: number;
  readonly weightSquaredMilli: number;
  readonly weightMaxMicro: number;
  /** Decisions on which the shadow failed. */
  readonly errors: number;
  readonly skippedVectors: number;
  readonly skippedStatistics: number;
  readonly skippedPropensities: number;
  /** CPU time of the shadow alone, failures included. Measured, as is `slow`, where everything else follows from the log. */
  readonly cpuMicros: number;
  /** Decisions, failures included, on which the shadow took longer than `slowShadowMs`. */
  readonly slow: number;
}

/**
 * CPU time, in milliseconds, beyond which a shadow is slow: a tenth of what a whole Score may take, as the policy is but
 * one part of it. What stands was counted by it: with another one, begin anew.
 */
export const slowShadowMs = 5;

export const noShadow: ShadowCounters = {
  decisions: 0,
  agreementMicro: 0,
  divergenceMicro: 0,
  massOnChosenMicro: 0,
  unsupportedMicro: 0,
  weightMicro: 0,
  weightSquaredMilli: 0,
  weightMaxMicro: 0,
  errors: 0,
  skippedVectors: 0,
  skippedStatistics: 0,
  skippedPropensities: 0,
  cpuMicros: 0,
  slow: 0,
};

/** What nobody can tell from the log. */
export const measuredCounters = ['cpuMicros', 'slow'] as const satisfies readonly (keyof ShadowCounters)[];

/** What the time that one decision took adds, beside what the decision says. Zero for one that was skipped. */
export function shadowTime(cpuMicros: number): Pick<ShadowCounters, (typeof measuredCounters)[number]> {
  return { cpuMicros, slow: cpuMicros > slowShadowMs * 1000 ? 1 : 0 };
}

export const oneError: ShadowCounters = { ...noShadow, errors: 1 };

export const oneSkipped: Readonly<Record<Skip, ShadowCounters>> = {
  vectors: { ...noShadow, skippedVectors: 1 },
  statistics: { ...noShadow, skippedStatistics: 1 },
  propensities: { ...noShadow, skippedPropensities: 1 },
};

/** What one decision adds. */
export function shadowCounters(comparison: ShadowComparison): ShadowCounters {
  const micro = (value: number) => Math.round(value * 1e6);
  const weight = Math.min(comparison.weight, weightCap);
  return {
    ...noShadow,
    decisions: 1,
    agreementMicro: micro(comparison.agreement),
    divergenceMicro: micro(comparison.divergence),
    massOnChosenMicro: micro(comparison.massOnChosen),
    unsupportedMicro: micro(comparison.unsupported),
    weightMicro: micro(weight),
    weightSquaredMilli: Math.round(weight * weight * 1e3),
    weightMaxMicro: micro(weight),
  };
}

export function addShadow(a: ShadowCounters, b: ShadowCounters): ShadowCounters {
  return {
    decisions: a.decisions + b.decisions,
    agreementMicro: a.agreementMicro + b.agreementMicro,
    divergenceMicro: a.divergenceMicro + b.divergenceMicro,
    massOnChosenMicro: a.massOnChosenMicro + b.massOnChosenMicro,
    unsupportedMicro: a.unsupportedMicro + b.unsupportedMicro,
    weightMicro: a.weightMicro + b.weightMicro,
    weightSquaredMilli: a.weightSquaredMilli + b.weightSquaredMilli,
    weightMaxMicro: Math.max(a.weightMaxMicro, b.weightMaxMicro),
    errors: a.errors + b.errors,
    skippedVectors: a.skippedVectors + b.skippedVectors,
    skippedStatistics: a.skippedStatistics + b.skippedStatistics,
    skippedPropensities: a.skippedPropensities + b.skippedPropensities,
    cpuMicros: a.cpuMicros + b.cpuMicros,
    slow: a.slow + b.slow,
  };
}

export interface ShadowSummary {
  readonly decisions: number;
  readonly agreement: number;
  readonly divergence: number;
  readonly massOnChosen: number;
  readonly unsupported: number;
  /** 1 less `unsupported`, but for chance. Anything else: logged propensities are not those that were drawn from. */
  readonly meanWeight: number;
  readonly maxWeight: number;
  /** As many decisions of the shadow's own would say as much: (Σw)² / Σw² (Kish 1965). */
  readonly effectiveDecisions: number;
}

/** Means over the decisions. Undefined: there were none. */
export function summariseShadow(counters: ShadowCounters): ShadowSummary | undefined {
  const { decisions } = counters;
  if (decisions === 0) return undefined;
  const mean = (micro: number) => micro / 1e6 / decisions;
  const squares = counters.weightSquaredMilli / 1e3;
  return {
    decisions,
    agreement: mean(counters.agreementMicro),
    divergence: mean(counters.divergenceMicro),
    massOnChosen: mean(counters.massOnChosenMicro),
    unsupported: mean(counters.unsupportedMicro),
    meanWeight: mean(counters.weightMicro),
    maxWeight: counters.weightMaxMicro / 1e6,
    effectiveDecisions: squares === 0 ? 0 : (counters.weightMicro / 1e6) ** 2 / squares,
  };
}
