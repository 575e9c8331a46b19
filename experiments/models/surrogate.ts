import type { Vector } from '../../features/vector.ts';
import { learning } from '../policies/hyperparameters.ts';
import type { LinearArtifact } from './artifact.ts';
import { ridge, squaredErrors, toArtifact } from './linear.ts';
import { startRowSums, type TrainingRow } from './sums.ts';

/** A linear model that says nearly what another one says, so that any model can be the prior of a policy. */
export interface Surrogate {
  readonly artifact: LinearArtifact;
  /**
   * Of the variance of what the other model predicts, the share that this one repeats: 1 is all. Below 0 it does worse than
   * a constant, which a model without an intercept can. Null: the other model predicts the same of every vector.
   */
  readonly rSquared: number | null;
}

/** Weak: there is no noise in what a model predicts. */
const lambda = learning.lambda.min;

/**
 * The ridge of f(x) on x over the vectors that a model was trained on. Predictions are rounded to thousandths, and held in
 * -1 to 1 as rewards are, so that their sums are exact: any order, the same bits. The noise is that of the rewards.
 */
export function startSurrogate(predict: (vector: Vector) => number) {
  const predictions = startRowSums();
  const rewards = startRowSums();
  return {
    /** False: such a row cannot have happened. It adds nothing. */
    add({ vector, rewardMilli }: TrainingRow): boolean {
      if (!rewards.add({ vector, rewardMilli })) return false;
      const predicted = Math.round(Math.min(1, Math.max(-1, predict(vector))) * 1000);
      return predictions.add({ vector, rewardMilli: predicted });
    },
    fit(): Surrogate {
      const [f, r] = [predictions.read(), rewards.read()];
      const { weights } = ridge(f, lambda);
      const noise = (0.5 * noiseCount + squaredErrors(r, weights)) / (noiseCount + r.count);
      const spread = f.rewardSquared / 1e6 - (f.reward / 1000) ** 2 / Math.max(1, f.count);
      const rSquared = spread > 1e-9 * f.count ? 1 - squaredErrors(f, weights) / spread : null;
      return { artifact: toArtifact({ weights, noise, lambda, rows: r.count }), rSquared };
    },
  };
}

const noiseCount = 20;
