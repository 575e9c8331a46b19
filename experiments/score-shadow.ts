import { type Vector, vectorNames, vectorVersion } from '../features/vector.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { decide, type Learnt } from './decide.ts';
import type { Statistics } from './linear-model.ts';
import { problemOfDecision, toRow } from './off-policy/row.ts';
import type { Policy } from './policies/policy.ts';
import { compareShadow, oneError, oneSkipped, type ShadowCounters, type Skip, shadowCounters } from './shadow.ts';
import { nothingLearnt, ofLogged } from './statistics.ts';

/** What a policy in the shadow makes of a decision. */
export type Shadowed =
  | { readonly kind: 'scored'; readonly counters: ShadowCounters; readonly score: ShadowScore }
  | { readonly kind: 'skipped'; readonly counters: ShadowCounters }
  | { readonly kind: 'failed'; readonly counters: ShadowCounters };

/** What it takes, beside the decision and its reward, to estimate what the shadow would have earned. */
export interface ShadowScore {
  /** The shadow's probability of the tip that was shown. */
  readonly propensity: number;
  /** Its probability of tips that the log gives less than `propensityFloor`. */
  readonly unsupported: number;
  /** The tip it finds most probable; the first one, of several. */
  readonly topTipId: string;
  /** The mean of the candidates' vectors by its probabilities. Empty: they are of another encoding. */
  readonly expectedVector: readonly number[];
}

/**
 * Asks a policy what it would have done, for the very vectors and the very sums that the decision was made with.
 * `population` are the sums that the decision names; undefined: they are lost. `predictions` are what the policy's predictor
 * says of the vectors; undefined: it has none, or none that answers. Never throws: what a policy throws, and what
 * is no distribution, is a failure of that policy alone. `random` does not stand in for it here.
 */
export function scoreShadow(
  policy: Policy,
  decision: TipScored,
  population: Statistics | undefined,
  predictions?: readonly number[],
): Shadowed {
  const propensities = decision.candidates.map(({ propensity }) => propensity);
  const chosen = decision.candidates.findIndex(({ tipId }) => tipId === decision.tipId);
  const logged = { user: 'somebody', chosen, propensities, targetProbabilities: propensities, reward: 0 };
  const skip = problemOfDecision(logged) ? 'propensities' : missingFor(policy, decision, population);
  if (skip) return { kind: 'skipped', counters: oneSkipped[skip] };
  const shadow = probabilitiesOf(policy, decision, { population: population ?? nothingLearnt, predictions });
  const asked = { ...logged, targetProbabilities: shadow };
  if (problemOfDecision(asked)) return { kind: 'failed', counters: oneError };
  const { targetProbability, unsupported = 0 } = toRow(asked);
  const top = shadow.indexOf(Math.max(...shadow));
  return {
    kind: 'scored',
    counters: shadowCounters(compareShadow({ propensities, chosen, shadow })),
    score: {
      propensity: targetProbability,
      unsupported,
      topTipId: decision.candidates[top]?.tipId ?? '',
      expectedVector: hasOurVectors(decision) ? meanOf(vectorsOf(decision), shadow) : [],
    },
  };
}

/** What a policy that learns would decide by, and the log does not have. */
export function missingFor(policy: Policy, decision: TipScored, population: Statistics | undefined): Skip | undefined {
  if (!policy.learning && !policy.predictor) return undefined;
  // An empty version is one from before anything that was learnt was logged.
  if (decision.vectorVersion !== '' && !hasOurVectors(decision)) return 'vectors';
  if (!policy.learning) return undefined;
  // A policy that learns nothing logs nothing of what others had learnt: neither does `random` in the place of one.
  const isLogged = decision.vectorVersion !== '' && decision.modelVersion !== '';
  return isLogged && population ? undefined : 'statistics';
}

function hasOurVectors(decision: TipScored): boolean {
  return (
    decision.vectorVersion === vectorVersion &&
    decision.candidates.every(({ vector }) => vector.length === vectorNames.length)
  );
}

/** Copies: whatever a policy does to them stays with it. */
const vectorsOf = ({ candidates }: TipScored): readonly Vector[] => candidates.map(({ vector }) => [...vector]);

/** Empty: the policy failed. */
function probabilitiesOf(
  policy: Policy,
  decision: TipScored,
  known: Pick<Learnt, 'population' | 'predictions'>,
): readonly number[] {
  try {
    const learnt = { ...known, person: ofLogged(decision.statistics) };
    const { failure, propensities } = decide(policy, vectorsOf(decision), decision.requestId, learnt);
    return failure ? [] : [...propensities];
  } catch {
    return [];
  }
}

function meanOf(vectors: readonly Vector[], probabilities: readonly number[]): number[] {
  const mean = new Array<number>(vectorNames.length).fill(0);
  for (const [i, vector] of vectors.entries())
    for (const [j, entry] of vector.entries()) mean[j] = (mean[j] ?? 0) + (probabilities[i] ?? 0) * entry;
  return mean;
}
