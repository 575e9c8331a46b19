import { type Row, weightOf } from './row.ts';

/**
 * A way to estimate what another policy would have earned. All that are here have one form, with the weight
 * w = target probability / propensity, the reward r and a model's predictions q:
 *
 *   mean of q.target  +  sum of v(w) (r - q.chosen) / (number of rows, or sum of v(w))
 *
 * The first part is the model's opinion, the second corrects it by what was seen. Without a model, q is 0.
 */
export interface Estimator {
  readonly name: string;
  /** v: how much a row counts, by its weight w. Never below 0. */
  readonly weigh: (w: number) => number;
  readonly usesModel: boolean;
  /** Whether the correction is divided by the sum of v rather than by the number of rows. */
  readonly isSelfNormalised: boolean;
}

const asItIs = (w: number) => w;
const nothing = () => 0;

const modelFree = { usesModel: false, isSelfNormalised: false };
const modelBased = { usesModel: true, isSelfNormalised: false };

/** What the log's own policy earned: the mean reward. */
export const onPolicy: Estimator = { name: 'logged', weigh: () => 1, ...modelFree };

/** Inverse propensity scoring. Horvitz, Thompson, JASA 1952. Unbiased where every target candidate can be logged. */
export const ips: Estimator = { name: 'IPS', weigh: asItIs, ...modelFree };

/** Self-normalised IPS. Swaminathan, Joachims, NIPS 2015. Never beyond the rewards that were seen. */
export const snips: Estimator = { name: 'SNIPS', weigh: asItIs, usesModel: false, isSelfNormalised: true };

/** IPS with weights of at most `limit`. Ionides, J. Comput. Graph. Stat. 2008. Pulls towards 0. */
export const clippedIps = (limit: number): Estimator => ({
  name: 'clipped IPS',
  weigh: (w) => Math.min(w, limit),
  ...modelFree,
});

/**
 * IPS with w / (1 - lambda + lambda w). Metelli, Russo, Restelli, NeurIPS 2021. `lambda` 0: IPS. Pulls towards the mean
 * reward.
 */
export const subGaussianIps = (lambda: number): Estimator => ({
  name: 'sub-Gaussian IPS',
  weigh: (w) => (w === 0 ? 0 : w / (1 - lambda + lambda * w)), // lambda 1 would divide 0 by 0
  ...modelFree,
});

/** The direct method: the model alone. Beygelzimer, Langford, KDD 2009. Its interval does not know the model's bias. */
export const directMethod: Estimator = { name: 'DM', weigh: nothing, ...modelBased };

/** Doubly robust: right where propensities or model are. Dudík, Langford, Li, ICML 2011. */
export const doublyRobust: Estimator = { name: 'DR', weigh: asItIs, ...modelBased };

/** Self-normalised DR. Thomas, Brunskill, ICML 2016. */
export const selfNormalisedDr: Estimator = { name: 'SNDR', weigh: asItIs, usesModel: true, isSelfNormalised: true };

/** DR where the weight is at most `tau`, the model alone elsewhere. Wang, Agarwal, Dudík, ICML 2017. */
export const switchDr = (tau: number): Estimator => ({
  name: 'switch-DR',
  weigh: (w) => (w <= tau ? w : 0),
  ...modelBased,
});

/**
 * DR with lambda w / (w^2 + lambda). Su, Dimakopoulou, Krishnamurthy, Dudík, ICML 2020. `lambda` 0: DM, infinite: DR.
 */
export const optimisticDr = (lambda: number): Estimator => ({
  name: 'DRos',
  // the same fraction, in a form that has its limits at lambda 0 and infinity
  weigh: (w) => (lambda === 0 ? 0 : w / (1 + (w * w) / lambda)),
  ...modelBased,
});

/**
 * All of them, none of which lets one row of `rows` count for more than the square root of their number, but for those
 * that take weights as they are. At that rate bias and variance both vanish (Ionides 2008), and there is no number to
 * turn until the answer pleases.
 */
export function estimatorsFor(rows: number, hasModel: boolean): readonly Estimator[] {
  const limit = Math.sqrt(rows);
  return [
    ips,
    snips,
    clippedIps(limit),
    subGaussianIps(1 / limit),
    directMethod,
    doublyRobust,
    selfNormalisedDr,
    switchDr(limit),
    optimisticDr(rows),
  ].filter(({ usesModel }) => hasModel || !usesModel);
}

/** What an estimator takes from a row, or from the sums over rows. */
export interface Terms {
  readonly prediction: number;
  readonly correction: number;
  /** What the correction is divided by. */
  readonly scale: number;
}

export function termsOf({ weigh, usesModel, isSelfNormalised }: Estimator, row: Row): Terms {
  const v = weigh(weightOf(row));
  const q = usesModel ? row.q : undefined;
  return {
    prediction: q?.target ?? 0,
    correction: v * (row.reward - (q?.chosen ?? 0)),
    scale: isSelfNormalised ? v : 1,
  };
}

/** An estimate, from the sums over `rows` rows. Where no row has any weight there is nothing to correct by. */
export function estimateOf(rows: number, { prediction, correction, scale }: Terms): number {
  return prediction / rows + (scale === 0 ? 0 : correction / scale);
}

/**
 * How far some rows move the estimate, to first order: the sum of its influence function over them, divided by the
 * number of all rows (Huber, Robust Statistics, 1981; for ratios this is the delta method). Over all rows it sums to 0.
 */
export function influenceOf(rows: number, part: Terms, allRows: number, all: Terms): number {
  const ofPrediction = (part.prediction - (rows * all.prediction) / allRows) / allRows;
  const ratio = all.scale === 0 ? 0 : all.correction / all.scale;
  return ofPrediction + (all.scale === 0 ? 0 : (part.correction - ratio * part.scale) / all.scale);
}
