/** What people did with the tips they were shown. Whole numbers. */
export interface TipCounts {
  readonly served: number;
  readonly done: number;
  readonly dismissed: number;
  readonly snoozed: number;
}

/** What all people together did over 30 days, as one measurement of it says. */
export interface Population {
  readonly measuredAtMs: number;
  readonly all: TipCounts;
  /** By kind and by source of the tip, as named in the contract. What is not there was not shown. */
  readonly byKind: Readonly<Record<string, TipCounts>>;
  readonly bySource: Readonly<Record<string, TipCounts>>;
}

/** How many tips the population's rate weighs against a person's own. */
export const priorTips = 10;

/**
 * The rate of a person, drawn towards the population's: with few tips mostly the population's, with many the person's
 * own. The mean of a beta distribution whose prior is the population's rate with the weight of `priorTips` tips
 * (Casella: An Introduction to Empirical Bayes Data Analysis, The American Statistician 39, 1985). Undefined: nothing is
 * known of the person, nor of the population.
 */
export function smoothedRate(
  count: number,
  shown: number,
  prior: { readonly count: number; readonly shown: number } | undefined,
): number | undefined {
  if (prior === undefined || prior.shown === 0) return shown === 0 ? undefined : count / shown;
  return (count + priorTips * Math.min(1, prior.count / prior.shown)) / (shown + priorTips);
}
